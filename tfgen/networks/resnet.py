"""The residual networks of SNGAN."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer
from tfgen.core.config import register
from tfgen.networks.stack import (
    Residual,
    Shape,
    Stack,
    check_image_shape,
    check_images,
    unit_tanh,
)


@register
class ResNetGenerator(Stack):
    """Residual blocks that double the size: latents [batch, d] -> images in [0, 1].

    Where blocks are normalised, their convolutions have no bias: the normalisation that follows
    would take each away.

    Args:
        image_shape: (height, width, channels), height and width divisible by 2**num_blocks.
        filters: of all blocks, 256 in the paper for 32 x 32.
        num_blocks: 3 for 32 x 32 (from 4 x 4) and 48 x 48 (from 6 x 6), 4 for 64 x 64.
        batch_norm: whether blocks and their end are normalised.

    Raises:
        TypeError: when a size or `num_blocks` is not an integer.
        ValueError: when one is not > 0, or the shape does not fit.

    Reference: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
        https://arxiv.org/abs/1802.05957.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        filters: int = 256,
        num_blocks: int = 3,
        batch_norm: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("filters", filters)
        check_integer("num_blocks", num_blocks)
        check_image_shape(image_shape, divisor=2**num_blocks)
        self.image_shape = tuple(image_shape)
        self.filters = filters
        self.num_blocks = num_blocks
        self.batch_norm = batch_norm
        self._assemble()

    def _make_layers(self) -> list[keras.layers.Layer]:
        height, width, channels = self.image_shape
        grid = (height >> self.num_blocks, width >> self.num_blocks, self.filters)
        return [
            self._dense(grid[0] * grid[1] * grid[2]),
            keras.layers.Reshape(grid, dtype=self.dtype_policy),
            *[self._block() for _ in range(self.num_blocks)],
            *self._activated(self.batch_norm),
            self._convolution(channels, 3, 1),
            keras.layers.Activation(unit_tanh, dtype="float32"),
        ]

    def _block(self) -> Residual:
        bias = not self.batch_norm

        def doubled() -> keras.layers.Layer:
            return keras.layers.UpSampling2D(2, dtype=self.dtype_policy)

        main = [
            *self._activated(self.batch_norm),
            doubled(),
            self._convolution(self.filters, 3, 1, use_bias=bias, kernel_initializer=_wide()),
            *self._activated(self.batch_norm),
            self._convolution(self.filters, 3, 1, use_bias=bias, kernel_initializer=_wide()),
        ]
        # A 1 x 1 convolution gives the same after nearest up-sampling, for four times the work.
        shortcut = [self._convolution(self.filters, 1, 1, use_bias=bias), doubled()]
        return Residual(main, shortcut, dtype=self.dtype_policy)


@register
class ResNetDiscriminator(Stack):
    """Residual blocks, summed over space: images [batch, h, w, c] -> logits [batch, 1].

    Images in [0, 1] are moved to [-1, 1] first. All blocks but the last two halve the size. The
    features are the blocks' outputs and the map that is summed.

    Args:
        filters: of all blocks, 128 in the paper for 32 x 32.
        num_blocks: 4 for 32 x 32, 5 for 48 x 48 and 64 x 64; at least 3. Height and width are
            divisible by 2**(num_blocks - 2).
        spectral_norm: whether the kernels are divided by their largest singular value.

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when one is out of range, or inputs are not images that can be halved so often.

    Reference: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
        https://arxiv.org/abs/1802.05957.
    """

    def __init__(
        self,
        filters: int = 128,
        num_blocks: int = 4,
        spectral_norm: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("filters", filters)
        check_integer("num_blocks", num_blocks, minimum=3)
        self.filters = filters
        self.num_blocks = num_blocks
        self.spectral_norm = spectral_norm
        self._assemble()

    def _make_layers(self) -> list[keras.layers.Layer]:
        return [
            keras.layers.Rescaling(2.0, offset=-1.0, dtype=self.dtype_policy),
            # Without a rectifier: it would cut half of the pixels' values away.
            self._block([], halved=True),
            *[self._block(self._activated(False), halved=True) for _ in range(self.num_blocks - 3)],
            *[self._block(self._activated(False), halved=False) for _ in range(2)],
            *self._activated(False),
            _SumOverSpace(dtype="float32"),
            self._dense(1, dtype="float32"),
        ]

    def _block(self, first: list[keras.layers.Layer], halved: bool) -> Residual:
        def pool() -> list[keras.layers.Layer]:
            return [keras.layers.AveragePooling2D(2, dtype=self.dtype_policy)] if halved else []

        main = [
            *first,
            self._convolution(self.filters, 3, 1, kernel_initializer=_wide()),
            *self._activated(False),
            self._convolution(self.filters, 3, 1, kernel_initializer=_wide()),
            *pool(),
        ]
        shortcut = [*pool(), self._convolution(self.filters, 1, 1)] if halved else []
        return Residual(main, shortcut, dtype=self.dtype_policy)

    def _check_input(self, shape: Shape) -> None:
        check_images(shape, divisor=2 ** (self.num_blocks - 2))


class _SumOverSpace(keras.layers.Layer):
    """Sums maps [batch, height, width, channels] to [batch, channels]."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(inputs, axis=[1, 2])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], input_shape[-1])


def _wide() -> keras.initializers.Initializer:
    """Returns Glorot's uniform initialiser, widened by sqrt(2) for a rectifier."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_avg", distribution="uniform")
