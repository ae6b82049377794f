"""Latents of examples, found by optimisation through a decoder that stays as it is."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Encoding(NamedTuple):
    """Latents found by optimisation, and how near they come.

    Attributes:
        z: [batch, latent_dim].
        distance: [batch], the loss between each example and its reconstruction.
    """

    z: tf.Tensor
    distance: tf.Tensor


def invert(
    distance: Callable[[tf.Tensor], tf.Tensor],
    starts: tf.Tensor,
    num_rows: int | tf.Tensor,
    num_steps: int,
    project: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> Encoding:
    """Minimises distances over latents, from several starting points, and keeps the best point met.

    To be called in a graph: it takes `num_steps` steps of Adam from each start.

    Args:
        distance: latents [num_rows, d] -> [num_rows], each a function of its own row.
        starts: [num_restarts, d], of known shape, the same for all rows.
        num_rows: of the latents.
        num_steps: of each descent, > 0; one only looks at the start.
        project: what keeps latents where they must be, after each step.
    """
    far = tf.fill([num_rows], float("inf"))
    best = Encoding(tf.zeros([num_rows, starts.shape[1]]), far)
    for start in tf.unstack(starts):
        z = tf.broadcast_to(start, tf.shape(best.z))
        best = _nearer(best, _descend(distance, z, num_steps, project))
    return best


def _descend(
    distance: Callable[[tf.Tensor], tf.Tensor],
    z: tf.Tensor,
    num_steps: int,
    project: Callable[[tf.Tensor], tf.Tensor],
) -> Encoding:
    """Returns the best of the points that Adam meets on its way from z."""
    rate, beta_1, beta_2 = 0.1, 0.9, 0.99

    def body(step: tf.Tensor, z: tf.Tensor, m: tf.Tensor, v: tf.Tensor, best: Encoding) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(z)
            reached = distance(z)
        best = _nearer(best, Encoding(z, reached))
        slope = tape.gradient(reached, z)
        m = beta_1 * m + (1 - beta_1) * slope
        v = beta_2 * v + (1 - beta_2) * tf.square(slope)
        t = tf.cast(step + 1, tf.float32)
        unbiased_v = v / (1 - beta_2**t)
        decay = 0.5 * (1 + tf.cos(math.pi * t / num_steps))
        move = rate * decay * m / (1 - beta_1**t) / (tf.sqrt(unbiased_v) + 1e-8)
        return step + 1, project(z - move), m, v, best

    far = tf.fill(tf.shape(z)[:1], float("inf"))
    zeros = tf.zeros_like(z)
    *_, best = tf.while_loop(
        lambda step, *_: step < num_steps,
        body,
        (tf.constant(0), z, zeros, zeros, Encoding(z, far)),
    )
    return best


def _nearer(a: Encoding, b: Encoding) -> Encoding:
    """Returns the nearer of two latents for each example."""
    closer = b.distance < a.distance
    return Encoding(
        tf.where(closer[:, tf.newaxis], b.z, a.z), tf.where(closer, b.distance, a.distance)
    )


def in_batches(function: Callable[..., Any], rows: tuple, batch_size: int) -> Any:
    """Returns a function of rows, computed for so many at a time; in a graph, for all at once.

    Args:
        function: tensors [batch, ...] -> a nest of tensors [batch, ...].
        rows: its arguments, tensors of as many rows each, or None.
        batch_size: > 0.
    """
    if not tf.executing_eagerly() or len(rows[0]) <= batch_size:
        return function(*rows)
    parts = [
        function(*keras.tree.map_structure(lambda r, i=i: r[i : i + batch_size], rows))
        for i in range(0, len(rows[0]), batch_size)
    ]
    return tf.nest.map_structure(lambda *part: tf.concat(part, axis=0), *parts)
