"""Figures of ratio estimation: a classifier that finds p / (p + q), alone and within a GAN."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special, stats
from tensorflow_probability import distributions as tfd

from tfgen import adversarial, distributions, implicit, losses, networks

GRID = np.linspace(-3, 4, 701)
NUMERATOR = stats.norm(1.0, 0.6)
DENOMINATOR = stats.norm()

DATA = stats.norm(2.0, 0.5)
SNAPSHOTS = (2, 20, 100)
"""Epochs of the GAN after which its discriminator is looked at."""
HIGHEST = 3
"""Density at which the figure of the GAN ends; the generator's is infinite at its poles."""


def ratio(seed: int) -> tuple[Figure, dict[str, Any]]:
    """A classifier of draws of two Gaussians against their known ratio.

    Args:
        seed: of data, weights and noise.

    Returns:
        The figure; and the classifier's error, its largest where p + q exceeds 0.05.
    """
    x = draws(NUMERATOR, 20_000, seed)
    estimator = fitted_estimator(distributions.StandardNormal(1), x, epochs=30, seed=seed)
    p, q = NUMERATOR.pdf(GRID), DENOMINATOR.pdf(GRID)
    estimate = estimator.log_ratio(column(GRID)).numpy()
    samples = estimator.sample(5_000, seed).numpy()[:, 0]

    figure = Figure(figsize=(12, 3.8))
    left, middle, right = figure.subplots(1, 3)
    left.plot(GRID, p, label="p")
    left.plot(GRID, q, label="q")
    left.hist(samples, 60, density=True, alpha=0.3, label="draws of q, weighted by the ratio")
    left.set(title="densities", xlabel="x", ylabel="density", ylim=(0, 1))
    middle.plot(GRID, p / (p + q), color="black", label="p / (p + q)")
    middle.plot(GRID, special.expit(estimate), "--", color="tab:red", label="classifier")
    middle.set(title="what the classifier says", xlabel="x", ylabel="probability that x is of p")
    right.plot(GRID, np.log(p / q), color="black", label="log p - log q")
    right.plot(GRID, estimate, "--", color="tab:red", label="logit")
    right.set(title="its logit", xlabel="x", ylabel="log ratio, nats")
    for axis in (left, middle, right):
        axis.legend()
    figure.tight_layout()
    found = special.expit(estimate)
    numbers = {"mean_error": mean_error(found, p, q)}
    common = p + q > 0.05
    numbers["largest_error"] = float(np.abs(found - optimum(p, q))[common].max())
    numbers |= {"sample_mean": float(samples.mean()), "true_mean": float(NUMERATOR.mean())}
    numbers |= {"sample_std": float(samples.std()), "true_std": float(NUMERATOR.std())}
    return figure, numbers


def gan_ratio(seed: int) -> tuple[Figure, dict[str, Any]]:
    """A GAN on the line, whose optimal discriminator is known: its generator's density is.

    Args:
        seed: of data, weights and noise.

    Returns:
        The figure; and, after each number of steps, the errors of the GAN's discriminator and of a
        classifier trained to the end against the same generator.
    """
    x = draws(DATA, 2_560, seed)
    gan = adversarial.GAN(
        networks.MLP((1,), (16,), activation="tanh"),
        networks.MLP((1,), (32, 32), activation="tanh"),
        losses.NonSaturating(),
        prior=distributions.StandardNormal(1),
        seed=seed,
    )
    adam = lambda: keras.optimizers.Adam(1e-3, beta_1=0.5)  # noqa: E731
    gan.compile(adam())
    figure = Figure(figsize=(12, 6))
    axes = figure.subplots(2, len(SNAPSHOTS), sharex=True, sharey="row")
    numbers, done = {}, 0
    for epochs, (above, below) in zip(SNAPSHOTS, axes.T, strict=True):
        gan.fit(x, batch_size=64, epochs=epochs, initial_epoch=done, verbose=0)
        done = epochs
        title = f"after {epochs * len(x) // 64} steps"
        numbers[title] = draw_optimum(gan, x, above, below, seed)
        above.set_title(title)
        below.set(xlabel="x", xlim=(0, 4), xticks=range(5))
    axes[0, 0].set(ylabel=f"density (axis ends at {HIGHEST})", ylim=(0, HIGHEST))
    axes[1, 0].set(ylabel="probability that x is data")
    axes[0, -1].legend(loc="upper right")
    axes[1, -1].legend(loc="lower center")
    figure.tight_layout(w_pad=2)
    return figure, numbers


def draw_optimum(
    gan: adversarial.GAN, x: np.ndarray, above: Axes, below: Axes, seed: int
) -> dict[str, float]:
    """Draws both densities, and three discriminators: the optimum, the GAN's, and one trained out.

    Returns:
        The errors of the latter two.
    """
    density = implicit.OutputDensity(
        lambda h: gan.generator(h[:, tf.newaxis])[:, 0],
        tfd.Normal(tf.constant(0.0, tf.float64), tf.constant(1.0, tf.float64)),
    )
    p, q = DATA.pdf(GRID), density.prob(GRID)
    gan.trainable = False
    estimator = fitted_estimator(gan, x, epochs=100, seed=seed)
    gan.trainable = True
    found = {
        "the GAN's": special.expit(gan.discriminator(column(GRID)).numpy()[:, 0]),
        "trained to the end": special.expit(estimator.log_ratio(column(GRID)).numpy()),
    }
    above.plot(GRID, p, label="data")
    above.plot(GRID, np.minimum(q, 2 * HIGHEST), label="generator, by its roots")
    below.plot(GRID, optimum(p, q), color="black", label="p / (p + q)")
    for (name, values), style in zip(found.items(), (":", "--"), strict=True):
        below.plot(GRID, values, style, label=f"discriminator, {name}")
    return {name: mean_error(values, p, q) for name, values in found.items()}


def draws(distribution: stats.distributions.rv_frozen, count: int, seed: int) -> np.ndarray:
    """Returns draws, float32 [count, 1]."""
    return distribution.rvs((count, 1), random_state=seed).astype(np.float32)


def column(x: np.ndarray) -> np.ndarray:
    return x[:, np.newaxis].astype(np.float32)


def fitted_estimator(base: Any, x: np.ndarray, epochs: int, seed: int) -> implicit.RatioEstimator:
    """Returns a classifier of the data against draws of a base, trained."""
    keras.utils.set_random_seed(seed)
    classifier = networks.MLP((1,), (32, 32), activation="tanh")
    estimator = implicit.RatioEstimator(classifier, base, seed=seed)
    steps = epochs * (len(x) // 256)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    estimator.compile(optimizer=keras.optimizers.Adam(rate), steps_per_execution=10)
    estimator.fit(x, batch_size=256, epochs=epochs, verbose=0)
    return estimator


def optimum(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Returns p / (p + q), 0 where q is infinite."""
    return np.where(np.isinf(q), 0.0, p / (p + np.where(np.isinf(q), 1.0, q)))


def mean_error(found: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """Returns how far a classifier is from its optimum, on average over the mixture of p and q."""
    weights = p + np.where(np.isinf(q), 0.0, q)
    return float(np.average(np.abs(found - optimum(p, q)), weights=weights))
