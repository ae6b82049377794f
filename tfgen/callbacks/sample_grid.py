"""A sheet of samples after each epoch."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.files import check_writable, written_whole
from tfgen.core.specs import is_image
from tfgen.training.callback import Callback


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


class SampleGrid(Callback):
    """Writes `samples_<epoch>.png`, the same seed's samples after each epoch.

    A model that is trained in stages, such as GLANN, gets `samples_<stage>_<epoch>.png`, with the
    samples of the stage's own model or, if these are not images, of the whole model as it is then.
    A model whose samples are not images gets no sheets.

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

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done = epoch + 1
        model = None if done % self.every else self.sampler()
        if model is not None and is_image(model.event_spec):
            samples = model.sample(self.num_samples, seed=self.seed)
            name = f"samples_{self.stage}_{done:04d}" if self.stage else f"samples_{done:04d}"
            write_png(self.directory / f"{name}.png", image_grid(samples.numpy()))
