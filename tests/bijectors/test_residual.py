"""Residual blocks: estimates against exact log-determinants, inverses, memory, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.bijectors import (
    Chain,
    ExactLogDet,
    GeometricTerms,
    InvertibleResidual,
    PoissonTerms,
    PowerSeries,
    RussianRoulette,
)
from tfgen.bijectors.fixed_point import inverse_of_residual
from tfgen.layers import Lipschitz, lipschitz_conv, lipschitz_dense
from tfgen.layers.linearised import by_tape

SEED = tf.constant([3, 5])
NUM_DRAWS = 10_000


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def kernel(norm: float) -> np.ndarray:
    """Returns a matrix [3, 3] of a norm."""
    matrix = normal(3, 3, seed=4)
    return norm * matrix / np.linalg.norm(matrix, ord=2)


def by_row(log_det, norm: float, rows: int, seed: tf.Tensor | None) -> list[np.ndarray]:
    """Returns log-determinants of x + tanh(x A), of one x in all rows, and gradients to A."""
    x = tf.tile(tf.constant(normal(1, 3, seed=2)), [rows, 1])
    matrices = tf.tile(tf.constant(kernel(norm))[tf.newaxis], [rows, 1, 1])

    def g(x: tf.Tensor) -> tf.Tensor:
        own = tf.repeat(matrices, tf.shape(x)[0] // rows, axis=0)  # A row may come repeatedly.
        return tf.tanh(tf.einsum("bi,bij->bj", x, own))

    with tf.GradientTape() as tape:
        tape.watch((x, matrices))
        _, value = log_det.value_and_log_det(by_tape(g), x, seed)
    slopes = tape.gradient(value, (x, matrices))
    return [np.reshape(each, [rows, -1]) for each in (value, *slopes)]


@pytest.mark.parametrize(
    "roulette",
    [
        RussianRoulette(2, PoissonTerms(2.0), by_row=True),
        RussianRoulette(0, PoissonTerms(4.0), by_row=True),
        RussianRoulette(1, GeometricTerms(0.5), num_samples=3, by_row=True),
    ],
)
def test_roulette_is_within_three_standard_errors(roulette):
    found = by_row(roulette, 0.8, NUM_DRAWS, SEED)
    exact = by_row(ExactLogDet(), 0.8, 1, None)
    for draws, expected in zip(found, exact, strict=True):
        error = draws.std(axis=0) / np.sqrt(NUM_DRAWS)
        assert (np.abs(draws.mean(axis=0) - expected[0]) < 3 * error).all()
        assert (0 < error).all() and (error < 0.05).all()


def test_roulette_that_draws_a_number_for_all_rows():
    """Each call has one number of terms: means of calls vary independently."""
    log_det = RussianRoulette()

    @tf.function(autograph=False)
    def call(number: tf.Tensor) -> tf.Tensor:
        x = tf.tile(tf.constant(normal(1, 3, seed=2)), [20, 1])
        g = by_tape(lambda x: tf.tanh(x @ kernel(0.8)))
        return tf.reduce_mean(log_det.value_and_log_det(g, x, tf.stack([number, 7]))[1])

    means = np.array([call(tf.constant(i)) for i in range(500)])
    exact = by_row(ExactLogDet(), 0.8, 1, None)[0]
    assert abs(means.mean() - exact) < 3 * means.std() / np.sqrt(len(means))


def test_the_exact_gradient_is_that_of_the_determinant():
    value, by_x, by_matrix = by_row(ExactLogDet(), 0.8, 1, None)
    x, matrix = normal(1, 3, seed=2), kernel(0.8)

    def exact(x: np.ndarray, matrix: np.ndarray) -> float:
        slopes = 1 - np.tanh(x @ matrix) ** 2
        return np.linalg.slogdet(np.eye(3) + matrix * slopes)[1]

    np.testing.assert_allclose(value[0, 0], exact(x, matrix), rtol=1e-12)
    for i in range(3):
        h = 1e-6 * np.eye(3)[i]
        slope = (exact(x + h, matrix) - exact(x - h, matrix)) / 2e-6
        np.testing.assert_allclose(by_x[0, i], slope, rtol=1e-6)
    for i in range(9):
        h = 1e-6 * np.eye(9)[i].reshape(3, 3)
        slope = (exact(x, matrix + h) - exact(x, matrix - h)) / 2e-6
        np.testing.assert_allclose(by_matrix[0, i], slope, rtol=1e-6)


def test_the_series_converges_to_the_exact():
    exact = by_row(ExactLogDet(), 0.6, 2, None)
    errors = []
    for terms in (2, 8, 40):
        found = by_row(PowerSeries(terms, num_probes=None), 0.6, 2, None)
        errors.append([np.abs(a - b).max() for a, b in zip(found, exact, strict=True)])
    assert (np.array(errors[0]) > np.array(errors[1])).all()
    assert (np.array(errors[1]) > np.array(errors[2])).all()
    np.testing.assert_allclose(errors[2], 0, atol=1e-8)


def test_probes_of_the_series_are_unbiased_with_a_seed_and_fixed_without():
    series = PowerSeries(30, num_probes=2)
    exact = by_row(ExactLogDet(), 0.6, 1, None)[0]
    found = by_row(series, 0.6, 2000, SEED)[0]
    assert abs(found.mean() - exact) < 3 * found.std() / np.sqrt(2000)
    fixed = by_row(series, 0.6, 5, None)[0]
    np.testing.assert_allclose(fixed, np.full([5, 1], fixed[0, 0]), rtol=1e-12)
    np.testing.assert_allclose(by_row(series, 0.6, 1, None)[0], fixed[:1], rtol=1e-12)


@pytest.mark.parametrize(
    ("terms", "probability"), [(PoissonTerms(1.5), None), (GeometricTerms(0.3), None)]
)
def test_numbers_of_terms_have_their_distribution(terms, probability):
    drawn = terms.draw([20_000], SEED).numpy()
    for k in range(1, 6):
        np.testing.assert_allclose(np.mean(drawn >= k), terms.at_least(tf.constant(k)), atol=0.015)


def image_block(log_det=None, **kwargs) -> InvertibleResidual:
    return InvertibleResidual(lipschitz_conv(3, 8, coefficient=0.9), log_det, **kwargs)


def test_sixteen_blocks_of_an_image_are_inverted():
    keras.utils.set_random_seed(0)
    flow = Chain([image_block(evaluation=ExactLogDet()) for _ in range(16)])
    flow.build((None, 8, 8, 3))
    for weight in flow.trainable_weights:
        if weight.name == "bias":
            weight.assign(normal(*weight.shape, seed=1))
    x = tf.constant(normal(2, 8, 8, 3), tf.float32)
    z = flow.forward(x)
    back = flow.inverse(z)
    assert np.abs(z - x).max() > 1
    assert np.abs(back - x).max() < 1e-4


def test_what_is_kept_for_the_gradient_does_not_grow_with_the_terms():
    """The gradient has as many operations, and neither loops back nor keeps lists of tensors."""
    sizes = []
    for terms in (2, 20):
        block = image_block(RussianRoulette(terms))
        block.build((None, 4, 4, 3))
        variables = [v.value for v in block.trainable_variables]

        @tf.function(autograph=False)
        def gradient(x, seed, block=block, variables=variables):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(block.forward_and_log_det(x, seed=seed)[1])
            with tf.name_scope("backward"):
                return tape.gradient(loss, variables)

        graph = gradient.get_concrete_function(tf.TensorSpec([None, 4, 4, 3]), SEED).graph
        backward = [op for op in graph.get_operations() if op.name.startswith("backward")]
        assert not [op.name for op in backward if "While" in op.type]
        loops = [op for op in graph.get_operations() if "While" in op.type]
        assert not [op.name for op in loops if tf.variant in [t.dtype for t in op.outputs]]
        sizes.append((len(backward), len(graph.get_operations()), len(loops)))
    assert sizes[0] == sizes[1]


def test_training_draws_from_the_seed_and_evaluation_does_not():
    block, x = image_block(), tf.constant(normal(2, 4, 4, 3), tf.float32)
    block.build((None, 4, 4, 3))
    assert block.draws and not image_block(ExactLogDet()).draws
    weights = block.get_weights()

    def estimate(number: int) -> tf.Tensor:
        block.set_weights(weights)  # The vectors of the norms too, which go on to converge.
        return block.forward_and_log_det(x, seed=tf.constant([number, 0]))[1]

    first, again, other = estimate(1), estimate(1), estimate(2)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    np.testing.assert_array_equal(*(block.forward_and_log_det(x)[1] for _ in range(2)))


def test_the_gradient_of_the_inverse():
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        block = InvertibleResidual(lipschitz_dense(3, [6], 0.9), dtype="float64")
        block.build((None, 3))
    finally:
        keras.config.set_dtype_policy(with_policy)
    z, weights = tf.constant(normal(2, 3)), normal(2, 3, seed=1)
    bias = block.network.layers[1].layer.bias

    def loss(z: tf.Tensor) -> tf.Tensor:
        x, log_det = block.inverse_and_log_det(z)
        return tf.reduce_sum(weights * x) + tf.reduce_sum(log_det)

    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(z)
    by_z, by_bias = tape.gradient(value, (z, bias.value))
    h = 1e-6 * normal(2, 3, seed=3)
    np.testing.assert_allclose(loss(z + h) - loss(z - h), 2 * np.sum(by_z * h), rtol=1e-5)
    start, h = bias.numpy(), 1e-6 * normal(6, seed=3)
    ends = []
    for sign in (1, -1):
        bias.assign(start + sign * h)
        ends.append(loss(z))
    np.testing.assert_allclose(ends[0] - ends[1], 2 * np.sum(by_bias * h), rtol=1e-5)


def test_the_inverse_in_training_brings_norms_up_to_date():
    block = InvertibleResidual(lipschitz_dense(3, [6]))
    block.build((None, 3))
    layer = block.network.layers[1]
    layer.layer.kernel.assign(normal(*layer.layer.kernel.shape))
    vector, z = layer.u.numpy(), tf.constant(normal(2, 3), tf.float32)
    x, _ = block.inverse_and_log_det(z, seed=SEED)
    assert not np.allclose(layer.u, vector)
    np.testing.assert_allclose(block.forward(x), z, atol=1e-5)


@pytest.mark.parametrize("graph", [False, True])
def test_an_inverse_that_does_not_converge_is_an_error(graph):
    block = InvertibleResidual(lipschitz_dense(3, [6]), max_iterations=2)
    block.build((None, 3))
    inverse = tf.function(block.inverse, autograph=False) if graph else block.inverse
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)Expected.*residual of\W+\d"):
        inverse(tf.constant(normal(2, 3), tf.float32))


@pytest.mark.parametrize("slope", [-1.5, 1.5])
def test_a_map_that_stretches_is_an_error(slope):
    with pytest.raises(tf.errors.InvalidArgumentError, match="residual of"):
        inverse_of_residual(by_tape(lambda x: slope * x), tf.constant(normal(2, 3)), 0.0, 50, "g")


def test_a_row_that_is_not_finite_leaves_the_others_alone():
    z = tf.constant([[1.0, 2.0], [np.nan, 1.0]])
    x = inverse_of_residual(by_tape(lambda x: 0.5 * x), z, 0.0, 50, "g").numpy()
    np.testing.assert_allclose(x[0], [2 / 3, 4 / 3], rtol=1e-6)
    assert np.isnan(x[1]).any()


def test_networks_that_do_not_fit():
    for network in (
        keras.Sequential([Lipschitz(keras.layers.Dense(3)), keras.layers.Dense(3)]),
        keras.layers.Dense(3),
        Lipschitz(keras.layers.Dense(4)),
    ):
        with pytest.raises(ValueError, match=COMPLAINT):
            InvertibleResidual(network).build((None, 3))
    InvertibleResidual(keras.Sequential([Lipschitz(keras.layers.Dense(3))])).build((None, 3))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: InvertibleResidual("dense"), TypeError),
        (lambda: InvertibleResidual(lipschitz_dense(3), "exact"), TypeError),
        (lambda: InvertibleResidual(lipschitz_dense(3), evaluation=RussianRoulette()), ValueError),
        (lambda: InvertibleResidual(lipschitz_dense(3), tolerance=-1.0), ValueError),
        (lambda: InvertibleResidual(lipschitz_dense(3), max_iterations=0), ValueError),
        (lambda: InvertibleResidual(lipschitz_dense(3, coefficient=1.0)), ValueError),
        (lambda: PowerSeries(0), ValueError),
        (lambda: PowerSeries(5, 0), ValueError),
        (lambda: RussianRoulette(-1), ValueError),
        (lambda: RussianRoulette(2, "poisson"), TypeError),
        (lambda: RussianRoulette(num_samples=0), ValueError),
        (lambda: PoissonTerms(0.0), ValueError),
        (lambda: GeometricTerms(1.0), ValueError),
        (lambda: by_row(RussianRoulette(), 0.5, 1, None), ValueError),
    ],
)
def test_bad_arguments(make, error):
    with pytest.raises(error, match=COMPLAINT):
        make()
