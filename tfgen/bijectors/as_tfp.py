"""Bijectors as TensorFlow Probability knows them."""

from functools import cache
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb

    from tfgen.bijectors.bijector import Bijector


def as_tfp(layer: "Bijector", condition: tf.Tensor | None = None) -> "tfb.Bijector":
    """Returns the TFP bijector of a layer that is built."""
    return _tfp_class()(layer, condition)


@cache
def _tfp_class() -> type:
    """Returns the class, made when TFP, which takes a second to import, is wanted."""
    from tensorflow_probability import bijectors as tfb

    class _LayerBijector(tfb.Bijector):
        """Asks a layer; keeps it from Keras, whose weights are the layer's own."""

        def __init__(self, layer: "Bijector", condition: tf.Tensor | None) -> None:
            parameters = {"layer": layer, "condition": condition}
            self._layer = layer
            self._condition = condition
            super().__init__(
                forward_min_event_ndims=len(layer.event_shape),
                inverse_min_event_ndims=len(layer.output_shape(layer.event_shape)),
                dtype=layer.compute_dtype,
                is_constant_jacobian=layer.log_det_is_constant,
                parameters=parameters,
                name=layer.name,
            )

        def _forward(self, x: tf.Tensor) -> tf.Tensor:
            return self._layer.forward(x, self._condition)

        def _inverse(self, y: tf.Tensor) -> tf.Tensor:
            return self._layer.inverse(y, self._condition)

        def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
            return self._layer.forward_and_log_det(x, self._condition)[1]

        def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
            return self._layer.inverse_and_log_det(y, self._condition)[1]

        def _forward_event_shape(self, shape: tf.TensorShape) -> Any:
            return tf.TensorShape(self._layer.output_shape(tuple(shape)))

        def _inverse_event_shape(self, shape: tf.TensorShape) -> Any:
            return tf.TensorShape(self._layer.event_shape)

    return _LayerBijector
