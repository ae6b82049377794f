"""Scores of generated images: how many are looked at, which scores, and their table."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import judges
import keras
import numpy as np
from absl import flags

import tfgen
from tfgen import metrics
from tfgen.core.checks import expected
from tfgen.data.transforms import fit_images

FLAGS = flags.FLAGS

flags.adopt_module_key_flags(judges)
SCORES = ("fid", "kid", "precision_recall", "density_coverage", "inception_score")
flags.DEFINE_list("scores", ["fid"], f"fid, and any of {', '.join(SCORES[1:])}.")
flags.register_validator(
    "scores", lambda names: set(names) <= set(SCORES), f"expected some of {', '.join(SCORES)}"
)
flags.DEFINE_integer("num_scored", 10_000, "At most so many images on each side of a score.", 10)
flags.DEFINE_integer(
    "num_scored_inception", 2_500, "The same for Inception features, which are slow on CPUs.", 10
)

FEWEST = {"fid": 2, "kid": 4, "precision_recall": 4, "density_coverage": 6, "inception_score": 10}
"""Images on each side that a score needs."""
PATIENCE = 2.0
"""Seconds after which features show their progress."""
CHUNK = 512

Scores = dict[str, list[metrics.Score]]


class Rows:
    """Some rows of examples, of another shape if need be, made when they are looked at.

    Args:
        examples: of images.
        rows: integers [number].
        shape: (height, width, channels) to be had; that of the examples unless given.
    """

    def __init__(
        self,
        examples: tfgen.data.Examples,
        rows: np.ndarray,
        shape: tuple[int, int, int] | None = None,
    ) -> None:
        self.examples = examples
        self.rows = rows
        self.event_shape = shape or examples.event_shape
        self.split = examples.split

    def __len__(self) -> int:
        return len(self.rows)

    def as_float(self, index: slice) -> np.ndarray:
        """Returns images [number, height, width, channels] in [0, 1]."""
        images = self.examples.as_float(self.rows[index])
        if images.shape[1:] == self.event_shape:
            return images
        return fit_images(images, self.event_shape[:2], self.event_shape[2]).numpy()


Images = np.ndarray | tfgen.data.Examples | Rows
Extract = Callable[[metrics.FeatureExtractor, Images, int], np.ndarray]


class Scorer:
    """Scores images by the extractors that --features names, or that suit the data.

    Args:
        train: what a classifier can be trained on.
        heldout: what the images are compared with.
        names: of extractors, where they are not left to --features and the data.

    Raises:
        SystemExit, OSError, RuntimeError, ValueError: when that cannot be, before any work.
    """

    def __init__(
        self,
        train: tfgen.data.Examples,
        heldout: tfgen.data.Examples | Rows,
        names: Sequence[str] | None = None,
    ) -> None:
        self.heldout = heldout
        check_counts(len(train), len(heldout))
        self._names = names or judges.chosen(train)
        if "inception_score" in FLAGS.scores and judges.WITHOUT_CLASSES.issuperset(self._names):
            what = "--features with class probabilities for inception_score"
            raise ValueError(expected(what, ", ".join(self._names)))
        self._ready = judges.ready_extractors(self._names, train)
        self.judges: list[metrics.FeatureExtractor] = []

    def prepare(self, classifiers: judges.Classifiers) -> None:
        """Trains the classifier that judges, if one does and it is not there."""
        self.judges = [
            classifiers.judge() if name == "classifier" else self._ready[name]
            for name in self._names
        ]

    def score(self, generated: dict[str, Images], extract: Extract | None = None) -> Scores:
        """Returns the scores of each kind of images against held-out ones, by each extractor.

        FID comes first; --scores adds others. There are as many on both sides, unless a kind has
        fewer.

        Args:
            generated: the images, by what they are called.
            extract: returns the features of the first so many images.
        """
        scores: Scores = {name: [] for name in generated}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for judge in self.judges:
                for name, row in self._by(judge, generated, extract or features).items():
                    scores[name] += row
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            print(f"Note: {text}")
        return scores

    def _by(
        self, judge: metrics.FeatureExtractor, generated: dict[str, Images], extract: Extract
    ) -> Scores:
        """Returns the scores by one extractor."""
        sizes = [len(images) for images in generated.values()]
        count = min(at_most(judge), len(self.heldout), max(sizes))
        meters = _meters(judge, self.heldout.split, min(count, *sizes))
        real = extract(judge, self.heldout, count)
        for meter in meters:
            meter.update_real_features(real)
        scores: Scores = {}
        for name, images in generated.items():
            fake = extract(judge, images, count)
            for meter in meters:
                meter.reset(keep_real=True)
                if isinstance(meter, metrics.InceptionScore):  # It looks at probabilities.
                    for chunk in chunks(images, count):
                        meter.update_fake(chunk)
                else:
                    meter.update_fake_features(fake)
            results = [meter.result() for meter in meters]
            scores[name] = [
                score for each in results for score in (each if isinstance(each, tuple) else [each])
            ]
        return scores


def check_counts(*counts: int) -> None:
    """Raises ValueError unless all sides have images enough for --scores."""
    for name in ("fid", *FLAGS.scores):
        if min(counts) < FEWEST[name]:
            what = f"{FEWEST[name]} images or more, on each side, for {name}"
            raise ValueError(expected(what, min(counts)))


def features(judge: metrics.FeatureExtractor, images: Images, count: int) -> np.ndarray:
    """Returns the features of the first so many images, and shows the progress if it takes long."""
    found, began = [], time.perf_counter()
    count = min(count, len(images))
    progress = keras.utils.Progbar(count, unit_name="image")
    for chunk in chunks(images, count):
        found.append(judge.extract(chunk))
        if FLAGS.verbose and time.perf_counter() - began > PATIENCE:
            progress.update(sum(map(len, found)))
    return np.concatenate(found)


def chunks(images: Images, count: int) -> Iterator[np.ndarray]:
    """Yields the first so many images, some at a time, as floats in [0, 1] or as they are."""
    count = min(count, len(images))
    for first in range(0, count, CHUNK):
        rows = slice(first, min(first + CHUNK, count))
        yield images[rows] if isinstance(images, np.ndarray) else images.as_float(rows)


def at_most(judge: metrics.FeatureExtractor) -> int:
    """Returns how many images an extractor may see on each side of a score."""
    if isinstance(judge, metrics.ClassifierFeatures | judges.PixelFeatures):
        return FLAGS.num_scored
    return min(FLAGS.num_scored, FLAGS.num_scored_inception)


def chosen_rows(examples: tfgen.data.Examples, count: int) -> np.ndarray:
    """Returns at most so many rows of examples, drawn by --seed, in their order."""
    order = np.random.default_rng(FLAGS.seed).permutation(examples.num_examples)
    return np.sort(order[:count])


def _meters(
    judge: metrics.FeatureExtractor, split: str, fewest: int
) -> list[metrics.StreamingMetric]:
    made = [metrics.FrechetInceptionDistance(judge, split)]
    if "kid" in FLAGS.scores:
        size = min(1000, fewest // 2)
        made.append(metrics.KernelInceptionDistance(judge, split, subset_size=size))
    if "precision_recall" in FLAGS.scores:
        made.append(metrics.PrecisionRecall(judge, split))
    if "density_coverage" in FLAGS.scores:
        made.append(metrics.DensityCoverage(judge, split))
    if "inception_score" in FLAGS.scores and judges.knows_classes(judge):
        made.append(metrics.InceptionScore(judge, split))
    return made


def report(scores: Scores, data: str | None = None) -> dict[str, Any]:
    """Prints the table of scores, and returns what metrics.json holds.

    That is the FIDs by the first extractor, and all of the protocol.

    Args:
        scores: of each kind of images.
        data: what they were compared with; --dataset unless given.
    """
    _print_table(scores, data or FLAGS.dataset)
    return {
        "fid": {name: row[0].value for name, row in scores.items()},
        "protocol": {name: [score.asdict() for score in row] for name, row in scores.items()},
    }


def _print_table(scores: Scores, data: str) -> None:
    """Prints the values, a line for each kind of images, and below all that the scores say."""
    columns = next(iter(scores.values()))
    print("\n" + " " * 20 + "".join(f"{score.metric:>12}" for score in columns))
    print(" " * 20 + "".join(f"{score.extractor.split('[')[0][:10]:>12}" for score in columns))
    for name, row in scores.items():
        print(f"{name:<20}" + "".join(f"{score.value:12.4g}" for score in row))
    print(f"\nOn {data}:")
    for name, row in scores.items():
        for score in row:
            print(f"{name}: {score}")
