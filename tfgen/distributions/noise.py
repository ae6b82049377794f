"""Noise that a generator turns into examples: densities with nothing to fit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import expected
from tfgen.core.config import register
from tfgen.distributions.base import LOG_TWO_PI, BaseDensity, scaled
from tfgen.distributions.density import VectorDensity

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd


class _Noise(VectorDensity):
    """Base of the densities over vectors [batch, dim] without parameters.

    For training they are drawn by one stateless operation, whatever the number of rows.
    """

    def __init__(self, dim: int, **kwargs: object) -> None:
        super().__init__(dim, **kwargs)
        self.built = True


@register
class StandardNormal(_Noise, BaseDensity):
    """N(0, I), which a flow has as its base unless it is given another.

    Args:
        dim: of the vectors, > 0.

    Raises:
        TypeError: when `dim` is not an integer.
        ValueError: when it is not > 0.
    """

    def draw(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws vectors for one step of training, [num_rows, dim], from a seed, int32 [2]."""
        return random.draw_normal([num_rows, self.dim], seed)

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        return scaled(random.normal(row_seeds, (self.dim,)), temperature)

    def log_prob(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log density of each vector, float32 [batch] of [batch, dim], in nats."""
        return -0.5 * tf.reduce_sum(self.vectors(x) ** 2 + LOG_TWO_PI, axis=1)

    def distribution(self) -> "tfd.MultivariateNormalDiag":
        """Returns the TFP distribution over [dim]."""
        from tensorflow_probability import distributions as tfd

        return tfd.MultivariateNormalDiag(tf.zeros([self.dim]))


@register
class Logistic(_Noise, BaseDensity):
    """Independent numbers of density exp(-x) / (1 + exp(-x))^2, a base of NICE.

    Its tails are heavier than those of N(0, 1). Noise at temperature t is scaled by sqrt(t), and is
    not of a power of the density then.

    Args:
        dim: of the vectors, > 0.

    Raises:
        TypeError: when `dim` is not an integer.
        ValueError: when it is not > 0.

    Reference: Dinh, Krueger and Bengio, "NICE: Non-linear Independent Components Estimation", 2015,
        https://arxiv.org/abs/1410.8516.
    """

    def draw(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws vectors for one step of training, [num_rows, dim], from a seed, int32 [2]."""
        return logit(random.draw_uniform([num_rows, self.dim], seed))

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        return scaled(logit(random.uniform(row_seeds, (self.dim,))), temperature)

    def log_prob(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log density of each vector, float32 [batch] of [batch, dim], in nats."""
        x = self.vectors(x)
        return -tf.reduce_sum(x + 2.0 * tf.math.softplus(-x), axis=1)

    def distribution(self) -> "tfd.Independent":
        """Returns the TFP distribution over [dim]."""
        from tensorflow_probability import distributions as tfd

        each = tfd.Logistic(tf.zeros([self.dim]), 1.0)
        return tfd.Independent(each, reinterpreted_batch_ndims=1)


@register
class Uniform(_Noise):
    """Independent numbers, each uniform on [low, high).

    Args:
        dim: of the vectors, > 0.
        low, high: the ends of the interval, low < high.

    Raises:
        TypeError: when `dim` is not an integer.
        ValueError: when it is not > 0, or `low` not < `high`.
    """

    def __init__(self, dim: int, low: float = -1.0, high: float = 1.0, **kwargs: object) -> None:
        super().__init__(dim, **kwargs)
        if not low < high:
            raise ValueError(expected("`low` < `high`", (low, high)))
        self.low = low
        self.high = high

    def draw(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws vectors for one step of training, [num_rows, dim], from a seed, int32 [2]."""
        return self._scaled(random.draw_uniform([num_rows, self.dim], seed))

    def sample_rows(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        return self._scaled(random.uniform(row_seeds, (self.dim,)))

    def _scaled(self, unit: tf.Tensor) -> tf.Tensor:
        return self.low + (self.high - self.low) * unit

    def distribution(self) -> "tfd.Independent":
        """Returns the TFP distribution over [dim]."""
        from tensorflow_probability import distributions as tfd

        each = tfd.Uniform(tf.fill([self.dim], self.low), tf.fill([self.dim], self.high))
        return tfd.Independent(each, reinterpreted_batch_ndims=1)


@register
class Blockwise(_Noise):
    """Independent noises side by side, e.g. `Blockwise([Uniform(1, 0.0, 1.0), StandardNormal(8)])`.

    Args:
        parts: noises of this module, at least one, in their order.

    Raises:
        ValueError: when there are none.
    """

    def __init__(self, parts: Sequence[_Noise], **kwargs: object) -> None:
        parts = list(parts)
        if not parts or not all(isinstance(part, _Noise) for part in parts):
            raise ValueError(expected("`parts`, at least one noise", parts))
        super().__init__(sum(part.dim for part in parts), **kwargs)
        self.parts = parts

    def draw(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws vectors for one step of training, [num_rows, dim], from a seed, int32 [2]."""
        seeds = tf.unstack(random.split_seed(seed, len(self.parts)))
        drawn = [part.draw(num_rows, own) for part, own in zip(self.parts, seeds, strict=True)]
        return tf.concat(drawn, axis=1)

    def sample_rows(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        seeds = [random.stream(row_seeds, f"part_{i}") for i in range(len(self.parts))]
        drawn = [part.sample_rows(own) for part, own in zip(self.parts, seeds, strict=True)]
        return tf.concat(drawn, axis=1)

    def distribution(self) -> "tfd.Blockwise":
        """Returns the TFP distribution over [dim]."""
        from tensorflow_probability import distributions as tfd

        return tfd.Blockwise([part.distribution() for part in self.parts])


def logit(unit: tf.Tensor) -> tf.Tensor:
    """Returns log(u / (1 - u)) of numbers in [0, 1), finite at 0."""
    return tf.math.log(tf.maximum(unit, 2.0**-25)) - tf.math.log1p(-unit)
