"""What all bijectors have in common: layers that own the weights of an invertible map."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfgen.bijectors.as_tfp import as_tfp
from tfgen.bijectors.conditions import check_condition
from tfgen.core.checks import expected
from tfgen.core.config import Configurable

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb

Shape = tuple[int, ...]
Result = tuple[tf.Tensor, tf.Tensor]
"""What a map makes of rows, and the log-determinant of its Jacobian, [batch]."""

_WAYS = ("forward_and_log_det", "inverse_and_log_det", "forward", "inverse")


def _given_its_condition(way: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a way of a bijector, after a check of the condition."""

    @functools.wraps(way)
    def checked(
        self: "Bijector", rows: tf.Tensor, condition: tf.Tensor | None = None, *args: Any, **kw: Any
    ) -> Any:
        check_condition(condition, self.condition_dim, rows)
        return way(self, rows, condition, *args, **kw)

    return checked


class Bijector(Configurable, keras.layers.Layer, ABC):
    """An invertible map z = f(x), given a condition or not; `forward` goes from data to noise.

    A subclass writes `forward_and_log_det` and `inverse_and_log_det`, `_build` where it has
    weights, and `output_shape` where z has another shape than x. It is built once, for one shape of
    events and one size of conditions.

    A seed is given in training only: it is of the noise of that step, and says that dropout and
    estimates by chance are wanted. Without one, results are a function of each row alone.

    Conditions are checked here, for all: a subclass is only given what it was built for.

    Numbers are float32 unless `dtype` says otherwise; networks inside may compute in half
    precision, and what they return is cast.
    """

    event_shape: Shape = ()
    """The shape of one x, known once the bijector is built."""

    condition_dim: int | None = None
    """How many numbers a condition has, None where there is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})  # Also where networks are of half.

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _WAYS:
            if name in vars(cls):
                setattr(cls, name, _given_its_condition(vars(cls)[name]))

    def build(self, x_shape: Sequence[int | None], condition_shape: Any = None) -> None:
        """Makes the weights.

        Args:
            x_shape: (None, *event).
            condition_shape: (None, features), or None for an unconditional bijector.

        Raises:
            ValueError: when the map is not defined for such events.
        """
        self.event_shape = tuple(x_shape[1:])
        self.condition_dim = None if condition_shape is None else int(condition_shape[-1])
        if None in self.event_shape:
            raise ValueError(expected("events of a known shape", self.event_shape))
        self._build(self.event_shape, self.condition_dim)
        self.built = True

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        """Makes the weights for events of a shape; nothing for a map without weights."""

    @abstractmethod
    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z = f(x), [batch, *event], and log |det dz/dx|, [batch].

        Args:
            x: [batch, *event].
            condition: [batch, features] of a conditional bijector.
            seed: int32 [2] in training.

        Raises:
            ValueError: when the condition is missing, of another shape, or one too many.
        """

    @abstractmethod
    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x, of which z = f(x), and log |det dx/dz|, [batch].

        Args:
            z: [batch, *output_shape].
            condition, seed: as for `forward_and_log_det`.
        """

    def forward(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns z = f(x)."""
        return self.forward_and_log_det(x, condition)[0]

    def inverse(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns x, of which z = f(x)."""
        return self.inverse_and_log_det(z, condition)[0]

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns z = f(x)."""
        return self.forward(x, condition)

    def output_shape(self, event_shape: Shape) -> Shape:
        """Returns the shape of one z, by that of one x.

        Raises:
            ValueError: when the map is not defined for such events.
        """
        return event_shape

    def compute_output_shape(self, x_shape: Any, condition_shape: Any = None) -> Any:
        """Returns the shape of z with its batch axis, for Keras."""
        return (x_shape[0], *self.output_shape(tuple(x_shape[1:])))

    @property
    def draws(self) -> bool:
        """Whether it makes draws from the seed that it is given in training."""
        return False

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x and conditions.

        A sample at a temperature is exact then: the density is that of the noise, moved.
        """
        return False

    def prepare(self, rows: tf.Tensor, condition: tf.Tensor | None, inverse: bool) -> tf.Tensor:
        """Sets the weights that begin from data, before the first step.

        Args:
            rows: x, or z where `inverse`, [batch, ...].
            condition: as for `forward_and_log_det`.
            inverse: whether data come from the side of z.

        Returns:
            What the map, or its inverse, makes of the rows then.
        """
        return self.inverse(rows, condition) if inverse else self.forward(rows, condition)

    def bijector(self, condition: tf.Tensor | None = None) -> "tfb.Bijector":
        """Returns the TFP bijector with the weights as they are, made anew by each call."""

        return as_tfp(self, condition)
