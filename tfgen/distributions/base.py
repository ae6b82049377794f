"""What flows draw from: densities over vectors, trained or not, conditional or not."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import register
from tfgen.distributions.density import Density

LOG_TWO_PI = math.log(2.0 * math.pi)


class BaseDensity(Density):
    """A density over vectors that a flow may have as its base, drawn at a temperature.

    At temperature t, noise is scaled by sqrt(t) about its mean, so that a Gaussian p is drawn from
    p^(1/t). A conditional base is built for the number of features that conditions have.
    """

    dim: int
    """The size of a vector."""

    conditional: bool = False
    """Whether it depends on the condition of the flow."""

    condition_dim: int | None = None
    """How many features its condition has, known once it is built; None where it has none."""

    @abstractmethod
    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim].

        Args:
            row_seeds: int32 [batch, 2].
            condition: float [batch, features] of a conditional base.
            temperature: float [batch], > 0; 1 unless given.
        """

    @abstractmethod
    def log_prob(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log density of each vector, [batch] of [batch, dim], in nats."""

    def distribution(self) -> Any:
        """Returns the TFP distribution over [dim]; None where TFP has none, or for a condition."""
        return None

    def prepare(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> None:
        """Sets what begins from data, before the first step; nothing unless it says so.

        Args:
            z: [batch, dim], what the flow makes of the first batch.
            condition: as for `sample_rows`.
        """


class TrainedBase(BaseDensity):
    """Base of those with trained weights, which are made for a number of features.

    Args:
        dim: of the vectors, > 0.
        conditional: whether the parameters are affine functions of the condition, not constants.

    Raises:
        TypeError: when `dim` is not an integer.
        ValueError: when it is not > 0.
    """

    def __init__(self, dim: int, conditional: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_integer("dim", dim)
        self.dim = dim
        self.conditional = conditional

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one draw, float32 [dim]."""
        return tf.TensorSpec([self.dim], tf.float32, name="z")

    def build(self, input_shape: Sequence[int | None], condition_shape: Any = None) -> None:
        """Makes the weights.

        Args:
            input_shape: of vectors, (None, dim).
            condition_shape: (None, features), or None where there is no condition.

        Raises:
            ValueError: when the vectors have another size, or a condition is missing.
        """
        if tuple(input_shape[1:]) != (self.dim,):
            what = f"a base of vectors of {math.prod(input_shape[1:])} numbers"
            raise ValueError(expected(what, f"dim={self.dim}"))
        if self.conditional:
            if condition_shape is None:
                what = "a flow with conditions, as its base is conditional"
                raise ValueError(expected(what, "a flow without"))
            self.condition_dim = int(condition_shape[-1])
        self._build()
        self.built = True

    @abstractmethod
    def _build(self) -> None:
        """Makes the weights, by `_parameter`."""

    def _parameter(self, name: str, shape: tuple[int, ...], initializer: Any = "zeros") -> list:
        """Returns the weights of a parameter: constants, and slopes along the features."""
        made = [self.add_weight(shape=shape, initializer=initializer, name=name)]
        if self.condition_dim is not None:
            size = (self.condition_dim, math.prod(shape))
            made.append(self.add_weight(shape=size, initializer="zeros", name=f"{name}_slopes"))
        return made

    def _value(self, weights: list, condition: tf.Tensor | None) -> tf.Tensor:
        """Returns a parameter, [1, ...], or [batch, ...] where it is conditional."""
        constant, *slopes = (weight.value for weight in weights)
        if not slopes:
            return constant[tf.newaxis]
        if condition is None:
            raise ValueError(expected("a `condition`, as the base is conditional", None))
        moved = tf.cast(condition, constant.dtype) @ slopes[0]
        return constant + tf.reshape(moved, [-1, *constant.shape])


@register
class DiagonalGaussian(TrainedBase):
    """N(mean, diag(scale^2)), whose mean and scale are trained, and begin as those of N(0, I).

    Args:
        dim: of the vectors, > 0.
        conditional: whether the mean and the logarithm of the scale are affine functions of the
            condition: for labels, each class has its own.

    Raises:
        TypeError: when `dim` is not an integer.
        ValueError: when it is not > 0.
    """

    def _build(self) -> None:
        self.mean = self._parameter("mean", (self.dim,))
        self.log_scale = self._parameter("log_scale", (self.dim,))

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        noise = scaled(random.normal(row_seeds, (self.dim,)), temperature)
        scale = tf.exp(self._value(self.log_scale, condition))
        return self._value(self.mean, condition) + scale * noise

    def log_prob(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log density of each vector, [batch] of [batch, dim], in nats."""
        log_scale = self._value(self.log_scale, condition)
        return log_normal(x, self._value(self.mean, condition), log_scale)

    def distribution(self) -> Any:
        """Returns the TFP distribution over [dim]; None of a conditional one."""
        from tensorflow_probability import distributions as tfd

        if self.condition_dim is not None:
            return None
        mean, log_scale = self._value(self.mean, None), self._value(self.log_scale, None)
        return tfd.MultivariateNormalDiag(mean[0], tf.exp(log_scale[0]))


@register
class DiagonalMixture(TrainedBase):
    """sum_k weights[k] N(means[k], diag(scales[k]^2)), all trained by the gradient.

    At a temperature, each component is drawn at it, and the weights stay as they are.

    Args:
        dim: of the vectors, > 0.
        num_components: > 0.
        conditional: whether logits, means and the logarithms of scales are affine functions of the
            condition.
        spread: the standard deviation of the initial means, > 0: they have to differ.
        seed: of the initial means.

    Raises:
        TypeError: when a number of vectors or components is not an integer.
        ValueError: when a number is out of range.
    """

    def __init__(
        self,
        dim: int,
        num_components: int = 10,
        conditional: bool = False,
        spread: float = 1.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dim, conditional, **kwargs)
        check_integer("num_components", num_components)
        if not 0 < spread < float("inf"):
            raise ValueError(expected("`spread` to be a finite number > 0", spread))
        self.num_components = num_components
        self.spread = spread
        self.seed = seed

    def _build(self) -> None:
        shape = (self.num_components, self.dim)
        initial = keras.initializers.RandomNormal(stddev=self.spread, seed=self.seed)
        self.logits = self._parameter("logits", shape[:1])
        self.means = self._parameter("means", shape, initial)
        self.log_scales = self._parameter("log_scales", shape)

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        cumulative = tf.cumsum(tf.nn.softmax(self._value(self.logits, condition)), axis=1)[:, :-1]
        unit = random.uniform(random.stream(row_seeds, "component"), ())
        # Counted, as TensorFlow Lite has no search.
        which = tf.reduce_sum(tf.cast(cumulative <= unit[:, tf.newaxis], tf.int32), axis=1)
        noise = scaled(random.normal(row_seeds, (self.dim,)), temperature)
        means = self._chosen(self._value(self.means, condition), which)
        return means + tf.exp(self._chosen(self._value(self.log_scales, condition), which)) * noise

    def _chosen(self, values: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        """Returns the values of one component a row, [batch, dim]."""
        if self.condition_dim is None:
            return tf.gather(values[0], which)
        return tf.gather(values, which, batch_dims=1)

    def log_prob(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log density of each vector, [batch] of [batch, dim], in nats."""
        means, log_scales = (self._value(v, condition) for v in (self.means, self.log_scales))
        each = log_normal(x[:, tf.newaxis], means, log_scales)
        weights = tf.nn.log_softmax(self._value(self.logits, condition))
        return tf.reduce_logsumexp(weights + each, axis=1)


def scaled(noise: tf.Tensor, temperature: tf.Tensor | None) -> tf.Tensor:
    """Returns noise [batch, dim] at temperatures [batch]: that of p^(1/t) of a Gaussian p."""
    return noise if temperature is None else noise * tf.sqrt(temperature)[:, tf.newaxis]


def log_normal(x: tf.Tensor, mean: tf.Tensor, log_scale: tf.Tensor) -> tf.Tensor:
    """Returns the log density of N(mean, diag(scale^2)), summed over the last axis."""
    squares = ((x - mean) * tf.exp(-log_scale)) ** 2
    return -0.5 * tf.reduce_sum(squares + 2.0 * log_scale + LOG_TWO_PI, axis=-1)
