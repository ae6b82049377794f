"""A discriminator's loss with its penalties."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfgen.core import random
from tfgen.losses import Critic, Penalty
from tfgen.training.update import Terms


def penalised(
    loss: tf.Tensor,
    penalties: Sequence[Penalty],
    critic: Critic,
    real: Any,
    fake: Any,
    seed: tf.Tensor,
    step: tf.Tensor,
) -> Terms:
    """Returns a loss, [batch], with its penalties added, and each penalty by its name.

    Penalties of one kind share a name, and are added up under it. The other arguments are those of
    a penalty.
    """
    terms = {"loss": loss}
    for penalty, own in zip(penalties, _split(seed, len(penalties)), strict=True):
        value, name = penalty(critic, real, fake, own, step), penalty.log_name
        terms["loss"] += value
        terms[name] = terms[name] + value if name in terms else value
    return terms


def _split(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    return tf.unstack(random.split_seed(seed, count)) if count else []
