"""Figures of mixtures: which modes models reach, and how they come there in training."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from matplotlib.animation import ArtistAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mixture_models import (
    BATCH_SIZE,
    CONSTRAINED,
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

SHOWN = {
    "IMLE": imle,
    "non-saturating": PLAIN["non_saturating"],
    "non-saturating, R1": CONSTRAINED["non_saturating_r1"],
    "Bayesian, 3 x 2": bayesian_gan(3, 2, 3 * BATCH_SIZE),
}


def mixtures(seed: int) -> tuple[Figure, dict[str, Any]]:
    """Samples of four models of a ring of modes, after equally many steps.

    Args:
        seed: of data, weights and noise.

    Returns:
        The figure, and the modes that each model covers.
    """
    mixture = MIXTURES["ring"]
    figure = Figure(figsize=(3.2 * (1 + len(SHOWN)), 3.5))
    first, *axes = figure.subplots(1, 1 + len(SHOWN), sharex=True, sharey=True)
    draw(first, mixture, mixture.sample(NUM_SAMPLES, seed), "data")
    numbers = {}
    for (name, train), axis in zip(SHOWN.items(), axes, strict=True):
        keras.utils.set_random_seed(seed)
        model = train(mixture.sample(NUM_EXAMPLES, seed), STEPS, seed)
        samples = model.sample(NUM_SAMPLES, seed).numpy()
        numbers[name] = reached(mixture, samples)
        draw(axis, mixture, samples, f"{name}: {numbers[name]['covered']} of 8")
    figure.tight_layout()
    return figure, numbers


def training_imle(seed: int) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """IMLE on the grid: all modes from the first, ever sharper."""
    return training(MIXTURES["grid"], imle, STEPS, seed)


def training_smearing(seed: int) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """A non-saturating GAN on the grid, with samples smeared between the modes."""
    return training(MIXTURES["grid"], PLAIN["non_saturating"], STEPS, seed)


def training_collapse(seed: int) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """A GAN on the ring whose discriminator learns too slowly: its samples hop between modes."""
    slow = Game(losses.NonSaturating(), {}, slower=20.0)
    return training(MIXTURES["ring"], slow, STEPS, seed)


class Frames(keras.callbacks.Callback):
    """Keeps samples, the same noise each time, at about so many moments of a training."""

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self.count, self.seed = count, seed
        self.samples: dict[int, np.ndarray] = {}

    def within(self, stage: str) -> "Frames":
        """Returns itself, for models of several stages."""
        return self

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch % max(1, self.params["epochs"] // self.count) == 0:
            self.take()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.take()

    def take(self) -> None:
        step = int(self.model.step.numpy())
        self.samples[step] = self.model.sample(NUM_SAMPLES, self.seed).numpy()


def training(
    mixture: toy.Mixture, train: Callable, steps: int, seed: int
) -> tuple[Figure, dict[str, Any], ArtistAnimation]:
    """Animates the samples of a model while it learns a mixture.

    Returns:
        The last frame, for each frame the step and the modes that are covered, the animation.
    """
    frames = Frames(NUM_FRAMES, seed)
    train(mixture.sample(NUM_EXAMPLES, seed), steps, seed, [frames])
    figure = Figure(figsize=(4.5, 4.7))
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    artists, numbers = [], {}
    for step, samples in frames.samples.items():
        numbers[f"step {step}"] = found = reached(mixture, samples)
        points = draw(axis, mixture, samples, "")
        title = f"step {step}: {found['covered']} of {mixture.num_modes} modes"
        label = axis.text(0.5, 1.03, title, transform=axis.transAxes, ha="center")
        artists.append([*points, label])
    return figure, numbers, ArtistAnimation(figure, artists)


def draw(axis: Axes, mixture: toy.Mixture, samples: np.ndarray, title: str) -> list[Any]:
    """Draws samples over rings about the modes, and returns what was drawn."""
    places = axis.scatter(*mixture.means.T, s=120, facecolors="none", edgecolors="tab:blue")
    points = axis.scatter(*samples.T, s=3, alpha=0.4, color="tab:red", linewidths=0)
    edge = 1.25 * np.abs(mixture.means).max()
    axis.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", title=title)
    return [places, points]
