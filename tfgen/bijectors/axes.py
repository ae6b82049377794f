"""The last axis of events: of the entries of a vector, or of the channels of an image."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected

Shape = tuple[int, ...]


def num_channels(event_shape: Shape) -> int:
    """Returns the size of the last axis.

    Raises:
        ValueError: when there is none.
    """
    if not len(event_shape):
        raise ValueError(expected("events of at least one axis", "shape ()"))
    return event_shape[-1]


def halves(event_shape: Shape) -> tuple[int, int]:
    """Returns the sizes of the halves of the last axis, the first one more where it is odd.

    Raises:
        ValueError: when there are not two numbers to part.
    """
    channels = num_channels(event_shape)
    if channels < 2:
        what = "events whose last axis has two numbers or more, to be split"
        raise ValueError(expected(what, f"shape {tuple(event_shape)}"))
    return channels - channels // 2, channels // 2


def permuted(x: tf.Tensor, order: Sequence[int]) -> tf.Tensor:
    """Returns the last axis in another order: entry i is entry order[i] of x.

    The gradient is the way back, also a gather, where TensorFlow would add up segments.
    """

    @tf.custom_gradient
    def gather(x: tf.Tensor) -> tuple:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return permuted(upstream, np.argsort(order))

        return tf.gather(x, tf.constant(order, tf.int32), axis=-1), gradient

    return gather(x)
