"""Hierarchical variational autoencoders, tiny: latents of different rank, and one optimizer."""

import math

import tensorflow as tf

from tfgen import distributions
from tfgen.core.config import register
from tfgen.variational import ELBO, AutoregressiveGrid, HierarchicalVAE, ImportanceWeighted, Level


@register
class SameNoiseVAE(HierarchicalVAE):
    """One whose training noise does not depend on how a batch is divided among replicas."""

    def _noise(self, num_rows: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        shapes = [level.latent_shape for level in self.levels]
        each = [tf.reshape(tf.linspace(-1.0, 1.0, math.prod(shape)), shape) for shape in shapes]
        return tuple(tf.broadcast_to(noise, [num_rows, *noise.shape]) for noise in each)


def images(exact: bool = False) -> HierarchicalVAE:
    """A vector above a grid with a prior that goes from place to place."""
    return (SameNoiseVAE if exact else HierarchicalVAE)(
        (8, 8, 1),
        [Level((3,), 6, 0), Level((4, 4, 1), 4, 1, AutoregressiveGrid(4, 1, 3))],
        likelihood=distributions.Normal(0.9),
        bound=ELBO(beta=0.9, free_bits=0.01),
        ema_decay=0.9,
        seed=2,
    )


def points(exact: bool = False) -> HierarchicalVAE:
    """Two vectors, by a bound of several draws."""
    return (SameNoiseVAE if exact else HierarchicalVAE)(
        (2,),
        [Level((2,), 8, 1), Level((3,), 6, 0)],
        likelihood=distributions.Normal(0.3, by_feature=True),
        bound=ImportanceWeighted(3),
        draw_samples=True,
    )
