"""Integers that name one of several rows, such as labels."""

import tensorflow as tf


def checked_indices(indices: tf.Tensor, size: int, what: str) -> tf.Tensor:
    """Returns integers, after a check that they are in [0, size) when the graph runs.

    XLA drops the check.

    Args:
        indices: of any shape.
        size: how many rows there are.
        what: what a message calls the integers.

    Raises:
        tf.errors.InvalidArgumentError: when one is outside; `fit` makes a ValueError of it.
    """
    inside = tf.reduce_all((indices >= 0) & (indices < size))
    message = f"Expected {what} in [0, {size}). Received: from"
    received = [message, tf.reduce_min(indices), "to", tf.reduce_max(indices)]
    with tf.control_dependencies([tf.debugging.Assert(inside, received)]):
        return tf.identity(indices)
