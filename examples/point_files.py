"""Points, floats [num_examples, dim], in .npy files, and in .npz files with labels."""

from pathlib import Path

import data_flags
import numpy as np
from absl import flags

import tfgen
from tfgen.core.checks import expected

FLAGS = flags.FLAGS

HELD_OUT = 10
"""One in so many points, drawn by --seed, is held out."""


def load_both() -> tuple[tfgen.data.Examples, tfgen.data.Examples]:
    """Loads the points or images of --dataset to train on, --num_examples, and those held out.

    Raises:
        ValueError: when there are too few points, or not as many labels.
    """
    path = Path(FLAGS.dataset).expanduser()
    arrays = _arrays(path) if path.suffix in (".npy", ".npz") and path.is_file() else None
    if arrays is None:
        return data_flags.load_both()
    x, labels = arrays
    if len(x) < 2 * HELD_OUT:
        raise ValueError(expected(f"{2 * HELD_OUT} points or more in {path}", x.shape))
    if labels is not None and len(labels) != len(x):
        raise ValueError(expected(f"{len(x)} labels in {path}", len(labels)))
    order = np.random.RandomState(FLAGS.seed).permutation(len(x))
    count = len(x) // HELD_OUT
    classes = None if labels is None else int(labels.max()) + 1

    def part(rows: np.ndarray, split: str) -> tfgen.data.Examples:
        chosen = None if labels is None else labels[rows]
        return tfgen.data.Examples(
            x[rows], chosen, 1, FLAGS.seed, num_classes=classes, name=path.stem, split=split
        )

    train = order[count:][: FLAGS.num_examples]
    return part(train, "train"), part(order[:count], "held out")


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Returns the points in a file, and their labels if it has any; None of other arrays."""
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    labels = None
    if not isinstance(found, np.ndarray):
        keys = {key: found[key] for key in ("x", "y") if key in found}
        found, labels = keys.get("x"), keys.get("y")
    if found is None or found.ndim != 2 or found.dtype.kind != "f":
        return None
    return np.asarray(found, np.float32), labels
