"""Spectral normalisation: NumPy's singular values, golden values, precision, graphs, files."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.layers import SpectralNormalization

GOLDEN = Path(__file__).parents[1] / "golden" / "tensorflow_addons-0.23.0.npz"

WRAPPED = {
    "dense": (lambda: keras.layers.Dense(5), (4, 7)),
    "wide_dense": (lambda: keras.layers.Dense(40, use_bias=False), (4, 3)),
    "conv": (lambda: keras.layers.Conv2D(5, 3, strides=2, activation="relu"), (2, 8, 8, 6)),
    "conv_transpose": (lambda: keras.layers.Conv2DTranspose(5, 4, strides=2), (2, 4, 4, 6)),
    "embedding": (lambda: keras.layers.Embedding(9, 4), (3,)),
}
wrapped = pytest.mark.parametrize("name", WRAPPED)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def inputs_of(name: str) -> tf.Tensor:
    shape = WRAPPED[name][1]
    return tf.constant([8, 0, 3]) if name == "embedding" else tf.constant(normal(*shape))


def layer_of(name: str) -> SpectralNormalization:
    """Returns a layer that takes one step of the power method a call, to be seen approaching."""
    layer = SpectralNormalization(WRAPPED[name][0](), power_iterations=1)
    layer.build(inputs_of(name).shape)
    return layer


def kernel_of(layer: SpectralNormalization) -> keras.Variable:
    return next(v for v in layer.layer.weights if len(v.shape) > 1)


def spectral_norm(kernel: np.ndarray) -> float:
    matrix = np.reshape(kernel, [-1, kernel.shape[-1]])
    return np.linalg.svd(matrix.astype(np.float64), compute_uv=False)[0]


def forget(layer: SpectralNormalization, seed: int = 1) -> None:
    """Puts a random vector in the place of u."""
    layer.u.assign(normal(*layer.u.shape, seed=seed))


@wrapped
def test_outputs_are_those_of_the_layer_with_the_normalised_kernel(name):
    layer, x = layer_of(name), inputs_of(name)
    kernel = kernel_of(layer).numpy()
    plain = WRAPPED[name][0]()
    plain.build(x.shape)
    others = [v.numpy() for v in layer.layer.weights if v is not kernel_of(layer)]
    plain.set_weights([kernel / spectral_norm(kernel), *others])
    np.testing.assert_allclose(layer(x), plain(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer(x, training=True), plain(x), rtol=1e-4, atol=1e-5)


@wrapped
def test_sigma_is_exact_when_built(name):
    layer = layer_of(name)
    np.testing.assert_allclose(spectral_norm(layer.normalized_kernel().numpy()), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(layer.u), 1, rtol=1e-5)


@wrapped
def test_sigma_is_exact_after_enough_calls(name):
    layer, x = layer_of(name), inputs_of(name)
    forget(layer)
    assert spectral_norm(layer.normalized_kernel().numpy()) > 1.001
    for _ in range(100):
        layer(x, training=True)
    kernel = kernel_of(layer).numpy()
    sigma = kernel.ravel()[0] / layer.normalized_kernel().numpy().ravel()[0]
    np.testing.assert_allclose(sigma, spectral_norm(kernel), rtol=1e-4)


@wrapped
def test_the_kernel_is_never_overwritten(name):
    layer, x = layer_of(name), inputs_of(name)
    forget(layer)
    kernel, u = kernel_of(layer).numpy(), layer.u.numpy()
    layer(x)
    np.testing.assert_array_equal(layer.u, u)
    layer(x, training=True)
    assert not np.allclose(layer.u, u)
    np.testing.assert_array_equal(kernel_of(layer), kernel)


def test_calls_in_training_and_out_of_it_agree():
    layer, x = layer_of("conv"), inputs_of("conv")
    forget(layer)
    before = layer(x)
    np.testing.assert_array_equal(layer(x, training=True), before)
    assert not np.allclose(layer(x), before)


def test_more_power_iterations_are_more_calls():
    once, thrice = layer_of("dense"), SpectralNormalization(keras.layers.Dense(5), 3)
    thrice.build((4, 7))
    thrice.set_weights(once.get_weights())
    forget(once)
    forget(thrice)
    for _ in range(3):
        once.normalized_kernel(training=True)
    thrice.normalized_kernel(training=True)
    np.testing.assert_allclose(thrice.u, once.u, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("dense", lambda: keras.layers.Dense(5, use_bias=False)),
        ("conv", lambda: keras.layers.Conv2D(5, 3, padding="same", use_bias=False)),
    ],
)
def test_golden(name, wrap):
    """The golden layer overwrites its kernel at each call: the first, and the last, are alike."""
    golden = {k: v for k, v in np.load(GOLDEN).items() if k.startswith(f"sn_{name}_")}
    x, kernel, u, y1, kernel1, u1, converged = (
        golden[f"sn_{name}_{k}"]
        for k in ("x", "kernel", "u", "y1", "kernel1", "u1", "kernel_converged")
    )
    layer = SpectralNormalization(wrap(), power_iterations=1)
    layer.build(x.shape)
    layer.layer.set_weights([kernel])
    layer.u.assign(u[0])
    np.testing.assert_allclose(layer.normalized_kernel(), kernel1, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(layer(x, training=True), y1, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.u, u1[0], rtol=1e-5)
    for step in (2, 3):  # Dividing the kernel does not turn its singular vectors.
        layer(x, training=True)
        np.testing.assert_allclose(layer.u, golden[f"sn_{name}_u{step}"][0], rtol=1e-4)
    for _ in range(197):
        layer.normalized_kernel(training=True)
    np.testing.assert_allclose(layer.normalized_kernel(), converged, rtol=1e-5, atol=1e-6)


def test_gradients_equal_finite_differences_of_the_normalised_kernel():
    layer = SpectralNormalization(keras.layers.Dense(3, dtype="float64"))
    layer.build((None, 4))
    weights = tf.constant(normal(4, 3, seed=2), tf.float64)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weights * layer.normalized_kernel())
    slope = tape.gradient(loss, layer.layer.kernel)
    kernel, h = layer.layer.kernel.numpy(), 1e-6
    expected = np.zeros_like(kernel)
    for index in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel)
        step[index] = h
        ends = [np.sum(weights * (k / spectral_norm(k))) for k in (kernel + step, kernel - step)]
        expected[index] = (ends[0] - ends[1]) / (2 * h)
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8)
    # Scaling the kernel changes nothing, so the gradient has no part along it.
    np.testing.assert_allclose(np.sum(slope * kernel), 0, atol=1e-9)


def slope_penalty(layer: SpectralNormalization, x: tf.Tensor) -> list[tf.Tensor]:
    """Returns the gradient, to the weights, of the mean squared slope of the outputs."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(tf.tanh(layer(x, training=True)))
        loss = tf.reduce_mean(inner.gradient(y, x) ** 2)
    return outer.gradient(loss, layer.trainable_variables)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", ["dense", "conv", "conv_transpose"])
def test_second_order_in_a_function(name, jit_compile):
    layer, x = layer_of(name), inputs_of(name)
    start = normal(*layer.u.shape)
    layer.u.assign(start)
    eager = slope_penalty(layer, x)
    moved = layer.u.numpy()
    assert all(np.isfinite(slope).all() and np.any(slope) for slope in eager[:1])
    layer.u.assign(start)
    compiled = tf.function(slope_penalty, jit_compile=jit_compile)(layer, x)
    np.testing.assert_allclose(compiled[0], eager[0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(layer.u, moved, rtol=1e-4)


def test_training_in_a_branch_and_building_in_a_function():
    layer = SpectralNormalization(keras.layers.Dense(3))

    @tf.function
    def call(x: tf.Tensor, often: tf.Tensor) -> tf.Tensor:
        layer(x)
        return tf.cond(often, lambda: layer(x, training=True), lambda: tf.zeros([4, 3]))

    call(tf.ones([4, 2]), tf.constant(False))
    np.testing.assert_allclose(spectral_norm(layer.normalized_kernel().numpy()), 1, rtol=1e-5)
    forget(layer)
    u = layer.u.numpy()
    call(tf.ones([4, 2]), tf.constant(False))
    np.testing.assert_array_equal(layer.u, u)
    call(tf.ones([4, 2]), tf.constant(True))
    assert not np.allclose(layer.u, u)


def norms_in_training(learning_rate: float, iterations: int, jit_compile: bool) -> np.ndarray:
    """Trains a critic to tell noise from fainter noise; returns its spectral norms, [steps, 3]."""
    layers = [
        SpectralNormalization(layer, iterations)
        for layer in (
            keras.layers.Conv2D(16, 4, strides=2, activation="leaky_relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="leaky_relu"),
            keras.layers.Dense(1),
        )
    ]
    critic = keras.Sequential([*layers[:2], keras.layers.Flatten(), layers[2]])
    critic.build((None, 12, 12, 3))
    variables = critic.trainable_variables
    optimizer = keras.optimizers.Adam(learning_rate, beta_1=0.5)
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def step(x: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            real, fake = (critic(images, training=True) for images in (x, 0.5 * x))
            loss = tf.reduce_mean(tf.nn.softplus(-real) + tf.nn.softplus(fake))
        optimizer.apply(tape.gradient(loss, variables), variables)

    start, norms = [kernel_of(layer).numpy() for layer in layers], []
    for seed in range(100):
        step(tf.constant(normal(8, 12, 12, 3, seed=seed)))
        norms.append([spectral_norm(layer.normalized_kernel().numpy()) for layer in layers])
    moved = [np.abs(kernel_of(k).numpy() - s).max() for k, s in zip(layers, start, strict=True)]
    assert min(moved) > 20 * learning_rate
    return np.array(norms)


@pytest.mark.ci
@pytest.mark.parametrize("jit_compile", [False, True])
def test_spectral_norms_stay_within_one_percent_in_training(jit_compile):
    np.testing.assert_allclose(norms_in_training(2e-4, 10, jit_compile), 1, atol=0.01)


@pytest.mark.ci
def test_more_power_iterations_follow_faster_training():
    """Where one singular value overtakes another, few iterations lag behind."""
    few, many = norms_in_training(1e-3, 1, False), norms_in_training(1e-3, 10, False)
    assert 1.02 < few.max() < 1.1
    np.testing.assert_allclose(many, 1, atol=0.02)
    assert (many - 1).mean() < 0.3 * (few - 1).mean()


@pytest.mark.parametrize(
    ("policy", "kept", "out"),
    [
        ("mixed_float16", "float32", "float16"),
        ("mixed_bfloat16", "float32", "bfloat16"),
        ("bfloat16", "float32", "bfloat16"),
        ("float64", "float64", "float64"),
    ],
)
def test_sigma_is_not_computed_in_low_precision(policy, kept, out):
    layer = SpectralNormalization(keras.layers.Dense(5, dtype=policy))
    x = normal(4, 7)
    y = layer(x)
    assert (layer.u.dtype, y.dtype.name) == (kept, out)
    assert layer.compute_output_spec(keras.KerasTensor((4, 7))).dtype == out
    # As squares, these would vanish in float16.
    kernel = 1e-5 * normal(7, 5)
    layer.layer.kernel.assign(kernel)
    layer.u.assign(normal(5))
    for _ in range(100):
        layer(x, training=True)
    tolerance = 1e-2 if policy == "bfloat16" else 1e-4
    np.testing.assert_allclose(
        layer.normalized_kernel(), kernel / spectral_norm(kernel), rtol=tolerance, atol=tolerance
    )
    assert np.isfinite(np.float32(layer(x))).all()


def test_within_layers_of_a_mixed_policy():
    """The outer layer casts variables that are read in it; a float32 layer in it stays exact."""

    class Critic(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(dtype="mixed_float16")
            self.first = SpectralNormalization(keras.layers.Dense(6, dtype="mixed_float16"))
            self.last = SpectralNormalization(keras.layers.Dense(1, dtype="float32"))

        def call(self, x: tf.Tensor) -> tf.Tensor:
            return self.last(self.first(x))

    critic, x = Critic(), tf.constant(normal(4, 7))
    critic(x)
    with tf.GradientTape() as tape:
        y = critic(x)
        loss = tf.reduce_sum(y)
    assert y.dtype == tf.float32
    exact = [layer.layer.kernel.numpy() for layer in (critic.first, critic.last)]
    hidden = normal(4, 7) @ (exact[0] / spectral_norm(exact[0]))
    np.testing.assert_allclose(y, hidden @ (exact[1] / spectral_norm(exact[1])), atol=1e-2)
    slopes = tape.gradient(loss, critic.trainable_variables)
    assert all(slope.dtype == tf.float32 and np.isfinite(slope).all() for slope in slopes)


def test_a_kernel_of_zeros_is_left_alone_and_can_be_left():
    layer = SpectralNormalization(keras.layers.Dense(3, kernel_initializer="zeros"))
    x = tf.constant(normal(4, 2))
    with tf.GradientTape() as tape:
        y = layer(x, training=True)
    np.testing.assert_array_equal(y, np.zeros([4, 3]))
    slope = tape.gradient(y, layer.layer.kernel)
    np.testing.assert_allclose(slope, np.repeat(np.sum(x, axis=0)[:, None], 3, axis=1), rtol=1e-5)
    layer.layer.kernel.assign([[1.0, 0, 0], [2.0, 0, 0]])
    for _ in range(20):
        layer(x, training=True)
    np.testing.assert_allclose(spectral_norm(layer.normalized_kernel().numpy()), 1, rtol=1e-5)


@wrapped
def test_saved_and_loaded(name, tmp_path):
    x = inputs_of(name)
    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    layer = SpectralNormalization(WRAPPED[name][0](), 2, name="normalised")
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_allclose(spectral_norm(layer.normalized_kernel().numpy()), 1, rtol=1e-5)
    forget(layer)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    loaded = again.get_layer("normalised")
    assert loaded.power_iterations == 2
    np.testing.assert_array_equal(loaded.u, layer.u)
    np.testing.assert_array_equal(again(x), model(x))
    assert len(again.trainable_variables) == len(model.trainable_variables)
    assert all(v is not layer.u for v in model.trainable_variables)


def test_exported_and_read_by_the_session_loader(tmp_path):
    x = inputs_of("conv")
    layer = layer_of("conv")
    forget(layer)
    archive = keras.export.ExportArchive()
    archive.track(layer)
    signature = [tf.TensorSpec((None, *x.shape[1:]), tf.float32, name="x")]
    archive.add_endpoint("serving_default", lambda x: layer(x), input_signature=signature)
    archive.write_out(str(tmp_path / "model"), verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "model"))
        served = meta.signature_def["serving_default"]
        (fetch,) = (output.name for output in served.outputs.values())
        found = session.run(fetch, {served.inputs["x"].name: x.numpy()})
    np.testing.assert_allclose(found, layer(x), rtol=1e-5, atol=1e-6)


def test_values_of_an_outer_scope_are_used():
    layer, x = layer_of("dense"), inputs_of("dense")
    before = [v.numpy() for v in layer.weights]
    kernel, bias = normal(7, 5, seed=3), normal(5, seed=4)
    outer = [(layer.layer.kernel, kernel), (layer.layer.bias, bias)]
    with keras.StatelessScope(outer) as scope:
        expected = x @ layer.normalized_kernel() + bias
        y = layer(x, training=True)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(scope.get_current_value(layer.u), layer.u)
    for value, weight in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(value, weight)


def test_losses_that_the_layer_adds_are_kept():
    inner = keras.layers.Dense(5, activity_regularizer="l2", kernel_regularizer="l2")
    layer = SpectralNormalization(inner)
    layer(inputs_of("dense"))
    assert len(layer.losses) == 2


@pytest.mark.parametrize("layer", [keras.layers.ReLU(), keras.layers.LSTM(3), "dense", None])
def test_layers_of_other_kinds_are_refused(layer):
    with pytest.raises(TypeError, match=COMPLAINT):
        SpectralNormalization(layer)


@pytest.mark.parametrize(
    ("iterations", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError)]
)
def test_bad_power_iterations(iterations, error):
    with pytest.raises(error, match=COMPLAINT):
        SpectralNormalization(keras.layers.Dense(3), iterations)


def test_frozen():
    layer = SpectralNormalization(keras.layers.Dense(3), trainable=False)
    layer.build((None, 2))
    assert layer.trainable_variables == []
    assert len(layer.weights) == 3
