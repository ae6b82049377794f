"""Noise that spreads examples of few levels, such as 8-bit images, over the cells between them.

A model p of the numbers v in [0, 1) is one of examples x on the levels k / (L - 1) by

    P(x) = integral of p(v) over the cell [k / L, (k + 1) / L) of each number,
    log P(x) >= E_q[log p(v) - log q(v | x)],   v = (k + u) / L,   u in [0, 1) drawn from q(u | x),

where log q(v | x) = log q(u | x) + D log L for D numbers.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, output_shape, register
from tfgen.distributions.base import log_normal
from tfgen.distributions.levels import on_levels

_LARGEST = 1.0 - 2.0**-24  # The largest float32 below one.
_LOG_SCALE = math.log(1.7)  # Of a normal near to the logistic, so that u begins near to uniform.

Drawn = tuple[tf.Tensor, tf.Tensor]
"""Numbers v, [batch, *event], and log q(v | x), [batch]."""


class Dequantization(Configurable, keras.layers.Layer, ABC):
    """Base of the distributions q(v | x) over the cells of examples.

    Args:
        num_levels: of each number of an example, >= 2; examples are on k / (num_levels - 1).

    Raises:
        TypeError: when `num_levels` is not an integer.
        ValueError: when it is not >= 2.
    """

    def __init__(self, num_levels: int = 256, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_integer("num_levels", num_levels, minimum=2)
        self.num_levels = num_levels

    @abstractmethod
    def draw(self, x: tf.Tensor, seed: tf.Tensor, training: bool = True) -> Drawn:
        """Draws v for a batch, from a seed, int32 [2]."""

    @abstractmethod
    def draw_rows(self, x: tf.Tensor, row_seeds: tf.Tensor) -> Drawn:
        """Draws v, each row's from its own seed, int32 [batch, 2]."""

    def prepare(self, x: tf.Tensor, seed: tf.Tensor) -> None:
        """Sets the weights that begin from data, before the first step; nothing without them."""

    def middles(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the middles of the cells of examples; an affine map, defined off levels too."""
        return (x * (self.num_levels - 1) + 0.5) / self.num_levels

    def examples(self, v: tf.Tensor) -> tf.Tensor:
        """Returns the examples in the middles of whose cells v is, the inverse of `middles`."""
        return (v * self.num_levels - 0.5) / (self.num_levels - 1)

    def log_middles_slope(self, size: int) -> float:
        """Returns the log-determinant of `middles` for examples of so many numbers."""
        return size * math.log1p(-1.0 / self.num_levels)

    def on_levels(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples that are on the levels, or raises.

        Raises:
            ValueError: when a number is not on a level.
            tf.errors.InvalidArgumentError: in a graph, when it runs; XLA drops that check.
        """
        return on_levels(x, self.num_levels)

    def _spread(self, x: tf.Tensor, u: tf.Tensor, log_q: tf.Tensor | float) -> Drawn:
        """Returns v of the noise of each number, and log q(v | x) of log q(u | x)."""
        v = (tf.round(x * (self.num_levels - 1)) + u) / self.num_levels
        constant = math.prod(x.shape[1:]) * math.log(self.num_levels)
        return tf.minimum(v, _LARGEST), tf.fill(tf.shape(x)[:1], constant) + log_q


@register
class UniformDequantization(Dequantization):
    """u is uniform on [0, 1): log q(u | x) = 0.

    Args:
        num_levels: of each number of an example, >= 2; examples are on k / (num_levels - 1).

    Raises:
        TypeError: when `num_levels` is not an integer.
        ValueError: when it is not >= 2.

    Reference: Theis, van den Oord and Bethge, "A note on the evaluation of generative models",
        2016, https://arxiv.org/abs/1511.01844.
    """

    def draw(self, x: tf.Tensor, seed: tf.Tensor, training: bool = True) -> Drawn:
        """Draws v for a batch, from a seed, int32 [2]."""
        u = random.draw_uniform(tf.shape(x), seed)
        return self._spread(x, u, 0.0)

    def draw_rows(self, x: tf.Tensor, row_seeds: tf.Tensor) -> Drawn:
        """Draws v, each row's from its own seed, int32 [batch, 2]."""
        return self._spread(x, random.uniform(row_seeds, tuple(x.shape[1:])), 0.0)


@register
class VariationalDequantization(Dequantization):
    """u = sigmoid(f^-1(shift(x) + scale(x) * noise; h(x))), noise normal, trained with the flow.

    The network makes features of x. They are projected to a shift and a scale of each number of
    the noise, and their mean over positions, h(x), conditions the bijector f.

    Args:
        network: layer of examples [batch, ..., channels] -> features [batch, ..., n].
        bijector: f, a conditional bijector of events like examples; None for the identity.
        num_levels: of each number of an example, >= 2; examples are on k / (num_levels - 1).

    Raises:
        TypeError: when `num_levels` is not an integer.
        ValueError: when it is not >= 2, or the features have other positions than the examples.

    Reference: Ho, Chen, Srinivas, Duan and Abbeel, "Flow++: Improving Flow-Based Generative Models
        with Variational Dequantization and Architecture Design", 2019,
        https://arxiv.org/abs/1902.00275.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        bijector: keras.layers.Layer | None = None,
        num_levels: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_levels, **kwargs)
        self.network = network
        self.bijector = bijector

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights, for examples (None, ..., channels)."""
        made = output_shape(self.network, (None, *input_shape[1:]))
        if made[1:-1] != tuple(input_shape[1:-1]):
            what = f"features of shape (batch, {', '.join(map(str, input_shape[1:-1]))}, n)"
            raise ValueError(expected(what, made))
        # Zero, so that the noise begins as the bijector's own.
        self.projection = keras.layers.Dense(
            2 * input_shape[-1], kernel_initializer="zeros", dtype=self.dtype_policy
        )
        self.projection.build(made)
        if self.bijector is not None and not self.bijector.built:
            self.bijector.build((None, *input_shape[1:]), (None, made[-1]))
        self.built = True

    def draw(self, x: tf.Tensor, seed: tf.Tensor, training: bool = True) -> Drawn:
        """Draws v for a batch, from a seed, int32 [2]."""
        first, second = tf.unstack(random.split_seed(seed, 2))
        noise = random.draw_normal(tf.shape(x), first)
        return self._of_noise(x, noise, second if training else None)

    def draw_rows(self, x: tf.Tensor, row_seeds: tf.Tensor) -> Drawn:
        """Draws v, each row's from its own seed, int32 [batch, 2]."""
        return self._of_noise(x, random.normal(row_seeds, tuple(x.shape[1:])), None)

    def prepare(self, x: tf.Tensor, seed: tf.Tensor) -> None:
        """Sets the weights of the bijector that begin from data."""
        if self.bijector is not None:
            noise = random.draw_normal(tf.shape(x), seed)
            moved, _, condition = self._moved(x, noise, False)
            self.bijector.prepare(moved, condition, inverse=True)

    def _moved(self, x: tf.Tensor, noise: tf.Tensor, training: bool) -> tuple:
        """Returns the noise with shift and scale, the log-determinant of that, and h(x)."""
        features = tf.cast(self.network(x, training=training), self.compute_dtype)
        shift, log_scale = tf.split(self.projection(features), 2, axis=-1)
        log_scale = _LOG_SCALE + 2.0 * tf.tanh(0.5 * log_scale)
        positions = list(range(1, len(x.shape) - 1))
        condition = tf.reduce_mean(features, axis=positions) if positions else features
        return shift + tf.exp(log_scale) * noise, _summed(log_scale), condition

    def _of_noise(self, x: tf.Tensor, noise: tf.Tensor, seed: tf.Tensor | None) -> Drawn:
        moved, log_det, condition = self._moved(x, noise, seed is not None)
        if self.bijector is not None:
            moved, inverse_log_det = self.bijector.inverse_and_log_det(moved, condition, seed)
            log_det += inverse_log_det
        log_slopes = tf.math.log_sigmoid(moved) + tf.math.log_sigmoid(-moved)
        log_det += _summed(log_slopes)
        flat = tf.reshape(noise, [-1, math.prod(noise.shape[1:])])
        log_noise = log_normal(flat, tf.zeros([]), tf.zeros([]))
        return self._spread(x, tf.sigmoid(moved), log_noise - log_det)


def _summed(values: tf.Tensor) -> tf.Tensor:
    """Returns the sum over all axes but the first, [batch]."""
    return tf.reduce_sum(values, axis=list(range(1, len(values.shape))))
