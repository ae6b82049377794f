"""A figure of output densities: the density of x = f(h) for a normal h, by roots and by samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from scipy import special, stats
from tensorflow_probability import distributions as tfd

from tfgen.implicit import OutputDensity

NUM_SAMPLES = 5_000
NUM_BINS = 100
HISTOGRAM = f"{NUM_SAMPLES} samples"
SLOPES = (1.0, 2.0, 5.0)
COLOURS = ("tab:blue", "tab:orange", "tab:green")
NETWORK = np.array([[1.0, 2.5, 1.0], [1.5, 0.0, -1.5], [1.0, -1.0, 1.0]])
"""Slopes, biases and output weights of three tanh units: f rises, falls and rises."""


@dataclass(frozen=True)
class Example:
    """A function of h, the x to draw its output density at, and that density if it is known."""

    name: str
    f: Callable[[tf.Tensor], tf.Tensor]
    x: tuple[float, float]
    pdf: Callable[[np.ndarray], np.ndarray] | None = None


EXP = Example("exp(h)", tf.exp, (0.0, 6.0), stats.lognorm(1).pdf)
SQUARE = Example("h²", tf.square, (0.0, 4.0), stats.chi2(1).pdf)


def output_density(seed: int) -> tuple[Figure, dict[str, Any]]:
    """Functions of a standard normal h, and the densities of their outputs.

    Args:
        seed: of the samples that the density by roots is set against.

    Returns:
        The figure; and, for each function, the integral and the poles of the density by roots and,
        where there is a closed form, the largest errors of the density by roots and of the
        histogram, at the middles of the bins.
    """
    panels = (
        ("x = exp(h): log-normal", [EXP], 0.8),
        ("x = h²: chi-squared", [SQUARE], 2.5),
        ("x = σ(θh), several slopes: logit-normal", [sigmoid(slope) for slope in SLOPES], 4.0),
        ("a network of three tanh units", [Example("network", network, (-1.0, 1.0))], 2.5),
    )
    figure = Figure(figsize=(16, 7))
    axes = figure.subplots(2, len(panels))
    numbers = {}
    for (title, examples, highest), (top, bottom) in zip(panels, axes.T, strict=True):
        for example, colour in zip(examples, COLOURS, strict=False):
            numbers[example.name] = draw(example, top, bottom, colour, seed)
        top.set(title=title, xlabel="h", ylabel="x = f(h)")
        bottom.set(xlabel="x", ylabel="p(x)", ylim=(0, highest))
        legend(bottom)
    figure.tight_layout()
    return figure, numbers


def sigmoid(slope: float) -> Example:
    """Returns the logistic sigmoid of a slope, whose output is logit-normal."""

    def pdf(x: np.ndarray) -> np.ndarray:
        return stats.norm.pdf(special.logit(x) / slope) / (slope * x * (1 - x))

    name = "σ(h)" if slope == 1 else f"σ({slope:g}h)"
    return Example(name, lambda h: tf.sigmoid(slope * h), (0.0, 1.0), pdf)


def network(h: tf.Tensor) -> tf.Tensor:
    """Returns a network of one hidden layer that rises and falls, [n] from [n]."""
    slopes, biases, weights = NETWORK
    return tf.linalg.matvec(tf.tanh(h[:, tf.newaxis] * slopes + biases), weights)


def draw(example: Example, top: Axes, bottom: Axes, colour: str, seed: int) -> dict[str, Any]:
    """Draws a function and its output density, and returns the numbers of the latter."""
    prior = tfd.Normal(tf.constant(0.0, tf.float64), tf.constant(1.0, tf.float64))
    density = OutputDensity(example.f, prior)
    h = np.linspace(-3, 3, 601)
    top.plot(h, example.f(tf.constant(h)), color=colour)

    samples = example.f(tf.constant(np.random.default_rng(seed).normal(size=NUM_SAMPLES))).numpy()
    edges = np.linspace(*example.x, NUM_BINS + 1)
    counts, _ = np.histogram(samples, edges)
    histogram = counts / (NUM_SAMPLES * np.diff(edges))
    bottom.stairs(histogram, edges, color=colour, alpha=0.35, fill=True, label=HISTOGRAM)
    x = np.linspace(*example.x, 2001)[1:-1]
    bottom.plot(x, density.prob(x), color=colour, label=f"{example.name}, by roots")
    for pole in density.poles:
        bottom.axvline(pole, color="grey", linestyle=":", label="pole")

    numbers = {"integral": integral(density, example.f), "poles": density.poles.tolist()}
    if example.pdf is not None:
        bottom.plot(x, example.pdf(x), "k--", linewidth=1, label="closed form")
        middle = (edges[1:] + edges[:-1]) / 2
        exact = example.pdf(middle)
        numbers["roots"] = errors(density.prob(middle), exact)
        numbers["histogram"] = errors(histogram, exact)
    return numbers


def legend(axis: Axes) -> None:
    """Names each kind of line once, densities first, and histograms of all colours together."""
    groups: dict[str, list] = {}
    for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
        groups.setdefault(label, []).append(handle)
    labels = sorted(groups, key=lambda label: not label.endswith("by roots"))
    handles = [tuple(groups[label]) if label == HISTOGRAM else groups[label][0] for label in labels]
    handler = {tuple: HandlerTuple(ndivide=None)}
    axis.legend(handles, labels, handler_map=handler, fontsize="small", loc="upper center")


def errors(found: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """Returns the largest errors, absolute and relative."""
    error = np.abs(found - exact)
    return {"absolute": float(error.max()), "relative": float((error / exact).max())}


def integral(density: OutputDensity, f: Callable[[tf.Tensor], tf.Tensor]) -> float:
    """Returns the integral of a density over x, and the mass of its atoms.

    By Gauss-Legendre quadrature from pole to pole, where x = sin² takes square roots away.
    """
    outputs = f(tf.linspace(tf.constant(-7.0, tf.float64), 7.0, 57)).numpy()
    ends = np.unique(np.append(outputs, density.poles))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    angle = (nodes + 1) * np.pi / 4
    width = np.diff(ends)[:, np.newaxis]
    x = ends[:-1, np.newaxis] + width * np.sin(angle) ** 2
    dx = width * np.sin(2 * angle) * np.pi / 4 * weights
    total = np.sum(dx * density.prob(x.ravel()).reshape(x.shape))
    return float(total + sum(mass for _, mass in density.atoms))
