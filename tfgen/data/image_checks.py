"""What counts as a batch of images, checked before any work, and how many channels it has."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import Shaped, check_rank, expected
from tfgen.core.specs import IMAGE_CHANNELS

FLOATS = ("float16", "bfloat16", "float32", "float64")
AXES = "[batch, height, width, channels]"
CHUNK = 1024  # Examples whose values are checked together.


def check_images(images: Any, name: str = "images") -> None:
    """Raises unless `images` are images: uint8, or floats in [0, 1], with channels last.

    Shape and dtype are checked on anything that has them, and the values too where there are any
    (NumPy arrays and eager tensors). Axes of unknown size pass.

    Args:
        images: an array, a tensor, a `tf.TensorSpec` or a `keras.KerasTensor`, expected to be
            [batch, height, width, channels] with 1, 3 or 4 channels.
        name: what the error messages call it.

    Raises:
        TypeError: if it has no shape and dtype, or a dtype other than uint8 and the floats.
        ValueError: if the rank or the number of channels is wrong, an axis is empty, or a value
            is NaN, infinite or outside [0, 1]; the first such example is named.
    """
    if not isinstance(images, Shaped):
        raise TypeError(expected(f"`{name}` to be an array or a tensor, {AXES}", type(images)))
    dtype = getattr(images.dtype, "name", str(images.dtype))
    if dtype != "uint8" and dtype not in FLOATS:
        what = f"`{name}` of dtype uint8 (0 to 255) or floating (0 to 1)"
        raise TypeError(expected(what, f"dtype {dtype}"))
    if getattr(images.shape, "rank", 4) is None:
        raise ValueError(expected(f"`{name}` of rank 4, {AXES}", "unknown rank"))
    check_rank(name, images.shape, 4, AXES)
    if 0 in tuple(images.shape):
        raise ValueError(expected(f"`{name}` not to be empty", f"shape {tuple(images.shape)}"))
    check_channels(images.shape[-1], f"`{name}`")
    if tf.is_tensor(images):
        images = tf.get_static_value(tf.convert_to_tensor(images))  # None of a tensor in a graph.
    if isinstance(images, np.ndarray) and dtype in FLOATS:
        _check_values(images, name)


def check_channels(channels: int | None, name: str, hint: str = "") -> None:
    """Raises ValueError unless the number of channels is 1, 3, 4 or unknown."""
    if channels is not None and channels not in IMAGE_CHANNELS:
        raise ValueError(
            expected(f"{name} to have 1, 3 or 4 channels, last{hint}", f"{channels} channels")
        )


def with_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns images with so many channels; only grey is turned into something else.

    Args:
        images: [batch, height, width, channels].
        channels: how many to return; with 3, grey images are repeated.

    Raises:
        ValueError: when the images have another number of channels.
    """
    if images.shape[-1] == 1 and channels == 3:
        return tf.repeat(images, 3, axis=-1)
    if images.shape[-1] != channels:
        raise ValueError(expected(f"images of {channels} channels", tuple(images.shape)))
    return images


def _check_values(images: np.ndarray, name: str) -> None:
    """Raises ValueError, naming the first bad example, unless every value is in [0, 1]."""
    for start in range(0, len(images), CHUNK):  # Those of a memory-mapped file are many.
        with np.errstate(invalid="ignore"):
            chunk = images[start : start + CHUNK]
            low, high = chunk.min(), chunk.max()
            if low >= 0 and high <= 1:  # Both are False for NaN, which min and max pass on.
                continue
            inside = (chunk >= 0) & (chunk <= 1)
        first = int(np.argmin(inside.reshape(len(chunk), -1).all(axis=1)))
        raise _bad_values(chunk[first], name, start + first)


def _bad_values(example: np.ndarray, name: str, first: int) -> ValueError:
    """Returns the error that says what is wrong with the values of an example."""
    finite = np.isfinite(example)
    if not finite.all():
        value = example[~finite][0]
        return ValueError(expected(f"`{name}` to be finite", f"{value} in example {first}"))
    low, high = example.min(), example.max()
    mend = (
        "(x + 1) / 2 makes them so"
        if -1 <= low < 0 and high <= 1
        else "divide by 255, or pass uint8"
    )
    return ValueError(
        expected(
            f"`{name}` in [0, 1] when floating ({mend})",
            f"values from {low:g} to {high:g} in example {first}",
        )
    )
