"""The multi-layer perceptron against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.networks import MLP

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(5, 3)).astype(np.float32)


def randomised(layer, dim=3):
    layer.build((None, dim))
    layer.set_weights([RNG.uniform(0.5, 1.5, size=w.shape) for w in layer.weights])
    return layer


def test_dense_layers():
    layer = randomised(MLP((2, 2, 1), (4, 6), activation="tanh", output_activation="sigmoid"))
    kernels, biases = layer.get_weights()[::2], layer.get_weights()[1::2]
    expected = Z
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        expected = np.tanh(expected @ kernel + bias)
    expected = 1 / (1 + np.exp(-(expected @ kernels[-1] + biases[-1])))
    np.testing.assert_allclose(layer(Z), expected.reshape(5, 2, 2, 1), rtol=1e-4)


def test_batch_normalisation():
    layer = randomised(MLP((2,), (4,), batch_norm=True))
    kernel, gamma, beta, mean, variance, last, bias = layer.get_weights()
    assert kernel.shape == (3, 4) and last.shape == (4, 2)

    def normalised(hidden, mean, variance):
        return np.maximum((hidden - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)

    hidden = Z @ kernel
    expected = normalised(hidden, mean, variance) @ last + bias
    np.testing.assert_allclose(layer(Z), expected, rtol=1e-4)
    expected = normalised(hidden, hidden.mean(0), hidden.var(0)) @ last + bias
    np.testing.assert_allclose(layer(Z, training=True), expected, rtol=1e-4)


def test_without_hidden_layers():
    layer = randomised(MLP((2,), ()))
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(layer(Z), Z @ kernel + bias, rtol=1e-5)


def test_linear_skip_is_added():
    layer = randomised(MLP((2,), (4,), activation="tanh", linear_skip=True))
    first, shift, last, bias, skip, offset = layer.get_weights()
    expected = np.tanh(Z @ first + shift) @ last + bias + Z @ skip + offset
    np.testing.assert_allclose(layer(Z), expected, rtol=1e-4)


def test_linear_skip_begins_as_a_gaussian_of_the_data():
    """T(e) = A e + b with A A' the covariance of the data and b their mean."""
    x = RNG.multivariate_normal([1, -2], [[2, 0.7], [0.7, 0.5]], size=300)
    layer = MLP((2,), (8,), linear_skip=True)
    layer.build((None, 3))
    layer.adapt(x)
    offset = layer(np.zeros([1, 3], np.float32))[0]
    np.testing.assert_allclose(offset, x.mean(0), rtol=1e-5)
    columns = layer(np.eye(3, dtype=np.float32)) - offset
    covariance = tf.matmul(columns, columns, transpose_a=True)
    np.testing.assert_allclose(covariance, np.cov(x, rowvar=False), rtol=1e-4)


def test_adapt_without_a_skip_does_nothing():
    layer = randomised(MLP((2,), (4,)))
    before = layer.get_weights()
    layer.adapt(RNG.normal(size=(9, 2)))
    assert all(np.array_equal(a, b) for a, b in zip(before, layer.get_weights(), strict=True))


def test_adapt_with_fewer_inputs_keeps_the_largest_directions():
    x = RNG.normal(size=(400, 3)) * [0.1, 5.0, 1.0]
    layer = MLP((3,), (8,), linear_skip=True)
    layer.build((None, 1))
    layer.adapt(x)
    ends = layer(np.array([[0.0], [1.0]], np.float32)).numpy()
    direction = ends[1] - ends[0]
    assert abs(direction[1]) == pytest.approx(x[:, 1].std(), rel=0.02)
    assert max(abs(direction[0]), abs(direction[2])) < 0.5


def test_shapes():
    layer = MLP((4, 5, 2), (3,))
    assert layer.compute_output_shape((None, 3)) == (None, 4, 5, 2)
    assert layer(Z).shape == (5, 4, 5, 2)


def test_float16_computes_in_halves_and_returns_floats():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = MLP((2,), (4,))
        assert layer(Z).dtype == tf.float32
        assert all(w.dtype == "float32" for w in layer.weights)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    "arguments",
    [((0,),), ((2, -1),), ((2.5,),), ((2,), (0,)), ((2,), (4, "8")), ((True,),)],
    ids=str,
)
def test_bad_sizes(arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        MLP(*arguments)


def test_images_are_flattened():
    images = RNG.uniform(size=(5, 3, 2, 2)).astype(np.float32)
    layer = MLP((1,), (4,), activation="leaky_relu")
    layer.build((None, 3, 2, 2))
    kernel, bias, last, end = layer.get_weights()
    hidden = images.reshape(5, 12) @ kernel + bias
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    np.testing.assert_allclose(layer(images), hidden @ last + end, rtol=1e-4, atol=1e-6)
    (feature,) = layer.features(images)
    np.testing.assert_allclose(feature, hidden, rtol=1e-4, atol=1e-6)


def test_spectral_norm_divides_by_the_largest_singular_value():
    layer = MLP((2,), (4,), activation="tanh", spectral_norm=True)
    layer.build((None, 3))
    first, shift, last, bias = (weight.numpy() for weight in layer.trainable_variables)
    first, last = (kernel / np.linalg.svd(kernel)[1][0] for kernel in (first, last))
    expected = np.tanh(Z @ first + shift) @ last + bias
    np.testing.assert_allclose(layer(Z), expected, rtol=1e-4, atol=1e-6)
