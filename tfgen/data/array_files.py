"""Images, labels, audio and tokens in .npy and .npz files.

Nothing is unpickled, only what is needed is read, and a file that is damaged is named.
"""

import contextlib
import math
import pathlib
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO

import numpy as np

from tfgen.core.checks import expected
from tfgen.data.example_checks import check_labels
from tfgen.data.folder import rows_of_splits
from tfgen.data.sources import Request, Source, UnknownSplit, read_array

ARRAY_SUFFIXES = (".npy", ".npz")
EXAMPLE_KEYS = ("x", "images", "imgs", "audio", "tokens", "arr_0")
LABEL_KEYS = ("y", "label", "labels", "lab")
PARTS = {"train": "train", "validation": "val", "test": "test"}
"""Splits that a file may have of its own, and what its keys call them."""
PART_KEYS = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))
"""How files name the examples and the labels of a split: those of Keras, those of MedMNIST."""
CHUNK = 1024  # Examples looked at together.
WHOLE = ""
"""Instead of `PARTS`, of a file without splits of its own."""

_ZIP_SIGNATURE = b"PK"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_array_file(path: pathlib.Path, request: Request) -> Source:
    """Reads an .npy file of examples, or an .npz file of examples and labels.

    Raises:
        ValueError: naming the file, when it is damaged, or does not hold such arrays.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP_SIGNATURE)) == _ZIP_SIGNATURE:
            if request.in_memory is False:
                what = "an .npy file, which can be streamed"
                raise ValueError(expected(what, f"the archive {path}"))
            return _read_archive(path, file, request)
        with _damage_named(path):
            file.seek(0)
            shape, order, dtype, _ = _header(file, path.stat().st_size)
            x = np.memmap(path, dtype, "r", file.tell(), shape, order)
    with _content_named(path):
        x, white = _with_white(x)
        return read_array(x, None, request, white=white)


def _read_archive(path: pathlib.Path, file: IO[bytes], request: Request) -> Source:
    """Reads the examples of a split from an open .npz file, and the labels."""
    with _damage_named(path):
        archive = zipfile.ZipFile(file)
    names = {name.removesuffix(".npy") for name in archive.namelist()}
    parts = _parts(names)
    if not parts:
        what = f"{path} to hold examples under one of the keys {EXAMPLE_KEYS}, or x_train and so on"
        raise ValueError(expected(what, sorted(names)))
    chosen, rows = list(parts), None
    if WHOLE not in parts:
        with _damage_named(path):
            lengths = {part: _length(archive, key) for part, (key, _) in parts.items()}
        with _content_named(path):
            request, chosen, rows = _chosen(lengths, request)
    with _damage_named(path):
        x = [_read_member(archive, parts[part][0]) for part in chosen]
        labels = {part: _read_member(archive, key) for part, (_, key) in parts.items() if key}
    with _content_named(path):
        labels = {part: _flat_labels(values) for part, values in labels.items()}
        given = [labels[part] for part in chosen if part in labels]
        flat = _joined(given) if len(given) == len(x) else None
        classes = 1 + max((int(values.max()) for values in labels.values()), default=-1)
        x, white = _with_white(_joined(x))
        return read_array(x, flat, request, num_classes=classes, rows=rows, white=white)


def _chosen(lengths: Mapping[str, int], request: Request) -> tuple[Request, list[str], np.ndarray]:
    """Returns the request for a split by its name, the splits to read, and the rows of those."""
    owners = [part for part, length in lengths.items() for _ in range(length)]
    split, rows = rows_of_splits(owners, request)
    chosen = [part for part in lengths if split.startswith("all") or part == owners[rows[0]]]
    before = owners.index(chosen[0])
    return request.asking(split), chosen, rows - before


@contextlib.contextmanager
def _damage_named(path: pathlib.Path) -> Iterator[None]:
    """Turns whatever a damaged file makes of its readers into a ValueError that names it."""
    try:
        yield
    except Exception as error:  # Those of zip, zlib, the parser of headers, memory and more.
        what = "a whole NumPy file of numbers (nothing is unpickled)"
        raise ValueError(expected(what, f"{path}: {error or type(error).__name__}")) from error


@contextlib.contextmanager
def _content_named(path: pathlib.Path) -> Iterator[None]:
    """Adds the name of a file to what is said of the arrays in it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = UnknownSplit if isinstance(error, UnknownSplit) else ValueError
        raise kind(f"{error}, in {path}") from error


def _parts(names: Collection[str]) -> dict[str, tuple[str, str | None]]:
    """Returns the keys of the examples and of the labels of each split in a file, or of `WHOLE`."""
    for x in EXAMPLE_KEYS:
        if x in names:
            return {WHOLE: (x, next((key for key in LABEL_KEYS if key in names), None))}
    found = {}
    for part, word in PARTS.items():
        for x, labels in PART_KEYS:
            if x.format(word) in names:
                key = labels.format(word)
                found[part] = (x.format(word), key if key in names else None)
    return found


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Returns arrays one after the other; one alone needs no copy."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _with_white(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns an array, and what its values are to be multiplied by: 255 in masks, of 0 and 1."""
    if x.ndim < 3 or x.dtype not in (np.uint8, np.bool_):
        return x, 1
    x = x.view(np.uint8)
    chunks = (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))
    return x, 1 if any(chunk.max() > 1 for chunk in chunks) else 255


def _flat_labels(labels: np.ndarray) -> np.ndarray:
    """Returns labels [n] or [n, 1], as MedMNIST has them, as int64 [n], or raises."""
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    return check_labels(labels, len(labels))


def _read_member(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    """Returns an array of an archive."""
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as stream:
        return _read_npy(stream, member.file_size)


def _length(archive: zipfile.ZipFile, key: str) -> int:
    """Returns how many examples an array of an archive has, by its header."""
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as stream:
        return _header(stream, member.file_size)[0][0]


def _read_npy(stream: IO[bytes], size: int) -> np.ndarray:
    """Returns the array in a stream of `size` bytes, read-only."""
    shape, order, dtype, declared = _header(stream, size)
    content = stream.read(declared)
    if len(content) != declared:
        raise ValueError(expected(f"{declared} bytes of values", f"{len(content)} bytes"))
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], str, np.dtype, int]:
    """Returns the shape, order, type and size in bytes of the values that follow a header.

    Raises:
        ValueError: when other things follow than are declared, before there is room for them.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(expected(f"an .npy version among {list(_HEADERS)}", version))
    shape, is_fortran, dtype = _HEADERS[version](stream)
    if dtype.kind not in "biuf":
        raise ValueError(expected("numbers", f"dtype {dtype}"))
    declared, given = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=1) < 1 or declared != given:
        what = f"{declared} bytes of values, {dtype} of shape {shape}"
        raise ValueError(expected(what, f"{given} bytes"))
    return shape, "F" if is_fortran else "C", dtype, declared
