"""Bijectors made of others: one after the other, and turned round."""

from collections.abc import Sequence

import tensorflow as tf

from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.core import random
from tfgen.core.checks import expected
from tfgen.core.config import register


@register
class Chain(Bijector):
    """z = f_n(... f_2(f_1(x))): the bijectors act from data to noise in the order of the list.

    Args:
        bijectors: at least one. A conditional chain gives its condition to all of them.

    Raises:
        ValueError: when there is none.
    """

    def __init__(self, bijectors: Sequence[Bijector], **kwargs: object) -> None:
        super().__init__(**kwargs)
        bijectors = list(bijectors)
        if not bijectors or not all(isinstance(each, Bijector) for each in bijectors):
            raise ValueError(expected("`bijectors`, at least one", bijectors))
        self.bijectors = bijectors

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        for bijector in self.bijectors:
            build(bijector, event_shape, condition_dim)
            event_shape = bijector.output_shape(event_shape)

    def output_shape(self, event_shape: Shape) -> Shape:
        """Returns the shape of one z, by that of one x."""
        for bijector in self.bijectors:
            event_shape = bijector.output_shape(event_shape)
        return event_shape

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        total = tf.zeros(tf.shape(x)[:1], x.dtype)
        for number, bijector in enumerate(self.bijectors):
            x, log_det = bijector.forward_and_log_det(x, condition, part_of(seed, number, bijector))
            total += log_det
        return x, total

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        total = tf.zeros(tf.shape(z)[:1], z.dtype)
        for number, bijector in reversed(list(enumerate(self.bijectors))):
            z, log_det = bijector.inverse_and_log_det(z, condition, part_of(seed, number, bijector))
            total += log_det
        return z, total

    def forward(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns z = f(x)."""
        for bijector in self.bijectors:
            x = bijector.forward(x, condition)
        return x

    def inverse(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns x, of which z = f(x)."""
        for bijector in reversed(self.bijectors):
            z = bijector.inverse(z, condition)
        return z

    @property
    def draws(self) -> bool:
        """Whether one of them makes draws in training."""
        return any(bijector.draws for bijector in self.bijectors)

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x."""
        return all(bijector.log_det_is_constant for bijector in self.bijectors)

    def prepare(self, rows: tf.Tensor, condition: tf.Tensor | None, inverse: bool) -> tf.Tensor:
        """Sets the weights that begin from data, each bijector's by what comes to it."""
        for bijector in reversed(self.bijectors) if inverse else self.bijectors:
            rows = bijector.prepare(rows, condition, inverse)
        return rows


@register
class Invert(Bijector):
    """z = f^-1(x): another bijector, turned round, of which events keep their shape.

    Args:
        inverted: f.

    Raises:
        TypeError: when it is no bijector.
    """

    def __init__(self, inverted: Bijector, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if not isinstance(inverted, Bijector):
            raise TypeError(expected("`inverted`, a bijector", type(inverted).__name__))
        self.inverted = inverted

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        build(self.inverted, event_shape, condition_dim)
        if self.inverted.output_shape(event_shape) != event_shape:
            what = "a bijector to invert that keeps the shape of its events"
            raise ValueError(expected(what, self.inverted.output_shape(event_shape)))

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        return self.inverted.inverse_and_log_det(x, condition, seed)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        return self.inverted.forward_and_log_det(z, condition, seed)

    def forward(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns z = f(x)."""
        return self.inverted.inverse(x, condition)

    def inverse(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns x, of which z = f(x)."""
        return self.inverted.forward(z, condition)

    @property
    def draws(self) -> bool:
        """Whether the bijector makes draws in training."""
        return self.inverted.draws

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x."""
        return self.inverted.log_det_is_constant

    def prepare(self, rows: tf.Tensor, condition: tf.Tensor | None, inverse: bool) -> tf.Tensor:
        """Sets the weights that begin from data."""
        return self.inverted.prepare(rows, condition, not inverse)


def build(bijector: Bijector, event_shape: Shape, condition_dim: int | None = None) -> None:
    """Builds a bijector for events of a shape, unless it is built for them already.

    Raises:
        ValueError: when it was built for others, or is not defined for these.
    """
    if not bijector.built:
        bijector.build((None, *event_shape), condition_dim and (None, condition_dim))
    if (bijector.event_shape, bijector.condition_dim) != (tuple(event_shape), condition_dim):
        what = f"a bijector of events {tuple(event_shape)} and {condition_dim} conditions"
        raise ValueError(
            expected(what, f"one of {bijector.event_shape} and {bijector.condition_dim}")
        )


def part_of(seed: tf.Tensor | None, number: int, part: Bijector) -> tf.Tensor | None:
    """Returns the seed of one of several bijectors; None outside training."""
    return random.fold_in(seed, number) if part.draws and seed is not None else seed
