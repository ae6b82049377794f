"""ActNorm, matrices, permutations, shapes and scales: known values, and what they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import bijectors
from tfgen.bijectors.chain import build


def built(bijector, event_shape):
    build(bijector, event_shape)
    return bijector


def moments(rows):
    axes = tuple(range(rows.ndim - 1))
    return np.mean(rows, axis=axes), np.std(rows, axis=axes)


@pytest.mark.parametrize("inverse", [False, True])
def test_actnorm_standardises_its_first_batch(inverse):
    x = np.random.default_rng(0).normal([1.0, -20.0], [0.1, 30.0], size=(16, 3, 2, 2))
    norm = built(bijectors.ActNorm(), (3, 2, 2))
    rows = norm.prepare(tf.constant(x, tf.float32), None, inverse)
    mean, deviation = moments(rows.numpy())
    np.testing.assert_allclose(mean, 0.0, atol=1e-5)
    np.testing.assert_allclose(deviation, 1.0, rtol=1e-4)
    way = norm.inverse if inverse else norm.forward
    np.testing.assert_array_equal(way(tf.constant(x, tf.float32)), rows)


def test_actnorm_is_the_identity_before_its_first_batch():
    z, log_det = built(bijectors.ActNorm(), (2,)).forward_and_log_det(tf.constant([[1.0, 2.0]]))
    np.testing.assert_array_equal(z, [[1.0, 2.0]])
    np.testing.assert_array_equal(log_det, [0.0])


def test_actnorm_takes_a_channel_that_is_constant():
    norm = built(bijectors.ActNorm(epsilon=0.01), (2,))
    z = norm.prepare(tf.constant([[1.0, 3.0], [5.0, 3.0]]), None, False)
    np.testing.assert_allclose(z, [[-1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(np.exp(norm.log_scale.numpy()), [0.5, 100.0], rtol=1e-5)


def test_chains_prepare_one_after_the_other():
    x = tf.constant(np.random.default_rng(0).normal(3.0, 2.0, size=(64, 4)), tf.float32)
    first, second = bijectors.ActNorm(), bijectors.ActNorm()
    chain = built(bijectors.Chain([first, bijectors.InvertibleLinear(), second]), (4,))
    mean, deviation = moments(chain.prepare(x, None, False).numpy())
    np.testing.assert_allclose(mean, 0.0, atol=1e-5)
    np.testing.assert_allclose(deviation, 1.0, rtol=1e-4)


@pytest.mark.parametrize("inverse", [False, True])
def test_scales_prepare_all_of_their_levels(inverse):
    x = tf.constant(np.random.default_rng(0).normal(3.0, 2.0, size=(64, 6)), tf.float32)
    scales = built(bijectors.MultiScale([bijectors.ActNorm(), bijectors.ActNorm()]), (6,))
    rows = scales.prepare(x, None, inverse)
    np.testing.assert_allclose(moments(rows.numpy())[1], 1.0, rtol=1e-4)
    way = scales.inverse if inverse else scales.forward
    np.testing.assert_array_equal(way(x), rows)


@pytest.mark.parametrize("lu", [False, True])
def test_linear_begins_as_a_rotation_that_keras_seeds(lu):
    rows = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        linear = built(bijectors.InvertibleLinear(lu), (2, 6))
        rows.append(linear.forward(tf.reshape(tf.eye(6), [3, 2, 6])).numpy())
        log_det = linear.forward_and_log_det(tf.zeros([1, 2, 6]))[1]
        np.testing.assert_allclose(log_det, [0.0], atol=1e-5)
    matrix = rows[0].reshape(6, 6)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(6), atol=1e-5)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert not np.allclose(rows[0], rows[2])


def test_both_kernels_begin_alike():
    x = tf.random.stateless_normal([3, 5], [0, 1])
    rows = []
    for lu in (False, True):
        keras.utils.set_random_seed(0)
        rows.append(built(bijectors.InvertibleLinear(lu), (5,)).forward(x))
    np.testing.assert_allclose(*rows, atol=1e-5)


def test_linear_counts_its_positions():
    linear = built(bijectors.InvertibleLinear(False), (2, 3, 2))
    linear.kernel.assign([[2.0, 0.0], [0.0, -3.0]])
    log_det = linear.forward_and_log_det(tf.zeros([4, 2, 3, 2]))[1]
    np.testing.assert_allclose(log_det, [6 * np.log(6.0)] * 4, rtol=1e-6)


def test_permutations_of_known_order():
    x = tf.constant([[10.0, 11.0, 12.0]])
    for bijector, z in [
        (bijectors.Permute([1, 2, 0]), [[11.0, 12.0, 10.0]]),
        (bijectors.Reverse(), [[12.0, 11.0, 10.0]]),
    ]:
        np.testing.assert_array_equal(built(bijector, (3,)).forward(x), z)
    orders = [built(bijectors.RandomPermutation(seed), (64,)) for seed in (0, 0, 1)]
    x = tf.reshape(tf.range(64.0), [1, 64])
    first, again, other = (each.forward(x).numpy() for each in orders)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_squeeze_takes_squares_to_channels():
    x = tf.reshape(tf.range(8.0), [1, 2, 4, 1])
    z = built(bijectors.Squeeze(), (2, 4, 1)).forward(x)
    np.testing.assert_array_equal(z[0, 0], [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]])


def test_what_is_factored_out_comes_first():
    halved = built(bijectors.MultiScale([bijectors.Reverse(), bijectors.Reverse()]), (4,))
    z = halved.forward(tf.constant([[0.0, 1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(z, [[1.0, 0.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ("bijector", "event_shape"),
    [
        (lambda: bijectors.Squeeze(), (3, 4, 1)),
        (lambda: bijectors.Squeeze(), (4, 5, 1)),
        (lambda: bijectors.Squeeze(), (4, 4)),
        (lambda: bijectors.Squeeze(3), (4, 3, 1)),
        (lambda: bijectors.Reshape([2, 2]), (5,)),
        (lambda: bijectors.Permute([1, 0]), (3,)),
        (lambda: bijectors.MultiScale([bijectors.Flatten(), bijectors.ActNorm()]), (1,)),
        (lambda: bijectors.MultiScale([bijectors.ActNorm(), bijectors.ActNorm()]), (4, 4, 1)),
        (lambda: bijectors.ActNorm(), ()),
        (lambda: bijectors.InvertibleLinear(), ()),
        (lambda: bijectors.Reverse(), ()),
    ],
)
def test_events_that_do_not_fit_are_refused(bijector, event_shape):
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        build(bijector(), event_shape)


@pytest.mark.parametrize(
    ("create", "error"),
    [
        (lambda: bijectors.ActNorm(0.0), ValueError),
        (lambda: bijectors.Squeeze(1), ValueError),
        (lambda: bijectors.Squeeze(2.0), TypeError),
        (lambda: bijectors.Reshape([0, 2]), ValueError),
        (lambda: bijectors.Permute([0, 2]), ValueError),
        (lambda: bijectors.Permute([0, 0]), ValueError),
        (lambda: bijectors.RandomPermutation(-1), ValueError),
        (lambda: bijectors.MultiScale([]), ValueError),
        (lambda: bijectors.MultiScale(["level"]), ValueError),
    ],
)
def test_arguments_are_checked(create, error):
    with pytest.raises(error, match=r"Expected .* Received: "):
        create()


def test_shapes_are_known_before_they_are_built():
    level = bijectors.Chain([bijectors.Squeeze(), bijectors.ActNorm()])
    other = bijectors.Chain([bijectors.Squeeze(), bijectors.ActNorm()])
    assert level.output_shape((8, 8, 3)) == (4, 4, 12)
    assert bijectors.MultiScale([level, other]).output_shape((8, 8, 3)) == (192,)
    with pytest.raises(ValueError, match="multiples of 2"):
        bijectors.MultiScale([level, other]).output_shape((6, 6, 3))
