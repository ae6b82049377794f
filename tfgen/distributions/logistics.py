"""Logistic distributions cut into the cells of levels: likelihoods of 8-bit images.

Inside, examples on the levels k / (L - 1) are moved to [-1, 1], where each level owns a cell of
width 2 / (L - 1); the first and the last own what is beyond them as well. The probability of a
level under a logistic of mean m and scale s is sigmoid((x + h - m) / s) - sigmoid((x - h - m) / s),
h = 1 / (L - 1).
"""

from typing import Any

import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer
from tfgen.core.config import register
from tfgen.distributions.levels import on_levels, unit_interval
from tfgen.distributions.likelihoods import Likelihood, bounded_log
from tfgen.distributions.noise import logit

_MIN_SCALE = 1e-3  # Of x in [-1, 1], a quarter of a cell of 256 levels: narrower gains nothing.


class _Levels(Likelihood):
    """Base of the likelihoods of examples on levels."""

    def __init__(self, num_levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_integer("num_levels", num_levels, minimum=2)
        self.num_levels = num_levels

    def in_range(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples in [0, 1], or raises."""
        return unit_interval(x)

    def on_support(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples that are on the levels, or raises."""
        return on_levels(x, self.num_levels)

    def _centered(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the levels nearest to examples, in [-1, 1]."""
        return 2.0 * self._level(2.0 * x - 1.0) - 1.0

    def _log_cell(self, x: tf.Tensor, mean: tf.Tensor, log_scale: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability of the level of each number, x in [-1, 1]."""
        half = 1.0 / (self.num_levels - 1)
        inverse = tf.exp(-log_scale)
        upper, lower = ((x + step - mean) * inverse for step in (half, -half))
        # log(sigmoid(u) - sigmoid(l)) = log sigmoid(u) + log sigmoid(-l) + log(1 - exp(l - u)).
        width = 2.0 * half * inverse
        inside = tf.math.log_sigmoid(upper) + tf.math.log_sigmoid(-lower)
        inside += tf.math.log(-tf.math.expm1(-width))
        edge = 1.0 - half
        log_p = tf.where(x > edge, tf.math.log_sigmoid(-lower), inside)
        return tf.where(x < -edge, tf.math.log_sigmoid(upper), log_p)

    def _level(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the nearest level of numbers in [-1, 1], moved to [0, 1]."""
        last = self.num_levels - 1
        return tf.round(tf.clip_by_value((x + 1.0) / 2.0, 0.0, 1.0) * last) / last


@register
class DiscretizedLogistic(_Levels):
    """log P(x) = sum_i log(sigmoid((x_i + h - m_i) / s_i) - sigmoid((x_i - h - m_i) / s_i)).

    Args:
        num_levels: L of each number of an example, >= 2.

    Raises:
        TypeError: when `num_levels` is not an integer.
        ValueError: when it is not >= 2.

    Reference: Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow",
        2016, https://arxiv.org/abs/1606.04934.
    """

    def __init__(self, num_levels: int = 256, **kwargs: Any) -> None:
        super().__init__(num_levels, **kwargs)

    @property
    def num_params(self) -> int:
        """Mean and scale."""
        return 2

    def parameters(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and log scale of x in [-1, 1], each [batch, *event]."""
        mean, raw = super().parameters(features)
        return mean, bounded_log(raw, _MIN_SCALE)

    def log_prob(self, x: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Returns log P(x | parameters), [...], in nats, of the levels nearest to x."""
        return self._total(self._log_cell(self._centered(x), *parameters))

    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns m, moved to [0, 1] and cut off there, [batch, *event]."""
        return tf.clip_by_value((parameters[0] + 1.0) / 2.0, 0.0, 1.0)

    def sample_rows(self, row_seeds: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Draws examples on the levels, [batch, *event]."""
        mean, log_scale = parameters
        unit = random.uniform(row_seeds, self.event_shape)
        return self._level(mean + tf.exp(log_scale) * logit(unit))


@register
class DiscretizedLogisticMixture(_Levels):
    """A mixture at each position over its channels, log P(x) = log sum_k w_k prod_c P_kc(x_c | ..).

    Within a component, the mean of a channel is m_c + sum over the channels before it of
    a_cd x_d, with |a_cd| < 1, as in PixelCNN++.

    `mean` is that of the logistics, before they are cut into cells.

    Args:
        num_components: > 0.
        num_levels: L of each number of an example, >= 2.

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when it is out of range.

    Reference: Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017,
        https://arxiv.org/abs/1701.05517.
    """

    def __init__(self, num_components: int = 10, num_levels: int = 256, **kwargs: Any) -> None:
        super().__init__(num_levels, **kwargs)
        check_integer("num_components", num_components)
        self.num_components = num_components

    @property
    def num_params(self) -> int:
        """Mean and scale of each component; weights and coefficients are of positions."""
        return 2 * self.num_components

    @property
    def _channels(self) -> int:
        return self.event_shape[-1]

    @property
    def _sizes(self) -> list[int]:
        """Returns how many weights, means, scales and coefficients a position has."""
        count, channels = self.num_components, self._channels
        return [count, count * channels, count * channels, count * channels * (channels - 1) // 2]

    def _num_outputs(self, numbers: int) -> int:
        return numbers // self._channels * sum(self._sizes)

    def _split(self, outputs: tf.Tensor) -> tuple:
        """Returns log weights [..., k], means and log scales [..., c, k], coefficients."""
        positions, count = self.event_shape[:-1], self.num_components
        outputs = tf.reshape(outputs, [-1, *positions, sum(self._sizes)])
        weights, means, raw, coefficients = tf.split(outputs, self._sizes, axis=-1)
        shape = [-1, *positions, self._channels, count]
        pairs = [-1, *positions, self._sizes[-1] // count, count]
        return (
            tf.nn.log_softmax(weights),
            tf.reshape(means, shape),
            bounded_log(tf.reshape(raw, shape), _MIN_SCALE),
            tf.reshape(tf.tanh(coefficients), pairs),
        )

    def _mean_of(self, channel: int, parameters: tuple, before: list[tf.Tensor]) -> tf.Tensor:
        """Returns the mean of a channel given those before it, [..., k]."""
        _, means, _, coefficients = parameters
        mean, first = means[..., channel, :], channel * (channel - 1) // 2
        for number, value in enumerate(before):
            mean += coefficients[..., first + number, :] * value
        return mean

    def log_prob(self, x: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Returns log P(x | parameters), [...], in nats, of the levels nearest to x."""
        channels = tf.unstack(self._centered(x)[..., tf.newaxis], axis=-2)
        total = parameters[0]
        for number, value in enumerate(channels):
            mean = self._mean_of(number, parameters, channels[:number])
            total += self._log_cell(value, mean, parameters[2][..., number, :])
        return self._total(tf.reduce_logsumexp(total, axis=-1)[..., tf.newaxis])

    def mean(self, parameters: tuple) -> tf.Tensor:
        """Returns the mean of the logistics, cut off at [0, 1], [batch, *event]."""
        found: list[tf.Tensor] = []
        for number in range(self._channels):
            found.append(self._mean_of(number, parameters, found))
        each = tf.stack(found, axis=-2)
        mean = tf.reduce_sum(tf.exp(parameters[0])[..., tf.newaxis, :] * each, axis=-1)
        return tf.clip_by_value((mean + 1.0) / 2.0, 0.0, 1.0)

    def sample_rows(self, row_seeds: tf.Tensor, parameters: tuple) -> tf.Tensor:
        """Draws examples on the levels, [batch, *event]."""
        cumulative = tf.cumsum(tf.exp(parameters[0]), axis=-1)[..., :-1]
        unit = random.uniform(random.stream(row_seeds, "component"), (*self.event_shape[:-1], 1))
        which = tf.reduce_sum(tf.cast(cumulative <= unit, tf.int32), axis=-1)
        chosen = tf.one_hot(which, self.num_components)
        noise = logit(random.uniform(row_seeds, self.event_shape))
        found: list[tf.Tensor] = []
        for number in range(self._channels):
            mean = self._mean_of(number, parameters, [x[..., tf.newaxis] for x in found])
            log_scale = parameters[2][..., number, :]
            mean, log_scale = (tf.reduce_sum(p * chosen, axis=-1) for p in (mean, log_scale))
            value = mean + tf.exp(log_scale) * noise[..., number]
            found.append(2.0 * self._level(value) - 1.0)
        return (tf.stack(found, axis=-1) + 1.0) / 2.0
