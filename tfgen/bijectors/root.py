"""Roots of increasing functions of one number, for many rows at once."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected

MAX_ITERATIONS = 100  # Double precision takes about 60 at worst.


def increasing_root(
    value_and_slope: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    low: tf.Tensor,
    high: tf.Tensor,
    tolerance: tf.Tensor,
    name: str,
    max_iterations: int = MAX_ITERATIONS,
) -> tf.Tensor:
    """Returns s, where an increasing function is zero: by Newton's steps, kept in an interval.

    A step that would leave the interval, which shrinks each time, is replaced by its middle. Rows
    that are not finite stay so.

    Args:
        value_and_slope: the function and its derivative, of s [batch].
        low, high: the ends of an interval with the root in it, [batch].
        tolerance: how far from zero the function may be at the root, [batch].
        name: of what is inverted, for the message.
        max_iterations: > 0.

    Returns:
        s, [batch], which has no gradient.

    Raises:
        tf.errors.InvalidArgumentError: when the function is further from zero than the tolerance
            after the last iteration. XLA drops this check: the row is NaN then.
    """

    def unfinished(s: tf.Tensor, value: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(tf.abs(value) > tolerance)

    def body(
        s: tf.Tensor, value: tf.Tensor, slope: tf.Tensor, low: tf.Tensor, high: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        low, high = tf.where(value < 0, s, low), tf.where(value > 0, s, high)
        newton = s - value / slope
        inside = (newton > low) & (newton < high)
        new = tf.where(inside, newton, low + (high - low) / 2)
        new = tf.where(tf.abs(value) > tolerance, new, s)  # Each row by itself.
        return new, *value_and_slope(new), low, high

    start = low + (high - low) / 2
    s, value, *_ = tf.while_loop(
        unfinished,
        body,
        (start, *value_and_slope(start), low, high),
        maximum_iterations=max_iterations,
    )
    residual = tf.abs(value)
    missed = residual > tolerance
    message = expected(f"an inverse of {name} to within {max_iterations} iterations", "a residual")
    check = tf.debugging.Assert(~tf.reduce_any(missed), [message, tf.reduce_max(residual)])
    with tf.control_dependencies([check]):
        return tf.stop_gradient(tf.where(missed, np.nan, s))
