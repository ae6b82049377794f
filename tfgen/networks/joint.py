"""A discriminator of examples together with their latents."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.core.checks import check_not_negative, check_rank
from tfgen.core.config import register
from tfgen.networks.conditional import pair, pair_of_shapes
from tfgen.networks.stack import (
    Network,
    Shape,
    build_in_order,
    call_in_order,
    check_images,
    check_known,
    check_sizes,
    shapes_in_order,
)


@register
class JointDiscriminator(Network):
    """Judges pairs: (x, z) -> logits [batch, 1].

    The convolutional features of x and the dense features of z are concatenated, then pass dense
    layers. The features are those of x, those of z, and those of both.

    Args:
        filters: of the convolutions of x, 4 x 4 with stride 2. Without any, x [batch, ...] is
            flattened and may be other than images.
        latent_units: of the dense layers of z.
        hidden_units: of the dense layers of both, but the last of one unit.
        batch_norm: whether the layers but the first of x and the last are normalised; those have
            no bias then. A gradient penalty asks for False.
        spectral_norm: whether the kernels are divided by their largest singular value.
        slope: of the leaky ReLU below zero.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when a number is out of range, or inputs are not such a pair, of known size.

    Reference: Donahue et al., "Adversarial Feature Learning" (BiGAN), 2017,
        https://arxiv.org/abs/1605.09782.
    """

    def __init__(
        self,
        filters: Sequence[int] = (64, 128),
        latent_units: Sequence[int] = (512,),
        hidden_units: Sequence[int] = (1024,),
        batch_norm: bool = False,
        spectral_norm: bool = False,
        slope: float = 0.2,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes("filters", filters)
        check_sizes("latent_units", latent_units)
        check_sizes("hidden_units", hidden_units)
        check_not_negative("slope", slope)
        self.filters = tuple(filters)
        self.latent_units = tuple(latent_units)
        self.hidden_units = tuple(hidden_units)
        self.batch_norm = batch_norm
        self.spectral_norm = spectral_norm
        self.slope = slope
        self._example_layers = self._make_example_layers()
        self._latent_layers = self._make_dense_layers(self.latent_units)
        self._joint_layers = [
            *self._make_dense_layers(self.hidden_units),
            self._dense(1, dtype="float32"),
        ]

    def _make_example_layers(self) -> list[keras.layers.Layer]:
        layers = []
        for i, filters in enumerate(self.filters):
            normed = self.batch_norm and i > 0
            layers += [self._convolution(filters, use_bias=not normed), *self._activated(normed)]
        return [*layers, keras.layers.Flatten(dtype=self.dtype_policy)]

    def _make_dense_layers(self, units: Sequence[int]) -> list[keras.layers.Layer]:
        layers = []
        for size in units:
            layers += [
                self._dense(size, use_bias=not self.batch_norm),
                *self._activated(self.batch_norm),
            ]
        return layers

    def build(self, input_shape: tuple[Shape, Shape]) -> None:
        """Makes the weights for x [batch, ...] and z [batch, d]."""
        examples, latents = pair_of_shapes(input_shape, "(x, z)")
        if self.filters:
            check_images(examples)
        check_known(examples)
        check_rank("z", latents, 2, "[batch, d]")
        build_in_order(self._example_layers, examples)
        build_in_order(self._latent_layers, latents)
        build_in_order(self._joint_layers, self._joined(input_shape))
        self.built = True

    def outputs_and_features(
        self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns logits [batch, 1] of x [batch, ...] and z [batch, d], and the features."""
        x, z = pair(inputs, "(x, z)")
        of_x, x_features = call_in_order(self._example_layers, x, training)
        of_z, z_features = call_in_order(self._latent_layers, z, training)
        # Parts without layers of their own are not cast by any.
        both = tf.concat([tf.cast(part, self.compute_dtype) for part in (of_x, of_z)], axis=1)
        logits, features = call_in_order(self._joint_layers, both, training)
        return logits, [*x_features, *z_features, *features]

    def feature_shapes(self, input_shape: tuple[Shape, Shape]) -> list[Shape]:
        """Returns the shapes of the features, [batch, ...] each."""
        paths = (
            (self._example_layers, input_shape[0]),
            (self._latent_layers, input_shape[1]),
            (self._joint_layers, self._joined(input_shape)),
        )
        return [shape for layers, begin in paths for shape in shapes_in_order(layers, begin)[1]]

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        """Returns (batch, 1)."""
        return (input_shape[0][0], 1)

    def _joined(self, input_shape: tuple[Shape, Shape]) -> Shape:
        layers = (self._example_layers, self._latent_layers)
        ends = [shapes_in_order(*path)[0] for path in zip(layers, input_shape, strict=True)]
        return (ends[0][0], sum(math.prod(end[1:]) for end in ends))
