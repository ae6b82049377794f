"""Scores images, models and data sets against others.

    python examples/score.py photos/ runs/gan_photos/model.keras
    python examples/score.py mnist:test samples.npy --output=scores.json
    python examples/score.py --model=runs/gan_digits/model.keras --dataset=digits

The first of two is the real side. Each is a folder of images, an .npy or .npz file, a data set by
its name and split, or a model, a .keras file or what was exported of it, whose samples are scored.
FID, KID, precision, recall, density and coverage are printed, unless --scores says otherwise.
Features are kept in --cache, so that the same images are not looked at twice.

With --model or --images the real side is what is held out of --dataset, and its training images
have a line of their own, for comparison. The classifier of --features=classifier is trained once
for a data set and kept, so that all models have one judge.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import console

console.prepare()  # Before TensorFlow is imported.

import data_flags
import judges
import keras
import runner
import samples
import scoring
from absl import app, flags, logging
from feature_cache import FeatureCache

import tfgen
from tfgen.core.checks import expected
from tfgen.core.files import check_writable, write_text

FLAGS = flags.FLAGS

data_flags.define(dataset="digits")
flags.adopt_module_key_flags(data_flags)
flags.adopt_module_key_flags(scoring)
flags.FLAGS.set_default("scores", list(scoring.SCORES[:4]))
flags.DEFINE_string("model", None, "A model to score against --dataset.")
flags.DEFINE_string("images", None, "Images to score against --dataset: a folder, an array file.")
flags.DEFINE_string("output", None, "A JSON file for the scores.")
flags.DEFINE_string("workdir", None, "Where the classifier is kept; runs/score_<dataset>.")
flags.DEFINE_string("cache", "runs/features", "Where features are kept.")
flags.mark_flags_as_mutual_exclusive(["model", "images"])


def main(argv: Sequence[str]) -> None:
    """Prints the scores, and writes them if --output says where."""
    sides = argv[1:]
    if len(sides) != (0 if FLAGS.model or FLAGS.images else 2):
        sys.exit(expected("two things to compare, or one of --model and --images", sides))
    logging.set_verbosity(logging.ERROR)
    keras.utils.set_random_seed(FLAGS.seed)
    with runner.errors_as_messages():
        train, real, rows = between(*sides) if sides else against_dataset()
        names = judges.chosen_without_labels() if sides else None
        scoring.check_counts(*map(len, rows.values()))
        scorer = scoring.Scorer(train, real, names)
        for folder in {Path(FLAGS.cache), *([Path(FLAGS.output).parent] if FLAGS.output else [])}:
            check_writable(folder)
    name = sides[0] if sides else FLAGS.dataset
    scorer.prepare(judges.Classifiers(workdir(name), train))
    scores = scorer.score(rows, FeatureCache(Path(FLAGS.cache)).extract)
    report = scoring.report(scores, name) | {"real": name}
    if FLAGS.output:
        write_text(FLAGS.output, json.dumps(report, indent=2) + "\n")


def workdir(dataset: str) -> Path:
    """Returns where the classifier of a data set is kept."""
    words = ["score", data_flags.short_name(dataset), str(FLAGS.image_size or "")]
    return Path(FLAGS.workdir or f"runs/{'_'.join(filter(None, words))}")


def between(
    first: str, second: str
) -> tuple[tfgen.data.Examples, scoring.Rows, dict[str, scoring.Images]]:
    """Returns both sides; of a model, as many samples as the other side has images."""
    sides = {text: None if _is_model(text) else _load(text) for text in (first, second)}
    sizes = [len(side) for side in sides.values() if side is not None]
    count = min([FLAGS.num_scored, *sizes])
    loaded = [side or _samples(text, count) for text, side in sides.items()]
    real = loaded[0]
    rows = [_rows(side, real.event_shape) for side in (real, loaded[-1])]
    for text, side, chosen in zip(sides, loaded, rows, strict=False):
        print(f"{text}: {side}, of which {len(chosen)} are scored")
    return real, rows[0], {second: rows[1]}


def against_dataset() -> tuple[tfgen.data.Examples, tfgen.data.Examples, dict[str, scoring.Images]]:
    """Returns the two parts of --dataset, and the lines: training images, and what is scored."""
    train, heldout = data_flags.load_both()
    count = min(FLAGS.num_scored, len(heldout))
    if FLAGS.images:
        name, side = "images", _load(FLAGS.images)
    else:
        name, side = "model", _samples(FLAGS.model, count)
    print(f"{train}\n{heldout}\n{side}")
    rows = {"train_vs_heldout": train, name: side}
    return (
        train,
        heldout,
        {key: _rows(each, heldout.event_shape, count) for key, each in rows.items()},
    )


def _is_model(text: str) -> bool:
    return samples.is_model(Path(text))


def _samples(text: str, count: int) -> tfgen.data.Examples:
    """Returns samples of a model."""
    drawn, _ = samples.draw(Path(text), count, FLAGS.seed)
    return tfgen.data.from_arrays(drawn, batch_size=1, name=text)


def _load(text: str) -> tfgen.data.Examples:
    """Returns the images of a path, or of a data set's name and split, "test" unless it has one."""
    if Path(text).expanduser().exists():
        return data_flags.load(text, "all")
    name, colon, split = text.rpartition(":")
    if not colon or re.fullmatch(r"[\d.*]+", split):  # A version.
        name, split = text, "test"
    return data_flags.load(name, split)


def _rows(
    side: tfgen.data.Examples, shape: tuple[int, int, int], count: int | None = None
) -> scoring.Rows:
    """Returns at most so many images of a side, in the shape of the real one."""
    if side.event_shape != shape:
        sizes = ["x".join(map(str, each)) for each in (side.event_shape, shape)]
        print(f"{side.name}: images of {sizes[0]} are made {sizes[1]}, as the real ones are")
    return scoring.Rows(side, scoring.chosen_rows(side, count or FLAGS.num_scored), shape)


if __name__ == "__main__":
    app.run(main)
