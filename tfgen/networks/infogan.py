"""The networks of InfoGAN, small ones for small images."""

from collections.abc import Sequence
from functools import partial

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.config import Configurable, register
from tfgen.networks.mlp import batch_normalization, build_in_order, call_in_order


@register
class InfoGANGenerator(Configurable, keras.layers.Layer):
    """Two dense layers, two transposed convolutions: latents [batch, d] -> images in [0, 1].

    Args:
        image_shape: (height, width, channels), height and width divisible by 4.
        hidden_units: of the first dense layer.
        filters: of the second dense layer's map, and of the first transposed convolution's.
        batch_norm: whether the layers but the last are normalised; those have no bias then.
        first_batch_norm: whether the first dense layer is, as `batch_norm` unless given. GLANN's
            code leaves it out.
        slope: of the leaky ReLU below zero.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when one is out of range, or the shape does not fit.

    Reference: Chen et al., "InfoGAN", 2016, https://arxiv.org/abs/1606.03657; as in Lucic et al.,
        "Are GANs Created Equal?", 2018, https://arxiv.org/abs/1711.10337.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        hidden_units: int = 1024,
        filters: Sequence[int] = (128, 64),
        batch_norm: bool = True,
        first_batch_norm: bool | None = None,
        slope: float = 0.2,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_rank("image_shape", tuple(image_shape), 3, "(height, width, channels)")
        for size in (*image_shape, *filters, hidden_units):
            check_integer("sizes", size)
        if len(filters) != 2:
            raise ValueError(expected("two `filters`", tuple(filters)))
        if image_shape[0] % 4 or image_shape[1] % 4:
            raise ValueError(expected("a height and width divisible by 4", tuple(image_shape)))
        self.image_shape = tuple(image_shape)
        self.hidden_units = hidden_units
        self.filters = tuple(filters)
        self.batch_norm = batch_norm
        self.first_batch_norm = first_batch_norm
        self.slope = slope
        self._layers_in_order = self._make_layers()

    def _make_layers(self) -> list[keras.layers.Layer]:
        height, width, channels = self.image_shape
        grid = (height // 4, width // 4, self.filters[0])
        first = self.batch_norm if self.first_batch_norm is None else self.first_batch_norm
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        deconvolution = partial(
            keras.layers.Conv2DTranspose,
            kernel_size=4,
            strides=2,
            padding="same",
            dtype=self.dtype_policy,
        )
        bias = not self.batch_norm
        return [
            dense(self.hidden_units, use_bias=not first),
            *self._activated(first),
            dense(grid[0] * grid[1] * grid[2], use_bias=bias),
            *self._activated(self.batch_norm),
            keras.layers.Reshape(grid, dtype=self.dtype_policy),
            deconvolution(self.filters[1], use_bias=bias),
            *self._activated(self.batch_norm),
            deconvolution(channels),
            keras.layers.Activation("sigmoid", dtype="float32"),
        ]

    def _activated(self, batch_norm: bool) -> list[keras.layers.Layer]:
        norm = [batch_normalization(self.dtype_policy)] if batch_norm else []
        return [*norm, keras.layers.LeakyReLU(self.slope, dtype=self.dtype_policy)]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights for latents [batch, d]."""
        build_in_order(self._layers_in_order, input_shape)
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns images [batch, *image_shape] of latents [batch, d]."""
        return call_in_order(self._layers_in_order, inputs, training)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns (batch, *image_shape)."""
        return (input_shape[0], *self.image_shape)
