"""What scores look at images by: the extractors of --features, and the classifiers among them."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import runner
import tensorflow as tf
from absl import flags

import tfgen
from tfgen import metrics
from tfgen.core.checks import expected
from tfgen.metrics.features import as_images

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "features",
    None,
    "For scores: classifier (trained on the data's labels), "
    "inception (the FID network; needs weights), keras_inception, pixels (of reduced images), "
    "or a .keras classifier file. Several are separated by commas. Unless given: classifier where "
    "the data have labels, else inception where its weights are at hand, else pixels.",
)
flags.DEFINE_string(
    "inception_weights",
    None,
    "The .npz file of the FID network's weights; $TFGEN_INCEPTION_WEIGHTS unless given.",
)
flags.DEFINE_integer("inception_dimension", 768, "64, 192, 768, 1280 or 2048 features.")
flags.DEFINE_integer(
    "classifier_epochs",
    None,
    "Of the classifiers that are trained on the data; as many as make 1,000 steps, but at most "
    "100, unless given.",
    1,
)

NAMES = ("classifier", "inception", "keras_inception", "pixels")
WITHOUT_CLASSES = {"keras_inception", "pixels"}
FEWEST_LABELLED = 20
"""Examples for a classifier, a tenth of which are kept out of its training."""
QUIET_FROM = 10
"""Epochs of a classifier; of more, progress would be hundreds of lines."""


@flags.multi_flags_validator(["features", "inception_weights"])
def _check_features(values: dict[str, Any]) -> bool:
    """Raises, when flags are parsed, unless the files that --features needs are there."""
    for name in (values["features"] or "pixels").split(","):
        path = inception_weights(values["inception_weights"]) if name == "inception" else name
        if path is None:
            raise flags.ValidationError("inception needs --inception_weights, an .npz file")
        if name not in NAMES or name == "inception":
            if not Path(path).is_file():
                raise flags.ValidationError(f"expected a file. Received: {path}")
    return True


def inception_weights(given: str | None) -> str | None:
    """Returns the file of the FID network's weights: the one given, or that of the environment."""
    return given or os.environ.get("TFGEN_INCEPTION_WEIGHTS") or None


def chosen(train: tfgen.data.Examples) -> list[str]:
    """Returns the names of --features, or what suits the data."""
    if FLAGS.features is None and can_be_classified(train):
        return ["classifier"]
    return chosen_without_labels()


def chosen_without_labels() -> list[str]:
    """Returns the names of --features, or what needs no labels."""
    if FLAGS.features:
        return FLAGS.features.split(",")
    path = inception_weights(FLAGS.inception_weights)
    name = "inception" if path and Path(path).is_file() else "pixels"
    print(f"Scores compare {name} features, which need no labels.")
    if name == "pixels":
        print("They see light and colours but few shapes: noise may score well.", end=" ")
        print("--inception_weights gives better ones.")
    return [name]


class PixelFeatures(metrics.FeatureExtractor):
    """The pixels of images that are reduced to a few: what needs neither labels nor weights.

    Such scores see where light and colours are, and little of shapes.

    Args:
        channels: of the images.
        side: of the reduced images.
    """

    def __init__(self, channels: int, side: int = 8) -> None:
        self.side = side
        self.dimension = side * side * channels
        self.name = f"pixels[{self.dimension}], area {side} x {side}"

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns features [batch, dimension] of images [batch, height, width, channels]."""
        reduced = tf.image.resize(as_images(images), (self.side, self.side), method="area")
        return tf.reshape(reduced, [-1, self.dimension])


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
        rows = self.train.sketch_rows()
        labels = self.train.labels[rows]
        epochs = FLAGS.classifier_epochs or _epochs(len(labels))
        print(f"training the {name} classifier for {epochs} epochs", flush=True)
        trained = metrics.train_classifier(
            self.train.as_float(rows),
            labels,
            self.train.num_classes,
            width=width,
            feature_dim=feature_dim,
            epochs=epochs,
            seed=seed,
            verbose=FLAGS.verbose if epochs < QUIET_FROM else 0,
        )
        print(
            f"{name} classifier: right on {trained.accuracy:.1%} of {trained.num_held_out} images "
            "that were kept out of its training"
        )
        features = metrics.ClassifierFeatures(trained.model)
        if runner.is_chief():
            features.save(path)
        return features


def _epochs(num_examples: int) -> int:
    """Returns as many as make 1,000 steps of 64 examples, from 3 to 100."""
    return min(max(round(64_000 / num_examples), 3), 100)


def can_be_classified(train: tfgen.data.Examples) -> bool:
    """Returns whether the data have labels, and examples enough, to train a classifier on."""
    return _has_labels(train) and len(train) >= FEWEST_LABELLED


def _has_labels(train: tfgen.data.Examples) -> bool:
    return train.labels is not None and train.num_classes >= 2


def check_labels(train: tfgen.data.Examples, instead: str) -> None:
    """Exits with a message unless a classifier can be trained on the data.

    Args:
        train: the data.
        instead: what else to give.
    """
    if not _has_labels(train):
        sys.exit(f"{train.name} has no labels to train a classifier on. Give {instead}.")
    if len(train) < FEWEST_LABELLED:
        sys.exit(
            expected(f"{FEWEST_LABELLED} examples or more for a classifier", len(train))
            + f". Give {instead}."
        )


def ready_extractors(
    names: Sequence[str], train: tfgen.data.Examples
) -> dict[str, metrics.FeatureExtractor]:
    """Returns those of the named that are not trained on the data, each tried on an image."""
    if "classifier" in names:
        check_labels(train, "--features=inception, pixels or a .keras classifier")
    ready = {
        name: _ready_extractor(name, train.event_shape[-1])
        for name in names
        if name != "classifier"
    }
    for extractor in ready.values():
        extractor.extract(train.as_float(slice(0, 1)))
        if "inception_score" in FLAGS.scores and knows_classes(extractor):
            extractor.probabilities(train.as_float(slice(0, 1)))
    return ready


def _ready_extractor(name: str, channels: int) -> metrics.FeatureExtractor:
    if name == "inception":
        weights = inception_weights(FLAGS.inception_weights)
        return metrics.Inception2015Features(weights, FLAGS.inception_dimension)
    if name == "keras_inception":
        return metrics.KerasInceptionFeatures()
    if name == "pixels":
        return PixelFeatures(channels)
    return metrics.ClassifierFeatures.load(name, title=Path(name).stem)


def knows_classes(extractor: metrics.FeatureExtractor) -> bool:
    """Returns whether an extractor also gives class probabilities."""
    return isinstance(extractor, metrics.features.KnowsClasses)
