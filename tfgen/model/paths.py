"""Paths between latents."""

import tensorflow as tf


def linear(start: tf.Tensor, end: tf.Tensor, fractions: tf.Tensor) -> tf.Tensor:
    """Returns points on straight lines, (1 - t) * start + t * end.

    Args:
        start, end: float [batch, *latent].
        fractions: t, float [num_points] in [0, 1].

    Returns:
        [batch, num_points, *latent].
    """
    t = tf.reshape(fractions, [-1, *[1] * (len(start.shape) - 1)])
    return (1 - t) * start[:, tf.newaxis] + t * end[:, tf.newaxis]


def spherical(start: tf.Tensor, end: tf.Tensor, fractions: tf.Tensor) -> tf.Tensor:
    """Returns points on great arcs: the direction turns evenly, the length changes evenly.

    Nearly parallel latents are joined by a straight line. Opposite ones have no shortest arc, and
    the result for them is some point between.

    Args:
        start, end: float [batch, *latent].
        fractions: t, float [num_points] in [0, 1].

    Returns:
        [batch, num_points, *latent].

    Reference: Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985,
        https://doi.org/10.1145/325334.325242; used for latents by White, "Sampling Generative
        Networks", 2016, https://arxiv.org/abs/1609.04468.
    """
    shape = start.shape[1:]
    start, end = (tf.reshape(z, [-1, shape.num_elements()]) for z in (start, end))
    points = _arcs(start, end, fractions)
    return tf.reshape(points, [-1, fractions.shape[0], *shape])


def _arcs(start: tf.Tensor, end: tf.Tensor, fractions: tf.Tensor) -> tf.Tensor:
    """Returns points on great arcs between vectors [batch, dim], [batch, num_points, dim]."""
    unit_start, unit_end = (tf.math.l2_normalize(z, axis=-1) for z in (start, end))
    cosine = tf.clip_by_value(tf.reduce_sum(unit_start * unit_end, axis=-1), -1.0, 1.0)
    angle = tf.acos(cosine)[:, tf.newaxis, tf.newaxis]
    t = fractions[:, tf.newaxis]
    sine = tf.maximum(tf.sin(angle), 1e-6)
    turned = (
        tf.sin((1 - t) * angle) * unit_start[:, tf.newaxis]
        + tf.sin(t * angle) * unit_end[:, tf.newaxis]
    ) / sine
    lengths = linear(
        tf.norm(start, axis=-1, keepdims=True), tf.norm(end, axis=-1, keepdims=True), fractions
    )
    return tf.where(angle < 1e-4, linear(start, end, fractions), turned * lengths)
