"""The smallest bijector that is conditional, begins from data, and mixes nothing."""

import math
from typing import Any

import tensorflow as tf

from tfgen.bijectors import Bijector
from tfgen.bijectors.bijector import Result, Shape
from tfgen.core.config import register


@register
class AffineBijector(Bijector):
    """z = (x + shift + slopes . condition) * exp(log_scale), of each number its own."""

    log_det_is_constant = True

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        self.shift = self.add_weight(shape=event_shape, initializer="zeros", name="shift")
        self.log_scale = self.add_weight(shape=event_shape, initializer="zeros", name="log_scale")
        if condition_dim is not None:
            shape = (condition_dim, math.prod(event_shape))
            self.slopes = self.add_weight(shape=shape, initializer="zeros", name="slopes")

    def _shift(self, condition: tf.Tensor | None) -> tf.Tensor:
        if condition is None:
            return self.shift.value
        return self.shift.value + tf.reshape(condition @ self.slopes.value, [-1, *self.event_shape])

    def _log_det(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.fill(tf.shape(rows)[:1], tf.reduce_sum(self.log_scale.value))

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: Any = None
    ) -> Result:
        z = (x + self._shift(condition)) * tf.exp(self.log_scale.value)
        return z, self._log_det(x)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: Any = None
    ) -> Result:
        x = z * tf.exp(-self.log_scale.value) - self._shift(condition)
        return x, -self._log_det(z)

    def prepare(self, rows: tf.Tensor, condition: tf.Tensor | None, inverse: bool) -> tf.Tensor:
        if not inverse:
            self.shift.assign(-tf.reduce_mean(rows, axis=0))
            self.log_scale.assign(-tf.math.log(tf.math.reduce_std(rows, axis=0) + 0.1))
        return self.inverse(rows, condition) if inverse else self.forward(rows, condition)
