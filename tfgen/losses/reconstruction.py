"""Distances between examples and their reconstructions: [batch, *event] twice -> [batch].

They are means over the event, unless the name says that they are sums. A reconstruction loss
is any callable `loss(x, reconstruction) -> [batch]`, symmetric or not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfgen.core.checks import check_positive, expected
from tfgen.core.config import Configurable, register

ReconstructionLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def check_same_shape(x: tf.Tensor, reconstruction: tf.Tensor) -> None:
    """Raises ValueError unless the shapes, as far as they are known, agree."""
    if not tf.TensorShape(x.shape).is_compatible_with(reconstruction.shape):
        raise ValueError(
            expected(f"a reconstruction of shape {tuple(x.shape)}", tuple(reconstruction.shape))
        )


def summed_squared_error(x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
    """Returns ||x - reconstruction||^2, summed over the event.

    Args:
        x: examples, float [batch, *event].
        reconstruction: of the same shape and dtype.

    Returns:
        [batch], >= 0.

    Raises:
        ValueError: when the shapes differ.
    """
    check_same_shape(x, reconstruction)
    return tf.reduce_sum(tf.math.squared_difference(x, reconstruction), axis=_event_axes(x))


def mean_squared_error(x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
    """Returns (x - reconstruction)^2, averaged over the event.

    Args:
        x: examples, float [batch, *event].
        reconstruction: of the same shape and dtype.

    Returns:
        [batch], >= 0.

    Raises:
        ValueError: when the shapes differ.
    """
    check_same_shape(x, reconstruction)
    return tf.reduce_mean(tf.math.squared_difference(x, reconstruction), axis=_event_axes(x))


def mean_absolute_error(x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
    """Returns |x - reconstruction|, averaged over the event.

    Args:
        x: examples, float [batch, *event].
        reconstruction: of the same shape and dtype.

    Returns:
        [batch], >= 0.

    Raises:
        ValueError: when the shapes differ.
    """
    check_same_shape(x, reconstruction)
    return tf.reduce_mean(tf.abs(x - reconstruction), axis=_event_axes(x))


def _event_axes(x: tf.Tensor) -> list[int]:
    return list(range(1, len(x.shape)))


@register
@dataclass(frozen=True)
class SquaredError(Configurable):
    """`mean_squared_error` as a value."""

    def __call__(self, x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, [batch]."""
        return mean_squared_error(x, reconstruction)


@register
@dataclass(frozen=True)
class AbsoluteError(Configurable):
    """`mean_absolute_error` as a value."""

    def __call__(self, x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, [batch]."""
        return mean_absolute_error(x, reconstruction)


@register
@dataclass(frozen=True)
class WeightedSum(Configurable):
    """A weighted sum of losses, `sum_k weights[k] * losses[k](x, reconstruction)`.

    Args:
        parts: losses without weights of their own (a perceptual loss takes its pixel term as an
            argument instead).
        weights: as many finite numbers > 0.

    Raises:
        ValueError: when there are no parts, or other than as many weights > 0.
    """

    parts: Sequence[ReconstructionLoss]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.weights) or not self.parts:
            raise ValueError(
                expected(
                    "as many `weights` as `parts`, at least one",
                    f"{len(self.parts)} parts, {len(self.weights)} weights",
                )
            )
        for weight in self.weights:
            check_positive("weights", weight)
        # A file gives lists back, which are neither equal to tuples nor hashable.
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "weights", tuple(self.weights))

    def __call__(self, x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, [batch]."""
        return tf.add_n(
            [
                weight * part(x, reconstruction)
                for part, weight in zip(self.parts, self.weights, strict=True)
            ]
        )
