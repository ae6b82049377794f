"""Differentiable random augmentations of images, [batch, height, width, channels] -> the same.

An augmentation is any callable `augment(images, seed) -> images`. What it does to row i is a
function of the seed and i alone, and gradients flow through it to the images. Results are not
clipped to [0, 1].

Reference:
    Zhao, Liu, Lin, Zhu, Han, "Differentiable Augmentation for Data-Efficient GAN Training", 2020,
    https://arxiv.org/abs/2006.10738.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_rank, expected
from tfgen.core.config import Configurable, register

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _check_ratio(ratio: float) -> None:
    if not 0 < ratio <= 1:
        raise ValueError(expected("`ratio` in (0, 1]", ratio))


@register
@dataclass(frozen=True)
class Color(Configurable):
    """Random brightness, saturation and contrast, in this order.

    Args:
        brightness: half-width b >= 0 of what is added to an image, U(-b, b). The paper's 0.5, for
            images that span [-1, 1], is 0.25 here.
        saturation: half-width s in [0, 1] of the factor U(1 - s, 1 + s) on the differences from
            each pixel's mean over channels.
        contrast: half-width c in [0, 1] of the factor U(1 - c, 1 + c) on the differences from each
            image's mean.

    Raises:
        ValueError: if an argument is outside its range.
    """

    brightness: float = 0.25
    saturation: float = 1.0
    contrast: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.brightness < float("inf"):
            raise ValueError(expected("a finite `brightness` >= 0", self.brightness))
        for name in ("saturation", "contrast"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(expected(f"`{name}` in [0, 1]", getattr(self, name)))

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns augmented images, given a seed, int32 [2]."""
        images = _checked(images)
        draws = tf.cast(2 * _uniform(images, seed, 3) - 1, images.dtype)
        brightness, saturation, contrast = (draws[:, k, None, None, None] for k in range(3))
        images += self.brightness * brightness
        images = _scale_about(images, [3], 1 + self.saturation * saturation)
        return _scale_about(images, [1, 2, 3], 1 + self.contrast * contrast)


@register
@dataclass(frozen=True)
class Translate(Configurable):
    """Moves an image by whole pixels, uniform on both axes, and fills with zeros, which are black.

    In the paper's images on [-1, 1] zeros are grey.

    Args:
        ratio: the largest move, as a part of the height and of the width, in (0, 1].

    Raises:
        ValueError: if the ratio is outside its range.
    """

    ratio: float = 0.125

    def __post_init__(self) -> None:
        _check_ratio(self.ratio)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns moved images, given a seed, int32 [2]."""
        images = _checked(images)
        draws = _uniform(images, seed, 2)
        down, right = (
            _integers(draws[:, k], 2 * most + 1) - most
            for k, most in enumerate(_parts(images, self.ratio))
        )
        return translate(images, down, right)


@register
@dataclass(frozen=True)
class Cutout(Configurable):
    """Puts a rectangle of zeros, black, at a random centre; it may reach over the border.

    Args:
        ratio: the rectangle's sides, as a part of the height and of the width, in (0, 1].

    Raises:
        ValueError: if the ratio is outside its range.
    """

    ratio: float = 0.5

    def __post_init__(self) -> None:
        _check_ratio(self.ratio)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns images with a hole, given a seed, int32 [2]."""
        images = _checked(images)
        draws = _uniform(images, seed, 2)
        sides = _parts(images, self.ratio)
        # An even side has its centre between pixels, where there is one place more.
        row, column = (
            _integers(draws[:, k], tf.shape(images)[k + 1] + 1 - side % 2)
            for k, side in enumerate(sides)
        )
        return cutout(images, row, column, *sides)


@register
@dataclass(frozen=True)
class Flip(Configurable):
    """Mirrors an image, left to right, with probability 1/2."""

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns images, half of them mirrored, given a seed, int32 [2]."""
        images = _checked(images)
        mirrored = _uniform(images, seed, 1)[:, :, None, None] < 0.5
        return tf.where(mirrored, tf.reverse(images, [2]), images)


@register
@dataclass(frozen=True)
class DiffAugment(Configurable):
    """Augmentations one after the other, each with a seed of its own.

    Args:
        augmentations: at least one.

    Raises:
        ValueError: if there are none.
    """

    augmentations: Sequence[Augmentation] = (Color(), Translate(), Cutout())

    def __post_init__(self) -> None:
        if not self.augmentations:
            raise ValueError(expected("at least one of `augmentations`", self.augmentations))
        # A file gives lists back, which are neither equal to tuples nor hashable.
        object.__setattr__(self, "augmentations", tuple(self.augmentations))

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns augmented images, given a seed, int32 [2]."""
        for k, augment in enumerate(self.augmentations):
            images = augment(images, random.fold_in(seed, k))
        return images


def translate(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Moves each image by whole pixels and fills with zeros.

    Args:
        images: [batch, height, width, channels].
        down: rows, int32 [batch]; negative ones move up.
        right: columns, int32 [batch]; negative ones move left.

    Returns:
        [batch, height, width, channels].
    """

    @tf.custom_gradient
    def moved(images: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        # The way back is the adjoint; left to TensorFlow, it would be a slow scatter of pixels.
        return _moved(images, down, right), lambda slopes: translate(slopes, -down, -right)

    return moved(images)


def _moved(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    rows, columns = tf.range(height) - down[:, None], tf.range(width) - right[:, None]
    inside = _between(rows, height)[:, :, None, None] & _between(columns, width)[:, None, :, None]
    images = tf.gather(images, tf.clip_by_value(rows, 0, height - 1), axis=1, batch_dims=1)
    images = tf.gather(images, tf.clip_by_value(columns, 0, width - 1), axis=2, batch_dims=1)
    return tf.where(inside, images, tf.zeros_like(images))


def _between(places: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Tells which of some integers are in [0, count)."""
    return (places >= 0) & (places < count)


def cutout(
    images: tf.Tensor, row: tf.Tensor, column: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Puts a rectangle of zeros into each image.

    Args:
        images: [batch, height, width, channels].
        row: of the centre, int32 [batch]; the rectangle begins at row - height // 2.
        column: of the centre, int32 [batch]; the rectangle begins at column - width // 2.
        height: of the rectangle, a scalar.
        width: of the rectangle, a scalar.

    Returns:
        [batch, height, width, channels].
    """
    rows = tf.range(tf.shape(images)[1]) - (row - height // 2)[:, None]
    columns = tf.range(tf.shape(images)[2]) - (column - width // 2)[:, None]
    hole = _between(rows, height)[:, :, None, None] & _between(columns, width)[:, None, :, None]
    return tf.where(hole, tf.zeros_like(images), images)


def _scale_about(images: tf.Tensor, axes: Sequence[int], factor: tf.Tensor) -> tf.Tensor:
    """Scales the differences from the mean over some axes."""
    mean = tf.reduce_mean(images, axes, keepdims=True)
    return (images - mean) * factor + mean


def _uniform(images: tf.Tensor, seed: tf.Tensor, count: int) -> tf.Tensor:
    """Draws numbers for each image, uniform on [0, 1), float32 [batch, count]."""
    # Floats drawn from the same bits are others under XLA; integers are not.
    shape = [tf.shape(images)[0], count]
    draws = random.draw_integers(shape, seed, 2**24)
    return tf.cast(draws, tf.float32) / 2**24


def _integers(draws: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns integers uniform on [0, count) from numbers uniform on [0, 1)."""
    return tf.cast(draws * tf.cast(count, tf.float32), tf.int32)


def _parts(images: tf.Tensor, ratio: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a part of the height and of the width, rounded to whole pixels."""
    height, width = (tf.cast(tf.shape(images)[axis], tf.float32) for axis in (1, 2))
    return tuple(tf.cast(size * ratio + 0.5, tf.int32) for size in (height, width))


def _checked(images: tf.Tensor) -> tf.Tensor:
    """Returns a tensor, and raises unless it is a batch of floating images."""
    images = tf.convert_to_tensor(images)
    check_rank("images", images.shape, 4, "[batch, height, width, channels]")
    if not images.dtype.is_floating:
        raise TypeError(expected("floating `images`", images.dtype.name))
    return images
