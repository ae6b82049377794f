"""A figure of samples of flows at temperatures, beside their densities to powers."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfgen.flows import Flow, recipes

TEMPERATURES = (0.25, 0.5, 1.0, 2.0)
SAMPLES = 200_000
BINS, CELLS = 64, 8
"""Bins of histograms along an axis, and cells of the grid along each bin."""
BOUND = 6.0
"""Of both axes, beyond which samples are not counted."""


def temperature(seed: int) -> tuple[Figure, dict[str, Any]]:
    """Samples of flows at temperature t against p^(1/t), normalised on a grid.

    Additive couplings (NICE) scale volumes alike everywhere, so that the two are equal; affine
    couplings (RealNVP) do not.

    Args:
        seed: of data, weights and noise.

    Returns:
        The figure; and for each flow and temperature the total variation between both, beside that
        of as many draws of p^(1/t) itself; and how much of p lies on the grid.
    """
    x = moons(20_000, seed)
    flows = {
        "NICE": recipes.nice((2,), 8, (64, 64), seed=seed),
        "RealNVP": recipes.realnvp((2,), 8, (64, 64), seed=seed),
    }
    figure = Figure(figsize=(2.6 * len(TEMPERATURES), 5.2 * len(flows)))
    axes = figure.subplots(2 * len(flows), len(TEMPERATURES), sharex=True, sharey=True)
    numbers = {}
    for number, (name, flow) in enumerate(flows.items()):
        flow.fit(x, batch_size=200, epochs=20, verbose=0)
        numbers[name] = compare(flow, name, axes[2 * number : 2 * number + 2], seed)
    figure.tight_layout()
    return figure, numbers


def moons(count: int, seed: int) -> np.ndarray:
    """Returns draws of two half circles, with noise, centred, float32 [count, 2]."""
    from sklearn import datasets

    x, _ = datasets.make_moons(count, noise=0.1, random_state=seed)
    return np.float32(2 * (x - [0.5, 0.25]))


def compare(flow: Flow, name: str, axes: np.ndarray, seed: int) -> dict[str, Any]:
    """Draws p^(1/t) and samples at each t, [2, temperatures] panels, and returns distances."""
    log_prob, cell = log_density(flow)
    numbers: dict[str, Any] = {"mass_on_grid": float(np.exp(log_prob).sum() * cell)}
    random = np.random.default_rng(seed)
    for t, (above, below) in zip(TEMPERATURES, axes.T, strict=True):
        powered = np.exp((log_prob - log_prob.max()) / t)
        exact = powered.reshape(BINS, CELLS, BINS, CELLS).sum((1, 3)) / powered.sum()
        samples = flow.sample(SAMPLES, seed, temperature=t, batch_size=20_000).numpy()
        edges = np.linspace(-BOUND, BOUND, BINS + 1)
        found = np.histogram2d(samples[:, 1], samples[:, 0], edges)[0] / SAMPLES
        drawn = random.multinomial(SAMPLES, exact.ravel()).reshape(exact.shape) / SAMPLES
        numbers[f"temperature {t}"] = {
            "total_variation": total_variation(found, exact),
            "of_exact_draws": total_variation(drawn, exact),
        }
        box = {"extent": (-BOUND, BOUND) * 2, "origin": "lower", "vmin": 0, "vmax": exact.max()}
        above.imshow(exact, **box)
        below.imshow(found, **box)
        above.set_title(f"{name}: p^(1/{t:g})", fontsize=9)
        below.set_title(f"samples at temperature {t:g}", fontsize=9)
    return numbers


def log_density(flow: Flow) -> tuple[np.ndarray, float]:
    """Returns log p at the cells of the grid, [rows of y, columns of x], and the area of a cell."""
    size = 2 * BOUND / (BINS * CELLS)
    axis = np.float32(-BOUND + size * (np.arange(BINS * CELLS) + 0.5))
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    log_prob = np.float64(flow.log_prob(grid, batch_size=2**14).numpy())
    return log_prob.reshape(len(axis), len(axis)), size**2


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Returns half the sum of |p - q|, with what each lacks to one counted as a bin of its own."""
    return float((np.abs(p - q).sum() + abs(p.sum() - q.sum())) / 2)
