"""The multi-layer perceptron."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import register
from tfgen.networks.stack import (
    Network,
    Shape,
    batch_normalization,
    build_in_order,
    call_in_order,
    check_known,
    check_sizes,
    shapes_in_order,
)


@register
class MLP(Network):
    """Dense layers with a nonlinearity between them: [batch, d] -> [batch, *event_shape].

    Inputs of more axes, such as images, are flattened. With an event shape of (1,) it is a
    discriminator.

    Args:
        event_shape: of the output, e.g. (64,) or (28, 28, 1).
        hidden_units: of the hidden layers.
        activation: of the hidden layers, a Keras activation; "leaky_relu" has a slope of 0.2 below
            zero.
        output_activation: of the last layer, a Keras activation, None for linear.
        batch_norm: whether hidden layers are normalised before their activation; they then have no
            bias.
        linear_skip: whether a trained affine map of the inputs is added to the output. The dense
            layers then begin by adding nothing, and `adapt` says what the map begins as.
        spectral_norm: whether the kernels are divided by their largest singular value; not with a
            linear skip, where the last one begins as zeros.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when one is not > 0, or Keras has no such activation.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden_units: Sequence[int] = (128, 128),
        activation: str = "relu",
        output_activation: str | None = None,
        batch_norm: bool = False,
        linear_skip: bool = False,
        spectral_norm: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes("event_shape", event_shape)
        check_sizes("hidden_units", hidden_units)
        if linear_skip and spectral_norm:
            raise ValueError(expected("`linear_skip` or `spectral_norm`", "both"))
        self.event_shape = tuple(event_shape)
        self.hidden_units = tuple(hidden_units)
        self.activation = activation
        self.output_activation = output_activation
        self.batch_norm = batch_norm
        self.linear_skip = linear_skip
        self.spectral_norm = spectral_norm
        self._size = math.prod(self.event_shape)
        self._layers_in_order = self._make_layers()
        self._skip = keras.layers.Dense(self._size, dtype="float32") if linear_skip else None
        self._reshape = keras.layers.Reshape(self.event_shape, dtype="float32")

    def _make_layers(self) -> list[keras.layers.Layer]:
        layers: list[keras.layers.Layer] = []
        for units in self.hidden_units:
            layers.append(self._dense(units, use_bias=not self.batch_norm))
            if self.batch_norm:
                layers.append(batch_normalization(self.dtype_policy))
            layers.append(keras.layers.Activation(self.activation, dtype=self.dtype_policy))
        layers.append(
            self._dense(
                self._size,
                activation=self.output_activation,
                kernel_initializer="zeros" if self.linear_skip else "glorot_uniform",
                dtype="float32",
            )
        )
        return layers

    def build(self, input_shape: Shape) -> None:
        """Makes the weights for inputs [batch, ...]."""
        check_known(input_shape)
        input_shape = _flat_shape(input_shape)
        build_in_order(self._layers_in_order, input_shape)
        if self._skip is not None:
            self._skip.build(input_shape)
        self._reshape.build((None, self._size))
        self.built = True

    def adapt(self, x: np.ndarray) -> None:
        """Begins the affine map as the one that turns N(0, I) into a Gaussian fitted to data.

        With fewer inputs than numbers in an example, the directions of largest variance are kept.

        Args:
            x: [num_examples, *event_shape], at least two examples.
        """
        if self._skip is None:
            return
        x = np.reshape(x, [len(x), self._size]).astype(np.float64)
        variances, directions = np.linalg.eigh(np.cov(x, rowvar=False).reshape(self._size, -1))
        kernel = np.zeros(self._skip.kernel.shape)
        kept = min(kernel.shape)
        deviations = np.sqrt(np.maximum(variances[::-1][:kept], 0))
        kernel[:kept] = deviations[:, np.newaxis] * directions[:, ::-1][:, :kept].T
        self._skip.kernel.assign(kernel)
        self._skip.bias.assign(x.mean(axis=0))

    def outputs_and_features(
        self, inputs: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns [batch, *event_shape] from [batch, ...], and the hidden layers."""
        if len(inputs.shape) > 2:
            inputs = tf.reshape(inputs, [-1, _flat_shape(inputs.shape)[1]])
        outputs, features = call_in_order(self._layers_in_order, inputs, training)
        if self._skip is not None:
            outputs += self._skip(inputs)
        return self._reshape(outputs), features

    def feature_shapes(self, input_shape: Shape) -> list[Shape]:
        """Returns the shapes of the hidden layers, [batch, units] each."""
        return shapes_in_order(self._layers_in_order, _flat_shape(input_shape))[1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (batch, *event_shape)."""
        return (input_shape[0], *self.event_shape)


def _flat_shape(shape: Shape) -> tuple[int | None, int]:
    return (shape[0], math.prod(shape[1:]))
