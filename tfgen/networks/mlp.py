"""The multi-layer perceptron."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer
from tfgen.core.config import Configurable, register


@register
class MLP(Configurable, keras.layers.Layer):
    """Dense layers with a nonlinearity between them: [batch, d] -> [batch, *event_shape].

    Args:
        event_shape: of the output, e.g. (64,) or (28, 28, 1).
        hidden_units: of the hidden layers.
        activation: of the hidden layers, a Keras activation.
        output_activation: of the last layer, a Keras activation, None for linear.
        batch_norm: whether hidden layers are normalised before their activation; they then have no
            bias.
        linear_skip: whether a trained affine map of the inputs is added to the output. The dense
            layers then begin by adding nothing, and `adapt` says what the map begins as.

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
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        for size in (*event_shape, *hidden_units):
            check_integer("sizes", size)
        self.event_shape = tuple(event_shape)
        self.hidden_units = tuple(hidden_units)
        self.activation = activation
        self.output_activation = output_activation
        self.batch_norm = batch_norm
        self.linear_skip = linear_skip
        self._size = math.prod(self.event_shape)
        self._layers_in_order = self._make_layers()
        self._skip = keras.layers.Dense(self._size, dtype="float32") if linear_skip else None
        self._reshape = keras.layers.Reshape(self.event_shape, dtype="float32")

    def _make_layers(self) -> list[keras.layers.Layer]:
        layers: list[keras.layers.Layer] = []
        for units in self.hidden_units:
            layers.append(
                keras.layers.Dense(units, use_bias=not self.batch_norm, dtype=self.dtype_policy)
            )
            if self.batch_norm:
                layers.append(batch_normalization(self.dtype_policy))
            layers.append(keras.layers.Activation(self.activation, dtype=self.dtype_policy))
        layers.append(
            keras.layers.Dense(
                self._size,
                activation=self.output_activation,
                kernel_initializer="zeros" if self.linear_skip else "glorot_uniform",
                dtype="float32",
            )
        )
        return layers

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights for inputs [batch, d]."""
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

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns [batch, *event_shape] from [batch, d]."""
        outputs = call_in_order(self._layers_in_order, inputs, training)
        if self._skip is not None:
            outputs += self._skip(inputs)
        return self._reshape(outputs)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns (batch, *event_shape)."""
        return (input_shape[0], *self.event_shape)


def batch_normalization(dtype: keras.DTypePolicy) -> keras.layers.BatchNormalization:
    """Returns a batch normalisation that, made under a strategy, takes statistics of all replicas.

    Otherwise each replica would keep moving statistics of its own, and a step would not be that of
    the joint batch.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return keras.layers.BatchNormalization(momentum=0.9, synchronized=replicas > 1, dtype=dtype)


def build_in_order(layers: Sequence[keras.layers.Layer], shape: Sequence[int | None]) -> None:
    """Builds layers that are called one after the other."""
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)


def call_in_order(
    layers: Sequence[keras.layers.Layer], inputs: tf.Tensor, training: bool
) -> tf.Tensor:
    """Calls layers one after the other."""
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            inputs = layer(inputs, training=training)
        else:
            inputs = layer(inputs)
    return inputs
