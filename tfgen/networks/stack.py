"""What networks are put together from: layers in order, residual sums, and checks of shapes."""

import abc
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.config import Configurable, check_keras_settings, register
from tfgen.layers import SpectralNormalization

Shape = Sequence[int | None]
Layers = Sequence[keras.layers.Layer]


class Network(Configurable, keras.Model, abc.ABC):
    """A Keras model that also tells the outputs of its nonlinearities.

    Attributes:
        spectral_norm: whether kernels are divided by their largest singular value.
        slope: of the rectifiers below zero.
    """

    spectral_norm: bool = False
    slope: float = 0.0

    def __init__(self, **kwargs: object) -> None:
        check_keras_settings()
        super().__init__(**kwargs)

    @abc.abstractmethod
    def outputs_and_features(
        self, inputs: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns what the network returns and, in order, the outputs of its nonlinearities."""

    @abc.abstractmethod
    def feature_shapes(self, input_shape: Shape) -> list[Shape]:
        """Returns the shapes of the features, [batch, ...] each."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the outputs."""
        return self.outputs_and_features(inputs, training)[0]

    def features(self, inputs: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Returns the outputs of the nonlinearities, in order."""
        if not self.built:
            self.build(keras.tree.map_structure(lambda x: tuple(x.shape), inputs))
        return self.outputs_and_features(inputs, training)[1]

    def _dense(self, units: int, **kwargs: object) -> keras.layers.Layer:
        options = {"dtype": self.dtype_policy, **kwargs}
        return self._normalized(keras.layers.Dense(units, **options))

    def _convolution(
        self, filters: int, kernel_size: int = 4, strides: int = 2, **kwargs: object
    ) -> keras.layers.Layer:
        options = {"padding": "same", "dtype": self.dtype_policy, **kwargs}
        return self._normalized(keras.layers.Conv2D(filters, kernel_size, strides, **options))

    def _deconvolution(self, filters: int, **kwargs: object) -> keras.layers.Layer:
        options = {"padding": "same", "dtype": self.dtype_policy, **kwargs}
        return self._normalized(keras.layers.Conv2DTranspose(filters, 4, 2, **options))

    def _normalized(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        if not self.spectral_norm:
            return layer
        return SpectralNormalization(layer)

    def _activated(self, batch_norm: bool) -> list[keras.layers.Layer]:
        """Returns a rectifier, after batch normalisation where asked for."""
        norm = [batch_normalization(self.dtype_policy)] if batch_norm else []
        return [*norm, keras.layers.LeakyReLU(self.slope, dtype=self.dtype_policy)]


class Stack(Network):
    """A network whose layers are called one after the other.

    A subclass calls `_assemble` when its arguments are in place.
    """

    @abc.abstractmethod
    def _make_layers(self) -> list[keras.layers.Layer]:
        """Returns new layers, in order."""

    def _assemble(self) -> None:
        self._layers_in_order = self._make_layers()

    def _check_input(self, shape: Shape) -> None:
        """Raises ValueError for inputs of a shape that the network does not take."""

    def build(self, input_shape: Shape) -> None:
        """Makes the weights for inputs of a shape."""
        self._check_input(tuple(input_shape))
        build_in_order(self._layers_in_order, input_shape)
        self.built = True

    def outputs_and_features(
        self, inputs: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the last layer's output and the outputs of the nonlinearities, in order."""
        return call_in_order(self._layers_in_order, inputs, training)

    def feature_shapes(self, input_shape: Shape) -> list[Shape]:
        """Returns the shapes of the features, [batch, ...] each."""
        return shapes_in_order(self._layers_in_order, input_shape)[1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape of the last layer's output."""
        return shapes_in_order(self._layers_in_order, input_shape)[0]


@register
class Residual(Configurable, keras.layers.Layer):
    """The sum of two paths, x -> shortcut(x) + main(x), each of layers in order.

    Args:
        main: layers.
        shortcut: layers, none for the identity.

    Reference: He et al., "Identity Mappings in Deep Residual Networks", 2016,
        https://arxiv.org/abs/1603.05027.
    """

    def __init__(self, main: Layers, shortcut: Layers = (), **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.main = list(main)
        self.shortcut = list(shortcut)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights of both paths, which must end in one shape."""
        ends = [shapes_in_order(p, input_shape)[0] for p in (self.main, self.shortcut)]
        if ends[0] != ends[1]:
            raise ValueError(expected("two paths that end in one shape", ends))
        build_in_order(self.main, input_shape)
        build_in_order(self.shortcut, input_shape)
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the sum of the paths' outputs."""
        outputs, _ = call_in_order(self.main, inputs, training)
        skipped, _ = call_in_order(self.shortcut, inputs, training)
        return outputs + skipped

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape of the sum."""
        return shapes_in_order(self.main, input_shape)[0]


NONLINEARITIES = (keras.layers.Activation, keras.layers.LeakyReLU, Residual)
TAKE_TRAINING = (keras.layers.BatchNormalization, SpectralNormalization, Residual)


def batch_normalization(dtype: keras.DTypePolicy) -> keras.layers.BatchNormalization:
    """Returns a batch normalisation that, made under a strategy, takes statistics of all replicas.

    Otherwise each replica would keep moving statistics of its own, and a step would not be that of
    the joint batch.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return keras.layers.BatchNormalization(momentum=0.9, synchronized=replicas > 1, dtype=dtype)


def build_in_order(layers: Layers, shape: Shape) -> None:
    """Builds layers that are called one after the other, but those that have weights already.

    Those without weights learn their shapes, which a summary shows.
    """
    for layer in layers:
        if not (layer.built and layer.weights):
            layer.build(shape)
        shape = layer.compute_output_shape(shape)


def call_in_order(
    layers: Layers, inputs: tf.Tensor, training: bool
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Calls layers one after the other: the last one's output, and those of nonlinearities."""
    features = []
    for layer in layers:
        options = {"training": training} if isinstance(layer, TAKE_TRAINING) else {}
        inputs = layer(inputs, **options)
        if isinstance(layer, NONLINEARITIES):
            features.append(inputs)
    return inputs, features


def shapes_in_order(layers: Layers, shape: Shape) -> tuple[Shape, list[Shape]]:
    """Returns the shapes of what `call_in_order` returns."""
    features = []
    for layer in layers:
        shape = layer.compute_output_shape(shape)
        if isinstance(layer, NONLINEARITIES):
            features.append(tuple(shape))
    return tuple(shape), features


def unit_tanh(x: tf.Tensor) -> tf.Tensor:
    """Returns tanh, moved from [-1, 1] to [0, 1]."""
    return 0.5 * (1 + tf.tanh(x))


def check_sizes(name: str, sizes: Sequence[int]) -> None:
    """Raises TypeError or ValueError unless all of `sizes` are integers > 0."""
    for size in sizes:
        check_integer(name, size)


def check_image_shape(shape: Shape, divisor: int = 1) -> None:
    """Raises TypeError or ValueError unless `shape` is (height, width, channels).

    Args:
        shape: of one image.
        divisor: of height and width.
    """
    check_rank("image_shape", tuple(shape), 3, "(height, width, channels)")
    check_sizes("image_shape", shape)
    if shape[0] % divisor or shape[1] % divisor:
        what = f"a height and width divisible by {divisor} (`image_size` resizes them)"
        raise ValueError(expected(what, tuple(shape)))


def check_images(shape: Shape, divisor: int = 1) -> None:
    """Raises ValueError unless inputs of `shape` are images whose sizes are known.

    Args:
        shape: [batch, height, width, channels] of a batch.
        divisor: of height and width.
    """
    check_rank("inputs", shape, 4, "[batch, height, width, channels]")
    check_known(shape)
    check_image_shape(shape[1:], divisor)


def check_known(shape: Shape) -> None:
    """Raises ValueError unless all but the batch size of `shape` is known."""
    if None in tuple(shape)[1:]:
        raise ValueError(expected("inputs of known shape but for the batch", tuple(shape)))


def check_same_images(shape: Shape, image_shape: Shape) -> None:
    """Raises ValueError unless `shape` is (batch, *image_shape)."""
    if tuple(shape)[1:] != tuple(image_shape):
        raise ValueError(expected(f"images of shape {tuple(image_shape)}", tuple(shape)))
