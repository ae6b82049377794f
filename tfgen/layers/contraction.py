"""Networks that contract: layers of a bounded norm and activations that do not stretch."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import Configurable, output_shape, register
from tfgen.layers.initial import spread
from tfgen.layers.linearised import SmoothMap, by_tape, composed
from tfgen.layers.lipschitz import Lipschitz, LipSwish


@register
class Contraction(Configurable, keras.layers.Layer):
    """Layers one after the other, all of which contract, or at least do not stretch.

    Args:
        layers: at least one, each a `Lipschitz`, a `LipSwish` or a `Contraction`, or without
            weights, such as an activation of slopes within [-1, 1]; what has no weights cannot be
            checked.

    Raises:
        TypeError: when there are none.
        ValueError: when built, where one has weights that nothing keeps small enough.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        layers = list(layers)
        if not layers or not all(isinstance(each, keras.layers.Layer) for each in layers):
            raise TypeError(expected("`layers`, at least one Keras layer", layers))
        self.layers = layers

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights."""
        for layer in self.layers:
            input_shape = output_shape(layer, input_shape)
        self.built = True
        check_contracts(self)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the outputs of the last layer."""
        return self.with_kernels(training).call(x)

    def with_kernels(self, training: bool = False) -> SmoothMap:
        """Returns the network as a map whose kernels are made once for any number of calls."""
        return composed([_with_kernels(layer, training) for layer in self.layers])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns that of the last layer."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return tuple(input_shape)


def _with_kernels(layer: keras.layers.Layer, training: bool) -> SmoothMap:
    """Returns a layer as a map."""
    if isinstance(layer, Contraction):
        return layer.with_kernels(training)
    if isinstance(layer, Lipschitz):
        return layer.with_kernel(training)
    return SmoothMap(layer, layer.linearised) if isinstance(layer, LipSwish) else by_tape(layer)


def lipschitz_dense(
    dim: int,
    hidden_units: Sequence[int] = (128, 128),
    coefficient: float = 0.98,
    tolerance: float = 5e-3,
    first_activation: bool = True,
) -> Contraction:
    """Returns a network of vectors [batch, dim] -> [batch, dim] that contracts.

    LipSwish and a dense layer, in turns; its Lipschitz constant is at most that of all its layers.

    Args:
        dim: of the vectors, > 0.
        hidden_units: the width of each hidden layer, > 0.
        coefficient, tolerance: of each layer, as for `Lipschitz`.
        first_activation: whether it begins with LipSwish, as all but the first of a flow do.
    """
    layers = [
        keras.layers.Dense(units, bias_initializer=spread(inputs))
        for inputs, units in zip([dim, *hidden_units], [*hidden_units, dim], strict=True)
    ]
    return _in_turns(layers, coefficient, tolerance, first_activation)


def lipschitz_conv(
    channels: int,
    filters: int = 512,
    kernel_sizes: Sequence[int] = (3, 1, 3),
    coefficient: float = 0.98,
    tolerance: float = 5e-3,
    first_activation: bool = True,
) -> Contraction:
    """Returns a network of images [batch, h, w, channels] -> the same shape that contracts.

    LipSwish and a convolution, in turns, as published.

    Args:
        channels: of the images, > 0.
        filters: of each convolution but the last, > 0.
        kernel_sizes: of each convolution, > 0, at least one.
        coefficient, tolerance, first_activation: as for `lipschitz_dense`.

    Reference: Chen, Behrmann, Duvenaud and Jacobsen, "Residual Flows for Invertible Generative
        Modeling", 2019, https://arxiv.org/abs/1906.02735.
    """
    widths = [*[filters] * (len(kernel_sizes) - 1), channels]
    layers = [
        keras.layers.Conv2D(width, size, padding="same")
        for width, size in zip(widths, kernel_sizes, strict=True)
    ]
    return _in_turns(layers, coefficient, tolerance, first_activation)


def _in_turns(
    layers: Sequence[keras.layers.Layer],
    coefficient: float,
    tolerance: float,
    first_activation: bool,
) -> Contraction:
    """Returns activations and wrapped layers in turns."""
    parts = [
        part for each in layers for part in (LipSwish(), Lipschitz(each, coefficient, tolerance))
    ]
    return Contraction(parts if first_activation else parts[1:])


def check_contracts(network: keras.layers.Layer) -> None:
    """Raises ValueError unless all weights of a network, which is built, are kept small enough.

    What cannot be seen is not checked: activations, and layers without weights.
    """
    known = {id(weight) for part in _parts(network) for weight in part.weights}
    others = [weight.path for weight in network.weights if id(weight) not in known]
    if others:
        what = "a network whose weights are all in `Lipschitz` layers, or of `LipSwish`"
        raise ValueError(expected(what, f"others: {', '.join(others)}"))


def _parts(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers with bounded weights that a layer is made of, or a model of models."""
    if isinstance(layer, (Lipschitz, LipSwish)):
        return [layer]
    return [part for each in getattr(layer, "layers", ()) for part in _parts(each)]
