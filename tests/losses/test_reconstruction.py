"""Reconstruction losses: NumPy's numbers, and bad input."""

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.losses import (
    AbsoluteError,
    LaplacianPyramid,
    SquaredError,
    WeightedSum,
    mean_absolute_error,
    mean_squared_error,
    summed_squared_error,
)


def pair(*shape):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 6, 3), (2, 3, 3, 2, 2)])
def test_sums_and_means_over_the_event(shape):
    x, y = pair(*shape)
    axes = tuple(range(1, len(shape)))
    x_tf, y_tf = tf.constant(x), tf.constant(y)
    squares = (x - y) ** 2
    np.testing.assert_allclose(summed_squared_error(x_tf, y_tf), squares.sum(axes), rtol=1e-5)
    np.testing.assert_allclose(mean_squared_error(x_tf, y_tf), squares.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(SquaredError()(x_tf, y_tf), squares.mean(axes), rtol=1e-5)
    expected = np.abs(x - y).mean(axes)
    np.testing.assert_allclose(mean_absolute_error(x_tf, y_tf), expected, rtol=1e-5)
    np.testing.assert_allclose(AbsoluteError()(x_tf, y_tf), expected, rtol=1e-5)


def test_weighted_sum():
    x, y = pair(3, 4)
    loss = WeightedSum((SquaredError(), AbsoluteError()), (0.25, 3.0))
    expected = 0.25 * ((x - y) ** 2).mean(1) + 3 * np.abs(x - y).mean(1)
    np.testing.assert_allclose(loss(tf.constant(x), tf.constant(y)), expected, rtol=1e-5)


LOSSES = [
    SquaredError(),
    AbsoluteError(),
    WeightedSum((SquaredError(),), (1.0,)),
    LaplacianPyramid(),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (3, 8, 8, 1), (2, 8, 8), (2, 1, 8, 1)])
def test_shapes_that_differ(loss, shape):
    """Broadcasting would make a number of them all the same."""
    with pytest.raises(ValueError, match=COMPLAINT):
        loss(tf.zeros([2, 8, 8, 1]), tf.zeros(shape))


@pytest.mark.parametrize(
    "parts, weights",
    [((), ()), ((SquaredError(),), (1.0, 2.0)), ((SquaredError(), AbsoluteError()), (1.0,))],
)
def test_as_many_weights_as_parts(parts, weights):
    with pytest.raises(ValueError, match=COMPLAINT):
        WeightedSum(parts, weights)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_weight(weight):
    with pytest.raises(ValueError, match=COMPLAINT):
        WeightedSum((SquaredError(), AbsoluteError()), (1.0, weight))
