"""Inverses of residual maps by iteration, for many rows at once, with their gradient."""

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.layers.linearised import Map, SmoothMap

_AIM, _ENOUGH = 4, 100  # Times the precision of the dtype: what to go on to, and what will do.


def inverse_of_residual(
    g: SmoothMap, z: tf.Tensor, tolerance: float, max_iterations: int, name: str
) -> tf.Tensor:
    """Returns x, of which z = x + g(x), by x <- z - g(x), with the gradient of the fixed point.

    Each row goes on by itself until its residual |z - x - g(x)| is within the tolerance, or no
    longer falls, as it does until rounding ends it if g contracts. It is accepted then if it is
    within the tolerance, or within a hundred times the precision of the dtype. Rows that are not
    finite stay as they are.

    With J = dg/dx at x, dx = (I + J)^-1 (dz - dg), where dg is what weights do to g.

    Args:
        g: of each row by itself.
        z: [batch, *event].
        tolerance: of the residual, relative to sqrt(D) + |z|, >= 0.
        max_iterations: > 0.
        name: of what is inverted, for the message.

    Raises:
        tf.errors.InvalidArgumentError: when a residual is not accepted. XLA drops this check: the
            row is NaN then.
    """
    constant = tf.stop_gradient(z)
    x = tf.stop_gradient(_checked(g, constant, tolerance, max_iterations, name))
    value, product = g.linearised(x)

    def solved(upstream: tf.Tensor) -> tf.Tensor:
        """Returns w, of which w'(I + J) is the upstream gradient."""
        size = _norm(upstream)
        enough = _AIM * _precision(z) * size
        return _iterated(product, upstream, enough, max_iterations)[0]

    @tf.custom_gradient
    def attached(remainder: tf.Tensor) -> tuple[tf.Tensor, Map]:
        del remainder  # It is zero: only its gradient counts.
        return tf.identity(x), solved

    return attached(z - x - value)


def _checked(
    g: SmoothMap, z: tf.Tensor, tolerance: float, max_iterations: int, name: str
) -> tf.Tensor:
    """Returns x, once its residual is known to be small."""
    precision = _precision(z)
    scale = tf.sqrt(tf.cast(tf.size(z[:1]), z.dtype)) + _norm(z)
    enough = max(tolerance, _AIM * precision) * scale
    x, residual = _iterated(g.call, z, enough, max_iterations)
    residual /= scale
    fine = (residual <= max(tolerance, _ENOUGH * precision)) | ~tf.math.is_finite(scale)
    what = f"an inverse of {name} to within {max_iterations} iterations"
    message = [expected(what, "a relative residual of")]
    check = tf.debugging.Assert(tf.reduce_all(fine), [*message, tf.reduce_max(residual)])
    with tf.control_dependencies([check]):
        return tf.where(tf.reshape(fine, [-1, *[1] * (z.shape.rank - 1)]), x, np.nan)


def _iterated(
    g: Map, z: tf.Tensor, enough: tf.Tensor, max_iterations: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns x by x <- z - g(x), from z, and the last step's size of each row, [batch]."""
    column = [-1, *[1] * (z.shape.rank - 1)]

    def body(
        x: tf.Tensor, residual: tf.Tensor, active: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        new = z - g(x)
        size = _norm(new - x)
        falls = active & (size < residual)
        x = tf.where(tf.reshape(falls, column), new, x)
        return x, tf.where(falls, size, residual), falls & (size > enough)

    everywhere = tf.ones_like(enough, tf.bool)
    initial = (z, tf.fill(tf.shape(enough), tf.constant(np.inf, z.dtype)), everywhere)
    return tf.while_loop(
        lambda *state: tf.reduce_any(state[2]), body, initial, maximum_iterations=max_iterations
    )[:2]


def _norm(x: tf.Tensor) -> tf.Tensor:
    """Returns the Euclidean norm of each row, [batch]."""
    return tf.sqrt(tf.reduce_sum(x**2, axis=range(1, x.shape.rank)))


def _precision(x: tf.Tensor) -> float:
    return float(np.finfo(x.dtype.as_numpy_dtype).eps)
