"""Trains every GAN of a published comparison with one budget, and prints the table beside it.

    python examples/benchmarks/gans.py --dataset=fashion_mnist

All have InfoGAN's networks, of --units and --filters, and see the same number of images, so that
the discriminators of all take as many steps, and generators of recipes with five steps of it a
fifth. Each is a run of train_gan.py under --workdir: started again, the benchmark goes on where it
stopped. One classifier judges all; --inception_weights adds FID-768.

The published numbers are FIDs of 2048 features of 10,000 images, of the best of 100 random settings
for each model and data set; ours are of each paper's one setting: compare their order.

Reference: Lucic et al., "Are GANs Created Equal? A Large-Scale Study", 2018,
https://arxiv.org/abs/1711.10337.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from absl import app, flags, logging

import tfgen
from tfgen import metrics
from tfgen.core.files import write_text

FLAGS = flags.FLAGS

# FID on each of DATASETS.
DATASETS = ("mnist", "fashion_mnist")
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

flags.DEFINE_string("dataset", "fashion_mnist", f"Labelled images; {DATASETS} are published.")
flags.DEFINE_list("recipes", list(PUBLISHED), "Which GANs to train.")
flags.DEFINE_string("workdir", None, "Of all runs; runs/gans_<dataset> unless given.")
flags.DEFINE_integer("epochs", 8, "Passes of each over the training images.", 1)
flags.DEFINE_integer("num_examples", 60_000, "Training images.", 1)
flags.DEFINE_integer("units", 256, "Of the dense layers; 1024 in the study.", 1)
flags.DEFINE_integer("filters", 16, "Of the narrowest convolution; 64 in the study.", 1)
flags.DEFINE_string("inception_weights", None, "An .npz file, for FID-768 beside the classifier's.")
flags.DEFINE_integer("num_inception", 1_500, "Images on each side of FID-768.", 2)
flags.DEFINE_list("flags", [], "More flags for train_gan.py, without their dashes.")


def main(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.ERROR)
    if unknown := set(FLAGS.recipes) - set(PUBLISHED):
        raise app.UsageError(f"--recipes has {sorted(unknown)}; there are {sorted(PUBLISHED)}.")
    folder = Path(FLAGS.workdir or f"runs/gans_{FLAGS.dataset}")
    folder.mkdir(parents=True, exist_ok=True)
    judge = trained_judge(folder)
    inception = InceptionDistance() if FLAGS.inception_weights else None
    rows = {}
    for number, recipe in enumerate(FLAGS.recipes, start=1):
        print(f"{recipe}, {number} of {len(FLAGS.recipes)}", flush=True)
        subprocess.run(command(folder / recipe, recipe, judge), check=True)
        rows[recipe] = row(folder / recipe, recipe, inception)
    print_table(rows)
    write_text(folder / "table.json", json.dumps(rows, indent=2) + "\n")


def trained_judge(folder: Path) -> Path:
    """Returns the file of the classifier whose features judge all, trained if it is not there."""
    path = folder / "judge.keras"
    if not path.exists():
        train = tfgen.data.load(FLAGS.dataset, split="train", batch_size=1)
        trained = metrics.train_classifier(
            train.as_float(), train.labels, train.num_classes, feature_dim=64, verbose=2
        )
        metrics.ClassifierFeatures(trained.model).save(path)
    return path


def command(workdir: Path, recipe: str, judge: Path) -> list[str]:
    """Returns the command that trains one GAN."""
    own = {
        "workdir": workdir,
        "recipe": recipe,
        "features": judge,
        "prior": "uniform",
        "export": "false",
        "verbose": 2,
    }
    for name in ("dataset", "epochs", "num_examples", "units", "filters"):
        own[name] = getattr(FLAGS, name)
    runner = Path(__file__).parents[1] / "train_gan.py"
    listed = [f"--{name}={value}" for name, value in own.items()]
    return [sys.executable, str(runner), *listed, *(f"--{flag}" for flag in FLAGS.flags)]


class InceptionDistance:
    """FID-768 of models, against test images whose features are taken once."""

    @cached_property
    def meter(self) -> metrics.FrechetInceptionDistance:
        extractor = metrics.Inception2015Features(FLAGS.inception_weights, 768)
        real = tfgen.data.load(FLAGS.dataset, split="test", batch_size=1)
        meter = metrics.FrechetInceptionDistance(extractor, "test")
        meter.update_real(real.as_float(slice(0, FLAGS.num_inception)))
        return meter

    def of(self, workdir: Path) -> float:
        """Returns the score of the model of a run, kept in a file once it is known."""
        kept = workdir / f"inception_{FLAGS.num_inception}.json"
        if not kept.exists():
            model = keras.models.load_model(workdir / "model.keras")
            self.meter.reset(keep_real=True)
            self.meter.update_fake(model.sample(FLAGS.num_inception, seed=0).numpy())
            write_text(kept, json.dumps(self.meter.result().value))
        return json.loads(kept.read_text())


def row(workdir: Path, recipe: str, inception: InceptionDistance | None) -> dict[str, float | None]:
    """Returns the numbers of one finished run."""
    report = json.loads((workdir / "metrics.json").read_text())
    fid = report["fid"]
    published = dict(zip(DATASETS, PUBLISHED[recipe], strict=True))
    return {
        "classifier": fid["gan"],
        "without EMA": fid.get("gan_without_ema"),
        "train / test": fid["train_vs_heldout"],
        "FID-768": inception and inception.of(workdir),
        "published": published.get(FLAGS.dataset),
        "seconds": sum(report["training_seconds"].values()),
    }


def print_table(rows: dict[str, dict[str, float | None]]) -> None:
    """Prints one line for each GAN."""
    names = list(next(iter(rows.values())))
    print(f"\n{'':<16}" + "".join(f"{name:>14}" for name in names))
    for recipe, numbers in rows.items():
        cells = ["-" if value is None else f"{value:.3f}" for value in numbers.values()]
        print(f"{recipe:<16}" + "".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    app.run(main)
