"""Many image files: looked at before any is decoded, then decoded on all cores."""

import os
import pathlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.data.decoding import Header, UnreadableImage, decode, decode_in_graph, inspect
from tfgen.data.folder_files import Skipped
from tfgen.data.image_checks import check_channels
from tfgen.data.sources import Request
from tfgen.data.stores import PARALLEL, Decoded, Store, options
from tfgen.data.transforms import fit_images, fitted_shape

CHUNK = 64  # Files whose headers a thread reads at a time.
BATCH_PIXELS = 2**20  # Of files that are decoded together; an interrupt waits for them.
PROGRESS_FROM = 10_000


class ImageFiles:
    """Image files that become images of one shape, as their headers say.

    Args:
        paths: of the files.
        headers: of the files.
        request: the size and the channels of the images.

    Attributes:
        paths: of the files.
        event_shape: of each image, (height, width, channels).
        mean_pixels: that are stored in a file, on average.

    Raises:
        ValueError: if images differ in shape, or have a number of channels that images cannot have.
    """

    def __init__(
        self, paths: Sequence[pathlib.Path], headers: Sequence[Header], request: Request
    ) -> None:
        self.paths = paths
        self.event_shape = _common_shape(paths, headers, request)
        self._request = request
        self.mean_pixels = float(np.mean([header.shape[0] * header.shape[1] for header in headers]))
        self._stored_channels = sorted({header.shape[-1] for header in headers})
        with tf.device("CPU:0"):
            self._names = tf.constant([os.fsencode(path) for path in paths])
            self._by_pillow = tf.constant([header.by_pillow for header in headers])

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, row: tf.Tensor) -> tf.Tensor:
        """Returns the path of a row, a string scalar, in a graph."""
        return self._names[row]

    def decode(self, row: tf.Tensor) -> tf.Tensor:
        """Returns the image of a row, uint8 [height, width, channels], in a graph."""
        image = decode_in_graph(self._names[row], self._by_pillow[row])
        if len(self._stored_channels) == 1:
            return self._fit(image, self._stored_channels[0])
        which = tf.argmax(tf.shape(image)[-1] == self._stored_channels, output_type=tf.int32)
        branches = [lambda n=count: self._fit(image, n) for count in self._stored_channels]
        return tf.switch_case(which, branches)

    def _fit(self, image: tf.Tensor, stored_channels: int) -> tf.Tensor:
        image = tf.ensure_shape(image, [None, None, stored_channels])
        image = fit_images(image, self._request.image_size, self._request.channels)
        return tf.ensure_shape(image, self.event_shape)


def look_at(
    paths: Sequence[pathlib.Path], request: Request, skipped: Skipped
) -> tuple[ImageFiles | None, np.ndarray]:
    """Reads the headers of image files.

    Returns:
        The files that can be read, None if there are none, and their positions in `paths`.

    Raises:
        ValueError: if a file is unreadable and none is to be skipped, or if the images do not fit
            together.
    """
    headers, kept = [], []
    report = _progress(len(paths))
    for position, header in enumerate(_headers(paths, request.max_pixels)):
        report(position + 1)
        if isinstance(header, UnreadableImage):
            skipped.add(header.reason, header)
            continue
        headers.append(header)
        kept.append(position)
    files = ImageFiles([paths[position] for position in kept], headers, request) if kept else None
    return files, np.array(kept, np.int64)


def read_files(
    files: ImageFiles, request: Request, skipped: Skipped
) -> tuple[np.ndarray | Store, np.ndarray]:
    """Returns what `read_into_memory` does, or the store of images to stream and all rows."""
    count = len(files)
    if request.streams((count, *files.event_shape)):
        store = Decoded(count, files.event_shape, tf.identity, files.decode, files.name)
        return store, np.arange(count)
    return read_into_memory(files, skipped)


def read_into_memory(files: ImageFiles, skipped: Skipped) -> tuple[np.ndarray, np.ndarray]:
    """Decodes image files.

    Returns:
        The images that could be decoded, uint8 [n, height, width, channels], and their rows in
        `files`, int64 [n].

    Raises:
        ValueError: if a file cannot be decoded and none is to be skipped.
    """
    images = np.empty((len(files), *files.event_shape), np.uint8)
    kept, seen = [], 0
    report = _progress(len(files))
    for rows, batch in _decoded(files).as_numpy_iterator():
        images[len(kept) : len(kept) + len(rows)] = batch
        kept.extend(rows)
        for row in np.setdiff1d(np.arange(seen, rows[-1]), rows):
            _skip(files.paths[row], skipped)
        seen = rows[-1] + 1
        report(seen)
    for path in files.paths[seen:]:
        _skip(path, skipped)
    return images[: len(kept)], np.array(kept, np.int64)


def _decoded(files: ImageFiles) -> tf.data.Dataset:
    """Returns batches of rows and their images, in order, without those that cannot be decoded."""
    size = max(1, int(BATCH_PIXELS / files.mean_pixels))
    # There is no Python of ours to convert, which would take most of the time for few files.
    with_row = tf.autograph.experimental.do_not_convert(lambda row: (row, files.decode(row)))
    images = tf.data.Dataset.range(len(files)).map(with_row, num_parallel_calls=PARALLEL)
    return images.ignore_errors().batch(size).prefetch(1).with_options(options())


def _skip(path: pathlib.Path, skipped: Skipped) -> None:
    """Leaves out a file that could not be decoded, for TensorFlow names its own operations."""
    try:
        decode(path)
    except UnreadableImage as error:
        skipped.add(error.reason, error)
    else:
        skipped.add(f"{path}: damaged")


def _headers(paths: Sequence[pathlib.Path], max_pixels: int) -> Iterator[Header | UnreadableImage]:
    """Yields the header of each file, or what is wrong with it."""

    def look(path: pathlib.Path) -> Header | UnreadableImage:
        try:
            return inspect(path, max_pixels)
        except UnreadableImage as error:
            return error

    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    for headers in in_order(lambda chunk: [look(path) for path in chunk], chunks):
        yield from headers


def in_order(function: Callable, arguments: Sequence) -> Iterator:
    """Yields what a function returns for each argument, computed on all cores.

    Few calls are under way at a time, and none begins after an error or an interrupt, so that these
    get out at once.
    """
    pool, pending = ThreadPoolExecutor(PARALLEL), deque()
    try:
        for argument in arguments:
            pending.append(pool.submit(function, argument))
            if len(pending) > 2 * PARALLEL:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _progress(total: int) -> Callable[[int], None]:
    """Returns a progress bar over a number of files; None where they are few."""
    if total <= PROGRESS_FROM:
        return lambda done: None
    bar, step = keras.utils.Progbar(total), max(1, total // 1000)
    return lambda done: bar.update(done) if done % step == 0 or done == total else None


def _common_shape(
    paths: Sequence[pathlib.Path], headers: Sequence[Header], request: Request
) -> tuple[int, int, int]:
    """Returns the shape of the images, or raises ValueError that names two that differ."""
    image_size, channels = request.image_size, request.channels
    shapes = [fitted_shape(header.shape, image_size, channels) for header in headers]
    first = shapes[0]
    check_channels(first[-1], str(paths[0]), " (`channels` converts)")
    other = next((row for row, shape in enumerate(shapes) if shape != first), None)
    if other is not None:
        channels = 3 if max(shape[-1] for shape in shapes) > 2 else 1
        what = (
            "images of one shape, height x width x channels (`image_size` resizes them, "
            f"`channels` converts them: channels={channels}), {_text(first)} as in {paths[0]}"
        )
        raise ValueError(expected(what, f"{_text(shapes[other])} in {paths[other]}"))
    return first


def _text(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))
