"""Independent Gaussians over the latents of a level, by their parameters."""

import math

import tensorflow as tf

from tfgen.distributions.base import log_normal
from tfgen.distributions.likelihoods import bounded_log

Gaussian = tuple[tf.Tensor, tf.Tensor]
"""The mean and the logarithm of the scale of each number, [rows, *latent_shape]."""

MIN_SCALE, MAX_SCALE = 1e-3, 100.0
"""Bounds of scales. Of latents that are known exactly, log q would grow without bounds; and a draw
far out, from which others are drawn, would lead the whole sample away."""


def gaussian_of(outputs: tf.Tensor) -> Gaussian:
    """Returns the parameters that the outputs [..., 2 channels] of a network stand for."""
    mean, raw = tf.split(outputs, 2, axis=-1)
    high = math.log(MAX_SCALE)
    return mean, high - tf.math.softplus(high - bounded_log(raw, MIN_SCALE))


def draw(gaussian: Gaussian, noise: tf.Tensor) -> tf.Tensor:
    """Returns m + s e of standard normal noise e."""
    mean, log_scale = gaussian
    return mean + tf.exp(log_scale) * noise


def log_prob(z: tf.Tensor, gaussian: Gaussian) -> tf.Tensor:
    """Returns the log density of latents, [rows], summed over all numbers of a level."""
    return log_normal(*(_flat(part) for part in (z, *gaussian)))


def divergence(q: Gaussian, p: Gaussian) -> tf.Tensor:
    """Returns KL(q || p), [rows], summed over all numbers of a level."""
    gap = q[1] - p[1]
    squares = ((q[0] - p[0]) * tf.exp(-p[1])) ** 2
    return tf.reduce_sum(_flat(0.5 * (squares + tf.exp(2.0 * gap) - 1.0) - gap), axis=1)


def standard(like: tf.Tensor) -> Gaussian:
    """Returns N(0, I) over latents like these."""
    return tf.zeros_like(like), tf.zeros_like(like)


def _flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [tf.shape(values)[0], values.shape[1:].num_elements()])
