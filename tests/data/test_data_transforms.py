"""Size and channels: numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import from_arrays
from tfgen.data.transforms import fit_array, fit_images


def test_integer_size_crops_the_centre_square():
    columns = np.tile(np.arange(7, dtype=np.uint8)[None, None, :, None], (2, 4, 1, 1))
    np.testing.assert_array_equal(fit_array(columns, 4)[0, 0, :, 0], [1, 2, 3, 4])
    rows = columns.transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(fit_array(rows, 4)[1, :, 2, 0], [1, 2, 3, 4])


def test_resizing_is_antialiased():
    # The triangle kernel, twice as wide for half the size, weighs four pixels 3, 3, 1, 0 of 7.
    row = np.array([0, 70, 140, 210], np.uint8)
    image = np.tile(row[None, None, :, None], (1, 4, 1, 1))
    np.testing.assert_array_equal(fit_array(image, 2)[0, 0, :, 0], [50, 160])
    scaled = fit_array(image.astype(np.float32) / 210, (4, 2))
    assert scaled.shape == (1, 4, 2, 1) and scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, 3, :, 0] * 210, [50, 160], rtol=1e-5)


def test_a_pair_resizes_without_a_crop():
    image = np.tile(np.repeat([0, 255], 4).astype(np.uint8)[None, None, :, None], (1, 2, 1, 3))
    small = fit_array(image, (2, 2))
    assert small.shape == (1, 2, 2, 3)
    assert small[0, 0, 0, 0] < 50 and small[0, 0, 1, 0] > 205  # Both ends are still there.


def test_bytes_are_rounded_not_cut():
    image = np.array([10, 11], np.uint8).reshape(1, 1, 2, 1)
    # Twice as wide: weights 1, 3/4 and 1/4 give 10, 10.25, 10.75, 11.
    np.testing.assert_array_equal(np.ravel(fit_array(image, (1, 4))), [10, 10, 11, 11])


@pytest.mark.parametrize("dtype, one", [(np.uint8, 255), (np.float32, 1)])
def test_channels(dtype, one):
    colours = (np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]) * one).astype(dtype)
    colours = colours.reshape(4, 1, 1, 3)
    luma = np.array([0.299, 0.587, 0.114, 1]) * one
    grey = fit_array(colours, channels=1)
    assert grey.dtype == dtype and grey.max() <= one
    np.testing.assert_allclose(np.ravel(grey), np.round(luma) if one == 255 else luma, rtol=1e-6)
    np.testing.assert_array_equal(fit_array(grey, channels=3), np.repeat(grey, 3, axis=-1))
    opaque = fit_array(colours, channels=4)
    np.testing.assert_array_equal(opaque[..., 3], np.full((4, 1, 1), one))
    np.testing.assert_array_equal(fit_array(opaque, channels=3), colours)
    np.testing.assert_array_equal(fit_array(opaque, channels=1), grey)


def test_many_images_are_as_one_by_one():
    images = np.random.default_rng(0).integers(0, 256, (300, 5, 9, 3), dtype=np.uint8)
    together = fit_array(images, 4, 1)
    for index in (0, 255, 256, 299):
        np.testing.assert_array_equal(together[index], fit_images(images[index], 4, 1))


def test_static_shape_in_a_graph():
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    graph = tf.function(lambda image: fit_images(image, 6, 1), input_signature=[spec])
    assert graph.get_concrete_function().output_shapes == (6, 6, 1)


def test_examples_are_fitted():
    images = np.random.default_rng(0).random((4, 8, 10, 3))
    examples = from_arrays(images, batch_size=2, image_size=5, channels=1)
    assert examples.event_shape == (5, 5, 1)
    assert from_arrays(images[..., 0], batch_size=2, channels=1).event_shape == (8, 10, 1)
