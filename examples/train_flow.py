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

from pathlib import Path

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
from flow_callbacks import HeldOut, TimeLimit, log_probs
from history import HistoryFile, progress, training_seconds
from pictures import draw_unseen, labels_of, picture

import tfgen
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
flags.DEFINE_float("minutes", None, "End after the epoch by which training took so long.", 0.0)
flags.DEFINE_integer("num_watched", 0, "Held-out examples that are scored after each epoch.", 0)
flags.DEFINE_integer("num_scored", 10_000, "At most so many examples of each split are scored.", 1)


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
    kept_every = 1 if FLAGS.minutes else max(1, epochs // 50)  # The end may come at any epoch.
    sheets = [tfgen.callbacks.SampleGrid(workdir / "sheets", every=every)] if drawn else []
    history = workdir / "history.csv"
    watched = np.arange(min(FLAGS.num_watched, len(heldout)))
    of_watched = labels_of(flow, heldout, watched)
    watch = [HeldOut(heldout.as_float(watched), of_watched)] if len(watched) else []
    limit = [TimeLimit(FLAGS.minutes, history)] if FLAGS.minutes else []
    with runner.errors_as_messages():
        flow.fit(
            train,
            epochs=epochs,
            callbacks=[
                *watch,
                *bars,
                HistoryFile(history),
                *limit,
                *sheets,
                tfgen.callbacks.Checkpoint(workdir / "checkpoints", every=kept_every),
            ],
            verbose=verbose,
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
    report["training_seconds"] = training_seconds(history)
    draw(workdir, flow, train, heldout)
    runner.finish(workdir, flow, report)


def mean_log_prob(flow: FlowModel, examples: tfgen.data.Examples) -> float:
    """Returns the mean log-likelihood in nats: of images, the bound on their probability."""
    rows = np.arange(min(len(examples), FLAGS.num_scored))
    condition = labels_of(flow, examples, rows)
    return float(log_probs(flow, examples.as_float(rows), FLAGS.seed, condition).mean())


def accuracy(flow: HybridFlow, examples: tfgen.data.Examples) -> float:
    """Returns the share of examples whose likeliest class is the right one."""
    rows = np.arange(min(len(examples), FLAGS.num_scored))
    chosen = flow.classify(examples.as_float(rows)).numpy().argmax(axis=1)
    return float(np.mean(chosen == examples.labels[rows]))


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
    draw_unseen(workdir / "interpolation.png", flow, heldout)


if __name__ == "__main__":
    runner.run(main, "flow")
