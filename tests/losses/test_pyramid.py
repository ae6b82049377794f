"""The Laplacian pyramid against tensorflow-addons, SciPy, and levels worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from tests.small_models import COMPLAINT
from tfgen.losses import LaplacianPyramid, gaussian_blur, laplacian_pyramid
from tfgen.losses.pyramid import expand_level, reduce_level

GOLDEN = Path(__file__).parents[1] / "golden" / "tensorflow_addons-0.23.0.npz"

# exp(-offset^2 / 2) at offsets -2 .. 2, divided by their sum.
KERNEL = np.array([0.05448868, 0.24420134, 0.40261995, 0.24420134, 0.05448868])


def images(*shape):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def blurred(image):
    """Returns SciPy's blur of [batch, height, width, channels]."""
    for axis in (1, 2):
        image = ndimage.convolve1d(image.astype(np.float64), KERNEL, axis, mode="mirror")
    return image


def test_blur_is_that_of_tensorflow_addons():
    golden = np.load(GOLDEN)
    result = gaussian_blur(tf.constant(golden["image"]), size=5, sigma=1.0)
    np.testing.assert_allclose(result, golden["gaussian_filter2d_5_sigma1"], rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 7, 9, 3), (1, 3, 3, 1)])
def test_blur_is_that_of_scipy(shape):
    x = images(*shape)
    np.testing.assert_allclose(gaussian_blur(tf.constant(x)), blurred(x), rtol=1e-5)


def test_blur_of_one_pixel_is_the_kernel():
    image = np.zeros([1, 9, 9, 1], np.float32)
    image[0, 4, 4] = 1
    result = gaussian_blur(tf.constant(image)).numpy()[0, 2:7, 2:7, 0]
    np.testing.assert_allclose(result, np.outer(KERNEL, KERNEL), rtol=1e-5)


@pytest.mark.parametrize(
    "shape, arguments",
    [
        ((8, 8, 1), {}),
        ((1, 2, 8, 1), {}),
        ((1, 8, 8, 1), {"size": 4}),
        ((1, 8, 8, 1), {"size": 0}),
        ((1, 8, 8, 1), {"size": 2.5}),
        ((1, 8, 8, 1), {"size": 17}),
        ((1, 8, 8, 1), {"sigma": 0.0}),
        ((1, 8, 8, 1), {"sigma": float("nan")}),
    ],
)
def test_bad_blur(shape, arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        gaussian_blur(tf.zeros(shape), **arguments)


def test_levels_by_scipy():
    """L^j = G^j - expand(G^{j+1}), the expansion being a blur of zeros between the pixels."""
    x = images(2, 9, 12, 2)

    def expanded(coarse, like):
        spread, ones = np.zeros(like.shape), np.zeros(like.shape)
        spread[:, ::2, ::2], ones[:, ::2, ::2] = coarse, 1
        return blurred(spread) / blurred(ones)

    middle = blurred(x)[:, ::2, ::2]
    last = blurred(middle)[:, ::2, ::2]
    expected = [x - expanded(middle, x), middle - expanded(last, middle), last]
    for level, reference in zip(laplacian_pyramid(tf.constant(x), 3), expected, strict=True):
        np.testing.assert_allclose(level, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size, num_levels", [((28, 28), 4), ((5, 8), 3), ((7, 7), 1), ((3, 3), 2)])
def test_levels_sum_to_the_image_when_each_is_expanded(size, num_levels):
    x = images(2, *size, 3)
    levels = laplacian_pyramid(tf.constant(x), num_levels)
    assert len(levels) == num_levels
    rebuilt = levels[-1]
    for level in reversed(levels[:-1]):
        rebuilt = level + expand_level(rebuilt, *level.shape[1:3])
    np.testing.assert_allclose(rebuilt, x, atol=1e-6)


def test_shapes_of_the_levels():
    levels = laplacian_pyramid(tf.zeros([2, 13, 20, 3]), 4)
    assert [tuple(level.shape) for level in levels] == [
        (2, 13, 20, 3), (2, 7, 10, 3), (2, 4, 5, 3), (2, 2, 3, 3)
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (28, 28)])
def test_constant_images_have_the_coarsest_level_only(shape):
    *fine, coarsest = laplacian_pyramid(tf.fill([1, *shape, 2], 0.7), 3)
    for level in fine:
        np.testing.assert_allclose(level, np.zeros(level.shape), atol=1e-6)
    np.testing.assert_allclose(coarsest, np.full(coarsest.shape, 0.7), rtol=1e-6)


def test_one_pixel_by_hand():
    image = np.zeros([1, 9, 9, 1], np.float32)
    image[0, 4, 4] = 1
    a, b, c = KERNEL[:3]
    finest, coarse = laplacian_pyramid(tf.constant(image), 2)
    # Rows and columns 0, 2, 4, 6, 8 of the blurred image are kept: the kernel at -2, 0 and 2.
    row = np.array([0, a, c, a, 0])
    np.testing.assert_allclose(coarse[0, :, :, 0], np.outer(row, row), rtol=1e-5, atol=1e-8)
    # At the pixel, the expansion weighs its neighbours two away by a, itself by c; between two, b.
    at_pixel = (2 * a * a + c * c) / (2 * a + c)
    beside = (b * c + b * a) / (2 * b)
    at, next_to = finest.numpy()[0, 4, 4:6, 0]
    assert at == pytest.approx(1 - at_pixel**2, rel=1e-5)
    assert next_to == pytest.approx(-at_pixel * beside, rel=1e-5)


def test_the_finest_level_counts_once():
    """Of a difference that the blurred and halved image does not see, no other level is left."""
    difference = _invisible_when_reduced(8)
    x = images(1, 8, 8, 1)
    expected = np.abs(difference).sum()
    for num_levels in (1, 2, 3):
        loss = LaplacianPyramid(num_levels)(x, x + difference)
        np.testing.assert_allclose(loss, [expected], rtol=1e-4)


def _invisible_when_reduced(size):
    """Returns a point of the null space of the reduction, [1, size, size, 1]."""
    basis = tf.reshape(tf.eye(size * size), [-1, size, size, 1])
    reduction = reduce_level(basis).numpy().reshape(size * size, -1).T.astype(np.float64)
    point = np.random.default_rng(1).normal(size=size * size)
    point -= np.linalg.pinv(reduction) @ (reduction @ point)
    return point.reshape(1, size, size, 1).astype(np.float32)


@pytest.mark.parametrize("num_levels", [1, 2, 3, 4])
def test_the_coarsest_level_counts_as_many_times_as_it_covers_pixels(num_levels):
    """A constant difference c costs |c| a pixel, however many levels there are."""
    x = images(1, 16, 16, 3)
    loss = LaplacianPyramid(num_levels)(x, x - np.float32(0.5))
    np.testing.assert_allclose(loss, [16 * 16 * 3 * 0.5], rtol=1e-4)


def test_loss_is_the_weighted_sum_of_the_levels():
    x, y = images(4, 10, 12, 3).reshape(2, 2, 10, 12, 3)
    pairs = zip(*(laplacian_pyramid(v, 3) for v in (x, y)), strict=True)
    costs = [np.abs(a - b).sum((1, 2, 3)) for a, b in pairs]
    expected = 1 * costs[0] + 4 * costs[1] + 16 * costs[2]
    np.testing.assert_allclose(LaplacianPyramid(3)(x, y), expected, rtol=1e-4)


def test_one_level_is_the_absolute_difference():
    x, y = images(2, 4, 4, 3), np.zeros([2, 4, 4, 3], np.float32)
    loss = LaplacianPyramid(1)(tf.constant(x), tf.constant(y))
    np.testing.assert_allclose(loss, x.sum((1, 2, 3)), rtol=1e-5)


def test_gradient_is_finite_where_images_agree():
    x = tf.constant(images(1, 8, 8, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = LaplacianPyramid(2)(tf.constant(images(1, 8, 8, 1)), x)
    assert np.isfinite(tape.gradient(loss, x)).all()


@pytest.mark.parametrize("num_levels", [0, -1, 2.0, True])
def test_bad_number_of_levels(num_levels):
    with pytest.raises((TypeError, ValueError), match=f"`num_levels`.*{COMPLAINT[9:]}"):
        LaplacianPyramid(num_levels)


@pytest.mark.parametrize(
    "shape, num_levels", [((8, 8, 1), 2), ((1, 2, 8, 1), 2), ((1, 8, 8, 1), 4)]
)
def test_images_that_have_no_such_pyramid(shape, num_levels):
    with pytest.raises(ValueError, match=COMPLAINT):
        laplacian_pyramid(tf.zeros(shape), num_levels)
