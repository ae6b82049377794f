"""The penalty on filters that overlap."""

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_positive
from tfgen.core.config import register
from tfgen.losses.critic import Critic
from tfgen.losses.penalties import Penalty, batch_size


@register
@dataclass(frozen=True)
class Orthogonal(Penalty):
    """weight * sum over kernels of ||W'W o (1 - I)||_F^2, the same for each example.

    The columns of W are a layer's filters: kernels are reshaped to [inputs, outputs]. Filters are
    asked to be orthogonal, and their lengths are left alone.

    Args:
        weight: beta, > 0.

    Raises:
        ValueError: when `weight` is not > 0.

    Reference: Brock, Donahue and Simonyan, "Large Scale GAN Training for High Fidelity Natural
        Image Synthesis", 2019, https://arxiv.org/abs/1809.11096, equation 3; it relaxes Brock et
        al., "Neural Photo Editing", 2017, https://arxiv.org/abs/1609.07093.
    """

    log_name = "orthogonal"

    weight: float = 1e-4

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)

    def __call__(
        self, critic: Critic, real: Any, fake: Any, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Returns the penalty once for each example, float32 [batch]."""
        total = tf.add_n([tf.zeros([]), *map(_overlap, critic.kernels)])
        return tf.fill([batch_size(real)], self.weight * total)


def _overlap(kernel: keras.Variable) -> tf.Tensor:
    """Returns the sum of the squared inner products of different filters."""
    filters = tf.reshape(tf.cast(kernel.value, tf.float32), [-1, kernel.shape[-1]])
    products = tf.matmul(filters, filters, transpose_a=True)
    return tf.reduce_sum(tf.square(tf.linalg.set_diag(products, tf.zeros(kernel.shape[-1]))))
