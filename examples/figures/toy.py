"""Draws what implicit models, their losses and flows do, with the numbers behind each picture.

    python examples/figures/toy.py --figure=output_density
    python examples/figures/toy.py --figure=all

Each figure is written to --workdir as NAME.png, those that show a training as NAME.gif too, and its
numbers as NAME.json; a few of them, rounded, are printed.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Before TensorFlow is imported.
sys.path.insert(0, str(Path(__file__).parents[1]))  # What programs share is one folder up.

import keras
import toy_density
import toy_divergences
import toy_mixtures
import toy_moments
import toy_ratio
import toy_temperature
from absl import app, flags, logging
from matplotlib.animation import Animation, PillowWriter
from matplotlib.figure import Figure

from tfgen.core.files import check_writable, write_text, written_whole

FLAGS = flags.FLAGS

FIGURES = {
    figure.__name__: figure
    for figure in (
        toy_density.output_density,
        toy_moments.moment_matching,
        toy_ratio.ratio,
        toy_ratio.gan_ratio,
        toy_divergences.parallel_lines,
        toy_divergences.mode_covering,
        toy_mixtures.mixtures,
        toy_mixtures.training_imle,
        toy_mixtures.training_smearing,
        toy_mixtures.training_collapse,
        toy_temperature.temperature,
    )
}

MOST_PRINTED = 8
"""Entries of a list or dictionary that are printed."""

flags.DEFINE_list("figure", ["all"], f"all, or some of {', '.join(FIGURES)}.")
flags.DEFINE_string("workdir", "runs/toy", "Where the figures are written.")
flags.DEFINE_integer("seed", 0, "Of data, weights and noise.", 0)


@flags.validator("figure")
def _check_names(names: list[str]) -> bool:
    """Raises, when flags are parsed, unless there are figures of these names."""
    unknown = set(names) - set(FIGURES) - {"all"}
    if unknown or not names:
        known = ["all", *FIGURES]
        raise flags.ValidationError(f"no figure {sorted(unknown) or 'named'}; there are {known}")
    return True


def main(argv: Sequence[str]) -> None:
    if argv[1:]:
        raise app.UsageError(f"Expected flags only, as --figure=NAME. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    folder = Path(FLAGS.workdir)
    check_writable(folder)
    for name in FIGURES if "all" in FLAGS.figure else FLAGS.figure:
        keras.utils.set_random_seed(FLAGS.seed)
        start = time.perf_counter()
        figure, numbers, *animation = FIGURES[name](FLAGS.seed)
        save(folder / name, figure, *animation)
        text = json.dumps(numbers, indent=2, allow_nan=False)
        write_text(folder / f"{name}.json", text + "\n")
        seconds = time.perf_counter() - start
        print(f"{folder / name}.png, {seconds:.0f} s; all its numbers: {folder / name}.json")
        print(f"{json.dumps(brief(numbers))}\n", flush=True)


def is_long(value: Any) -> bool:
    """Tells a list that is not printed."""
    return isinstance(value, list) and len(value) > MOST_PRINTED


def brief(numbers: Any) -> Any:
    """Returns numbers rounded, without long lists, and only the last entries of long tables."""
    if isinstance(numbers, dict):
        last = list(numbers.items())[-MOST_PRINTED:]
        return {name: brief(value) for name, value in last if not is_long(value)}
    if isinstance(numbers, list):
        return [brief(value) for value in numbers]
    return float(f"{numbers:.4g}") if isinstance(numbers, float) else numbers


def save(path: Path, figure: Figure, animation: Animation | None = None) -> None:
    """Writes a figure and an animation that ends with it, each whole or not at all."""
    if animation is not None:
        with written_whole(path.with_suffix(".gif")) as unfinished:
            animation.save(unfinished, PillowWriter(fps=toy_mixtures.FRAMES_PER_SECOND), dpi=110)
    with written_whole(path.with_suffix(".png")) as unfinished:
        figure.savefig(unfinished, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    app.run(main)
