"""Scores a saved model, or images from anywhere, against the held-out examples of a data set.

    python examples/score.py --model=runs/gan_digits/model.keras --dataset=digits
    python examples/score.py --images=samples.npy --dataset=mnist --output=scores.json

The first line of the table is that of training images, for comparison. The classifier of
--features=classifier is trained once for a data set and kept, so that all models have one judge;
--features=runs/gan_digits/judge.keras takes that of a training run.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Before TensorFlow is imported.

import keras
import numpy as np
import runner
import scoring
from absl import app, flags, logging

import tfgen
from tfgen.core.checks import expected
from tfgen.core.files import check_writable, write_text

FLAGS = flags.FLAGS

runner.define_data_flags(dataset="digits")
flags.adopt_module_key_flags(runner)
flags.adopt_module_key_flags(scoring)
flags.DEFINE_string("model", None, "The .keras file of a model to score.")
flags.DEFINE_string("images", None, "Images to score: a folder, an .npy/.npz file.")
flags.DEFINE_string("output", None, "A JSON file for the scores.")
flags.DEFINE_string("workdir", None, "Where the classifier is kept; runs/score_<dataset>.")
flags.mark_flags_as_mutual_exclusive(["model", "images"], required=True)


def main(argv: Sequence[str]) -> None:
    """Prints the scores, and writes them if --output says where."""
    if argv[1:]:
        raise app.UsageError(f"Expected flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    keras.utils.set_random_seed(FLAGS.seed)
    with runner.errors_as_messages():
        train, heldout = runner.load_data(batch_size=1)
        ready_extractors = scoring.ready_extractors(train)
        count = min(FLAGS.num_scored, heldout.num_examples)
        name, images = load_images(heldout.event_shape, count)
        if FLAGS.output:
            check_writable(Path(FLAGS.output).parent)
    print(f"{train}\n{heldout}")
    judges = scoring.extractors(scoring.Classifiers(workdir(), train), ready_extractors)
    real = train.as_float(scoring.chosen_rows(train, count))
    scores = scoring.score(judges, heldout, {"train_vs_heldout": real, name: images})
    scoring.print_table(scores)
    if FLAGS.output:
        write_text(FLAGS.output, json.dumps(scoring.report(scores), indent=2) + "\n")


def workdir() -> Path:
    """Returns where the classifier of the data set is kept."""
    words = re.findall(r"\w+", f"score {FLAGS.dataset} {FLAGS.image_size or ''}")
    return Path(FLAGS.workdir or f"runs/{'_'.join(words)}")


def load_images(shape: tuple[int, ...], count: int) -> tuple[str, np.ndarray]:
    """Returns what to call the images, and at most so many of them; raises ValueError on others."""
    if FLAGS.images:
        name, options = "images", {"channels": shape[-1], "skip_unreadable": FLAGS.skip_unreadable}
        loaded = tfgen.data.load(FLAGS.images, split="all", batch_size=1, **options)
        images = loaded.as_float(scoring.chosen_rows(loaded, count))
    else:
        model = tfgen.load_model(FLAGS.model, tfgen.GenerativeModel)
        name, seeds = type(model).__name__.lower(), tfgen.core.random.row_seeds(count, FLAGS.seed)
        images = runner.in_batches(model.sample_rows, seeds)
    if images.shape[1:] != shape:
        raise ValueError(expected(f"images {shape}, as {FLAGS.dataset} has", images.shape[1:]))
    return name, images


if __name__ == "__main__":
    app.run(main)
