"""Couplings: one part of an event moves by an amount that the other, which stays, decides."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.bijectors.conditions import with_condition
from tfgen.bijectors.masks import Half, Mask
from tfgen.bijectors.transforms import Affine, Transform
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import output_shape, register

CONVOLUTIONS = {2: keras.layers.Conv1D, 3: keras.layers.Conv2D, 4: keras.layers.Conv3D}
"""By the number of axes of an event."""


@register
class Coupling(Bijector):
    """z_kept = x_kept, z_moved = T(x_moved; params), params = projection(network(x_kept)).

    The projection begins at zero, so that the coupling begins as the identity or near it. Where
    half of the channels is factored out after it, as by `MultiScale`, a coupling with the mask
    `Half()` is the learned Gaussian prior of that half given the other, as in Glow.

    Args:
        network: a Keras layer that takes [batch, ..., c] to features [batch, ..., h]: what is kept,
            and, after it on the last axis, the condition, the same at all positions.
        transform: T, of each number by itself; `Affine()` where it is None.
        mask: what is kept and what is moved; `Half()` where it is None.
        kernel_size: of the projection, over the axes between the first and the last, > 0.
            Vectors have no such axes.

    Raises:
        TypeError: when an argument is of another kind.
        ValueError: when the kernel size is not > 0; when built, where the mask keeps or moves
            nothing, as of events of one number, or the network changes other axes than the last.

    Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
        https://arxiv.org/abs/1605.08803.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        transform: Transform | None = None,
        mask: Mask | None = None,
        kernel_size: int = 3,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.network = _checked("network", network, keras.layers.Layer)
        self.transform = _checked("transform", transform or Affine(), Transform)
        self.mask = _checked("mask", mask or Half(), Mask)
        check_integer("kernel_size", kernel_size)
        self.kernel_size = kernel_size

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        kept, moved = self.mask.dims(event_shape)
        inputs = (None, *event_shape[:-1], kept + (condition_dim or 0))
        features = output_shape(self.network, inputs)
        if features[:-1] != inputs[:-1]:
            what = f"a network that returns [batch, ..., h] of {inputs}"
            raise ValueError(expected(what, features))
        self.projection = self._projection(len(event_shape), moved * self.transform.num_params)
        self.projection.build(features)
        self._params_shape = (*event_shape[:-1], moved, self.transform.num_params)

    def _projection(self, rank: int, units: int) -> keras.layers.Layer:
        """Returns the layer that makes the parameters of all numbers at a position."""
        names = {"kernel_initializer": "zeros", "dtype": self.dtype_policy, "name": "projection"}
        if rank == 1 or self.kernel_size == 1:
            return keras.layers.Dense(units, **names)
        if rank not in CONVOLUTIONS:
            what = f"events of at most four axes for `kernel_size` = {self.kernel_size}"
            raise ValueError(expected(what, f"{rank} axes"))
        return CONVOLUTIONS[rank](units, self.kernel_size, padding="same", **names)

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        return self._map(self.transform.forward_and_log_det, x, condition, seed)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        return self._map(self.transform.inverse_and_log_det, z, condition, seed)

    def _map(
        self,
        transform: Callable[[tf.Tensor, tf.Tensor], Result],
        x: tf.Tensor,
        condition: tf.Tensor | None,
        seed: tf.Tensor | None,
    ) -> Result:
        """Returns what becomes of x, with what is moved taken one way."""
        kept, moved = self.mask.split(x)
        features = self.network(with_condition(kept, condition), training=seed is not None)
        params = self.projection(tf.cast(features, self.compute_dtype))
        moved, log_det = transform(moved, tf.reshape(params, [-1, *self._params_shape]))
        log_det = self.mask.of_moved(log_det)
        return self.mask.merge(kept, moved), tf.reduce_sum(log_det, axis=range(1, x.shape.rank))

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x: that of an additive coupling is 0."""
        return self.transform.log_det_is_constant


def _checked(name: str, value: object, kind: type) -> object:
    """Returns an argument of the right kind."""
    if not isinstance(value, kind):
        raise TypeError(expected(f"`{name}`, a {kind.__name__}", repr(value)))
    return value
