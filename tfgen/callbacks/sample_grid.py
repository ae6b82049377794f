"""A sheet of samples after each epoch."""

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.files import check_writable, written_whole
from tfgen.core.specs import is_image
from tfgen.training.callback import Callback

_SMALLEST_TILE = 28


def image_grid(images: np.ndarray, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Lays images out in rows on a white ground.

    Args:
        images: float [num_images, height, width, channels] in [0, 1].
        columns: of the grid; about the square root of the number of images unless given.
        gap: white pixels between images.

    Returns:
        float32 [grid_height, grid_width, channels] in [0, 1].

    Raises:
        ValueError: when the images have another rank, or there are none.
    """
    images = np.asarray(images, np.float32)
    check_rank("images", images.shape, 4, "[num_images, height, width, channels]")
    count, height, width, channels = images.shape
    if not images.size:
        raise ValueError(expected("at least one image", f"shape {images.shape}"))
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    tall, wide = height + gap, width + gap
    grid = np.ones((rows * tall - gap, columns * wide - gap, channels), np.float32)
    for i, image in enumerate(np.clip(images, 0, 1)):
        top, left = i // columns * tall, i % columns * wide
        grid[top : top + height, left : left + width] = image
    return grid


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes an image to a file, whole or not at all.

    Args:
        path: of the file; one that is there is replaced.
        image: float [height, width, channels] of 1 to 4 channels; clipped to [0, 1].

    Raises:
        OSError: when the file cannot be written.
        tf.errors.InvalidArgumentError: when the image has other channels.
    """
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(tf.io.encode_png(pixels).numpy())


def enlarged(images: np.ndarray) -> np.ndarray:
    """Returns images whose pixels are repeated a whole number of times, to be seen on a screen.

    Args:
        images: [num_images, height, width, channels].

    Returns:
        The same, the shorter side of which is at least 28 pixels.
    """
    times = math.ceil(_SMALLEST_TILE / min(images.shape[1:3]))
    return images.repeat(times, axis=1).repeat(times, axis=2)


def scatter(points: np.ndarray, size: int = 512) -> np.ndarray:
    """Draws points in the plane as dots on a white ground, with a quarter of space around them.

    Args:
        points: float [num_points, 2], of which those that are not finite are left out.
        size: of the picture, in pixels.

    Returns:
        float32 [size, size, 1] in [0, 1]; the second axis points up.
    """
    points = np.asarray(points, np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    picture = np.ones((size, size, 1), np.float32)
    if len(points):
        center = (points.max(axis=0) + points.min(axis=0)) / 2
        reach = 1.25 * max(np.abs(points - center).max(), np.finfo(np.float32).tiny)
        places = ((points - center) / reach + 1) / 2 * (size - 3)
        for across, up in np.round(places).astype(int):
            picture[size - 3 - up : size - up, across : across + 3] = 0
    return picture


class SampleGrid(Callback):
    """Writes `samples_<epoch>.png`, the same seed's samples after each epoch.

    Small images are enlarged; points in the plane are drawn as dots.

    A model that is trained in stages, such as GLANN, gets `samples_<stage>_<epoch>.png`, with the
    samples of the stage's own model or, if these are not images, of the whole model as it is then.
    A model whose samples are neither gets no sheets, and a warning.

    Args:
        directory: where to; made if it does not exist.
        num_samples: on a sheet, > 0.
        every: epochs between sheets, > 0.
        seed: of the samples.

    Raises:
        OSError: when the directory cannot be written, before training begins.
    """

    def __init__(
        self, directory: str | os.PathLike, num_samples: int = 64, every: int = 1, seed: int = 0
    ) -> None:
        super().__init__()
        check_integer("num_samples", num_samples)
        check_integer("every", every)
        self.directory = Path(directory)
        self.num_samples = num_samples
        self.every = every
        self.seed = seed

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        check_writable(self.directory)
        model = self.shown()
        if model is not None and self._drawn(model) is None:
            warnings.warn(
                f"SampleGrid draws images and points in the plane. {type(model).__name__} samples "
                f"{model.event_spec.name} of shape {model.event_shape}: there will be no sheets.",
                stacklevel=2,
            )

    def _drawn(self, model: keras.Model) -> Callable[[np.ndarray], np.ndarray] | None:
        """Returns what draws the samples of a model, if anything does."""
        if is_image(model.event_spec):
            return lambda images: image_grid(enlarged(images))
        return scatter if model.event_shape == (2,) else None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done = epoch + 1
        model = None if done % self.every else self.sampler()
        draw = None if model is None else self._drawn(model)
        if draw is not None:
            samples = model.sample(self.num_samples, seed=self.seed)
            name = f"samples_{self.stage}_{done:04d}" if self.stage else f"samples_{done:04d}"
            write_png(self.directory / f"{name}.png", draw(samples.numpy()))
