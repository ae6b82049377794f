"""Figures of mixtures: which modes models reach, and how they come there in training."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from matplotlib.animation import ArtistAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from mixture_models import (
    BATCH_SIZE,
    CONSTRAINED,
    MIN_SAMPLES,
    MIXTURES,
    NUM_EXAMPLES,
    NUM_SAMPLES,
    PLAIN,
    Game,
    bayesian_gan,
    imle,
    reached,
)

from tfgen import losses
from tfgen.data import toy

STEPS = 4_000
NUM_FRAMES = 24
FRAMES_PER_SECOND = 8
REST = 2 * FRAMES_PER_SECOND
"""Frames for which an animation stays at its end."""

SHOWN = {
    "IMLE": imle,
    "non-saturating GAN": PLAIN["non_saturating"],
    "non-saturating GAN, R1": CONSTRAINED["non_saturating_r1"],
    "Bayesian GAN, 3 x 2": bayesian_gan(3, 2, 3 * BATCH_SIZE),
}


def mixtures(seed: int) -> tuple[Figure, dict[str, Any]]:
    """Samples of four models of a ring of modes, after 4,000 steps; of IMLE, 20,000.

    Args:
        seed: of data, weights and noise.

    Returns:
        The figure; and, for each model, the modes that it covers, the fraction of its samples that
        are of high quality, at a mode, and their reverse KL.
    """
    mixture = MIXTURES["ring"]
    figure = Figure(figsize=(3.2 * (1 + len(SHOWN)), 3.8))
    first, *axes = figure.subplots(1, 1 + len(SHOWN), sharex=True, sharey=True)
    draw_modes(first, mixture)
    draw_samples(first, mixture.sample(NUM_SAMPLES, seed))
    first.set_title(f"data\n{mixture.num_modes} modes")
    numbers = {}
    for (name, train), axis in zip(SHOWN.items(), axes, strict=True):
        keras.utils.set_random_seed(seed)
        model = train(mixture.sample(NUM_EXAMPLES, seed), STEPS, seed)
        samples = model.sample(NUM_SAMPLES, seed).numpy()
        numbers[name] = found = reached(mixture, samples)
        draw_modes(axis, mixture)
        draw_samples(axis, samples)
        covered = f"{found['covered']} of {mixture.num_modes} modes"
        axis.set_title(f"{name}\n{covered}, {100 * found['high_quality']:.0f} % at a mode")
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    legend(figure)
    return figure, numbers


def training_imle(seed: int) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """IMLE on the grid: samples all over it at first, then ever closer about all modes.

    It takes 20,000 steps, five for each of the 4,000 of the GANs below.
    """
    return training("IMLE", MIXTURES["grid"], imle, STEPS, seed)


def training_smearing(seed: int) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """A non-saturating GAN on the grid, with samples smeared between the modes."""
    train = PLAIN["non_saturating"]
    return training("Non-saturating GAN", MIXTURES["grid"], train, STEPS, seed)


def training_collapse(seed: int) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """A GAN on the ring whose discriminator learns too slowly: its samples hop between modes."""
    slow = Game(losses.NonSaturating(), {}, slower=20.0)
    name = "Non-saturating GAN, discriminator 20 times slower"
    return training(name, MIXTURES["ring"], slow, STEPS, seed)


class Frames(keras.callbacks.Callback):
    """Keeps samples, the same noise each time, at about so many moments of a training."""

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self.count, self.seed = count, seed
        self.samples: dict[int, np.ndarray] = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch % max(1, self.params["epochs"] // self.count) == 0:
            self.take()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.take()

    def take(self) -> None:
        step = int(self.model.step.numpy())
        self.samples[step] = self.model.sample(NUM_SAMPLES, self.seed).numpy()


def training(
    heading: str, mixture: toy.Mixture, train: Callable, steps: int, seed: int
) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """Animates the samples of a model while it learns a mixture.

    Returns:
        The last frame, for each frame the step and the modes that are covered, the animation.
    """
    frames = Frames(NUM_FRAMES, seed)
    train(mixture.sample(NUM_EXAMPLES, seed), steps, seed, [frames])
    figure = Figure(figsize=(5, 5.6))
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    figure.subplots_adjust(left=0.1, right=0.95, bottom=0.13, top=0.89)
    draw_modes(axis, mixture)
    axis.text(0.5, 1.09, heading, transform=axis.transAxes, ha="center", weight="bold")
    artists, numbers = [], {}
    for step, samples in frames.samples.items():
        numbers[f"step {step}"] = found = reached(mixture, samples)
        title = f"step {step:,}: {found['covered']} of {mixture.num_modes} modes covered"
        label = axis.text(0.5, 1.03, title, transform=axis.transAxes, ha="center")
        artists.append([draw_samples(axis, samples), label])
    legend(figure)
    return figure, numbers, ArtistAnimation(figure, artists + artists[-1:] * REST)


def draw_modes(axis: Axes, mixture: toy.Mixture) -> None:
    """Draws a ring about each mode."""
    axis.scatter(*mixture.means.T, 120, facecolors="none", edgecolors="tab:blue")
    edge = 1.25 * np.abs(mixture.means).max()
    axis.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")


def draw_samples(axis: Axes, samples: np.ndarray) -> PathCollection:
    """Draws samples as dots, and returns them."""
    return axis.scatter(*samples.T, 3, alpha=0.4, color="tab:red", linewidths=0)


def legend(figure: Figure) -> None:
    """Says, below the axes, what rings and dots are, and when a mode is covered."""
    labels = ["modes", f"samples; {MIN_SAMPLES} within 3 std cover a mode"]
    found = figure.legend(figure.axes[0].collections[:2], labels, loc="lower center", ncols=2)
    found.legend_handles[1].set(alpha=1, sizes=[20])
