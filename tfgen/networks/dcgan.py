"""The networks of DCGAN: convolutions of stride two all the way between 4 x 4 and the image."""

from collections.abc import Sequence

import keras

from tfgen.core.checks import check_integer, check_not_negative, expected
from tfgen.core.config import register
from tfgen.networks.stack import (
    Shape,
    Stack,
    check_image_shape,
    check_same_images,
    unit_tanh,
)


@register
class DCGANGenerator(Stack):
    """A dense layer to 4 x 4, transposed convolutions: latents [batch, d] -> images in [0, 1].

    The last tanh is moved to [0, 1]. It is the published one up to that affine map; a sigmoid's
    slope at zero would be half of its.

    Args:
        image_shape: (size, size, channels), the size 4 * 2**k with k > 0.
        filters: of the largest hidden map; each smaller one has twice as many.
        batch_norm: whether the layers but the last are normalised; those have no bias then.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when `filters` is not > 0, or the shape is not such as above.

    Reference: Radford et al., "Unsupervised Representation Learning with Deep Convolutional
        Generative Adversarial Networks", 2016, https://arxiv.org/abs/1511.06434.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        filters: int = 64,
        batch_norm: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("filters", filters)
        self._widths = _widths(image_shape, filters)
        self.image_shape = tuple(image_shape)
        self.filters = filters
        self.batch_norm = batch_norm
        self._assemble()

    def _make_layers(self) -> list[keras.layers.Layer]:
        *widths, first = self._widths
        bias = not self.batch_norm
        layers = [
            self._dense(16 * first, use_bias=bias, kernel_initializer=_normal()),
            keras.layers.Reshape((4, 4, first), dtype=self.dtype_policy),
            *self._activated(self.batch_norm),
        ]
        for width in reversed(widths):
            layers += [
                self._deconvolution(width, use_bias=bias, kernel_initializer=_normal()),
                *self._activated(self.batch_norm),
            ]
        return [
            *layers,
            self._deconvolution(self.image_shape[-1], kernel_initializer=_normal()),
            keras.layers.Activation(unit_tanh, dtype="float32"),
        ]


@register
class DCGANDiscriminator(Stack):
    """Convolutions to 4 x 4 and a dense layer: images [batch, size, size, c] -> logits [batch, 1].

    Images in [0, 1] are moved to [-1, 1] first.

    Args:
        image_shape: (size, size, channels), the size 4 * 2**k with k > 0.
        filters: of the largest map; each smaller one has twice as many.
        batch_norm: whether the layers but the first and the last are normalised; those have no bias
            then. A gradient penalty asks for False.
        spectral_norm: whether the kernels are divided by their largest singular value.
        slope: of the leaky ReLU below zero.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when a number is out of range, the shape is not such as above, or inputs have
            another.

    Reference: Radford et al., "Unsupervised Representation Learning with Deep Convolutional
        Generative Adversarial Networks", 2016, https://arxiv.org/abs/1511.06434.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        filters: int = 64,
        batch_norm: bool = True,
        spectral_norm: bool = False,
        slope: float = 0.2,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("filters", filters)
        check_not_negative("slope", slope)
        self._widths = _widths(image_shape, filters)
        self.image_shape = tuple(image_shape)
        self.filters = filters
        self.batch_norm = batch_norm
        self.spectral_norm = spectral_norm
        self.slope = slope
        self._assemble()

    def _make_layers(self) -> list[keras.layers.Layer]:
        layers: list[keras.layers.Layer] = [
            keras.layers.Rescaling(2.0, offset=-1.0, dtype=self.dtype_policy)
        ]
        for i, width in enumerate(self._widths):
            normed = self.batch_norm and i > 0
            layers += [
                self._convolution(width, use_bias=not normed, kernel_initializer=_normal()),
                *self._activated(normed),
            ]
        return [
            *layers,
            keras.layers.Flatten(dtype=self.dtype_policy),
            self._dense(1, kernel_initializer=_normal(), dtype="float32"),
        ]

    def _check_input(self, shape: Shape) -> None:
        check_same_images(shape, self.image_shape)


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


def _widths(image_shape: Sequence[int], filters: int) -> list[int]:
    """Returns the channels of the maps from the largest to that of 4 x 4."""
    check_image_shape(image_shape)
    size = image_shape[0]
    doublings = size.bit_length() - 3
    if image_shape[1] != size or doublings < 1 or size != 4 * 2**doublings:
        what = "square images of size 8, 16, 32, 64 ... (`image_size` resizes them)"
        raise ValueError(expected(what, tuple(image_shape)))
    return [filters * 2**i for i in range(doublings)]
