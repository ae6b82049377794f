"""Trains a normalizing flow by the name of its recipe, measures it, draws it and exports it.

    python examples/train_flow.py --recipe=realnvp --dataset=fashion_mnist --num_examples=10000
    python examples/train_flow.py --recipe=maf --dataset=points.npy
    python examples/train_flow.py --hybrid --likelihood_weight=0.01

Without flags it trains a small Glow on scikit-learn's embedded digits and needs no network. Points
are floats [num_examples, dim], in an .npy file, or "x" of an .npz file with labels "y". The run
writes samples.png, interpolation.png, metrics.json with bits per dimension, history.csv,
model.keras and serving/1/ under --workdir, and goes on where it stopped when started again. With
--hybrid the flow learns to classify too: metrics.json has its accuracy, and it serves `classify`.
"""

import math
from pathlib import Path
from typing import Any

import console

console.prepare()  # Before TensorFlow is imported.

import data_flags
import flow_models
import numpy as np
import point_files
import runner
import tensorflow as tf
from absl import flags
from drawing import sheet
from history import HistoryFile, progress, training_seconds

import tfgen
from tfgen.callbacks.sample_grid import image_grid, scatter
from tfgen.core import specs
from tfgen.flows import HybridFlow
from tfgen.flows.base import FlowModel

FLAGS = flags.FLAGS

EPOCHS, BATCH_SIZE = 60, 64

runner.define_flags("digits", "flow", EPOCHS, BATCH_SIZE, learning_rate=None)
flags.adopt_module_key_flags(runner)
flags.adopt_module_key_flags(flow_models)
flags.DEFINE_list(
    "temperature", ["0.25", "0.5", "0.7", "0.85", "1"], "Of the samples of each sheet, each > 0."
)
flags.DEFINE_integer("num_scored", 10_000, "At most so many examples of each split are scored.", 1)
flags.DEFINE_integer(
    "num_validated", 0, "Held-out examples whose bits go to history.csv at each epoch.", 0
)


@flags.validator("temperature")
def _check_temperatures(texts: list[str]) -> bool:
    """Raises, when flags are parsed, unless these are numbers > 0."""
    try:
        fine = bool(texts) and all(0 < float(text) < float("inf") for text in texts)
    except ValueError:
        fine = False
    if not fine:
        raise flags.ValidationError("--temperature takes numbers > 0, separated by commas")
    return True


def main(workdir: Path, strategy: tf.distribute.Strategy) -> None:
    """Trains, measures, draws and exports one flow."""
    with runner.errors_as_messages():
        train, heldout = point_files.load_both()
        with strategy.scope():
            flow = flow_models.make_flow(train)
        size = data_flags.batch_size(FLAGS.batch_size, BATCH_SIZE, len(train))
        train = train.with_batch_size(size)
        flow.checked_data(train)
    runner.claim_workdir(workdir, strategy)
    print(f"{train}\n{heldout}")
    epochs = data_flags.num_epochs(FLAGS.epochs, EPOCHS, 1_000, size, len(train))
    verbose, bars = progress(epochs)
    drawn = specs.is_image(flow.event_spec) or flow.event_shape == (2,)
    every = max(1, epochs // 10)
    sheets = [tfgen.callbacks.SampleGrid(workdir / "sheets", every=every)] if drawn else []
    with runner.errors_as_messages():
        flow.fit(
            train,
            epochs=epochs,
            callbacks=[
                *bars,
                HistoryFile(workdir / "history.csv"),
                *sheets,
                tfgen.callbacks.Checkpoint(workdir / "checkpoints", every=max(1, epochs // 50)),
            ],
            verbose=verbose,
            **validation(heldout),
        )
    if not runner.is_chief():
        return
    report = {"recipe": FLAGS.recipe, "bits_per_dim": {}, "log_prob": {}}
    for name, examples in (("train", train), ("heldout", heldout)):
        log_prob = mean_log_prob(flow, examples)
        report["log_prob"][name] = log_prob
        report["bits_per_dim"][name] = float(tfgen.metrics.bits_per_dim(log_prob, flow.event_shape))
    if isinstance(flow, HybridFlow):
        both = {"train": train, "heldout": heldout}
        report["accuracy"] = {name: accuracy(flow, each) for name, each in both.items()}
        print("accuracy:", {k: round(v, 4) for k, v in report["accuracy"].items()})
    print("bits per dimension:", {k: round(v, 3) for k, v in report["bits_per_dim"].items()})
    report["num_parameters"] = sum(math.prod(w.shape) for w in flow.trainable_weights)
    report["training_seconds"] = training_seconds(workdir / "history.csv")
    draw(workdir, flow, train, heldout)
    runner.finish(workdir, flow, report)


def validation(heldout: tfgen.data.Examples) -> dict[str, Any]:
    """Returns the arguments of `fit` by which it scores some held-out examples at each epoch."""
    if not FLAGS.num_validated:
        return {}
    rows = np.arange(min(len(heldout), FLAGS.num_validated))
    labels = heldout.labels[rows] if FLAGS.conditional or FLAGS.hybrid else None
    return {"validation_data": (heldout.as_float(rows), labels)}


def mean_log_prob(flow: FlowModel, examples: tfgen.data.Examples) -> float:
    """Returns the mean log-likelihood in nats: of images, the bound on their probability."""
    rows = np.arange(min(len(examples), FLAGS.num_scored))
    x, condition = examples.as_float(rows), labels_of(flow, examples, rows)
    if flow.dequantization is None:
        return float(np.mean(flow.log_prob(x, condition)))
    return float(np.mean(flow.log_prob_bound(x, 1, FLAGS.seed, condition)))


def accuracy(flow: HybridFlow, examples: tfgen.data.Examples) -> float:
    """Returns the share of examples whose likeliest class is the right one."""
    rows = np.arange(min(len(examples), FLAGS.num_scored))
    chosen = flow.classify(examples.as_float(rows)).numpy().argmax(axis=1)
    return float(np.mean(chosen == examples.labels[rows]))


def labels_of(
    flow: FlowModel, examples: tfgen.data.Examples, rows: np.ndarray
) -> np.ndarray | None:
    """Returns the labels of some examples, where the flow takes labels."""
    return examples.labels[rows] if flow.condition_specs else None


def picture(flow: FlowModel, rows: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Returns a grid of images, or points by their first two numbers."""
    if len(flow.event_shape) == 3:
        return image_grid(rows, columns)
    return scatter(rows[:, :2] if rows.shape[1] > 1 else np.repeat(rows, 2, axis=1))


def draw(
    workdir: Path, flow: FlowModel, train: tfgen.data.Examples, heldout: tfgen.data.Examples
) -> None:
    """Draws samples.png, at each temperature beside the data, and interpolation.png."""
    count = 64 if len(flow.event_shape) == 3 else 1000
    shown = np.arange(min(count, len(train)))
    panels = {"data": picture(flow, train.as_float(shown))}
    labels = np.arange(count) % flow.num_classes if flow.condition_specs else None
    for text in FLAGS.temperature:
        samples = flow.sample(count, FLAGS.seed, labels, float(text)).numpy()
        panels[f"temperature {text}"] = picture(flow, samples)
    sheet(workdir / "samples.png", panels)
    rows = np.arange(min(12, len(heldout) // 2 * 2))
    unseen, condition = heldout.as_float(rows), labels_of(flow, heldout, rows)
    half = len(rows) // 2
    z = flow.encode(unseen, condition)
    first = None if condition is None else condition[:half]
    paths = flow.interpolate(z[:half], z[half:], num_points=10, condition=first).numpy()
    rebuilt = np.asarray(flow.reconstruct(unseen, condition))
    pairs = np.stack([unseen, rebuilt], axis=1).reshape(-1, *flow.event_shape)
    panels = {
        "interpolation of latents": picture(flow, paths.reshape(-1, *flow.event_shape), 10),
        "unseen, reconstructed": picture(flow, pairs, 4),
    }
    sheet(workdir / "interpolation.png", panels)


if __name__ == "__main__":
    runner.run(main, "flow")
