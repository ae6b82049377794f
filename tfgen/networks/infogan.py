"""The networks of InfoGAN, small ones for small images, and an autoencoder made of them."""

from collections.abc import Sequence

import keras

from tfgen.core.checks import check_integer, check_not_negative, expected
from tfgen.core.config import register
from tfgen.networks.stack import (
    Shape,
    Stack,
    check_image_shape,
    check_images,
    check_same_images,
    check_sizes,
)


class _InfoGAN(Stack):
    """What the networks share: two convolutions down, or two transposed ones up."""

    def __init__(
        self, filters: Sequence[int], batch_norm: bool, slope: float, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        check_sizes("filters", filters)
        if len(filters) != 2:
            raise ValueError(expected("two `filters`", tuple(filters)))
        check_not_negative("slope", slope)
        self.filters = tuple(filters)
        self.batch_norm = batch_norm
        self.slope = slope

    def _down(self) -> list[keras.layers.Layer]:
        """Returns the layers from images to their vectors."""
        return [
            self._convolution(self.filters[0]),
            *self._activated(False),
            self._convolution(self.filters[1], use_bias=not self.batch_norm),
            *self._activated(self.batch_norm),
            keras.layers.Flatten(dtype=self.dtype_policy),
        ]

    def _up(self, image_shape: Shape, filters: Sequence[int]) -> list[keras.layers.Layer]:
        """Returns the layers from vectors to images, of four times the first map's size."""
        height, width, channels = image_shape
        grid = (height // 4, width // 4, filters[0])
        bias = not self.batch_norm
        return [
            self._dense(grid[0] * grid[1] * grid[2], use_bias=bias),
            *self._activated(self.batch_norm),
            keras.layers.Reshape(grid, dtype=self.dtype_policy),
            self._deconvolution(filters[1], use_bias=bias),
            *self._activated(self.batch_norm),
            self._deconvolution(channels),
            keras.layers.Activation("sigmoid", dtype="float32"),
        ]


@register
class InfoGANGenerator(_InfoGAN):
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
        ValueError: when a number is out of range, there are not two filters, or the shape does not
            fit.

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
        super().__init__(filters, batch_norm, slope, **kwargs)
        check_image_shape(image_shape, divisor=4)
        check_integer("hidden_units", hidden_units)
        self.image_shape = tuple(image_shape)
        self.hidden_units = hidden_units
        self.first_batch_norm = first_batch_norm
        self._assemble()

    def _make_layers(self) -> list[keras.layers.Layer]:
        first = self.batch_norm if self.first_batch_norm is None else self.first_batch_norm
        return [
            self._dense(self.hidden_units, use_bias=not first),
            *self._activated(first),
            *self._up(self.image_shape, self.filters),
        ]


class _Body(_InfoGAN):
    """Two convolutions and two dense layers: images -> [batch, num_outputs].

    The first convolution and the last layer are never batch-normalised.
    """

    def __init__(
        self,
        num_outputs: int,
        hidden_units: int,
        filters: Sequence[int],
        batch_norm: bool,
        spectral_norm: bool,
        slope: float,
        **kwargs: object,
    ) -> None:
        super().__init__(filters, batch_norm, slope, **kwargs)
        check_integer("hidden_units", hidden_units)
        self.hidden_units = hidden_units
        self.spectral_norm = spectral_norm
        self._num_outputs = num_outputs
        self._assemble()

    def _make_layers(self) -> list[keras.layers.Layer]:
        return [
            *self._down(),
            self._dense(self.hidden_units, use_bias=not self.batch_norm),
            *self._activated(self.batch_norm),
            self._dense(self._num_outputs, dtype="float32"),
        ]

    def _check_input(self, shape: Shape) -> None:
        check_images(shape)


@register
class InfoGANDiscriminator(_Body):
    """Two convolutions and two dense layers: images [batch, h, w, c] -> logits [batch, 1].

    Args:
        hidden_units: of the first dense layer.
        filters: of the two convolutions.
        batch_norm: whether the second convolution and the first dense layer are normalised; those
            have no bias then. A gradient penalty asks for False.
        spectral_norm: whether the kernels are divided by their largest singular value.
        slope: of the leaky ReLU below zero.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when a number is out of range, there are not two filters, or inputs are not
            images of known size.

    Reference: Chen et al., "InfoGAN", 2016, https://arxiv.org/abs/1606.03657; as in Lucic et al.,
        "Are GANs Created Equal?", 2018, https://arxiv.org/abs/1711.10337.
    """

    def __init__(
        self,
        hidden_units: int = 1024,
        filters: Sequence[int] = (64, 128),
        batch_norm: bool = False,
        spectral_norm: bool = False,
        slope: float = 0.2,
        **kwargs: object,
    ) -> None:
        super().__init__(1, hidden_units, filters, batch_norm, spectral_norm, slope, **kwargs)


@register
class InfoGANEncoder(_Body):
    """The discriminator's layers, ending in a latent: images [batch, h, w, c] -> [batch, d].

    Args:
        latent_dim: d, > 0.
        hidden_units: of the first dense layer.
        filters: of the two convolutions.
        batch_norm: whether the second convolution and the first dense layer are normalised; those
            have no bias then.
        spectral_norm: whether the kernels are divided by their largest singular value.
        slope: of the leaky ReLU below zero.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when a number is out of range, there are not two filters, or inputs are not
            images of known size.

    Reference: Donahue et al., "Adversarial Feature Learning" (BiGAN), 2017,
        https://arxiv.org/abs/1605.09782, for the place that it takes.
    """

    def __init__(
        self,
        latent_dim: int,
        hidden_units: int = 1024,
        filters: Sequence[int] = (64, 128),
        batch_norm: bool = False,
        spectral_norm: bool = False,
        slope: float = 0.2,
        **kwargs: object,
    ) -> None:
        check_integer("latent_dim", latent_dim)
        super().__init__(
            latent_dim, hidden_units, filters, batch_norm, spectral_norm, slope, **kwargs
        )
        self.latent_dim = latent_dim


@register
class InfoGANAutoencoder(_InfoGAN):
    """The discriminator's convolutions, a linear code, the generator's way up: images -> images.

    Args:
        image_shape: (height, width, channels), height and width divisible by 4.
        code_dim: of the code, > 0.
        filters: of the two convolutions; the way up has them in reverse.
        batch_norm: whether the layers between the first convolution, the code and the last layer
            are normalised; those have no bias then.
        slope: of the leaky ReLU below zero.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when a number is out of range, there are not two filters, the shape does not
            fit, or inputs have another.

    Reference: Berthelot et al., "BEGAN", 2017, https://arxiv.org/abs/1703.10717; sizes as in Lucic
        et al., "Are GANs Created Equal?", 2018, https://arxiv.org/abs/1711.10337.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        code_dim: int = 64,
        filters: Sequence[int] = (64, 128),
        batch_norm: bool = False,
        slope: float = 0.2,
        **kwargs: object,
    ) -> None:
        super().__init__(filters, batch_norm, slope, **kwargs)
        check_image_shape(image_shape, divisor=4)
        check_integer("code_dim", code_dim)
        self.image_shape = tuple(image_shape)
        self.code_dim = code_dim
        self._assemble()

    def _make_layers(self) -> list[keras.layers.Layer]:
        return [
            *self._down(),
            self._dense(self.code_dim),
            *self._up(self.image_shape, self.filters[::-1]),
        ]

    def _check_input(self, shape: Shape) -> None:
        check_same_images(shape, self.image_shape)
