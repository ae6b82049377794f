"""Trains every GAN of a published comparison with one budget, and prints the table beside it.

    python examples/benchmark_gans.py --dataset=fashion_mnist --epochs=20

All have InfoGAN's networks and see the same number of images, so that the discriminators of all
take as many steps, and generators of recipes with five steps of it a fifth. Each is a run of
train_gan.py under --workdir: started again, the benchmark goes on where it stopped.

The published numbers are FIDs of 2048 features of 10,000 images, of the best of 100 random settings
for each model and data set; ours are of each paper's one setting: compare their order.

Reference: Lucic et al., "Are GANs Created Equal? A Large-Scale Study", 2018,
https://arxiv.org/abs/1711.10337.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS

# FID on MNIST and on Fashion-MNIST.
PUBLISHED = {
    "minimax": (9.8, 29.6),
    "non_saturating": (6.8, 26.5),
    "lsgan": (7.8, 30.7),
    "wgan": (6.7, 21.5),
    "wgan_gp": (20.3, 24.5),
    "dragan": (7.6, 27.7),
    "began": (13.1, 22.9),
    "sngan": (None, None),
}
DATASETS = ("mnist", "fashion_mnist")

flags.DEFINE_enum("dataset", "fashion_mnist", DATASETS, "What to train on.")
flags.DEFINE_list("recipes", list(PUBLISHED), "Which GANs to train.")
flags.DEFINE_string("workdir", None, "Of all runs; runs/gans_<dataset> unless given.")
flags.DEFINE_integer("epochs", 20, "Passes of each over the training images.", 1)
flags.DEFINE_integer("num_examples", 10_000, "Training images.", 1)
flags.DEFINE_string("inception_weights", None, "An .npz file, for FID-768 beside the classifier's.")
flags.DEFINE_list("flags", [], "More flags for train_gan.py, without their dashes.")


def main(argv: Sequence[str]) -> None:
    del argv
    if unknown := set(FLAGS.recipes) - set(PUBLISHED):
        raise app.UsageError(f"--recipes has {sorted(unknown)}; there are {sorted(PUBLISHED)}.")
    folder = Path(FLAGS.workdir or f"runs/gans_{FLAGS.dataset}")
    reports = {}
    for number, recipe in enumerate(FLAGS.recipes, start=1):
        print(f"{recipe}, {number} of {len(FLAGS.recipes)}", flush=True)
        subprocess.run(command(folder / recipe, recipe), check=True)
        reports[recipe] = json.loads((folder / recipe / "metrics.json").read_text())
    print_table(reports)
    (folder / "table.json").write_text(json.dumps(reports, indent=2) + "\n")


def command(workdir: Path, recipe: str) -> list[str]:
    """Returns the command that trains one GAN."""
    features = "classifier,inception" if FLAGS.inception_weights else "classifier"
    own = {
        "workdir": workdir,
        "recipe": recipe,
        "dataset": FLAGS.dataset,
        "epochs": FLAGS.epochs,
        "num_examples": FLAGS.num_examples,
        "features": features,
        "export": "false",
    }
    if FLAGS.inception_weights:
        own["inception_weights"] = FLAGS.inception_weights
    runner = Path(__file__).with_name("train_gan.py")
    listed = [f"--{name}={value}" for name, value in own.items()]
    return [sys.executable, str(runner), *listed, *(f"--{flag}" for flag in FLAGS.flags)]


def print_table(reports: dict[str, dict]) -> None:
    """Prints one line for each GAN: our FIDs with the average of the generator and without."""
    first = next(iter(reports.values()))["protocol"]["gan"]
    names = [f"{score['metric']} {score['extractor']}" for score in first]
    print(f"\n{'':<16}" + "".join(f"{name:>32}" for name in (*names, "published")) + "   seconds")
    for recipe, report in reports.items():
        protocol = report["protocol"]
        raw = protocol.get("gan_without_ema", protocol["gan"])
        ours = [
            f"{a['value']:.3f} ({b['value']:.3f} raw)"
            for a, b in zip(protocol["gan"], raw, strict=True)
        ]
        published = PUBLISHED[recipe][DATASETS.index(FLAGS.dataset)] or "-"
        seconds = sum(report["training_seconds"].values())
        cells = "".join(f"{cell:>32}" for cell in (*ours, published))
        print(f"{recipe:<16}{cells}   {seconds:.0f}")
    real = next(iter(reports.values()))["protocol"]["train_vs_heldout"]
    print(f"{'train / test':<16}" + "".join(f"{score['value']:>32.3f}" for score in real))


if __name__ == "__main__":
    app.run(main)
