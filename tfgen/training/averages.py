"""Variables that a training step moves without an optimizer, on all replicas alike."""

from collections.abc import Callable, Iterable, Sequence

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import made_again

Averages = Sequence[tuple[keras.layers.Layer, keras.layers.Layer]]
"""Layers that average others, each with the layer that is trained."""


def assign_each(
    variables: Iterable[keras.Variable],
    new_value: Callable[..., tf.Tensor],
    *others: Sequence[keras.Variable],
) -> None:
    """Assigns `new_value(variable, *others)` to each variable, within a training step.

    Args:
        variables: to assign to.
        new_value: returns the new value, from the old one and from those of the others.
        *others: for each further argument of `new_value`, one variable for each of `variables`.
    """
    rows = [tuple(v.value for v in row) for row in zip(variables, *others, strict=True)]

    def assign(variable: tf.Variable, *values: tf.Variable) -> None:
        variable.assign(tf.cast(new_value(variable, *values), variable.dtype))

    def assign_all(strategy: tf.distribute.Strategy) -> None:
        for variable, *values in rows:
            strategy.extended.update(variable, assign, args=tuple(values), group=False)

    # A mirrored variable can only be assigned from above all replicas.
    tf.distribute.get_replica_context().merge_call(assign_all)


def average_of(layer: keras.layers.Layer, decay: float | None) -> keras.layers.Layer | None:
    """Returns a layer that begins as another and that no optimizer trains, to average its weights.

    Args:
        layer: that is trained, built.
        decay: in [0, 1), or None for no average.

    Returns:
        The layer; None when `decay` is.

    Raises:
        ValueError: when `decay` is out of range, or the layer's configuration does not make its
            like.
    """
    if decay is None:
        return None
    if not 0 <= decay < 1:
        raise ValueError(expected("`ema_decay` in [0, 1)", decay))
    average = made_again(layer)
    average.trainable = False
    average.set_weights(layer.get_weights())
    return average


def move_averages(averages: Averages, decay: float | None, step: tf.Tensor) -> None:
    """Moves averages after a training step, with the statistics of batch normalisation:

        average <- d * average + (1 - d) * weights,   d = min(decay, (1 + step) / (10 + step)),

    so that the first steps are forgotten.

    Args:
        averages: to move.
        decay: in [0, 1).
        step: how many steps were done before, an integer.

    Raises:
        ValueError: when there is no decay.
    """
    if decay is None:
        raise ValueError(expected("`ema_decay` of a model that keeps averages", None))
    t = tf.cast(step, tf.float32)
    now = tf.minimum(decay, (1.0 + t) / (10.0 + t))
    for average, layer in averages:
        move_average(average, layer, now)


def move_average(average: keras.layers.Layer, source: keras.layers.Layer, decay: tf.Tensor) -> None:
    """Moves the weights of a layer, also those that are not trained, towards those of its like.

    average <- decay * average + (1 - decay) * source, with batch normalisation's statistics.

    Args:
        average: a layer of the same structure as `source`.
        source: the layer that is trained.
        decay: in [0, 1).
    """

    def nearer(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        return value + (1.0 - decay) * (target - value)

    assign_each(average.weights, nearer, source.weights)
