"""The likelihood of numbers that have a few values each."""

from typing import Any

import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer
from tfgen.core.config import register
from tfgen.distributions.levels import on_levels, unit_interval
from tfgen.distributions.likelihoods import Likelihood, Shape


@register
class Categorical(Likelihood):
    """log p(x | l) = sum_i l_i[x_i] - log sum_k exp(l_i[k]), of integers x in [0, num_values).

    Events are tokens, int32 [*positions], or, with `levels`, float examples such as images on the
    levels k / (num_values - 1), of which each number is one of the values.

    `mean` is the likeliest value of tokens, and the mean level of images.

    Args:
        num_values: of each number, >= 2.
        levels: whether examples are floats on levels.

    Raises:
        TypeError: when `num_values` is not an integer.
        ValueError: when it is not >= 2.
    """

    def __init__(self, num_values: int, levels: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_integer("num_values", num_values, minimum=2)
        self.num_values = num_values
        self.levels = levels

    @property
    def _has_channels(self) -> bool:
        return self.levels

    def event_spec(self, event_shape: Shape, name: str | None = None) -> tf.TensorSpec:
        """Returns the specification of tokens, or of examples on levels."""
        if self.levels:
            return super().event_spec(event_shape, name)
        return specs.event_spec(tuple(event_shape), tf.int32, self.num_values, name)

    @property
    def num_params(self) -> int:
        """A logit for each value."""
        return self.num_values

    def _split(self, outputs: tf.Tensor) -> tf.Tensor:
        return tf.reshape(outputs, [-1, *self.event_shape, self.num_values])

    def log_prob(self, x: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """Returns log p(x | parameters), [...], in nats."""
        values = self._values(x)
        # A comparison, as gathers of broadcast rows would copy the logits.
        hit = values[..., tf.newaxis] == tf.range(self.num_values)
        chosen = tf.reduce_sum(tf.where(hit, parameters, 0.0), axis=-1)
        return self._total(chosen - tf.reduce_logsumexp(parameters, axis=-1))

    def _values(self, x: tf.Tensor) -> tf.Tensor:
        if not self.levels:
            return tf.cast(x, tf.int32)
        return tf.cast(tf.round(x * (self.num_values - 1)), tf.int32)

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the likeliest values, or the mean levels, [batch, *event]."""
        if not self.levels:
            return tf.argmax(parameters, axis=-1, output_type=tf.int32)
        levels = tf.range(self.num_values, dtype=tf.float32) / (self.num_values - 1)
        return tf.reduce_sum(tf.nn.softmax(parameters) * levels, axis=-1)

    def sample_rows(self, row_seeds: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """Draws values, [batch, *event]."""
        cumulative = tf.cumsum(tf.nn.softmax(parameters), axis=-1)[..., :-1]
        unit = random.uniform(row_seeds, self.event_shape)
        drawn = tf.reduce_sum(tf.cast(cumulative <= unit[..., tf.newaxis], tf.int32), axis=-1)
        return tf.cast(drawn, tf.float32) / (self.num_values - 1) if self.levels else drawn

    def in_range(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples on levels in [0, 1], or raises; tokens as they are."""
        return unit_interval(x) if self.levels else x

    def on_support(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples on the levels, or raises; tokens are checked by their specification."""
        return on_levels(x, self.num_values) if self.levels else x
