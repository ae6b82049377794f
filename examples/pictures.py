"""Pictures that runners of several families draw: of examples, of latents, of reconstructions."""

from pathlib import Path
from typing import Any

import numpy as np
from drawing import sheet

import tfgen
from tfgen.callbacks.sample_grid import image_grid, scatter


def labels_of(model: Any, examples: tfgen.data.Examples, rows: np.ndarray) -> np.ndarray | None:
    """Returns the labels of some examples, where the model takes labels."""
    return examples.labels[rows] if model.condition_specs else None


def picture(model: Any, rows: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Returns a grid of images, or points by their first two numbers."""
    if len(model.event_shape) == 3:
        return image_grid(rows, columns)
    return scatter(rows[:, :2] if rows.shape[1] > 1 else np.repeat(rows, 2, axis=1))


def draw_unseen(path: Path, model: Any, heldout: tfgen.data.Examples) -> None:
    """Draws paths between the latents of held-out examples, and their reconstructions."""
    half = min(6, len(heldout) // 2)
    first, second = np.arange(half), np.arange(half, 2 * half)
    conditions = [labels_of(model, heldout, rows) for rows in (first, second)]
    ends = [
        model.encode(heldout.as_float(rows), condition)
        for rows, condition in zip((first, second), conditions, strict=True)
    ]
    paths = model.interpolate(*ends, num_points=10, condition=conditions[0]).numpy()
    both = np.concatenate([first, second])
    unseen = heldout.as_float(both)
    rebuilt = np.asarray(model.reconstruct(unseen, labels_of(model, heldout, both)))
    pairs = np.stack([unseen, rebuilt], axis=1).reshape(-1, *model.event_shape)
    panels = {
        "interpolation of latents": picture(model, paths.reshape(-1, *model.event_shape), 10),
        "unseen, reconstructed": picture(model, pairs, 4),
    }
    sheet(path, panels)
