"""Recordings in a folder of .wav files, brought to one rate and one length."""

import io
import math
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from tfgen.core.checks import check_integer, expected
from tfgen.data.examples import Examples
from tfgen.data.folder import labels_of, owners_of, rows_of_splits
from tfgen.data.folder_files import Skipped, names_in
from tfgen.data.sources import Request

MAX_RATE = 768_000  # Hz; no recorder has a higher one.
SUFFIXES = (".wav",)
OTHER_SUFFIXES = frozenset(".aac .aif .aiff .au .flac .m4a .mp3 .ogg .opus .wma".split())
FILTER_REACH = 10  # Samples on each side, of the lower of two rates, that a resampled one is of.


def load_audio(
    folder: str | os.PathLike,
    split: str | None = None,
    batch_size: int = 128,
    *,
    sample_rate: int,
    length: int,
    num_examples: int | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    class_of: Callable[[pathlib.PurePath], str] | None = None,
) -> Examples:
    """Loads recordings, with labels if there are any, into memory.

    They become float32 [length, 1] in [-1, 1], four bytes a sample.

    Args:
        folder: of .wav files, at any depth, in the order of their paths: integers of 8 to 64 bits
            or floats in [-1, 1], of any rate; of several channels the mean is taken.
        split: as `load` has it of a folder.
        batch_size: examples in a batch, over all replicas.
        sample_rate: of the examples in Hz, at most 768,000; what has another is resampled, through
            a filter that keeps higher frequencies from becoming lower ones.
        length: samples in an example. Longer recordings are cut at their end, shorter ones are
            followed by zeros.
        num_examples: read only the first ones of the split; None reads all.
        seed: of the order of the examples in training.
        skip_unreadable: leave out files that cannot be read, with a warning.
        class_of: returns the name of a recording's class, of its path below the folder, e.g.
            `lambda path: path.name[0]`. Unless given, the sub-folders are the classes, as `load`
            has it.

    Returns:
        The examples.

    Raises:
        TypeError: if an argument has a wrong type.
        ValueError: if there is no such folder, a number is out of range, there are fewer recordings
            than asked for or than a batch, or one cannot be read, which is named.

    Example:
        data = tfgen.data.load_audio("speech", sample_rate=16_000, length=16_000)
    """
    request = Request(split, batch_size, None, num_examples, None, seed, skip_unreadable)
    check_integer("sample_rate", sample_rate)
    check_integer("length", length)
    if sample_rate > MAX_RATE:
        raise ValueError(expected(f"`sample_rate` <= {MAX_RATE}", sample_rate))
    folder = pathlib.Path(folder).expanduser()
    skipped = Skipped(skip_unreadable, "recordings")
    names = names_in(folder, SUFFIXES, OTHER_SUFFIXES, "a folder of .wav files", skipped)
    owners = owners_of(folder, names)
    split, rows = rows_of_splits(owners, request)
    paths = [folder.joinpath(*names[row]) for row in rows]
    audio, kept = _read_files(paths, sample_rate, length, skipped)
    skipped.warn()
    if not kept:
        what = f"a readable recording in {folder}"
        raise ValueError(expected(what, f"{len(rows)} unreadable files"))
    if class_of is None:
        labels, class_names = labels_of(names, owners, rows[kept])
    else:
        classes = [class_of(pathlib.PurePath(*name)) for name in names]
        class_names, labels = np.unique(classes, return_inverse=True)
        labels = labels[rows[kept]]
    named = {} if labels is None else {"class_names": tuple(map(str, class_names))}
    return Examples(audio, labels, batch_size, seed, name=str(folder), split=split, **named)


def _read_files(
    paths: Sequence[pathlib.Path], sample_rate: int, length: int, skipped: Skipped
) -> tuple[np.ndarray, list[int]]:
    """Returns the recordings [n, length, 1], and the positions in `paths` of what could be read."""
    audio = np.zeros((len(paths), length, 1), np.float32)
    kept = []
    for position, path in enumerate(paths):
        try:
            samples = _resampled(*_read(path), sample_rate, length)
        except Exception as error:  # SciPy fails at damaged files in many ways.
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            skipped.add(f"{path}: {reason}", error)
            continue
        audio[len(kept), : len(samples), 0] = samples
        kept.append(position)
    return audio[: len(kept)], kept


def _read(path: pathlib.Path) -> tuple[np.ndarray, int]:
    """Returns the samples of a recording, float32 [time] in [-1, 1], and its rate."""
    from scipy.io import wavfile

    if path.exists() and not path.is_file():  # Reading a pipe or a device might never end.
        raise ValueError("not a regular file")
    content = io.BytesIO(path.read_bytes())  # Of a file, NumPy would make room as it declares.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # About tags, which are not read.
        warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
        rate, samples = wavfile.read(content)
    if not 0 < rate <= MAX_RATE:
        raise ValueError(expected(f"a rate in [1, {MAX_RATE}] Hz", rate))
    if not samples.size:
        raise ValueError(expected("at least one sample", samples.size))
    return _in_range(samples.reshape(len(samples), -1)).mean(axis=1), rate


def _in_range(samples: np.ndarray) -> np.ndarray:
    """Returns samples as float32 in [-1, 1]."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        return (samples / 2.0 ** (8 * samples.dtype.itemsize - 1)).astype(np.float32)
    most = np.abs(samples).max()
    if not most <= 1:  # NaN is not, either.
        raise ValueError(expected("floating samples in [-1, 1]", f"a magnitude of {most}"))
    return samples.astype(np.float32)


def _resampled(samples: np.ndarray, rate: int, sample_rate: int, length: int) -> np.ndarray:
    """Returns the first `length` samples, or as many as there are, at another rate."""
    from scipy.signal import resample_poly

    if rate == sample_rate:
        return samples[:length]
    divisor = math.gcd(rate, sample_rate)
    up, down = sample_rate // divisor, rate // divisor
    # Of long recordings, no more than the filter reaches.
    reach = (length + FILTER_REACH) * down / up + FILTER_REACH
    resampled = resample_poly(samples[: math.ceil(reach) + 1], up, down)[:length]
    return np.clip(resampled, -1, 1)  # Filters swing over at steps.
