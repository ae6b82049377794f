"""Size and channels of images, on one image or many, in a graph or out of one."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, expected

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as image libraries use for grey.
CHUNK = 256  # Images converted at a time, so that float copies stay small.

ImageSize = int | tuple[int, int] | None


def check_image_size(image_size: Any) -> None:
    """Raises unless `image_size` is None, an integer >= 1, or a pair of them."""
    if image_size is None:
        return
    sizes = (image_size, image_size) if isinstance(image_size, Integral) else image_size
    if not isinstance(sizes, (tuple, list)) or len(sizes) != 2:
        what = "`image_size` to be an integer or a pair (height, width)"
        raise TypeError(expected(what, repr(image_size)))
    for size in sizes:
        check_integer("image_size", size)


def fit_images(images: Any, image_size: ImageSize = None, channels: int | None = None) -> tf.Tensor:
    """Returns images of the size and the number of channels asked for, in the same dtype.

    Args:
        images: [..., height, width, channels], uint8 or floats in [0, 1], rank 3 or 4.
        image_size: an integer crops to the centre square and resizes it to that side; a pair
            (height, width) resizes without a crop. Bilinear, antialiased. None keeps the size.
        channels: 1, 3 or 4. Colour becomes grey by BT.601 luma, grey is repeated, alpha is
            dropped, and a new alpha is opaque. None keeps the channels.

    Returns:
        [..., height, width, channels], uint8 or float32.
    """
    dtype = tf.uint8 if images.dtype == tf.uint8 else tf.float32
    with tf.device("CPU:0"):  # Loading leaves accelerators alone.
        images = tf.cast(images, dtype)
        if channels is not None and channels != images.shape[-1]:
            images = _to_channels(images, channels)
        if image_size is not None:
            images = _restore(_resize(images, image_size), dtype)
    return images


def fitted_shape(
    shape: Sequence[int], image_size: ImageSize = None, channels: int | None = None
) -> tuple[int, int, int]:
    """Returns the shape that `fit_images` gives an image of a shape [height, width, channels]."""
    if isinstance(image_size, Integral):
        image_size = (image_size, image_size)
    height, width = image_size or shape[:2]
    return int(height), int(width), int(channels or shape[-1])


def fit_array(
    images: np.ndarray, image_size: ImageSize = None, channels: int | None = None
) -> np.ndarray:
    """Returns `fit_images` of an array of images, computed a few at a time."""
    if image_size is None and channels in (None, images.shape[-1]):
        return images
    chunks = (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))
    return np.concatenate([fit_images(chunk, image_size, channels).numpy() for chunk in chunks])


def _to_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
    dtype = images.dtype
    is_colour = images.shape[-1] >= 3
    images = images[..., :3] if is_colour else images[..., :1]
    if channels == 1:
        return _restore(_luma(images), dtype) if is_colour else images
    if not is_colour:
        images = tf.repeat(images, 3, axis=-1)
    if channels == 4:
        opaque = tf.ones_like(images[..., :1]) * (255 if dtype == tf.uint8 else 1)
        images = tf.concat([images, opaque], axis=-1)
    return images


def _luma(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(images, tf.float32) * LUMA, axis=-1, keepdims=True)


def _resize(images: tf.Tensor, image_size: int | tuple[int, int]) -> tf.Tensor:
    """Returns float32 images of the new size, or the images if they have it."""
    if not isinstance(image_size, Sequence):
        images = _centre_square(images)
        image_size = (int(image_size), int(image_size))
    return tf.image.resize(images, image_size, method="bilinear", antialias=True)


def _centre_square(images: tf.Tensor) -> tf.Tensor:
    height, width = tf.shape(images)[-3], tf.shape(images)[-2]
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side, :]


def _restore(images: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns images back in their dtype, rounded to the nearest if that is uint8."""
    if dtype == tf.uint8:
        return tf.saturate_cast(tf.round(tf.cast(images, tf.float32)), tf.uint8)
    return tf.clip_by_value(images, 0, 1)  # Weights that sum to one may round to more.
