"""The table of adversarial losses, penalties and weight clipping, part of that of values.

`create` functions give arguments that differ from the defaults, so that a forgotten one is seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from tfgen import losses
from tfgen.core.config import Configurable


@dataclass(frozen=True)
class Known:
    """Numbers worked out by hand.

    Args:
        real, fake: logits.
        discriminator, generator: the losses of each example.
    """

    real: np.ndarray
    fake: np.ndarray
    discriminator: Sequence[float]
    generator: Sequence[float]


def one(discriminator: float, generator: float) -> Known:
    """Returns numbers for the logits 2 and -1."""
    logits = [np.array([[value]], np.float32) for value in (2, -1)]
    return Known(*logits, [discriminator], [generator])


def patches(discriminator: float, generator: float) -> Known:
    """Returns numbers for the patches (1, -1) and (0, 2) of one example."""
    logits = [np.reshape(np.float32(values), [1, 1, 2, 1]) for values in ((1, -1), (0, 2))]
    return Known(*logits, [discriminator], [generator])


def batch(discriminator: Sequence[float], generator: Sequence[float]) -> Known:
    """Returns numbers for the logits (2, 0), of mean 1, and (-1, 1), of mean 0."""
    logits = [np.float32(values) for values in ((2, 0), (-1, 1))]
    return Known(*logits, discriminator, generator)


@dataclass(frozen=True)
class AdversarialLossCase:
    """An adversarial loss, and numbers worked out by hand."""

    name: str
    create: Callable[[], losses.AdversarialLoss]
    known: Sequence[Known]


# softplus(-3 .. 3): 0.048587, 0.126928, 0.313262, 0.693147, 1.313262, 2.126928, 3.048587.
GAMES = (
    AdversarialLossCase(
        "minimax", losses.Minimax, [one(0.440190, -0.313262), patches(2.223299, -1.410038)]
    ),
    AdversarialLossCase(
        "non_saturating",
        losses.NonSaturating,
        [one(0.440190, 1.313262), patches(2.223299, 0.410038)],
    ),
    # (2 - 1)^2 / 2 + (-1 - 0)^2 / 2, and (-1 - 1)^2 / 2.
    AdversarialLossCase("least_squares", losses.LeastSquares, [one(1, 2), patches(2, 0.5)]),
    AdversarialLossCase(
        "least_squares_pearson",
        lambda: losses.LeastSquares(1.0, -1.0, 0.0),
        [one(0.5, 0.5), patches(3.5, 1)],
    ),
    AdversarialLossCase("hinge", losses.Hinge, [one(0, 1), patches(3, -1)]),
    AdversarialLossCase("wasserstein", losses.Wasserstein, [one(-3, 1), patches(1, -1)]),
)

F_GAMES = (
    # exp(-1 - 1) - 2; (exp(0 - 1) - 1 + exp(2 - 1) + 1) / 2.
    AdversarialLossCase(
        "f_gan_kl",
        lambda: losses.FGAN(losses.KL()),
        [one(-1.864665, 1), patches(1.543081, -1)],
    ),
    AdversarialLossCase(
        "f_gan_kl_saturating",
        lambda: losses.FGAN(losses.KL(), saturating=True),
        [one(-1.864665, -0.135335), patches(1.543081, -1.543081)],
    ),
    # (-1 - 1) + exp(-2); (0 - 1 + exp(-1) + 2 - 1 + exp(1)) / 2.
    AdversarialLossCase(
        "f_gan_reverse_kl",
        lambda: losses.FGAN(losses.ReverseKL()),
        [one(-1.864665, 2.718282), patches(1.543081, 0.567668)],
    ),
    # 1 / 4 - 1 - 2; (0 - 1 + 4 / 4 + 2 + 1) / 2.
    AdversarialLossCase(
        "f_gan_pearson",
        lambda: losses.FGAN(losses.PearsonChiSquared()),
        [one(-2.75, 1), patches(1.5, -1)],
    ),
    # exp(-1) - 1 - (1 - exp(-2)); (0 - (1 - exp(-1)) + exp(2) - 1 - (1 - exp(1))) / 2.
    AdversarialLossCase(
        "f_gan_hellinger",
        lambda: losses.FGAN(losses.SquaredHellinger()),
        [one(-1.496785, 1.718282), patches(3.737609, -0.432332)],
    ),
    # Those of minimax less 2 log 2, and of the non-saturating generator less log 2.
    AdversarialLossCase(
        "f_gan_jensen_shannon",
        lambda: losses.FGAN(losses.JensenShannon()),
        [one(-0.946104, 0.620115), patches(0.837005, -0.283109)],
    ),
    # (tanh(-1) - tanh(2)) / 2; (0 - tanh(1) + tanh(2) + tanh(1)) / 4.
    AdversarialLossCase(
        "f_gan_total_variation",
        lambda: losses.FGAN(losses.TotalVariation()),
        [one(-0.862811, 0.380797), patches(0.241007, -0.241007)],
    ),
)

RELATIVISTIC = (
    # Differences: 3; 1 and -3.
    AdversarialLossCase(
        "relativistic",
        lambda: losses.Relativistic(losses.NonSaturating()),
        [one(0.048587, 3.048587), patches(1.680925, 0.680925)],
    ),
    AdversarialLossCase(
        "relativistic_minimax",
        lambda: losses.Relativistic(losses.Minimax()),
        [one(0.048587, -0.048587), patches(1.680925, -1.680925)],
    ),
    AdversarialLossCase(
        "relativistic_wasserstein",
        lambda: losses.Relativistic(losses.Wasserstein()),
        [one(-3, 3), patches(1, -1)],
    ),
    # Less the other's mean, the batch: (2, 0) and (-2, 0); the patches: (0, -2) and (0, 2).
    AdversarialLossCase(
        "relativistic_average",
        lambda: losses.RelativisticAverage(losses.NonSaturating()),
        [batch([0.253856, 1.386294], [4.253856, 1.386294]), patches(2.820075, 0.820075)],
    ),
    AdversarialLossCase(
        "relativistic_average_hinge",
        lambda: losses.RelativisticAverage(losses.Hinge()),
        [batch([0, 2], [6, 2]), patches(4, 1)],
    ),
    AdversarialLossCase(
        "relativistic_average_least_squares",
        lambda: losses.RelativisticAverage(losses.LeastSquares(1.0, -1.0)),
        [batch([1, 1], [9, 1]), patches(5, 1)],
    ),
)

ADVERSARIAL_LOSSES = (*GAMES, *F_GAMES, *RELATIVISTIC)


@dataclass(frozen=True)
class PenaltyCase:
    """A penalty, and numbers worked out by hand.

    Args:
        name: of the case.
        create: returns the penalty.
        known: pairs of a linear critic's kernel, [2, outputs], and the penalty of every example.
            Outputs are averaged, as patches are.
    """

    name: str
    create: Callable[[], losses.Penalty]
    known: Sequence[tuple[Sequence[Sequence[float]], float]]


@keras.saving.register_keras_serializable("tests")
@dataclass(frozen=True)
class Shift(Configurable):
    """Adds a number and a random one, which grows with `noise`."""

    by: float
    noise: float = 0.0

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return x + self.by + self.noise * tf.random.stateless_uniform(tf.shape(x), seed)


# Slopes of 5, of 1, of 5 as the mean of two patches, of 1 / 2 and of 0.
FIVE, ONE, FIVE_OF_PATCHES = [[3], [4]], [[0.6], [0.8]], [[2, 4], [8, 0]]
HALF, ZERO = [[0.3], [0.4]], [[0], [0]]

PENALTIES = (
    # 10 (5 - 1)^2.
    PenaltyCase(
        "gradient_penalty",
        losses.GradientPenalty,
        [(FIVE, 160), (FIVE_OF_PATCHES, 160), (ONE, 0), (HALF, 2.5), (ZERO, 10)],
    ),
    PenaltyCase(
        "gradient_penalty_one_sided",
        lambda: losses.GradientPenalty(5.0, 2.0, one_sided=True),
        [(FIVE, 45), (ONE, 0), (ZERO, 0)],
    ),
    PenaltyCase(
        "r1", lambda: losses.R1(4.0), [(FIVE, 50), (FIVE_OF_PATCHES, 50), (HALF, 0.5), (ZERO, 0)]
    ),
    # The slope of the sum of two patches is 10.
    PenaltyCase(
        "r1_summed",
        lambda: losses.R1(4.0, summed=True),
        [(FIVE, 50), (FIVE_OF_PATCHES, 200), (ZERO, 0)],
    ),
    PenaltyCase("r2", lambda: losses.R2(6.0), [(FIVE, 75), (ONE, 3), (ZERO, 0)]),
    PenaltyCase(
        "dragan",
        lambda: losses.DRAGAN(2.0, 0.25),
        [(FIVE, 32), (FIVE_OF_PATCHES, 32), (ONE, 0), (ZERO, 2)],
    ),
    # (3 + 4)^2 for each unit of the shift; of two outputs, (2 + 8)^2 + (4 + 0)^2.
    PenaltyCase(
        "consistency",
        lambda: losses.Consistency(Shift(1.0), 0.5),
        [(FIVE, 24.5), (FIVE_OF_PATCHES, 58), (ZERO, 0)],
    ),
    PenaltyCase(
        "consistency_by_layer",
        lambda: losses.Consistency(Shift(2.0), (0.25,)),
        [(FIVE, 49), (FIVE_OF_PATCHES, 116)],
    ),
    # Twice the square of 2 * 4 + 8 * 0; one filter alone overlaps with none.
    PenaltyCase(
        "orthogonal",
        lambda: losses.Orthogonal(0.5),
        [(FIVE_OF_PATCHES, 64), ([[1, 3], [2, 4]], 121), (FIVE, 0)],
    ),
    # On a step that is divisible by 4.
    PenaltyCase(
        "lazy", lambda: losses.Lazy(losses.R1(4.0), 4), [(FIVE, 200), (HALF, 2), (ZERO, 0)]
    ),
)


@dataclass(frozen=True)
class ClipCase:
    """What weights are put through."""

    name: str
    create: Callable[[], Callable]


CLIPS = (ClipCase("weight_clip", lambda: losses.WeightClip(0.25)),)
