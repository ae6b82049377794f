"""Writes samples of a trained model: a PNG file each, and all of them as an array.

    python examples/sample.py --model=runs/gan_digits/model.keras --directory=samples

--model may also be what was exported, such as runs/gan_digits/serving; the same seed gives the same
samples. Of samples that are not images only the array is written.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import console

console.prepare()  # Before TensorFlow is imported.

import numpy as np
import runner
import samples
from absl import app, flags, logging

import tfgen
from tfgen.core.files import check_writable, written_whole

FLAGS = flags.FLAGS

flags.DEFINE_string("model", None, "A .keras file, or a directory of versions.", required=True)
flags.DEFINE_string("directory", "samples", "Where to write.")
flags.DEFINE_integer("num_samples", 16, "How many.", 1)
flags.DEFINE_integer("seed", 0, "Of the samples.", 0)
flags.DEFINE_integer(
    "label", None, "Of all samples of a conditional model; one class after the other unless given."
)


def main(argv: Sequence[str]) -> None:
    """Draws the samples, and writes them."""
    if argv[1:]:
        sys.exit(f"Expected flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    folder = Path(FLAGS.directory)
    with runner.errors_as_messages():
        check_writable(folder)
        drawn, labels = samples.draw(Path(FLAGS.model), FLAGS.num_samples, FLAGS.seed, FLAGS.label)
    with written_whole(folder / "samples.npy") as unfinished:
        np.save(unfinished, drawn)
    is_image = drawn.ndim == 4 and drawn.shape[-1] in (1, 3, 4)
    for number, sample in enumerate(drawn if is_image else ()):
        name = f"{number:05d}" if labels is None else f"{number:05d}_{labels[number]}"
        tfgen.callbacks.write_png(folder / f"{name}.png", sample)
    pictures = ", and each of them as a PNG" if is_image else ""
    print(f"{folder} holds samples.npy, {drawn.shape}{pictures}.")


if __name__ == "__main__":
    app.run(main)
