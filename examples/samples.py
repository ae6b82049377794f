"""Samples of a model, from a .keras file or from what was exported of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import runner
import tensorflow as tf

import tfgen
from tfgen.core import specs
from tfgen.core.checks import expected
from tfgen.core.random import row_seeds
from tfgen.serving.versions import versions

BATCH_SIZE = 256
ROW_INPUTS = ("seed", "temperature")
"""Of a served sampler; its other inputs are conditions."""


def is_model(path: Path) -> bool:
    """Returns whether a path is that of a model, rather than of data."""
    return path.suffix == ".keras" or _version(path) is not None


def draw(
    path: Path, num_samples: int, seed: int, label: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns samples of a model, and their labels where the model takes labels.

    Both forms of a model give the same samples for one seed.

    Args:
        path: a .keras file, or a directory with a saved_model.pb, or the one above its versions.
        num_samples: how many.
        seed: of the samples.
        label: of all of them; one class after the other unless given.

    Raises:
        ValueError: when there is no such model, or it takes other conditions than a label.
    """
    version = _version(path)
    if version is None:
        return _in_process(path, num_samples, seed, label)
    return _served(version, num_samples, seed, label)


def _in_process(
    path: Path, num_samples: int, seed: int, label: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    model = tfgen.load_model(path, tfgen.GenerativeModel)
    ranges = {name: specs.bounds(spec) for name, spec in model.condition_specs.items()}
    labels = _labels(ranges, num_samples, label)
    seeds = row_seeds(num_samples, seed)

    def sampled(rows: np.ndarray) -> tf.Tensor:
        return model.sample(len(rows), tf.gather(seeds, rows), _of(labels, rows) or None)

    return runner.in_batches(sampled, np.arange(num_samples), BATCH_SIZE), labels


def _served(
    version: Path, num_samples: int, seed: int, label: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    card_file = version / "assets.extra" / "model_card.json"
    card = json.loads(card_file.read_text()) if card_file.is_file() else {}
    inputs = card.get("signatures", {}).get("sample", {}).get("inputs", {})
    ranges = {name: of["range"] for name, of in inputs.items() if name not in ROW_INPUTS}
    labels = _labels(ranges, num_samples, label)
    seeds = seed + (np.arange(num_samples, dtype=np.int64) << 32)
    with tfgen.serving.SessionLoader(version) as served:
        takes = served.signatures["sample"].inputs if "sample" in served.signatures else ()
        plain = {"temperature": np.ones(num_samples, np.float32)} if "temperature" in takes else {}

        def sampled(rows: np.ndarray) -> np.ndarray:
            given = {name: value[rows] for name, value in plain.items()} | _of(labels, rows)
            (found,) = served("sample", seed=seeds[rows], **given).values()
            return found

        return runner.in_batches(sampled, np.arange(num_samples), BATCH_SIZE), labels


def _labels(ranges: dict[str, Any], num_samples: int, label: int | None) -> np.ndarray | None:
    """Returns the label of each sample, or None where a model takes none."""
    if set(ranges) - {"label"}:
        raise ValueError(expected("a model whose one condition is a label", sorted(ranges)))
    if not ranges:
        if label is not None:
            raise ValueError(expected("no label, as the model takes none", label))
        return None
    num_classes = int(ranges["label"][1]) + 1
    if label is None:
        return np.arange(num_samples, dtype=np.int64) % num_classes
    if not 0 <= label < num_classes:
        raise ValueError(expected(f"a label in [0, {num_classes})", label))
    return np.full(num_samples, label, np.int64)


def _of(labels: np.ndarray | None, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {} if labels is None else {"label": labels[rows]}


def _version(path: Path) -> Path | None:
    """Returns the directory of an exported model: the one given, or the latest below it."""
    found = [path, *versions(path).values()]
    found = [version for version in found if (version / "saved_model.pb").is_file()]
    return found[-1] if found else None
