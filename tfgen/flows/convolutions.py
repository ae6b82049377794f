"""The network inside couplings over images, for the published recipes."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer
from tfgen.core.config import Configurable, register


@register
class ResidualConvolutions(Configurable, keras.layers.Layer):
    """Images [batch, h, w, c] -> features [batch, h, w, filters], by residual blocks.

    A 3x3 convolution, then blocks x + conv3x3(relu(conv1x1(relu(x)))), and a ReLU.

    Args:
        filters: of each convolution, > 0.
        num_blocks: >= 0.

    Raises:
        TypeError, ValueError: when a number is not an integer, or out of range.
    """

    def __init__(self, filters: int = 64, num_blocks: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_integer("filters", filters)
        check_integer("num_blocks", num_blocks, minimum=0)
        self.filters = filters
        self.num_blocks = num_blocks

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights."""
        sizes = [3, *(1, 3) * self.num_blocks]
        self.convolutions = [
            keras.layers.Conv2D(self.filters, size, padding="same", dtype=self.dtype_policy)
            for size in sizes
        ]
        self.convolutions[0].build(input_shape)
        for convolution in self.convolutions[1:]:
            convolution.build((*input_shape[:-1], self.filters))
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns features [batch, h, w, filters]."""
        first, *others = self.convolutions
        x = first(x)
        for narrow, wide in zip(others[::2], others[1::2], strict=True):
            x += wide(tf.nn.relu(narrow(tf.nn.relu(x))))
        return tf.nn.relu(x)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple:
        """Returns (batch, h, w, filters)."""
        return (*input_shape[:-1], self.filters)
