"""Bijectors that put the numbers of an event in another shape."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import tensorflow as tf

from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.config import register


class Rearrangement(Bijector):
    """Base of the bijectors that only move numbers: their log-determinants are 0."""

    @abstractmethod
    def _rearranged(self, x: tf.Tensor) -> tf.Tensor:
        """Returns z."""

    @abstractmethod
    def _restored(self, z: tf.Tensor) -> tf.Tensor:
        """Returns x."""

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        self.output_shape(event_shape)  # Raises where the map is not defined.

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, zeros [batch]."""
        return self._rearranged(x), tf.zeros(tf.shape(x)[:1], x.dtype)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, zeros [batch]."""
        return self._restored(z), tf.zeros(tf.shape(z)[:1], z.dtype)

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x: it is 0."""
        return True


@register
class Squeeze(Rearrangement):
    """z [h / f, w / f, f f c] of x [h, w, c]: each square of f x f pixels becomes channels.

    Channel (i f + j) c + k of z is channel k of the pixel in row i and column j of the square.

    Args:
        factor: f, > 1.

    Raises:
        TypeError: when the factor is not an integer.
        ValueError: when it is not > 1; when built, where events are no images, or of sizes that it
            does not divide.

    Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
        https://arxiv.org/abs/1605.08803.
    """

    def __init__(self, factor: int = 2, **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_integer("factor", factor, minimum=2)
        self.factor = factor

    def output_shape(self, event_shape: Shape) -> Shape:
        """Returns the shape of one z, by that of one x."""
        check_rank("event", event_shape, 3, "[height, width, channels]")
        height, width, channels = event_shape
        if height % self.factor or width % self.factor:
            what = f"images whose height and width are multiples of {self.factor}"
            raise ValueError(expected(what, f"shape {tuple(event_shape)}"))
        return height // self.factor, width // self.factor, channels * self.factor**2

    def _rearranged(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.space_to_depth(x, self.factor)

    def _restored(self, z: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(z, self.factor)


@register
class Reshape(Rearrangement):
    """z has the numbers of x in their order, and another shape.

    Args:
        shape: of z, all sizes > 0.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when one is not > 0; when built, where x has another number of numbers.
    """

    def __init__(self, shape: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        for size in self.shape:
            check_integer("shape", size)

    def output_shape(self, event_shape: Shape) -> Shape:
        """Returns the shape of one z, by that of one x."""
        if math.prod(self.shape) != math.prod(event_shape):
            what = f"events of {math.prod(self.shape)} numbers, to be of shape {self.shape}"
            raise ValueError(expected(what, f"shape {tuple(event_shape)}"))
        return self.shape

    def _rearranged(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1, *self.shape])

    def _restored(self, z: tf.Tensor) -> tf.Tensor:
        return tf.reshape(z, [-1, *self.event_shape])


@register
class Flatten(Rearrangement):
    """z [d] has the numbers of x in their order."""

    def output_shape(self, event_shape: Shape) -> Shape:
        """Returns the shape of one z, by that of one x."""
        return (math.prod(event_shape),)

    def _rearranged(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1, math.prod(self.event_shape)])

    def _restored(self, z: tf.Tensor) -> tf.Tensor:
        return tf.reshape(z, [-1, *self.event_shape])
