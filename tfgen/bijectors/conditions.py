"""Conditions of bijectors: their check, and how networks are given them."""

import tensorflow as tf

from tfgen.core.checks import expected


def check_condition(
    condition: tf.Tensor | None, condition_dim: int | None, rows: tf.Tensor
) -> None:
    """Raises ValueError unless a condition is what a bijector was built for.

    Args:
        condition: [batch, features], or None.
        condition_dim: the number of features, or None for an unconditional bijector.
        rows: that it is given with, [batch, ...].
    """
    if condition_dim is None:
        if condition is not None:
            what = "no condition: the bijector was built without"
            raise ValueError(expected(what, f"shape {tuple(condition.shape)}"))
    elif condition is None or tuple(condition.shape[1:]) != (condition_dim,):
        shape = None if condition is None else f"shape {tuple(condition.shape)}"
        raise ValueError(expected(f"a condition [batch, {condition_dim}]", shape))
    elif not tf.TensorShape(condition.shape[:1]).is_compatible_with(rows.shape[:1]):
        what = f"a condition for each of {rows.shape[0]} rows"
        raise ValueError(expected(what, f"shape {tuple(condition.shape)}"))


def with_condition(x: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
    """Returns [batch, ..., c + features]: x, and the condition at each of its positions."""
    if condition is None:
        return x
    condition = tf.cast(condition, x.dtype)
    for _ in x.shape[1:-1]:
        condition = condition[:, tf.newaxis]
    if x.shape.rank > 2:
        shape = tf.concat([tf.shape(x)[:-1], condition.shape[-1:]], axis=0)
        condition = tf.broadcast_to(condition, shape)
    return tf.concat([x, condition], axis=-1)
