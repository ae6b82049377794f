"""Integers that name one of several rows, such as labels."""

import tensorflow as tf

from tfgen.core.specs import as_int64


def checked_indices(indices: tf.Tensor, size: int, what: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns integers, after a check that they are in [0, size) when the graph runs.

    XLA drops the check, and clips indices: what is outside must not look like a row.

    Args:
        indices: of any shape and type of integers.
        size: how many rows there are.
        what: what a message calls the integers.

    Returns:
        The integers as int64, and which of them are inside.

    Raises:
        tf.errors.InvalidArgumentError: when one is outside; `fit` makes a ValueError of it.
    """
    indices = as_int64(indices)  # A uint8 may not hold the size.
    inside = (indices >= 0) & (indices < size)
    message = f"Expected {what} in [0, {size}). Received: from"
    received = [message, tf.reduce_min(indices), "to", tf.reduce_max(indices)]
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(inside), received)]):
        return tf.identity(indices), inside
