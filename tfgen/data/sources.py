"""Where examples come from: the embedded digits, and arrays."""

import dataclasses
import functools
import math
import os
import warnings
from typing import Any, NamedTuple

import numpy as np

from tfgen.core import specs
from tfgen.core.checks import check_integer, check_member, check_seed, expected
from tfgen.core.memory import available_memory
from tfgen.data.decoding import MAX_PIXELS
from tfgen.data.example_checks import check_batch_size, check_labels, checked_examples
from tfgen.data.image_checks import check_images
from tfgen.data.stores import InPlace, Store
from tfgen.data.transforms import (
    ImageSize,
    check_image_size,
    fit_array,
    fit_images,
    fitted_shape,
)

SPLITS = ("train", "test", "all")
TRAIN_FRACTION = 0.8
MEMORY_SHARE = 0.5
"""Images that would take more of the memory available are streamed unless asked otherwise."""
KINDS = (
    "images [n, height, width, channels], grey ones [n, height, width] (channels=1 says that they "
    "are, where the width is 1, 3 or 4), audio [n, time, 1] of floats, or tokens [n, length] of "
    "integers, not uint8 (tfgen.data.Examples takes any array)"
)


class UnknownSplit(ValueError):
    """Raised when a data set has no such split."""


class Source(NamedTuple):
    """What was read: examples [n, *event], or the store to stream them from, and any labels [n]."""

    images: np.ndarray | Store
    labels: np.ndarray | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    split: str = "all"


@dataclasses.dataclass(frozen=True)
class Request:
    """What to read, checked: the arguments of `tfgen.data.load` that a source needs."""

    split: str | None = None
    batch_size: int = 128
    image_size: ImageSize = None
    num_examples: int | None = None
    data_dir: str | os.PathLike | None = None
    seed: int = 0
    skip_unreadable: bool = False
    channels: int | None = None
    max_pixels: int = MAX_PIXELS
    split_folders: bool = True
    in_memory: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.split, str | None):
            raise TypeError(expected("`split` to be a string", repr(self.split)))
        check_integer("batch_size", self.batch_size)
        check_seed("seed", self.seed)
        check_image_size(self.image_size)
        if isinstance(self.image_size, list):  # Tuples can be keys.
            object.__setattr__(self, "image_size", tuple(self.image_size))
        if self.num_examples is not None:
            check_integer("num_examples", self.num_examples)
        if self.channels is not None:
            check_member("channels", self.channels, specs.IMAGE_CHANNELS)
        check_integer("max_pixels", self.max_pixels)
        if self.in_memory not in (None, True, False):
            raise TypeError(expected("`in_memory`, True, False or None", repr(self.in_memory)))

    def asking(self, default: str) -> "Request":
        """Returns a request for the same split, or for `default` if no split was asked for."""
        return dataclasses.replace(self, split=self.split or default)

    def check_count(self, available: int) -> int:
        """Returns how many examples to read of those there are; raises ValueError if too few."""
        wanted = available if self.num_examples is None else self.num_examples
        if wanted > available:
            what = f"`num_examples` <= {available}, the size of split {self.split!r}"
            raise ValueError(expected(what, wanted))
        check_batch_size(self.batch_size, wanted)
        return wanted

    def rows(self, total: int) -> np.ndarray:
        """Returns the rows to read, of `total`, of a split where the source has none of its own."""
        check_member("split", self.split, SPLITS)
        rows = split_rows(total, self.split)
        return rows[: self.check_count(len(rows))]

    def streams(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> bool:
        """Returns whether to stream images rather than to read them into memory.

        Args:
            shape: of all of them, [n, height, width, channels].
            dtype: of their values in memory.
        """
        if self.in_memory is not None:
            return not self.in_memory
        needed, available = math.prod(shape) * np.dtype(dtype).itemsize, available_memory()
        if available is None or needed <= MEMORY_SHARE * available:
            return False
        warnings.warn(
            f"Streaming {shape[0]} images: in memory they would take {needed / 1e9:.3g} GB, more "
            f"than {MEMORY_SHARE:.0%} of the {available / 1e9:.3g} GB available "
            "(in_memory=True reads them into memory, in_memory=False streams without this warning)",
            UserWarning,
            stacklevel=2,
        )
        return True


def split_rows(total: int, split: str) -> np.ndarray:
    """Returns the rows of a split: 80 % and 20 % of one fixed permutation, or all as they stand.

    The order is kept permuted so that the first n rows are a fair sample of sorted classes.
    """
    if split == "all":
        return np.arange(total)
    border = int(TRAIN_FRACTION * total)
    return permuted(total)[:border] if split == "train" else permuted(total)[border:]


def permuted(total: int) -> np.ndarray:
    """Returns the fixed permutation of a number of rows."""
    # RandomState, unlike Generator, promises the same stream in every version of NumPy.
    return np.random.RandomState(0).permutation(total)


def read_digits(request: Request) -> Source:
    """Reads the 1,797 grey 8 x 8 digits that scikit-learn embeds."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    names = tuple(str(digit) for digit in range(10))
    return read_array(images, digits.target, request.asking("train"), names)


def read_array(
    x: Any,
    labels: Any,
    request: Request,
    class_names: tuple[str, ...] | None = None,
    num_classes: int | None = None,
    rows: np.ndarray | None = None,
    white: int = 1,
) -> Source:
    """Checks all examples and labels, and takes the rows asked for, or those given.

    Bytes are multiplied by `white`.
    """
    request = request.asking("all")
    x = _checked_examples(np.asarray(x), request)
    num_classes = len(class_names) if class_names else num_classes
    if labels is not None:
        labels = check_labels(labels, len(x), num_classes)
        num_classes = num_classes or int(labels.max()) + 1
    rows = request.rows(len(x)) if rows is None else rows
    labels = None if labels is None else labels[rows]
    x = _images(x, rows, request, white) if x.ndim == 4 else x[rows]
    return Source(x, labels, num_classes, class_names, request.split)


def _images(x: np.ndarray, rows: np.ndarray, request: Request, white: int) -> np.ndarray | InPlace:
    """Returns images of rows of an array, or the store that streams them from it."""
    size, channels = request.image_size, request.channels
    shape = fitted_shape(x.shape[1:], size, channels)
    is_bytes = x.dtype == np.uint8
    if request.streams((len(rows), *shape), np.uint8 if is_bytes else np.float32):
        fit = functools.partial(fit_images, image_size=size, channels=channels)
        return InPlace(x, rows, shape, fit, white)
    if not np.array_equal(rows, np.arange(len(x))):  # All of them need no copy.
        x = x[rows]
    return fit_array(x * np.uint8(white) if white != 1 else x, size, channels)


def _checked_examples(x: np.ndarray, request: Request) -> np.ndarray:
    """Returns images with channels, audio or tokens, told apart by shape and type, or raises."""
    if x.ndim == 3 and (request.channels == 1 or x.shape[-1] not in specs.IMAGE_CHANNELS):
        x = x[..., np.newaxis]
    is_audio = x.ndim == 3 and x.shape[-1] == 1 and x.dtype.kind == "f"
    is_tokens = x.ndim == 2 and x.dtype.kind in "iu" and x.dtype != np.uint8
    if not (is_audio or is_tokens or x.ndim == 4):
        raise ValueError(expected(KINDS, f"{x.dtype} of shape {x.shape}"))
    if x.ndim == 4:
        check_images(x)
        return x
    if request.in_memory is False:
        raise ValueError(expected("images, which can be streamed", f"{x.dtype} of shape {x.shape}"))
    if request.image_size or request.channels:
        what = "no `image_size` or `channels` of audio and tokens"
        raise ValueError(expected(what, f"{x.dtype} of shape {x.shape}"))
    if is_audio:
        specs.check_values(x, specs.event_spec(x.shape[1:], name="audio"), "audio")
    return checked_examples(x)
