"""Checks of examples that are in [0, 1], or on levels there."""

import tensorflow as tf

from tfgen.core import specs

_OFF_LEVEL = 1e-2  # Of the distance between levels, by which rounding may move an example.


def unit_interval(x: tf.Tensor) -> tf.Tensor:
    """Returns examples, checked to be in [0, 1]."""
    return specs.with_all(x, (x >= 0) & (x <= 1), "examples of the likelihood in [0, 1]")


def on_levels(x: tf.Tensor, num_levels: int) -> tf.Tensor:
    """Returns examples that are on the levels k / (num_levels - 1) up to rounding, or raises.

    Raises:
        ValueError: when a number is not on a level.
        tf.errors.InvalidArgumentError: in a graph, when it runs; XLA drops that check.
    """
    last = num_levels - 1
    places = x * last
    nearest = tf.clip_by_value(tf.round(places), 0.0, float(last))
    what = f"examples on the {num_levels} levels k / {last} in [0, 1]"
    return specs.with_all(x, tf.abs(places - nearest) <= _OFF_LEVEL, what)
