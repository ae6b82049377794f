"""Lipschitz layers: norms of the true linear maps, vectors that are kept, gradients, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.layers import Contraction, Lipschitz, LipSwish, lipschitz_conv, lipschitz_dense


def conv(filters: int, size: int | tuple[int, int], **kwargs) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(filters, size, padding="same", **kwargs)


WRAPPED = {
    "dense": (lambda **kwargs: keras.layers.Dense(5, **kwargs), (7,)),
    "conv": (lambda **kwargs: conv(3, 3, **kwargs), (5, 4, 2)),
    "even_conv": (lambda **kwargs: conv(2, (2, 4), **kwargs), (4, 5, 2)),
    "pointwise": (lambda **kwargs: conv(4, 1, **kwargs), (3, 3, 6)),
}
wrapped = pytest.mark.parametrize("name", WRAPPED)


def made(name: str, scale: float = 4.0, coefficient: float = 0.7, **kwargs) -> Lipschitz:
    """Returns a layer whose kernel is too large, unless the scale is small."""
    make, shape = WRAPPED[name]
    init = keras.initializers.VarianceScaling(scale, seed=1)
    layer = Lipschitz(make(kernel_initializer=init, **kwargs), coefficient, 1e-3)
    layer.build((None, *shape))
    return layer


def operator(layer: Lipschitz, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the matrix of the layer's linear map, by its outputs for each unit vector."""
    dim = np.prod(shape)
    units = tf.reshape(tf.eye(dim, dtype=layer.compute_dtype), [dim, *shape])
    return np.reshape(layer(units) - layer(tf.zeros_like(units)), [dim, -1])


def norm(layer: Lipschitz, name: str) -> float:
    return np.linalg.norm(operator(layer, WRAPPED[name][1]), ord=2)


@wrapped
def test_the_norm_is_the_coefficient_when_built(name):
    np.testing.assert_allclose(norm(made(name), name), 0.7, rtol=1e-3)


@wrapped
def test_a_small_kernel_is_left_alone(name):
    layer = made(name, scale=0.001)
    assert norm(layer, name) < 0.3
    np.testing.assert_array_equal(layer.normalized_kernel(), layer.layer.kernel)


@wrapped
@pytest.mark.parametrize("rate", [0.002, 0.02])
def test_the_norm_stays_below_one_in_training(name, rate):
    """Towards a map that stretches in other directions, which overtake the first ones."""
    layer = made(name, coefficient=0.98)
    x = tf.constant(np.random.default_rng(0).normal(size=(64, *WRAPPED[name][1])), tf.float32)
    other = WRAPPED[name][0](kernel_initializer=keras.initializers.VarianceScaling(9.0, seed=5))
    target = other(x)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(layer.trainable_variables)
    start = layer.layer.kernel.numpy()

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(x, training=True) - target) ** 2)
        variables = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    norms = []
    for _ in range(4):
        for _ in range(12):
            step()
        norms.append(norm(layer, name))
    assert np.abs(layer.layer.kernel - start).max() > 15 * rate
    np.testing.assert_allclose(norms, 0.98, rtol=0.01)


@wrapped
def test_the_vector_is_kept_in_training_alone(name):
    layer, shape = made(name), WRAPPED[name][1]
    x = tf.ones([2, *shape])
    layer.layer.kernel.assign_add(np.random.default_rng(1).normal(size=layer.layer.kernel.shape))
    before, vector = layer(x), layer.u.numpy()
    np.testing.assert_array_equal(layer(x), before)
    np.testing.assert_array_equal(layer.u, vector)
    after = layer(x, training=True)
    assert not np.allclose(layer.u, vector)
    np.testing.assert_allclose(layer(x), after, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(norm(layer, name), 0.7, rtol=2e-3)


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_gradients_equal_finite_differences(name):
    layer = made(name, dtype="float64")
    layer.tolerance = 1e-13
    layer.normalized_kernel(training=True)
    rng = np.random.default_rng(2)
    kernel = layer.layer.kernel
    weights, direction = rng.normal(size=(2, *kernel.shape))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weights * layer.normalized_kernel())
    slope = np.sum(tape.gradient(loss, kernel.value) * direction)
    start, h, ends = kernel.numpy(), 1e-6, []
    for sign in (1, -1):
        kernel.assign(start + sign * h * direction)
        ends.append(np.sum(weights * layer.normalized_kernel(training=True)))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * h), rtol=1e-6)


def test_a_kernel_of_zeros_has_a_gradient():
    layer = Lipschitz(keras.layers.Dense(3, kernel_initializer="zeros"))
    layer.build((None, 2))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(tf.ones([1, 2]), training=True))
    np.testing.assert_array_equal(tape.gradient(loss, layer.layer.kernel.value), np.ones([2, 3]))
    assert np.isfinite(layer.u).all()


def test_the_slope_of_lip_swish_is_below_one():
    layer, x = LipSwish(), tf.linspace(-20.0, 20.0, 4001)
    layer.build((None,))
    for beta in (-5.0, 0.5, 4.0):
        layer.beta.assign(beta)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        slope = np.abs(tape.gradient(y, x)).max()
        assert 0.99 < slope < 1 or beta == -5.0 and slope < 1
    layer.beta.assign(0.5)
    value = 2 / (1 + np.exp(-2 * np.log1p(np.exp(0.5)))) / 1.1
    np.testing.assert_allclose(layer(tf.constant([2.0])), [value], rtol=1e-6)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (lambda: lipschitz_dense(3, [8, 8], 0.9), (3,)),
        (lambda: lipschitz_conv(2, 6, coefficient=0.9, first_activation=False), (4, 4, 2)),
    ],
)
def test_networks_contract(network, shape):
    network = network()
    network.build((None, *shape))
    a, b = np.random.default_rng(0).normal(size=(2, 200, *shape)).astype(np.float32)
    moved = [
        np.linalg.norm(np.reshape(move, [200, -1]), axis=1)
        for move in (network(a) - network(b), a - b)
    ]
    assert 0.01 < np.max(moved[0] / moved[1]) < 0.9**3 + 1e-3
    assert network(a).shape == network.compute_output_shape(a.shape) == a.shape


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: LipSwish(dtype="float64"), (4,)),
        (lambda: Lipschitz(keras.layers.Dense(3, dtype="float64")), (4,)),
        (lambda: Lipschitz(keras.layers.Dense(3, dtype="float64")), (2, 2, 4)),
        (lambda: Lipschitz(keras.layers.Dense(3, activation="tanh", dtype="float64")), (4,)),
        (lambda: Lipschitz(conv(3, 3, dtype="float64")), (4, 3, 2)),
        (lambda: Lipschitz(conv(3, 1, dtype="float64")), (4, 3, 2)),
        (lambda: Lipschitz(conv(3, (2, 4), dtype="float64")), (4, 5, 2)),
        (lambda: Lipschitz(conv(3, 3, dtype="mixed_float16")), (4, 3, 2)),
    ],
)
def test_products_with_jacobians_are_gradients(layer, shape):
    network = Contraction([Contraction([layer()])], dtype="float64")
    network.build((None, *shape))
    given = tf.constant(np.random.default_rng(0).normal(size=(2, *shape)))
    given = tf.cast(given, "float32") if network.layers[0].layers[0].dtype == "float32" else given
    y, product = network.with_kernels().linearised(given)
    np.testing.assert_allclose(y, network(given), rtol=1e-12)
    w = tf.cast(np.random.default_rng(1).normal(size=y.shape), y.dtype)
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = network.with_kernels().call(given)
    np.testing.assert_allclose(product(w), tape.gradient(y, given, w), rtol=1e-9, atol=1e-12)


def test_mixed_precision_keeps_sigma_exact():
    layer = made("conv", dtype="mixed_float16")
    y = layer(np.ones([1, 5, 4, 2], np.float32), training=True)
    assert (y.dtype, layer.u.dtype) == (tf.float16, "float32")


def test_saved_and_loaded(tmp_path):
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, lipschitz_conv(2, 3, coefficient=0.9)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("coefficient", [0.0, -0.5, 1.0, 1.5, float("nan")])
def test_bad_coefficients(coefficient):
    with pytest.raises(ValueError, match=COMPLAINT):
        Lipschitz(keras.layers.Dense(3), coefficient)


@pytest.mark.parametrize(
    ("layer", "error"),
    [
        (lambda: keras.layers.ReLU(), TypeError),
        (lambda: keras.layers.Conv1D(3, 3, padding="same"), TypeError),
        (lambda: keras.layers.Conv2D(3, 3), ValueError),
        (lambda: keras.layers.Conv2D(3, 3, 2, padding="same"), ValueError),
        (lambda: keras.layers.Conv2D(4, 3, padding="same", groups=2), ValueError),
        (lambda: keras.layers.Conv2D(4, 3, padding="same", dilation_rate=2), ValueError),
    ],
)
def test_other_layers_are_refused(layer, error):
    with pytest.raises(error, match=COMPLAINT):
        Lipschitz(layer())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"tolerance": 0.0}, ValueError),
        ({"max_iterations": 0}, ValueError),
        ({"max_iterations": 1.5}, TypeError),
    ],
)
def test_bad_numbers(arguments, error):
    with pytest.raises(error, match=COMPLAINT):
        Lipschitz(keras.layers.Dense(3), **arguments)


def test_images_need_a_size():
    with pytest.raises(ValueError, match=COMPLAINT):
        Lipschitz(keras.layers.Conv2D(3, 3, padding="same")).build((None, None, None, 3))


def test_a_contraction_of_other_weights_is_refused():
    with pytest.raises(ValueError, match=COMPLAINT):
        Contraction([Lipschitz(keras.layers.Dense(3)), keras.layers.Dense(3)]).build((None, 3))
    with pytest.raises(TypeError, match=COMPLAINT):
        Contraction([])
