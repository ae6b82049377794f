"""Figures on divergences: disjoint supports, and which modes a fit covers.

Each returns a figure and the numbers behind it, as plain as JSON; numbers that are infinite are
the string "inf", which `float` reads.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import optimize, stats
from tensorflow_probability import distributions as tfd

from tfgen.metrics import (
    Discrete,
    jensen_shannon,
    kl_divergence,
    total_variation,
    wasserstein,
)

NUM_HEIGHTS = 50
THETAS = np.arange(-20, 21) / 20  # Zero is among them.
TOP = 1.15
"""Where the figure draws what is infinite."""

GRID = np.linspace(-8, 8, 801)
NUM_STARTS = 8
BOUNDS = ((-4, 4), (math.log(0.4), math.log(4)))
"""Of the mean and the logarithm of the standard deviation of a fit."""


WEIGHTS, MEANS, STDS = np.array([[0.65, 0.35], [-2.0, 2.5], [0.6, 0.8]])
BIMODAL = tfd.MixtureSameFamily(tfd.Categorical(probs=WEIGHTS), tfd.Normal(MEANS, STDS))


def parallel_lines(seed: int) -> tuple[Figure, dict[str, Any]]:
    """Compares the uniform distributions on two parallel segments as one moves across the other.

    Args:
        seed: of the heights of the points that stand for the segments.

    Reference: Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017,
        https://arxiv.org/abs/1701.07875, example 1.
    """
    heights = np.random.default_rng(seed).uniform(size=NUM_HEIGHTS)
    fixed = _segment(0.0, heights)
    curves = {
        "wasserstein": (wasserstein, np.abs(THETAS)),
        "jensen_shannon": (jensen_shannon, np.where(THETAS == 0, 0, math.log(2))),
        "kl_divergence": (kl_divergence, np.where(THETAS == 0, 0, math.inf)),
        "total_variation": (total_variation, np.where(THETAS == 0, 0, 1.0)),
    }
    found, errors = {}, []
    for name, (distance, closed_form) in curves.items():
        values = np.array([distance(fixed, _segment(theta, heights)) for theta in THETAS])
        errors += [_difference(*pair) for pair in zip(values, closed_form, strict=True)]
        found[name] = values
    numbers = {name: [_plain(value) for value in values] for name, values in found.items()}
    figure = _figure_of_lines(heights, found)
    return figure, {"theta": THETAS.tolist(), **numbers, "largest_error": _plain(max(errors))}


def _segment(theta: float, heights: np.ndarray) -> Discrete:
    points = np.stack([np.full_like(heights, theta), heights], axis=1)
    return Discrete(points, np.full(len(points), 1 / len(points)))


def _difference(value: float, closed_form: float) -> float:
    return 0.0 if value == closed_form else abs(value - closed_form)


def _plain(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _figure_of_lines(heights: np.ndarray, found: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(10, 4), layout="constrained")
    lines, axes = figure.subplots(1, 2, width_ratios=(1, 2))
    for theta, colour, name in ((0.0, "C0", "$P_0$"), (0.6, "C1", r"$P_\theta$")):
        lines.plot(np.full_like(heights, theta), heights, ".", color=colour, alpha=0.7)
        lines.text(theta, 1.05, name, color=colour, ha="center", fontsize=14)
    arrow = {"arrowstyle": "<->", "color": "0.3"}
    lines.annotate("", (0.0, 0.5), (0.6, 0.5), arrowprops=arrow)
    lines.text(0.3, 0.53, r"$\theta$", ha="center", fontsize=14)
    lines.set(xlim=(-0.3, 0.9), ylim=(-0.05, 1.18), xlabel="$x_1$", ylabel="$x_2$")
    lines.set_title("Uniform on two segments")

    axes.plot(THETAS, found["wasserstein"], color="C2", label=r"$W_1 = |\theta|$")
    _broken(axes, found["total_variation"], "C3", r"TV $= 1$ for $\theta \neq 0$")
    _broken(axes, found["jensen_shannon"], "C4", r"JS $= \log 2$ for $\theta \neq 0$")
    kl = np.where(np.isinf(found["kl_divergence"]), TOP, found["kl_divergence"])
    _broken(axes, kl, "C5", r"KL $= \infty$ for $\theta \neq 0$", linestyle="--")
    axes.set(xlabel=r"$\theta$", ylabel="distance from $P_0$ to $P_\\theta$", ylim=(-0.06, 1.25))
    axes.set_yticks([0, 0.25, 0.5, math.log(2), 1, TOP])
    axes.set_yticklabels(["0", "0.25", "0.5", r"$\log 2$", "1", r"$\infty$"])
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_title("Only the earth mover's distance says how far away")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def _broken(axes: Axes, values: np.ndarray, colour: str, label: str, linestyle: str = "-") -> None:
    """Draws a curve that jumps at theta = 0, where it is zero."""
    axes.plot(THETAS, np.where(THETAS == 0, np.nan, values), linestyle, color=colour, label=label)
    axes.plot(0, values[THETAS == 0], "o", color=colour)
    axes.plot(0, values[-1], "o", color=colour, markerfacecolor="white")


def mode_covering(seed: int) -> tuple[Figure, dict[str, Any]]:
    """Fits one Gaussian q to a mixture p of two, by three divergences.

    Forward KL(p || q) covers both modes: it is least where q has the mean and variance of p.
    Reverse KL(q || p) is infinite where p is zero, and settles on one mode.

    Args:
        seed: of the starts of the optimiser.
    """
    divergences = {
        "forward_kl": lambda fit: kl_divergence(BIMODAL, fit, GRID),
        "reverse_kl": lambda fit: kl_divergence(fit, BIMODAL, GRID),
        "jensen_shannon": lambda fit: jensen_shannon(BIMODAL, fit, GRID),
    }
    minima = {name: _minima(divergence, seed) for name, divergence in divergences.items()}
    mean, std = float(BIMODAL.mean()), float(BIMODAL.stddev())
    numbers = {"mixture": {"mean": mean, "std": std}}
    for name, (best, *others) in minima.items():
        fit = tfd.Normal(*np.array(best))
        numbers[name] = {
            "mean": best[0],
            "std": best[1],
            **{other: measure(fit) for other, measure in divergences.items()},
            "other_minima": [{"mean": mean, "std": std} for mean, std in others],
        }
    errors = np.subtract(minima["forward_kl"][0], (mean, std))
    numbers["largest_error"] = float(np.abs(errors).max())
    return _figure_of_fits(minima, numbers), numbers


def _minima(divergence: Callable[[Any], float], seed: int) -> list[tuple[float, float]]:
    """Returns means and standard deviations of the local minima that were found, best first."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(-3, 3, NUM_STARTS) + rng.uniform(-0.4, 0.4, NUM_STARTS)
    found = [
        optimize.minimize(
            lambda fit: divergence(tfd.Normal(fit[0], np.exp(fit[1]))),
            (start, rng.uniform(-0.5, 0.5)),
            bounds=BOUNDS,
            options={"ftol": 1e-13, "gtol": 1e-7},
        )
        for start in spread
    ]
    minima = []
    for result in sorted(found, key=lambda result: result.fun):
        fit = float(result.x[0]), math.exp(result.x[1])
        if not any(np.allclose(fit, other, atol=0.02) for other in minima):
            minima.append(fit)
    return minima


LABELS = {
    "forward_kl": r"KL$(p\,\|\,q)$",
    "reverse_kl": r"KL$(q\,\|\,p)$",
    "jensen_shannon": r"JS$(p, q)$",
}


def _figure_of_fits(minima: dict[str, list], numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    fits, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    x = np.linspace(-7, 7, 701)
    fits.fill_between(x, BIMODAL.prob(x), color="0.85", label="mixture $p$")
    for index, (name, label) in enumerate(LABELS.items()):
        best, *others = minima[name]
        style = "--" if name == "jensen_shannon" else "-"  # It hides what is below otherwise.
        line = {"color": f"C{index}", "linewidth": 2, "label": f"$q$ of least {label}"}
        fits.plot(x, stats.norm.pdf(x, *best), style, **line)
        for fit in others:
            fits.plot(x, stats.norm.pdf(x, *fit), ":", color=f"C{index}", linewidth=1)
        values = [numbers[fitted][name] for fitted in LABELS]
        drawn = bars.bar(np.arange(3) + 0.27 * (index - 1), values, 0.25, label=label)
        bars.bar_label(drawn, fmt="%.2f", fontsize=8)
    fits.plot([], [], ":", color="0.6", label="dotted: other local minima")
    fits.set(xlabel="$x$", ylabel="density", ylim=(0, 0.78), title="One Gaussian for two modes")
    fits.legend(frameon=False, fontsize=9)
    bars.set_xticks(range(3), [f"least {label}" for label in LABELS.values()])
    bars.set(xlabel="fit $q$", ylabel="nats", yscale="log", ylim=(0.08, 40))
    bars.set_title("How far each fit is, by each measure")
    bars.legend(frameon=False, title="measured by", ncols=3, loc="upper left", fontsize=9)
    return figure
