"""Trains RealNVP, Glow and a residual flow on images for a few minutes each, beside published bits.

    python examples/benchmarks/flow_images.py --datasets=mnist --minutes=10

Prints bits per dimension of held-out images (256 levels, uniform dequantisation, one draw of its
bound each; of residual flows the log-determinants are a series that is cut off), parameters,
epochs and seconds of training, and draws held-out bits against time in curves.png. The published
flows are far larger and were trained on GPUs until they stopped improving.

Each flow is a run of train_flow.py under --workdir, where samples.png and interpolation.png are:
started again, the benchmark goes on where it stopped. A run takes a minute or two beside --minutes;
nine with the default take three quarters of an hour on one core.

Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
https://arxiv.org/abs/1605.08803; Kingma and Dhariwal, "Glow", 2018,
https://arxiv.org/abs/1807.03039; Chen, Behrmann, Duvenaud and Jacobsen, "Residual Flows for
Invertible Generative Modeling", 2019, https://arxiv.org/abs/1906.02735, which has the published
numbers of all three.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
EXAMPLES = Path(__file__).parents[1]
sys.path.insert(0, str(EXAMPLES))  # What programs share is one folder up.

from absl import app, flags
from flow_callbacks import curve

import tfgen
from tfgen.core.files import write_text, written_whole

FLAGS = flags.FLAGS

PUBLISHED = {
    "realnvp": {"mnist": 1.06, "cifar10": 3.49},
    "glow": {"mnist": 1.05, "cifar10": 3.35},
    "residual_flow": {"mnist": 0.970, "cifar10": 3.28},
}
SIZES = {
    "realnvp": {"scales": 2, "filters": 16, "blocks": 1},
    "glow": {"scales": 2, "depth": 4, "filters": 32},
    "residual_flow": {"scales": 2, "depth": 2, "filters": 32},
}
"""What learns most in minutes on a CPU, not what the papers have."""

flags.DEFINE_list("datasets", ["mnist", "fashion_mnist", "cifar10"], "Images of 256 levels.")
flags.DEFINE_list("recipes", list(SIZES), "Which flows to train.")
flags.DEFINE_string("workdir", "runs/flow_images", "Of all runs.")
flags.DEFINE_float("minutes", 2.5, "Of training of each; an epoch that has begun is finished.", 0)
flags.DEFINE_integer("num_examples", 10_000, "Training images.", 1)
flags.DEFINE_integer("batch_size", 32, "Of training: small, for many steps in little time.", 1)
flags.DEFINE_integer("num_scored", 1_000, "Images of each split that are scored.", 1)
flags.DEFINE_integer("num_watched", 250, "Held-out images of the curve.", 1)
flags.DEFINE_list("flags", [], "More flags for train_flow.py, without their dashes.")


def main(argv: Sequence[str]) -> None:
    del argv
    if unknown := set(FLAGS.recipes) - set(SIZES):
        raise app.UsageError(f"--recipes has {sorted(unknown)}; there are {sorted(SIZES)}.")
    folder = Path(FLAGS.workdir)
    folder.mkdir(parents=True, exist_ok=True)
    rows, curves = [], {}
    for dataset in FLAGS.datasets:
        for recipe in FLAGS.recipes:
            print(f"{recipe} of {dataset}", flush=True)
            workdir = folder / f"{dataset}_{recipe}"
            subprocess.run(command(workdir, dataset, recipe), check=True)
            rows.append(row(workdir, dataset, recipe))
            curves[dataset, recipe] = curve(workdir / "history.csv")
            write_text(folder / "table.json", json.dumps(rows, indent=2) + "\n")
    print_table(rows)
    draw_curves(folder / "curves.png", curves)


def command(workdir: Path, dataset: str, recipe: str) -> list[str]:
    """Returns the command that trains one flow."""
    own = {
        "workdir": workdir,
        "dataset": dataset,
        "recipe": recipe,
        "epochs": 1_000_000,  # The time ends it.
        "minutes": FLAGS.minutes,
        "num_examples": FLAGS.num_examples,
        "num_scored": FLAGS.num_scored,
        "num_watched": FLAGS.num_watched,
        "batch_size": FLAGS.batch_size,
        "num_levels": 256,
        "export": "false",
        "verbose": 2,
        **SIZES[recipe],
    }
    listed = [f"--{name}={value}" for name, value in own.items()]
    more = [f"--{flag}" for flag in FLAGS.flags]
    return [sys.executable, str(EXAMPLES / "train_flow.py"), *listed, *more]


def row(workdir: Path, dataset: str, recipe: str) -> dict[str, Any]:
    """Returns the numbers of one finished run."""
    kept = workdir / "row.json"
    if not kept.exists():
        report = json.loads((workdir / "metrics.json").read_text())
        flow = tfgen.load_model(workdir / "model.keras")
        seconds, epochs, _ = curve(workdir / "history.csv")[-1]
        numbers = {
            "data": dataset,
            "recipe": recipe,
            "bits": report["bits_per_dim"]["heldout"],
            "train": report["bits_per_dim"]["train"],
            "published": PUBLISHED[recipe].get(dataset),
            "parameters": flow.bijector.count_params(),
            "epochs": epochs,
            "seconds": seconds,
        }
        write_text(kept, json.dumps(numbers) + "\n")
    return json.loads(kept.read_text())


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints one line for each run, as Markdown."""
    print("\n| data | flow | bits, held out | bits, train | published | parameters | epochs | s |")
    print("|---|---|---|---|---|---|---|---|")
    for run in rows:
        published = "" if run["published"] is None else f"{run['published']:.2f}"
        print(
            f"| {run['data']} | {run['recipe']} | {run['bits']:.2f} | {run['train']:.2f} | "
            f"{published} | {run['parameters']:,} | {run['epochs']} | {run['seconds']:.0f} |"
        )


def draw_curves(path: Path, curves: dict[tuple[str, str], list]) -> None:
    """Draws held-out bits against seconds of training, a panel for each data set."""
    from matplotlib.figure import Figure

    datasets = list(dict.fromkeys(dataset for dataset, _ in curves))
    figure = Figure(figsize=(4.2 * len(datasets), 3.4))
    axes = dict(zip(datasets, figure.subplots(1, len(datasets), squeeze=False)[0], strict=True))
    for (dataset, recipe), points in curves.items():
        seconds, _, bits = zip(*points, strict=True)
        color = f"C{list(SIZES).index(recipe)}"
        axes[dataset].plot(seconds, bits, ".-", color=color, label=recipe)
    for dataset, axis in axes.items():
        axis.set(title=dataset, xlabel="seconds of training", ylabel="bits per dimension, held out")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=100)


if __name__ == "__main__":
    app.run(main)
