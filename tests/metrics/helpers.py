"""Small stand-ins for what scores are computed from, and distributions to compare."""

import numpy as np
import tensorflow as tf

from tfgen.metrics import FeatureExtractor, jensen_shannon, kl_divergence, total_variation

DIVERGENCES = [total_variation, kl_divergence, jensen_shannon]


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


def tfd():
    from tensorflow_probability import distributions

    return distributions


def gaussian(mean, std, dtype=tf.float64):
    return tfd().Normal(tf.constant(mean, dtype), tf.constant(std, dtype))


def mixture(means, stds, dtype=tf.float64):
    """Equal weights; TFP has neither quantiles of it nor divergences in closed form."""
    weights = tf.fill([len(means)], tf.constant(1 / len(means), dtype))
    parts = tfd().Normal(tf.constant(means, dtype), tf.constant(stds, dtype))
    return tfd().MixtureSameFamily(tfd().Categorical(probs=weights), parts)


def gaussians(means, stds):
    means, stds = (tf.constant(values, tf.float64) for values in (means, stds))
    return tfd().MultivariateNormalDiag(means, stds)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class ByScipy:
    """A distribution that is not TFP's."""

    def __init__(self, frozen):
        self.log_prob = frozen.logpdf
        self.cdf = frozen.cdf
