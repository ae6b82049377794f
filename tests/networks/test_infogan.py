"""InfoGAN's generator: its parts, its sizes, and its range."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.networks import InfoGANGenerator


def parameters(**kwargs):
    layer = InfoGANGenerator((28, 28, 1), **kwargs)
    layer.build((None, 64))
    return sum(int(np.prod(w.shape)) for w in layer.trainable_variables)


def test_parameters_of_the_published_network():
    """64 -> 1024 -> 7 x 7 x 128 -> 14 x 14 x 64 -> 28 x 28 x 1, kernels of 4 x 4."""
    kernels = 64 * 1024 + 1024 * 7 * 7 * 128 + 16 * 128 * 64 + 16 * 64
    channels = 1024, 7 * 7 * 128, 64
    assert parameters() == kernels + 2 * sum(channels) + 1
    assert parameters(batch_norm=False) == kernels + sum(channels) + 1
    # A bias of the first layer, in the place of two numbers of normalisation.
    assert parameters(first_batch_norm=False) == parameters() - 1024
    assert parameters(batch_norm=False, first_batch_norm=True) == kernels + sum(channels) + 1025


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (8, 4, 3), (4, 4, 2)])
def test_images(shape):
    layer = InfoGANGenerator(shape, hidden_units=8, filters=(6, 4))
    z = 100 * tf.random.stateless_normal([5, 3], [0, 0])
    for training in (False, True):
        images = layer(z, training=training)
        assert images.shape == (5, *shape) and images.dtype == tf.float32
        assert 0 <= images.numpy().min() and images.numpy().max() <= 1
    assert layer.compute_output_shape((None, 3)) == (None, *shape)


def test_the_network_by_keras():
    """The same layers, put together by hand."""
    layer = InfoGANGenerator((8, 8, 1), 5, (4, 3), batch_norm=False, slope=0.3)
    layer.build((None, 2))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    w = [tf.constant(weight) for weight in layer.get_weights()]
    z = rng.normal(size=(3, 2)).astype(np.float32)

    def leaky(x):
        return tf.nn.leaky_relu(x, 0.3)

    hidden = leaky(leaky(z @ w[0] + w[1]) @ w[2] + w[3])
    maps = tf.reshape(hidden, [3, 2, 2, 4])
    maps = leaky(tf.nn.conv2d_transpose(maps, w[4], [3, 4, 4, 3], 2) + w[5])
    images = tf.sigmoid(tf.nn.conv2d_transpose(maps, w[6], [3, 8, 8, 1], 2) + w[7])
    np.testing.assert_allclose(layer(z), images, rtol=1e-4, atol=1e-6)


def test_normalisation_is_by_the_batch_in_training_alone():
    layer = InfoGANGenerator((4, 4, 1), 8, (4, 4))
    z = tf.random.stateless_normal([6, 3], [0, 0])
    alone, among = layer(z[:1]), layer(z)[:1]
    np.testing.assert_allclose(alone, among, rtol=1e-5)
    assert not np.allclose(layer(z[:2], training=True), layer(z, training=True)[:2])


def test_float16_ends_in_floats():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert InfoGANGenerator((4, 4, 1), 4, (4, 4))(tf.ones([2, 3])).dtype == tf.float32
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_shape": (28, 28)},
        {"image_shape": (28, 30, 1)},
        {"image_shape": (27, 28, 1)},
        {"image_shape": (0, 28, 1)},
        {"image_shape": (28, 28, 0)},
        {"image_shape": (28.0, 28, 1)},
        {"hidden_units": 0},
        {"filters": (0, 4)},
        {"filters": (4, 2.5)},
        {"filters": (4,)},
    ],
    ids=str,
)
def test_bad_arguments(arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        InfoGANGenerator(**({"image_shape": (28, 28, 1)} | arguments))
