"""Small stand-ins for what scores are computed from."""

import numpy as np
import tensorflow as tf

from tfgen.metrics import FeatureExtractor


class Pixels(FeatureExtractor):
    """The pixels themselves, and their softmax as probabilities."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.name = f"pixels[{dimension}]"

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, [len(images), self.dimension])

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(5.0 * self(images))


def random_images(number: int, seed: int = 0, side: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).random((number, side, side, 1), np.float32)
