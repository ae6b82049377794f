"""Activation normalisation: a shift and a scale of each channel that begin from the data."""

import math

import tensorflow as tf

from tfgen.bijectors.axes import num_channels
from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.core.checks import check_positive
from tfgen.core.config import register


@register
class ActNorm(Bijector):
    """z = (x + shift) exp(log_scale), a shift and a scale for each entry of the last axis.

    `prepare` sets them by the first batch, of which each channel then has mean 0 and deviation 1 on
    the side that data do not come from; they are trained like other weights from there. Before that
    it is the identity: a model that never trained, or is trained without `fit`, has the identity
    here. A flow that is asked for samples or densities then gives a warning.

    Args:
        epsilon: the least deviation of a channel that is divided by, > 0. A channel that is
            constant in the first batch gets a scale of 1 / epsilon.

    Raises:
        ValueError: when `epsilon` is not > 0.

    Reference: Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", 2018,
        https://arxiv.org/abs/1807.03039.
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_positive("epsilon", epsilon)
        self.epsilon = epsilon

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        shape = (num_channels(event_shape),)
        self.shift = self.add_weight(name="shift", shape=shape, initializer="zeros")
        self.log_scale = self.add_weight(name="log_scale", shape=shape, initializer="zeros")

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        log_scale = tf.convert_to_tensor(self.log_scale.value)
        z = (x + self.shift.value) * tf.exp(log_scale)
        return z, self._log_det(log_scale, x)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        minus = -self.log_scale.value
        return z * tf.exp(minus) - self.shift.value, self._log_det(minus, z)

    def _log_det(self, log_scale: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        positions = math.prod(self.event_shape[:-1])
        return tf.fill(tf.shape(rows)[:1], positions * tf.reduce_sum(log_scale))

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x."""
        return True

    def prepare(self, rows: tf.Tensor, condition: tf.Tensor | None, inverse: bool) -> tf.Tensor:
        """Sets the shift and the scale, so that channels of what is returned are standardised."""
        axes = list(range(rows.shape.rank - 1))
        mean = tf.reduce_mean(rows, axis=axes)
        deviation = tf.maximum(tf.math.reduce_std(rows, axis=axes), self.epsilon)
        self.shift.assign(mean / deviation if inverse else -mean)
        self.log_scale.assign(tf.math.log(deviation) * (1.0 if inverse else -1.0))
        return super().prepare(rows, condition, inverse)
