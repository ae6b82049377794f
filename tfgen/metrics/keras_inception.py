"""The InceptionV3 of `keras.applications` as a feature extractor."""

import os
from pathlib import Path

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import Configurable, register
from tfgen.data.image_checks import with_channels
from tfgen.metrics.features import (
    FeatureExtractor,
    as_images,
    check_file,
    compiled,
    first_line,
)


@register
class KerasInceptionFeatures(Configurable, FeatureExtractor):
    """The 2048 pooled features of the InceptionV3 of `keras.applications`, at 299 x 299.

    These are other weights than those of the published FID (see `Inception2015Features`): scores
    compare with each other but not with published ones.

    Args:
        weights: "imagenet" to let Keras fetch them, the path of a file of InceptionV3 weights
            without its top, or None for random ones.
        antialias: whether images larger than 299 are smoothed before they are shrunk.

    Raises:
        FileNotFoundError: when `weights` is a path and there is no such file.
        RuntimeError: when the ImageNet weights are not on this machine and cannot be fetched.
        ValueError: when the file does not hold the network's weights.

    Reference: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
        https://arxiv.org/abs/1512.00567.
    """

    dimension = 2048

    def __init__(
        self, weights: str | os.PathLike | None = "imagenet", antialias: bool = False
    ) -> None:
        self.weights = weights if weights is None else os.fspath(weights)
        self.antialias = antialias
        smoothing = "antialiased " if antialias else ""
        source = "random weights" if self.weights is None else Path(self.weights).name
        self.name = f"keras-inception-v3[2048] {source}, {smoothing}bilinear 299"
        self._network = _keras_inception(self.weights)
        self._features = compiled(self._resized, (None, None, None, 3))

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns features [batch, 2048] of images [batch, height, width, channels]."""
        return self._features(with_channels(as_images(images), 3))

    def _resized(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        images = tf.image.resize(images, (299, 299), antialias=self.antialias)
        return self._network(2.0 * images - 1.0, training=training)


def _keras_inception(weights: str | None) -> keras.Model:
    build = keras.applications.InceptionV3
    options = {"include_top": False, "pooling": "avg", "input_shape": (299, 299, 3)}
    if weights == "imagenet":
        try:
            return build(weights=weights, **options)
        except Exception as error:  # Keras raises whatever its download met.
            what = (
                "the ImageNet weights of InceptionV3, or a network to fetch them. Without one, put "
                "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 into ~/.keras/models, "
                "pass its path as `weights`, or use ClassifierFeatures"
            )
            raise RuntimeError(expected(what, first_line(error))) from error
    network = build(weights=None, **options)
    if weights is not None:
        check_file(weights, "a file of InceptionV3 weights")
        try:
            network.load_weights(weights)
        except Exception as error:  # HDF5 has many ways to fail.
            raise ValueError(
                expected("the weights of InceptionV3", f"{weights}: {first_line(error)}")
            ) from error
    return network
