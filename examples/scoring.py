"""Scores of generated images: the classifiers they need, the flags they heed, and their table."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import runner
from absl import flags

import tfgen
from tfgen import metrics

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "features",
    "classifier",
    "For scores: classifier (trained on the data), "
    "inception (the FID network; needs --inception_weights), keras_inception, "
    "or a .keras classifier file. Several are separated by commas.",
)
SCORES = ("fid", "kid", "precision_recall", "density_coverage", "inception_score")
flags.DEFINE_list("scores", ["fid"], f"fid, and any of {', '.join(SCORES[1:])}.")
flags.register_validator(
    "scores", lambda names: set(names) <= set(SCORES), f"expected some of {', '.join(SCORES)}"
)
flags.DEFINE_string("inception_weights", None, "The .npz file of the FID network's weights.")
flags.DEFINE_integer("inception_dimension", 768, "64, 192, 768, 1280 or 2048 features.")
flags.DEFINE_integer("num_scored", 10_000, "At most so many images on each side of a score.", 10)
flags.DEFINE_integer(
    "num_scored_inception", 2_500, "The same for Inception features, which are slow on CPUs.", 10
)

flags.DEFINE_integer(
    "classifier_epochs",
    None,
    "Of the classifiers that are trained on the data; as many as make 1,000 steps unless given.",
    1,
)

Scores = dict[str, list[metrics.Score]]


@flags.multi_flags_validator(["features", "inception_weights"])
def _check_features(values: dict[str, Any]) -> bool:
    """Raises, when flags are parsed, unless the files that --features needs are there."""
    for name in values["features"].split(","):
        path = values["inception_weights"] if name == "inception" else name
        if path is None:
            raise flags.ValidationError("inception needs --inception_weights, an .npz file")
        if name not in ("classifier", "keras_inception") and not Path(path).is_file():
            raise flags.ValidationError(f"expected a file. Received: {path}")
    return True


@flags.multi_flags_validator(
    ["features", "scores"],
    "inception_score needs --features with class probabilities, which keras_inception has not",
)
def _check_probabilities(values: dict[str, Any]) -> bool:
    names = set(values["features"].split(","))
    return "inception_score" not in values["scores"] or names != {"keras_inception"}


class Classifiers:
    """The classifiers of a run, trained on its data when they are first needed and kept on disk.

    Two are never the same: the one whose layers a perceptual loss compares must not be the one
    whose features judge the result.

    Args:
        workdir: where they are kept.
        train: labelled examples.
    """

    def __init__(self, workdir: Path, train: tfgen.data.Examples) -> None:
        self.workdir = workdir
        self.train = train

    def perceptual(self) -> keras.Model:
        """Returns the classifier for a perceptual loss."""
        return self._classifier("perceptual", FLAGS.seed + 1, width=16, feature_dim=128).model

    def judge(self) -> metrics.ClassifierFeatures:
        """Returns the features of the classifier for scores."""
        return self._classifier("judge", FLAGS.seed + 2, width=32, feature_dim=64)

    def _classifier(
        self, name: str, seed: int, width: int, feature_dim: int
    ) -> metrics.ClassifierFeatures:
        path = self.workdir / f"{name}.keras"
        if path.exists():
            return metrics.ClassifierFeatures.load(path)
        print(f"training the {name} classifier")
        trained = metrics.train_classifier(
            self.train.as_float(),
            self.train.labels,
            self.train.num_classes,
            width=width,
            feature_dim=feature_dim,
            epochs=FLAGS.classifier_epochs,
            seed=seed,
            verbose=FLAGS.verbose,
        )
        print(
            f"{name} classifier: right on {trained.accuracy:.1%} of {trained.num_held_out} images "
            "that were kept out of its training"
        )
        features = metrics.ClassifierFeatures(trained.model)
        if runner.is_chief():
            features.save(path)
        return features


def check_labels(train: tfgen.data.Examples, also: str = "") -> None:
    """Exits with a message unless a classifier can be trained on the data.

    Args:
        train: the data.
        also: what to give beside other --features.
    """
    if train.labels is None or train.num_classes < 2:
        sys.exit(
            f"{FLAGS.dataset} has no labels to train a classifier on. Give "
            f"--features=inception or a .keras classifier{also}."
        )


def ready_extractors(train: tfgen.data.Examples) -> dict[str, metrics.FeatureExtractor]:
    """Returns those of --features that are not trained on the data, each tried on an image."""
    names = FLAGS.features.split(",")
    if "classifier" in names:
        check_labels(train)
    ready = {name: _ready_extractor(name) for name in names if name != "classifier"}
    for extractor in ready.values():
        extractor.extract(train.as_float(slice(0, 1)))
        if _has_inception_score(extractor):
            extractor.probabilities(train.as_float(slice(0, 1)))
    return ready


def _ready_extractor(name: str) -> metrics.FeatureExtractor:
    if name == "inception":
        weights, dimension = FLAGS.inception_weights, FLAGS.inception_dimension
        return metrics.Inception2015Features(weights, dimension)
    if name == "keras_inception":
        return metrics.KerasInceptionFeatures()
    return metrics.ClassifierFeatures.load(name, title=Path(name).stem)


def extractors(
    classifiers: Classifiers, ready: dict[str, metrics.FeatureExtractor]
) -> list[metrics.FeatureExtractor]:
    """Returns the feature extractors that --features names."""
    names = FLAGS.features.split(",")
    return [classifiers.judge() if name == "classifier" else ready[name] for name in names]


def _has_inception_score(extractor: metrics.FeatureExtractor) -> bool:
    return "inception_score" in FLAGS.scores and hasattr(extractor, "probabilities")


def at_most(judge: metrics.FeatureExtractor) -> int:
    """Returns how many images an extractor may see on each side of a score."""
    if isinstance(judge, metrics.ClassifierFeatures):
        return FLAGS.num_scored
    return min(FLAGS.num_scored, FLAGS.num_scored_inception)


def chosen_rows(examples: tfgen.data.Examples, count: int) -> np.ndarray:
    """Returns at most so many rows of examples, drawn by --seed, in their order."""
    order = np.random.default_rng(FLAGS.seed).permutation(examples.num_examples)
    return np.sort(order[:count])


def score(
    judges: Sequence[metrics.FeatureExtractor],
    heldout: tfgen.data.Examples,
    generated: dict[str, np.ndarray],
) -> Scores:
    """Returns the scores of each kind of images against held-out ones, by each extractor.

    FID comes first; --scores adds others. There are as many on both sides, unless a kind has fewer.
    """
    scores: Scores = {name: [] for name in generated}
    for judge in judges:
        count = min(at_most(judge), heldout.num_examples, max(map(len, generated.values())))
        real = judge.extract(heldout.as_float(slice(0, count)))
        meters = _meters(judge, heldout.split, min(count, *map(len, generated.values())))
        for meter in meters:
            meter.update_real_features(real)
        for name, images in generated.items():
            fake = judge.extract(images[:count])
            for meter in meters:
                meter.reset(keep_real=True)
                if isinstance(meter, metrics.InceptionScore):
                    meter.update_fake(images[:count])  # It looks at probabilities.
                else:
                    meter.update_fake_features(fake)
                result = meter.result()
                scores[name] += result if isinstance(result, tuple) else [result]
    return scores


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
    if _has_inception_score(judge):
        made.append(metrics.InceptionScore(judge, split))
    return made


def print_table(scores: Scores) -> None:
    """Prints the values, a line for each kind of images, and below all that the scores say."""
    columns = next(iter(scores.values()))
    print("\n" + " " * 20 + "".join(f"{score.metric:>12}" for score in columns))
    print(" " * 20 + "".join(f"{score.extractor.split('[')[0][:10]:>12}" for score in columns))
    for name, row in scores.items():
        print(f"{name:<20}" + "".join(f"{score.value:12.3f}" for score in row))
    print(f"\nOn {FLAGS.dataset}:")
    for name, row in scores.items():
        for score in row:
            print(f"{name}: {score}")


def report(scores: Scores) -> dict[str, Any]:
    """Returns what metrics.json holds: the FIDs by the first extractor, and all of the protocol."""
    return {
        "fid": {name: row[0].value for name, row in scores.items()},
        "protocol": {name: [score.asdict() for score in row] for name, row in scores.items()},
    }
