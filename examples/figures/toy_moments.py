"""Figure of moment matching: where mean and covariance suffice, and where they do not."""

from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfgen import distributions, implicit, losses, metrics, networks
from tfgen.data import toy

NUM_EXAMPLES = 5_000
BLOBS = toy.ring(3, radius=2.0, std=0.3)
GAUSSIAN_ROOT = np.array([[1.2, 0.0], [0.8, 0.4]])
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)

MODELS = {
    "linear, moments": ((), implicit.Moments()),
    "two layers, moments": ((32,), implicit.Moments()),
    "three layers, MMD": ((64, 64), implicit.SquaredMMD(losses.RBF(BANDWIDTHS))),
}
"""Hidden units of the generator, and what it minimises."""


def moment_matching(seed: int) -> tuple[Figure, dict[str, Any]]:
    """Generators with the mean and covariance of a Gaussian and of a mixture, and MMD nets.

    Args:
        seed: of data, weights and noise.

    Returns:
        The figure, and how far the samples of each model are from fresh data.
    """
    figure = Figure(figsize=(12, 6.5))
    axes = figure.subplots(2, 4, sharex="row", sharey="row")
    numbers: dict[str, Any] = {}
    for data, row in zip(("one Gaussian", "a mixture"), axes, strict=True):
        x, fresh = (points(data, seed + part) for part in (0, 1))
        scatter(row[0], x, f"{data}: data")
        centre = x.mean(axis=0)
        edge = 3.2 * x.std(axis=0).max()
        row[0].set(xlim=centre[0] + [-edge, edge], ylim=centre[1] + [-edge, edge])
        numbers[data] = {"data": compared(x, fresh)}
        for (name, (units, discrepancy)), axis in zip(MODELS.items(), row[1:], strict=True):
            samples = fitted(units, discrepancy, x, seed).sample(NUM_EXAMPLES, seed).numpy()
            scatter(axis, samples, f"{data}: {name}", "tab:red")
            numbers[data][name] = compared(samples, fresh)
    figure.tight_layout(h_pad=1.5)
    return figure, numbers


def points(data: str, seed: int) -> np.ndarray:
    """Returns points of one Gaussian, or of a mixture of three."""
    if data == "a mixture":
        return BLOBS.sample(NUM_EXAMPLES, seed)
    normal = np.random.default_rng(seed).standard_normal((NUM_EXAMPLES, 2))
    return (normal @ GAUSSIAN_ROOT.T + [1.0, -1.0]).astype(np.float32)


def fitted(
    hidden_units: tuple[int, ...],
    discrepancy: implicit.moments.Discrepancy,
    x: np.ndarray,
    seed: int,
) -> implicit.MomentMatching:
    """Returns a trained generator."""
    keras.utils.set_random_seed(seed)
    prior = distributions.StandardNormal(2)
    generator = networks.MLP((2,), hidden_units, activation="tanh")
    model = implicit.MomentMatching(generator, discrepancy, prior, seed=seed)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 1_500)
    model.compile(optimizer=keras.optimizers.Adam(rate), steps_per_execution=10)
    model.fit(x, batch_size=500, epochs=150, verbose=0)
    return model


def compared(samples: np.ndarray, data: np.ndarray) -> dict[str, float]:
    """Returns how far samples are from data: in mean, in covariance, and altogether."""
    return {
        "mean_error": float(np.abs(samples.mean(axis=0) - data.mean(axis=0)).max()),
        "covariance_error": float(np.abs(np.cov(samples.T) - np.cov(data.T)).max()),
        "sliced_wasserstein": metrics.sliced_wasserstein(samples, data),
    }


def scatter(axis: Axes, x: np.ndarray, title: str, color: str = "tab:blue") -> None:
    """Draws some of many points in the plane."""
    axis.scatter(*x[:1_500].T, s=4, alpha=0.4, color=color, linewidths=0)
    axis.set_title(title, fontsize=10.5)
    axis.set_aspect("equal")
