"""What a level of a hierarchical VAE is, and the layers that lead from one to the next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.distributions.base import scaled
from tfgen.variational.gaussians import Gaussian, gaussian_of
from tfgen.variational.grid_prior import AutoregressiveGrid

Shape = tuple[int, ...]
PRIOR_GAIN = 0.1
"""Of the last layer of a prior, which begins near N(0, I)."""


@register
@dataclass(frozen=True)
class Level(Configurable):
    """The latents of one level of a `HierarchicalVAE`, and the size of the networks around them.

    Args:
        latent_shape: (dim,) of a vector, or (height, width, channels) of a grid.
        filters: channels of the features at this level, > 0.
        num_blocks: residual blocks of the encoder, and of the decoder before the latents and after
            them, >= 0.
        prior: of a grid below another level: `AutoregressiveGrid()` for latents that depend on
            those before them; independent ones, given the levels above, unless given.

    Raises:
        TypeError: when a number is not an integer, or `prior` is something else.
        ValueError: when a number is out of range, or `prior` is that of a vector.
    """

    latent_shape: Sequence[int]
    filters: int = 32
    num_blocks: int = 1
    prior: AutoregressiveGrid | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.latent_shape)
        if len(shape) not in (1, 3):
            what = "`latent_shape`, (dim,) or (height, width, channels)"
            raise ValueError(expected(what, shape))
        for size in shape:
            check_integer("latent_shape", size)
        check_integer("filters", self.filters)
        check_integer("num_blocks", self.num_blocks, minimum=0)
        if self.prior is not None and not isinstance(self.prior, AutoregressiveGrid):
            raise TypeError(expected("`prior`, an AutoregressiveGrid or None", repr(self.prior)))
        if self.prior is not None and len(shape) == 1:
            raise ValueError(expected("an AutoregressiveGrid over a grid", f"latents {shape}"))
        object.__setattr__(self, "latent_shape", shape)

    @property
    def features_shape(self) -> Shape:
        """The shape of the features at this level: those of a grid have its height and width."""
        return (*self.latent_shape[:-1], self.filters)


def check_levels(event_shape: Shape, levels: Sequence[Level]) -> tuple[Level, ...]:
    """Returns levels, top first, as a tuple, or raises unless they fit each other and an example.

    Raises:
        TypeError: when one is no level.
        ValueError: when there is none, or they do not fit.
    """
    levels = tuple(levels)
    wrong = [level for level in levels if not isinstance(level, Level)]
    if wrong or not levels:
        received = type(wrong[0]).__name__ if wrong else levels
        error = TypeError if wrong else ValueError
        raise error(expected("`levels`, at least one Level, the top first", received))
    if len(event_shape) not in (1, 3):
        what = "`event_shape` of an image, (height, width, channels), or of a vector, (dim,)"
        raise ValueError(expected(what, event_shape))
    if levels[0].prior is not None:
        raise ValueError(expected("a top level without `prior`: it is N(0, I)", levels[0].prior))
    shapes = [level.latent_shape for level in levels] + [event_shape]
    for upper, lower in zip(shapes, shapes[1:], strict=False):
        _check_below(upper, lower)
    return levels


def _check_below(upper: Shape, lower: Shape) -> None:
    """Raises ValueError unless latents may stand above others, or above an example."""
    if len(upper) > len(lower):
        raise ValueError(expected("no vector below a grid", f"{lower} below {upper}"))
    if any(small % large for large, small in zip(upper[:-1], lower[:-1], strict=False)):
        what = "levels whose height and width divide those below, and those of an example"
        raise ValueError(expected(what, f"{upper} above {lower}"))


def row_noise(
    levels: Sequence[Level], row_seeds: tf.Tensor, temperature: tf.Tensor | None = None
) -> tuple[tf.Tensor, ...]:
    """Returns the noise of each level that row seeds give, [rows, *latent_shape]."""

    def noise(number: int, shape: Sequence[int]) -> tf.Tensor:
        flat = random.normal(random.stream(row_seeds, f"level {number}"), (math.prod(shape),))
        return tf.reshape(scaled(flat, temperature), [-1, *shape])

    return tuple(noise(number, level.latent_shape) for number, level in enumerate(levels))


# Layers, all built as they are made.


class Head(keras.layers.Layer):
    """The mean and the scale of each number of latents, affine in the features at its position.

    Args:
        features_shape: of the features.
        channels: of the latents.
        gain: of the variance of the kernel at the start.
    """

    def __init__(self, features_shape: Shape, channels: int, gain: float = 1.0) -> None:
        super().__init__(dtype="float32")
        initializer = keras.initializers.VarianceScaling(gain)
        self._affine = keras.layers.Dense(
            2 * channels, kernel_initializer=initializer, dtype="float32", name="affine"
        )
        self._affine.build((None, *features_shape))
        self.built = True

    def call(self, features: tf.Tensor) -> Gaussian:
        """Returns the mean and the logarithm of the scale, each [rows, *grid, channels]."""
        return gaussian_of(self._affine(tf.cast(features, tf.float32)))


class Blocks(keras.layers.Layer):
    """Residual blocks x + W_2 a(W_1 a(x)) of 3x3 convolutions, or of matrices for vectors.

    Args:
        shape: of the features.
        count: of the blocks.
        dtype: of the layers.
    """

    def __init__(self, shape: Shape, count: int, dtype: Any) -> None:
        super().__init__(dtype=dtype)
        self._firsts = [affine(shape, shape[-1], dtype) for _ in range(count)]
        self._seconds = [affine(shape, shape[-1], dtype, gain=0.1) for _ in range(count)]
        self.built = True

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Returns features of the same shape."""
        for first, second in zip(self._firsts, self._seconds, strict=True):
            features += second(tf.nn.silu(first(tf.nn.silu(features))))
        return features


class Resized(keras.layers.Layer):
    """Features of one grid or vector as those of another, by an affine map.

    Grids shrink by strides and grow by copies of each position before a convolution.

    Args:
        source: the shape that they have.
        target: the shape that they are to have.
        dtype: of the layers.
    """

    def __init__(self, source: Shape, target: Shape, dtype: Any) -> None:
        super().__init__(dtype=dtype)
        self._target, self._copies, self._flattens = target, (1, 1), False
        if len(source) == len(target) == 3:
            self._copies = tuple(max(t // s, 1) for s, t in zip(source, target[:2], strict=False))
            strides = tuple(max(s // t, 1) for s, t in zip(source, target[:2], strict=False))
            self._map = keras.layers.Conv2D(
                target[-1], [max(3, 2 * s) for s in strides], strides, "same", dtype=dtype
            )
            larger = [s * c for s, c in zip(source, self._copies, strict=False)]
            self._map.build((None, *larger, source[-1]))
        else:
            self._flattens = True
            sizes = (tf.TensorShape(shape).num_elements() for shape in (source, target))
            self._num_inputs, units = sizes
            self._map = keras.layers.Dense(units, dtype=dtype)
            self._map.build((None, self._num_inputs))
        self.built = True

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Returns features [rows, *target]."""
        if self._flattens:
            made = self._map(tf.reshape(features, [-1, self._num_inputs]))
            return tf.reshape(made, [-1, *self._target])
        for axis, copies in enumerate(self._copies, start=1):
            features = tf.repeat(features, copies, axis) if copies > 1 else features
        return self._map(features)


def affine(shape: Shape, units: int, dtype: Any, gain: float = 1.0) -> keras.layers.Layer:
    """Returns a 3x3 convolution of a grid, or a dense layer of a vector.

    Args:
        shape: of the inputs.
        units: channels of the outputs.
        dtype: of the layer.
        gain: of the variance of its kernel at the start.
    """
    options = {
        "kernel_initializer": keras.initializers.VarianceScaling(gain, "fan_avg", "uniform"),
        "dtype": dtype,
    }
    layer = keras.layers.Dense(units, **options)
    if len(shape) == 3:
        layer = keras.layers.Conv2D(units, 3, padding="same", **options)
    layer.build((None, *shape))
    return layer
