"""Mixtures of Gaussians whose modes, weights and density are known, to see what models do."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfgen.core.checks import check_integer, check_positive, check_rank, check_seed, expected

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd


@dataclass(frozen=True, eq=False)
class Mixture:
    """sum_k weights[k] N(means[k], std^2 I).

    Args:
        means: [num_modes, dim], all finite.
        std: of every mode, > 0.
        weights: [num_modes], > 0, that sum to one; equal unless given.

    Raises:
        ValueError: when one is anything else.
    """

    means: np.ndarray
    std: float
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        means = np.asarray(self.means, np.float64)
        check_rank("means", means.shape, 2, "[num_modes, dim]")
        if not means.size or not np.isfinite(means).all():
            raise ValueError(expected("`means` of finite numbers", self.means))
        check_positive("std", self.std)
        equal = np.full(len(means), 1 / len(means))
        weights = equal if self.weights is None else np.asarray(self.weights, np.float64)
        if weights.shape != equal.shape or not (weights > 0).all():
            raise ValueError(expected(f"{len(means)} `weights` > 0", self.weights))
        if not math.isclose(weights.sum(), 1, rel_tol=1e-6):
            raise ValueError(expected("`weights` that sum to one", weights.sum()))
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "weights", weights)

    @property
    def num_modes(self) -> int:
        """How many modes there are."""
        return len(self.means)

    def sample(self, num_samples: int, seed: int = 0) -> np.ndarray:
        """Draws points, float32 [num_samples, dim], the same for the same seed.

        Raises:
            TypeError: when a number is not an integer.
            ValueError: when one is out of range.
        """
        check_integer("num_samples", num_samples)
        check_seed("seed", seed)
        random = np.random.default_rng(seed)
        means = self.means[random.choice(self.num_modes, num_samples, p=self.weights)]
        return (means + self.std * random.standard_normal(means.shape)).astype(np.float32)

    def distribution(self) -> "tfd.MixtureSameFamily":
        """Returns the TFP distribution over [dim], in float64."""
        from tensorflow_probability import distributions as tfd

        stds = np.full_like(self.means, self.std)
        return tfd.MixtureSameFamily(
            tfd.Categorical(probs=self.weights), tfd.MultivariateNormalDiag(self.means, stds)
        )


def ring(num_modes: int = 8, radius: float = 2.0, std: float = 0.02) -> Mixture:
    """Returns equal modes on a circle in the plane.

    Args:
        num_modes: > 0.
        radius: of the circle, > 0.
        std: of each mode, > 0.

    Raises:
        TypeError: when `num_modes` is not an integer.
        ValueError: when a number is not > 0.

    Reference: Metz et al., "Unrolled Generative Adversarial Networks", 2017,
        https://arxiv.org/abs/1611.02163, appendix A.
    """
    check_integer("num_modes", num_modes)
    check_positive("radius", radius)
    angles = 2 * np.pi * np.arange(num_modes) / num_modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Returns side x side equal modes on a square lattice about the origin of the plane.

    Args:
        side: modes along each axis, > 0.
        spacing: between neighbours, > 0.
        std: of each mode, > 0.

    Raises:
        TypeError: when `side` is not an integer.
        ValueError: when a number is not > 0.

    Reference: Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational
        Learning", 2017, https://arxiv.org/abs/1705.07761, section 4.1.
    """
    steps = _centred("side", side, spacing)
    return Mixture(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2), std)


def line(num_modes: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Returns equal modes in a row along the first axis of the plane, about the origin.

    Args:
        num_modes: > 0.
        spacing: between neighbours, > 0.
        std: of each mode, > 0.

    Raises:
        TypeError: when `num_modes` is not an integer.
        ValueError: when a number is not > 0.
    """
    steps = _centred("num_modes", num_modes, spacing)
    return Mixture(np.stack([steps, np.zeros_like(steps)], axis=1), std)


def _centred(name: str, count: int, spacing: float) -> np.ndarray:
    """Returns so many equally spaced numbers about zero."""
    check_integer(name, count)
    check_positive("spacing", spacing)
    return spacing * (np.arange(count) - (count - 1) / 2)
