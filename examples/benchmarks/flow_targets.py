"""Densities in the plane that flows are tried on, with their samplers and exact entropies."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats

from tfgen.data import toy

GAUSSIAN = 0.5 * math.log(2 * math.pi * math.e)
"""The entropy of N(0, 1), in nats."""


@dataclass(frozen=True)
class Target:
    """A density: its sampler, number of points and seed -> [n, 2], and its entropy in nats."""

    sample: Callable[[int, int], np.ndarray]
    entropy: float


def moons() -> Target:
    """Two half circles of radius 1, with Gaussian noise of deviation 0.1, as scikit-learn's."""
    std = 0.1

    def sample(count: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        angle, lower = rng.uniform(0, math.pi, count), rng.integers(0, 2, count)
        points = arcs(angle, lower[:, np.newaxis])
        return points + std * rng.standard_normal((count, 2))

    def arcs(angle: np.ndarray, lower: np.ndarray) -> np.ndarray:
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.where(lower, [1.0, 0.5] - circle, circle)

    middles = math.pi * (np.arange(400) + 0.5) / 400
    centres = np.concatenate([arcs(middles, np.array([[which]])) for which in (0, 1)])
    return Target(sample, _entropy_of_mixture(centres, std))


def rings() -> Target:
    """Three circles of radii 1, 2 and 3, as likely, with radial noise of deviation 0.08."""
    radii, std = np.array([1.0, 2.0, 3.0]), 0.08

    def sample(count: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        radius = rng.choice(radii, count) + std * rng.standard_normal(count)
        angle = rng.uniform(0, 2 * math.pi, count)
        return radius[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def integrand(radius: float) -> float:
        density = stats.norm.pdf(radius, radii, std).mean()
        return -density * math.log(density / (2 * math.pi * radius))

    spans = [(r - 6 * std, r + 6 * std) for r in radii]
    return Target(sample, sum(integrate.quad(integrand, *span)[0] for span in spans))


def checkerboard() -> Target:
    """Uniform on the eight dark squares of a board of 4 x 4 squares with sides of 1."""

    def sample(count: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        row, pair = rng.integers(0, 4, count), rng.integers(0, 2, count)
        corner = np.stack([2 * pair + row % 2, row], axis=1)
        return corner + rng.uniform(size=(count, 2)) - 2.0

    return Target(sample, math.log(8.0))


def eight_gaussians() -> Target:
    """Eight Gaussians of deviation 0.2 on a circle of radius 2."""
    mixture = toy.ring(8, 2.0, 0.2)
    centres = np.asarray(mixture.means, np.float64)
    return Target(mixture.sample, _entropy_of_mixture(centres, 0.2))


def sine() -> Target:
    """x2 given x1 ~ N(0, 1) is normal about sin(3 x1), its deviation 0.05 + 0.2 / (1 + exp(-3 x1)).

    No map of each number by itself fits it; a single autoregressive step does.
    """

    def std(x: np.ndarray) -> np.ndarray:
        return 0.05 + 0.2 / (1 + np.exp(-3 * x))

    def sample(count: int, seed: int) -> np.ndarray:
        first, noise = np.random.default_rng(seed).standard_normal((2, count))
        return np.stack([first, np.sin(3 * first) + std(first) * noise], axis=1)

    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    mean_log_std = (weights * np.log(std(nodes))).sum() / weights.sum()
    return Target(sample, 2 * GAUSSIAN + mean_log_std)


def _entropy_of_mixture(centres: np.ndarray, std: float) -> float:
    """Returns the entropy of equal round Gaussians, by a grid of 8 points a deviation."""
    low, high = centres.min(0) - 6 * std, centres.max(0) + 6 * std
    axes = [np.arange(a, b, std / 8) for a, b in zip(low, high, strict=True)]
    each = [stats.norm.pdf(axis[:, np.newaxis], centres[:, i], std) for i, axis in enumerate(axes)]
    density = each[0] @ each[1].T / len(centres)
    return -float((density * np.log(np.maximum(density, 1e-300))).sum()) * (std / 8) ** 2


TARGETS = {
    "moons": moons,
    "rings": rings,
    "checkerboard": checkerboard,
    "eight_gaussians": eight_gaussians,
    "sine": sine,
}
