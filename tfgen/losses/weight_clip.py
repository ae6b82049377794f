"""What the variables of a critic are put through after each of its updates."""

from dataclasses import dataclass

import tensorflow as tf

from tfgen.core.checks import check_positive
from tfgen.core.config import Configurable, register


@register
@dataclass(frozen=True)
class WeightClip(Configurable):
    """Clips weights to [-limit, limit], after each update of a critic.

    Args:
        limit: c, > 0.

    Raises:
        ValueError: when `limit` is not > 0.

    Reference: Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017,
        https://arxiv.org/abs/1701.07875, algorithm 1.
    """

    limit: float = 0.01

    def __post_init__(self) -> None:
        check_positive("limit", self.limit)

    def __call__(self, value: tf.Tensor) -> tf.Tensor:
        """Returns a variable's value, clipped."""
        return tf.clip_by_value(value, -self.limit, self.limit)
