"""Trains flows of images with one budget of time, and prints their bits beside the published ones.

    python examples/benchmarks/flow_images.py --dataset=fashion_mnist

Each flow is a run of train_flow.py under --workdir: started again, the benchmark goes on where it
stopped. It writes table.json and curve.png, the bits per dimension of held-out images against the
time spent in training. Bits are those of 256 levels with uniform dequantisation; a residual flow's
are an estimate, as its log-determinant is a series that is cut off.

The published numbers are of models a hundred times as large, trained for days on GPUs: what is to
be compared is their order, and what a budget buys.

References: Dinh et al., "Density estimation using Real NVP", 2017,
https://arxiv.org/abs/1605.08803; Kingma and Dhariwal, "Glow", 2018,
https://arxiv.org/abs/1807.03039; Chen et al., "Residual Flows for Invertible Generative Modeling",
2019, https://arxiv.org/abs/1906.02735, which gives all three.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app, flags

from tfgen.core.files import write_text, written_whole

EXAMPLES = Path(__file__).parents[1]
sys.path.insert(0, str(EXAMPLES))

from history import read_history  # noqa: E402

FLAGS = flags.FLAGS

# Bits per dimension.
DATASETS = ("mnist", "cifar10")
PUBLISHED = {"realnvp": (1.06, 3.49), "glow": (1.05, 3.35), "residual_flow": (0.970, 3.28)}
DEPTHS = {"realnvp": 1, "glow": 4, "residual_flow": 2}
EPOCHS = {"realnvp": 5, "glow": 8, "residual_flow": 3}

flags.DEFINE_string("dataset", "mnist", f"Images; {DATASETS} are published.")
flags.DEFINE_list("recipes", list(PUBLISHED), "Which flows to train.")
flags.DEFINE_string("workdir", None, "Of all runs; runs/flows_<dataset> unless given.")
flags.DEFINE_list(
    "epochs",
    [f"{recipe}:{epochs}" for recipe, epochs in EPOCHS.items()],
    "Passes of each over the training images.",
)
flags.DEFINE_integer("num_examples", 10_000, "Training images.", 1)
flags.DEFINE_integer("num_scored", 1_000, "Held-out images.", 1)
flags.DEFINE_integer("filters", 32, "Of convolutions inside couplings and blocks.", 1)
flags.DEFINE_list("flags", [], "More flags for train_flow.py, without their dashes.")


def main(argv: Sequence[str]) -> None:
    del argv
    if unknown := set(FLAGS.recipes) - set(PUBLISHED):
        raise app.UsageError(f"--recipes has {sorted(unknown)}; there are {sorted(PUBLISHED)}.")
    epochs = {name: int(number) for name, number in (e.split(":") for e in FLAGS.epochs)}
    folder = Path(FLAGS.workdir or f"runs/flows_{FLAGS.dataset}")
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for number, recipe in enumerate(FLAGS.recipes, start=1):
        print(f"{recipe}, {number} of {len(FLAGS.recipes)}", flush=True)
        subprocess.run(command(folder / recipe, recipe, epochs[recipe]), check=True)
        rows[recipe] = row(folder / recipe, recipe)
    print_table(rows)
    draw(folder / "curve.png", folder, rows)
    write_text(folder / "table.json", json.dumps(rows, indent=2) + "\n")


def command(workdir: Path, recipe: str, epochs: int) -> list[str]:
    """Returns the command that trains one flow."""
    own = {
        "workdir": workdir,
        "recipe": recipe,
        "epochs": epochs,
        "depth": DEPTHS[recipe],
        "num_validated": FLAGS.num_scored,
        "export": "false",
        "verbose": 2,
    }
    for name in ("dataset", "num_examples", "num_scored", "filters"):
        own[name] = getattr(FLAGS, name)
    listed = [f"--{name}={value}" for name, value in own.items()]
    given = [f"--{flag}" for flag in FLAGS.flags]
    return [sys.executable, str(EXAMPLES / "train_flow.py"), *listed, *given]


def row(workdir: Path, recipe: str) -> dict[str, float | None]:
    """Returns the numbers of one finished run."""
    report = json.loads((workdir / "metrics.json").read_text())
    published = dict(zip(DATASETS, PUBLISHED[recipe], strict=True))
    curve = bits_against_time(workdir)
    return {
        "held out": report["bits_per_dim"]["heldout"],
        "train": report["bits_per_dim"]["train"],
        "published": published.get(FLAGS.dataset),
        "parameters": report["num_parameters"],
        "epochs": len(curve),
        "seconds": curve[-1][0],
    }


def bits_against_time(workdir: Path) -> list[tuple[float, float]]:
    """Returns the seconds since training began and the held-out bits, at the end of each epoch."""
    lines = read_history(workdir / "history.csv")
    seconds = [float(line["value"]) for line in lines if line["term"] == "seconds"]
    bits = [float(line["value"]) for line in lines if line["term"] == "val_bits_per_dim"]
    return [(sum(seconds[: n + 1]), value) for n, value in enumerate(bits)]


def print_table(rows: dict[str, dict[str, float | None]]) -> None:
    """Prints the rows as a Markdown table."""
    names = list(next(iter(rows.values())))
    print(f"\n| {FLAGS.dataset} | " + " | ".join(names) + " |\n" + "|---" * (1 + len(names)) + "|")
    for recipe, numbers in rows.items():
        cells = [_cell(value) for value in numbers.values()]
        print(f"| `{recipe}` | " + " | ".join(cells) + " |")


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value > 100 or value == int(value) else f"{value:.3f}"


def draw(path: Path, folder: Path, rows: dict[str, dict[str, float | None]]) -> None:
    """Draws the held-out bits of each flow against the time spent in training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    axis = figure.subplots()
    for number, (recipe, numbers) in enumerate(rows.items()):
        seconds, bits = zip(*bits_against_time(folder / recipe), strict=True)
        axis.plot(seconds, bits, marker="o", markersize=3, color=f"C{number}", label=recipe)
        if numbers["published"] is not None:
            axis.axhline(numbers["published"], color=f"C{number}", linestyle=":", linewidth=1)
    axis.set_xlabel("seconds of training")
    axis.set_ylabel("bits per dimension, held out")
    axis.set_title(f"{FLAGS.dataset}; dotted: published", fontsize=10)
    axis.legend()
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    app.run(main)
