"""Noise that does not depend on how a batch is divided among replicas."""

import tensorflow as tf

from tfgen.core.config import register
from tfgen.distributions import StandardNormal


@register
class SameNoise(StandardNormal):
    """Normal noise that is the same in all rows of all training steps."""

    def draw(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns [num_rows, dim]."""
        return tf.broadcast_to(tf.linspace(-1.0, 1.0, self.dim), [num_rows, self.dim])
