"""The Laplacian pyramid loss, which weighs edges and textures as much as colours."""

from dataclasses import dataclass

import tensorflow as tf

from tfgen.core.checks import check_integer, check_positive, check_rank, expected
from tfgen.core.config import Configurable, register
from tfgen.losses.reconstruction import check_same_shape


def gaussian_blur(images: tf.Tensor, size: int = 5, sigma: float = 1.0) -> tf.Tensor:
    """Convolves images with a Gaussian, reflecting them at their edges.

    Args:
        images: float [batch, height, width, channels], height and width > size // 2.
        size: of the square kernel, odd.
        sigma: standard deviation in pixels, > 0.

    Returns:
        As `images`.

    Raises:
        TypeError: when `size` is not an integer.
        ValueError: when a number is out of range, or the images are too small or of another rank.
    """
    check_rank("images", images.shape, 4, "[batch, height, width, channels]")
    check_integer("size", size)
    check_positive("sigma", sigma)
    reach = size // 2
    if size % 2 == 0 or min(images.shape[1:3]) <= reach:
        raise ValueError(
            expected(f"an odd `size` below {2 * min(images.shape[1:3])}, twice the image", size)
        )
    padded = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], [0, 0]], "REFLECT")
    return _convolve_separably(padded, _gaussian(size, sigma))


def _gaussian(size: int, sigma: float) -> tf.Tensor:
    offsets = tf.range(size, dtype=tf.float32) - (size - 1) / 2
    return tf.nn.softmax(-tf.square(offsets) / (2 * sigma**2))


def _convolve_separably(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves rows, then columns, of each channel with a kernel [size]; no padding."""
    channels = images.shape[-1]
    size = kernel.shape[0]
    for shape in ([size, 1, 1, 1], [1, size, 1, 1]):
        weights = tf.tile(tf.reshape(kernel, shape), [1, 1, channels, 1])
        images = tf.nn.depthwise_conv2d(images, weights, [1, 1, 1, 1], "VALID")
    return images


def reduce_level(images: tf.Tensor) -> tf.Tensor:
    """Blurs images and keeps every second row and column: G^{j+1} from G^j.

    Args:
        images: float [batch, height, width, channels], height and width >= 3.

    Returns:
        [batch, ceil(height / 2), ceil(width / 2), channels].

    Raises:
        ValueError: when the images are smaller, or of another rank.

    Reference: Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983,
        https://doi.org/10.1109/TCOM.1983.1095851.
    """
    return gaussian_blur(images)[:, ::2, ::2]


def expand_level(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Spreads images over a grid twice as fine, and blurs: the interpolation of G^{j+1}.

    Each pixel stays where `reduce_level` took it from. Both the spread image and the spread ones
    are blurred, and their quotient taken, so that a constant image stays constant at the edges.

    Args:
        images: float [batch, rows, columns, channels].
        height: of the finer grid, 2 * rows or one less, >= 3.
        width: of the finer grid, 2 * columns or one less, >= 3.

    Returns:
        [batch, height, width, channels].

    Raises:
        ValueError: when `height` or `width` is below 3.

    Reference: Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983,
        https://doi.org/10.1109/TCOM.1983.1095851.
    """

    def spread(values: tf.Tensor) -> tf.Tensor:
        batch, rows, columns, channels = tf.unstack(tf.shape(values))
        zeros = tf.zeros_like(values)
        wide = tf.reshape(tf.stack([values, zeros], 3), [batch, rows, 2 * columns, channels])
        tall = tf.stack([wide, tf.zeros_like(wide)], 2)
        tall = tf.reshape(tall, [batch, 2 * rows, 2 * columns, channels])
        tall = tf.ensure_shape(tall, [None, 2 * images.shape[1], 2 * images.shape[2], None])
        return tall[:, :height, :width]

    ones = spread(tf.ones_like(images[:1, :, :, :1]))
    values = tf.ensure_shape(spread(images), [None, height, width, images.shape[3]])
    return gaussian_blur(values) / gaussian_blur(tf.ensure_shape(ones, [None, height, width, 1]))


def laplacian_pyramid(images: tf.Tensor, num_levels: int) -> list[tf.Tensor]:
    """Returns the levels L^0 .. L^{num_levels - 1} of the Laplacian pyramid, finest first.

    L^j = G^j - expand(G^{j+1}), where G^0 is the image and G^{j+1} its blurred and halved G^j; the
    last level is the low-pass residual G^{num_levels - 1}. The levels sum to the image when each is
    expanded.

    Args:
        images: float [batch, height, width, channels].
        num_levels: >= 1; the image must be at least 3 pixels high and wide at each level but the
            last.

    Returns:
        A list of tensors [batch, ceil(height / 2^j), ceil(width / 2^j), channels].

    Raises:
        TypeError: when `num_levels` is not an integer.
        ValueError: when it is out of range, or the images are too small or of another rank.

    Reference: Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983,
        https://doi.org/10.1109/TCOM.1983.1095851.
    """
    check_rank("images", images.shape, 4, "[batch, height, width, channels]")
    check_integer("num_levels", num_levels)
    smallest = min(images.shape[1], images.shape[2])
    if -(-smallest // 2 ** max(num_levels - 2, 0)) < 3 and num_levels > 1:
        raise ValueError(
            expected(f"images large enough for {num_levels} levels", tuple(images.shape))
        )
    levels = []
    for _ in range(num_levels - 1):
        coarser = reduce_level(images)
        levels.append(images - expand_level(coarser, images.shape[1], images.shape[2]))
        images = coarser
    return [*levels, images]


@register
@dataclass(frozen=True)
class LaplacianPyramid(Configurable):
    """Lap(x, x') = sum_j 2^{2j} ||L^j(x) - L^j(x')||_1, summed over pixels and channels.

    The weights make a difference at a coarse level count as much as the pixels that it covers.

    Args:
        num_levels: of the pyramid, the low-pass residual counted, >= 1.

    Raises:
        TypeError: when `num_levels` is not an integer.
        ValueError: when it is out of range.

    Reference: Ling and Okada, "Diffusion Distance for Histogram Comparison", CVPR 2006,
        https://doi.org/10.1109/CVPR.2006.99; used for images by Bojanowski et al., "Optimizing the
        Latent Space of Generative Networks", 2018, https://arxiv.org/abs/1707.05776.
    """

    num_levels: int = 3

    def __post_init__(self) -> None:
        check_integer("num_levels", self.num_levels)

    def __call__(self, x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, [batch], from images [batch, h, w, channels]."""
        check_same_shape(x, reconstruction)
        # The pyramid is linear: that of the difference is the difference of the pyramids.
        levels = laplacian_pyramid(x - reconstruction, self.num_levels)
        return tf.add_n(
            [
                4.0**j * tf.reduce_sum(tf.abs(level), axis=[1, 2, 3])
                for j, level in enumerate(levels)
            ]
        )
