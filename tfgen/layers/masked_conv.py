"""Convolutions whose masks let each position see only those before it, row by row."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.config import Configurable, register

Shape = Sequence[int | None]


@register
class MaskedConv2D(Configurable, keras.layers.Layer):
    """A convolution (W * M) x + b that sees what is above and to the left, in raster order.

    M lets each position see all rows above it, and positions to the left in its own row, as far as
    the kernel reaches. Its own position it sees where `center` is true (mask B); where not (mask
    A), outputs depend on earlier positions alone. A mask A below and masks B above it make each
    output a function of the positions strictly before it.

    With g groups, channels have an order, too: inputs and outputs are cut into g equal blocks in
    turn, such as red, green and blue, and of its own position a block sees the blocks before it
    and, where `center` is true, itself. So numbers are in the order (row, column, block).

    A stack of these has a blind spot: with kernels of size k, no output sees what is above it and
    more than (k - 1) / 2 columns to the right for each row up.

    Args:
        filters: channels of the output, > 0.
        kernel_size: height and width of the kernel, odd.
        center: whether a position, or block, sees itself.
        num_groups: g, > 0, which divides the channels of inputs and outputs.
        kernel_initializer: of W, as Keras knows it.

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when one is out of range, or the mask lets nothing through.

    Reference: van den Oord, Kalchbrenner and Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016,
        https://arxiv.org/abs/1601.06759.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        center: bool = True,
        num_groups: int = 1,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in [("filters", filters), ("num_groups", num_groups)]:
            check_integer(name, value)
        check_odd("kernel_size", kernel_size)
        if filters % num_groups:
            raise ValueError(expected(f"`filters` divisible by {num_groups} groups", filters))
        if not center and kernel_size == 1 and num_groups == 1:
            raise ValueError(expected("`kernel_size` >= 3, as the center is not seen", kernel_size))
        self.filters = filters
        self.kernel_size = kernel_size
        self.center = center
        self.num_groups = num_groups
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights.

        Args:
            input_shape: (None, height, width, channels).

        Raises:
            ValueError: when inputs are no grids, or their channels cannot be grouped.
        """
        check_rank("inputs", input_shape, 4, "[batch, height, width, channels]")
        channels = input_shape[-1]
        if channels % self.num_groups:
            raise ValueError(expected(f"channels divisible by {self.num_groups} groups", channels))
        self._mask = self._made_mask(channels)
        self.kernel = self.add_weight(
            self._mask.shape, name="kernel", initializer=self.kernel_initializer
        )
        self.bias = self.add_weight((self.filters,), name="bias", initializer="zeros")
        self.built = True

    def _made_mask(self, channels: int) -> np.ndarray:
        """Returns what the kernel is multiplied by, bool [size, size, channels, filters]."""
        size, middle = self.kernel_size, self.kernel_size // 2
        rows, columns = np.mgrid[:size, :size]
        before = (rows < middle) | ((rows == middle) & (columns < middle))
        mask = np.tile(before[..., None, None], (1, 1, channels, self.filters))
        of_input = np.arange(channels) * self.num_groups // channels
        of_output = np.arange(self.filters) * self.num_groups // self.filters
        last = of_output if self.center else of_output - 1
        mask[middle, middle] = of_input[:, None] <= last
        return mask

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns [batch, height, width, filters] of [batch, height, width, channels]."""
        kernel = tf.convert_to_tensor(self.kernel)
        masked = kernel * tf.constant(self._mask, kernel.dtype)
        return tf.nn.bias_add(tf.nn.conv2d(inputs, masked, 1, "SAME"), self.bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (batch, height, width, filters)."""
        return (*input_shape[:-1], self.filters)


def check_odd(name: str, value: int) -> None:
    """Raises TypeError or ValueError unless `value` is an odd integer > 0."""
    check_integer(name, value)
    if value % 2 == 0:
        raise ValueError(expected(f"`{name}`, odd", value))
