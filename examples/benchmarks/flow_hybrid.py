"""Trains flows that classify, by the weight of their density, and prints accuracy and bits.

    python examples/benchmarks/flow_hybrid.py

A hybrid flow maximises lambda * log p(x) + log p(y | x), the label y by a linear classifier of
z = f(x). Three flows of equal depth and width, of affine couplings, of couplings after invertible
1x1 convolutions, and of invertible residual blocks, are trained with lambda = 0, 1 / D and 1 each.
Each training leaves a file under --workdir, and what has one is not trained again, so that a
benchmark that was stopped goes on. The table has the accuracy and the bits per dimension of
held-out images, 256 levels with uniform dequantisation. A residual flow's bits are an estimate, as
its log-determinant is a series that is cut off.

The published numbers are of CIFAR-10 and far larger flows: their order is what is to be compared.
With its defaults the benchmark takes about ten minutes on one CPU core.

References: Nalisnick et al., "Hybrid Models with Deep and Invertible Features", 2019,
https://arxiv.org/abs/1902.02767; Chen et al., "Residual Flows for Invertible Generative Modeling",
2019, https://arxiv.org/abs/1906.02735, which has the table.
"""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from absl import app, flags

import tfgen
from tfgen import bijectors
from tfgen.core.files import write_text
from tfgen.distributions import UniformDequantization
from tfgen.flows import HybridFlow
from tfgen.layers import lipschitz_conv

FLAGS = flags.FLAGS

# Accuracy in percent and bits per dimension on CIFAR-10, by weight. No bits are given for 0.
PUBLISHED = {
    "coupling": {"0": (89.77, None), "1/D": (87.58, 4.30), "1": (67.62, 3.54)},
    "1x1": {"0": (90.82, None), "1/D": (87.96, 4.09), "1": (67.38, 3.47)},
    "residual": {"0": (91.78, None), "1/D": (90.47, 3.62), "1": (70.32, 3.39)},
}
TITLES = {"coupling": "coupling", "1x1": "coupling, 1x1 convolution", "residual": "residual"}
WEIGHTS = ("0", "1/D", "1")

flags.DEFINE_string("dataset", "mnist", "Images with labels: any that tfgen.data.load takes.")
flags.DEFINE_list("flows", list(PUBLISHED), "Which flows to train.")
flags.DEFINE_list("weights", list(WEIGHTS), "Of the log density: which to train with.")
flags.DEFINE_string("workdir", None, "Of all results; runs/hybrid_<dataset> unless given.")
flags.DEFINE_integer("num_examples", 10_000, "Training images.", 1)
flags.DEFINE_integer("num_scored", 1_000, "Held-out images.", 1)
flags.DEFINE_integer("num_levels", 256, "Of the values of images; those of the digits are 17.", 2)
flags.DEFINE_integer("epochs", 3, "Passes over the training images.", 1)
flags.DEFINE_integer("batch_size", 50, "Images in a batch.", 1)
flags.DEFINE_integer("scales", 2, "Levels, each of which begins with a squeeze.", 1)
flags.DEFINE_integer("depth", 2, "Couplings or residual blocks of each level.", 1)
flags.DEFINE_integer("filters", 32, "Of convolutions inside couplings and blocks.", 1)
flags.DEFINE_float("learning_rate", 2e-3, "Of Adam.", 0.0)
flags.DEFINE_integer("seed", 0, "Of initial weights, order of the data, and noise.", 0)

SETTINGS = (
    *("dataset", "num_examples", "num_scored", "num_levels", "epochs", "batch_size"),
    *("scales", "depth", "filters", "learning_rate", "seed"),
)


def main(argv: Sequence[str]) -> None:
    del argv
    for name, known in (("flows", PUBLISHED), ("weights", WEIGHTS)):
        if unknown := set(getattr(FLAGS, name)) - set(known):
            raise app.UsageError(f"--{name} has {sorted(unknown)}; there are {list(known)}.")
    folder = Path(FLAGS.workdir or f"runs/hybrid_{FLAGS.dataset}")
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for flow in FLAGS.flows:
        rows[flow] = {weight: result(folder, flow, weight) for weight in FLAGS.weights}
    print_table(rows)
    write_text(folder / "table.json", json.dumps(rows, indent=2) + "\n")


def result(folder: Path, flow: str, weight: str) -> dict[str, float]:
    """Returns the numbers of one training, which is carried out unless its file is there."""
    settings = {name: getattr(FLAGS, name) for name in SETTINGS}
    path = folder / f"{flow}_{weight.replace('/', '_over_')}.json"
    if not path.exists():
        report = trained(flow, weight)
        write_text(path, json.dumps({"settings": settings, **report}, indent=2) + "\n")
    found = json.loads(path.read_text())
    if found.pop("settings") != settings:
        sys.exit(f"{path} is of other settings. Give another --workdir, or remove it.")
    return found


def trained(name: str, weight: str) -> dict[str, float]:
    """Trains and measures one flow."""
    keras.utils.set_random_seed(FLAGS.seed)
    train, heldout = (
        tfgen.data.load(
            FLAGS.dataset,
            split=split,
            num_examples=number,
            batch_size=FLAGS.batch_size,
            seed=FLAGS.seed,
        )
        for split, number in (("train", FLAGS.num_examples), ("test", FLAGS.num_scored))
    )
    model = made(name, weight, train)
    print(f"{name}, weight {weight}: {len(model.trainable_weights)} weights", flush=True)
    start = time.perf_counter()
    history = model.fit(train, epochs=FLAGS.epochs, verbose=0).history
    seconds = time.perf_counter() - start
    last = {f"last_{term}": values[-1] for term, values in history.items()}
    size = sum(math.prod(each.shape) for each in model.trainable_weights)
    report = {**scores(model, heldout), **last, "num_parameters": size, "seconds": seconds}
    print({key: round(value, 4) for key, value in report.items()}, flush=True)
    return report


def made(name: str, weight: str, train: tfgen.data.Examples) -> HybridFlow:
    """Returns a hybrid flow, compiled."""
    shape = train.event_shape
    model = HybridFlow(
        bijectors.Chain(steps(name, shape[-1])),
        shape,
        train.num_classes,
        likelihood_weight={"0": 0.0, "1/D": 1.0 / math.prod(shape), "1": 1.0}[weight],
        dequantization=UniformDequantization(FLAGS.num_levels),
        seed=FLAGS.seed,
    )
    model.compile(keras.optimizers.Adam(FLAGS.learning_rate))
    return model


def steps(name: str, channels: int) -> list[bijectors.Bijector]:
    """Returns the same skeleton for each flow: logits of pixels, then squeezes and blocks."""
    made = [bijectors.Logit(0.05)]
    for _ in range(FLAGS.scales):
        made.append(bijectors.Squeeze())
        channels *= 4
        for number in range(FLAGS.depth):
            made += [bijectors.ActNorm(), *block(name, channels, number)]
    return made


def block(name: str, channels: int, number: int) -> list[bijectors.Bijector]:
    """Returns one step: convolutions of 3, 1 and 3 pixels in a coupling or a residual block."""
    if name == "residual":
        return [bijectors.InvertibleResidual(lipschitz_conv(channels, FLAGS.filters))]
    network = keras.Sequential(
        [
            keras.layers.Conv2D(FLAGS.filters, size, padding="same", activation="relu")
            for size in (3, 1)
        ]
    )
    if name == "1x1":
        return [bijectors.InvertibleLinear(), bijectors.Coupling(network)]
    return [bijectors.Coupling(network, mask=bijectors.Half(swap=number % 2 == 1))]


def scores(model: HybridFlow, heldout: tfgen.data.Examples) -> dict[str, float]:
    """Returns the accuracy and the bits per dimension of held-out images."""
    x = heldout.as_float(slice(None))
    right = model.classify(x).numpy().argmax(axis=1) == heldout.labels
    log_prob = model.log_prob_bound(x, 1, FLAGS.seed)
    return {
        "accuracy": float(right.mean()),
        "bits_per_dim": float(tfgen.metrics.bits_per_dim(np.mean(log_prob), model.event_shape)),
    }


def print_table(rows: dict[str, dict[str, dict[str, float]]]) -> None:
    """Prints accuracy and bits of each flow and weight, and the published, as Markdown."""
    titles = [f"{part}, {weight}" for weight in FLAGS.weights for part in ("accuracy", "bits")]
    titles.append("seconds")
    print(
        f"\n| {FLAGS.dataset} | " + " | ".join(titles) + " |\n" + "|---" * (1 + len(titles)) + "|"
    )
    for flow, by_weight in rows.items():
        cells = []
        for found in by_weight.values():
            cells += _cells(100 * found["accuracy"], found["bits_per_dim"])
        cells.append("/".join(f"{found['seconds']:.0f}" for found in by_weight.values()))
        print(f"| {TITLES[flow]} | " + " | ".join(cells) + " |")
    for flow in rows:
        cells = [c for weight in FLAGS.weights for c in _cells(*PUBLISHED[flow][weight])]
        print(f"| {TITLES[flow]}, published for CIFAR-10 | " + " | ".join([*cells, "-"]) + " |")


def _cells(accuracy: float, bits: float | None) -> list[str]:
    return [f"{accuracy:.2f} %", "-" if bits is None else f"{bits:.2f}"]


if __name__ == "__main__":
    app.run(main)
