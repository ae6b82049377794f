"""A prior over a grid of latents, of which each depends on those before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.layers.masked_conv import MaskedConv2D, check_odd
from tfgen.variational.gaussians import Gaussian, gaussian_of


@register
@dataclass(frozen=True)
class AutoregressiveGrid(Configurable):
    """p(z | h) = prod_i N(z_i; m(z_<i, h), s(z_<i, h)^2), positions i of a grid in raster order.

    The mean and the scale are made by masked convolutions, of which the first leaves out the
    position itself, and by the features h that the levels above give to each position. The
    channels of a position do not depend on each other. A position does not see what is above it
    and more than (kernel_size - 1) / 2 columns to the right for each row up.

    A sample takes a pass of the network for each position, one after the other.

    Args:
        filters: channels of the hidden layers, > 0.
        num_layers: hidden layers after the first, >= 0.
        kernel_size: of the convolutions, odd and >= 3.

    Raises:
        TypeError: when a number is not an integer.
        ValueError: when it is out of range.

    Reference: Gulrajani et al., "PixelVAE: A Latent Variable Model for Natural Images", 2017,
        https://arxiv.org/abs/1611.05013.
    """

    filters: int = 32
    num_layers: int = 2
    kernel_size: int = 5

    def __post_init__(self) -> None:
        check_integer("filters", self.filters)
        check_integer("num_layers", self.num_layers, minimum=0)
        check_odd("kernel_size", self.kernel_size)
        if self.kernel_size < 3:
            raise ValueError(expected("`kernel_size` >= 3", self.kernel_size))


class GridNetwork(keras.layers.Layer):
    """The network of an `AutoregressiveGrid`, built as it is made.

    Args:
        settings: of the network.
        latent_shape: (height, width, channels).
        features_shape: (height, width, filters) of h.
        gain: of the variance of the last kernel at the start.
        dtype: of the hidden layers.
    """

    def __init__(
        self,
        settings: AutoregressiveGrid,
        latent_shape: Sequence[int],
        features_shape: Sequence[int],
        gain: float,
        dtype: Any,
    ) -> None:
        super().__init__(dtype=dtype)
        self._grid, channels = tuple(latent_shape[:2]), latent_shape[2]
        filters, size = settings.filters, settings.kernel_size
        self._first = MaskedConv2D(filters, size, center=False, dtype=dtype, name="first")
        self._first.build((None, *latent_shape))
        self._of_features = keras.layers.Dense(filters, dtype=dtype, name="of_features")
        self._of_features.build((None, *features_shape))
        self._hidden = [
            MaskedConv2D(filters, size, dtype=dtype) for _ in range(settings.num_layers)
        ]
        initializer = keras.initializers.VarianceScaling(gain)
        self._last = keras.layers.Dense(
            2 * channels, kernel_initializer=initializer, dtype="float32", name="last"
        )
        for layer in (*self._hidden, self._last):
            layer.build((None, *self._grid, filters))
        self.built = True

    def call(self, z: tf.Tensor, features: tf.Tensor) -> Gaussian:
        """Returns the mean and log s of each number, [rows, height, width, channels].

        Args:
            z: [rows, height, width, channels], of which each position sees those before it.
            features: h, [rows, height, width, filters].
        """
        return self._given(z, self._of_features(features))

    def _given(self, z: tf.Tensor, context: tf.Tensor) -> Gaussian:
        hidden = self._first(z) + context
        for layer in self._hidden:
            hidden += layer(tf.nn.silu(hidden))
        return gaussian_of(self._last(tf.cast(tf.nn.silu(hidden), tf.float32)))

    def draw(self, noise: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Returns latents, position by position, of standard normal noise of their shape."""
        context = self._of_features(features)
        height, width = self._grid
        places = tf.reshape(tf.range(height * width), [1, height, width, 1])

        def body(place: tf.Tensor, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            mean, log_scale = self._given(z, context)
            return place + 1, tf.where(places == place, mean + tf.exp(log_scale) * noise, z)

        start = (tf.constant(0), tf.zeros_like(noise))
        return tf.while_loop(lambda place, _: place < height * width, body, start)[1]
