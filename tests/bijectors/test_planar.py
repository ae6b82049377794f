"""Planar and radial flows: their constraints, and roots that are found or are an error."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.bijectors import Planar, Radial
from tfgen.bijectors.chain import build
from tfgen.bijectors.root import increasing_root

C = np.log(np.expm1(1.0))


def built(cls, shape, condition_dim=None, dtype="float64", **values):
    """Returns a bijector with given weights."""
    bijector = cls(dtype=dtype)
    build(bijector, shape, condition_dim)
    for weight in bijector.weights:
        if weight.name in values:
            weight.assign(values[weight.name])
    return bijector


@pytest.mark.parametrize("cls", [Planar, Radial])
@pytest.mark.parametrize("condition_dim", [None, 3])
def test_they_begin_as_the_identity(cls, condition_dim):
    bijector = built(cls, (4,), condition_dim)
    x = tf.constant(np.random.default_rng(0).normal(size=(5, 4)))
    condition = None if condition_dim is None else tf.ones([5, condition_dim], tf.float64)
    for found in (bijector.forward_and_log_det, bijector.inverse_and_log_det):
        y, log_det = found(x, condition)
        np.testing.assert_allclose(y, x, atol=1e-12)
        np.testing.assert_allclose(log_det, np.zeros(5), atol=1e-12)


def test_planar_is_as_published():
    u, w, b = np.array([0.5, -1.0]), np.array([1.0, 2.0]), 0.3
    x = np.array([[0.2, -0.4]])
    m = (1 - 1e-4) * np.log1p(np.exp(w @ u + C)) + 1e-4 - 1
    u_hat = u + (m - w @ u) * w / (w @ w)
    h = np.tanh(w @ x[0] + b)
    z, log_det = built(Planar, (2,), u=u, w=w, b=[b]).forward_and_log_det(tf.constant(x))
    np.testing.assert_allclose(z, x + u_hat * h, atol=1e-9)
    np.testing.assert_allclose(log_det, [np.log(1 + (1 - h**2) * (w @ u_hat))], atol=1e-9)


def test_radial_is_as_published():
    x, centre, a, beta = np.array([[1.0, 2.0]]), np.array([0.5, 0.0]), 0.2, -1.5
    alpha = np.log1p(np.exp(a))
    beta_hat = alpha * ((1 - 1e-4) * np.log1p(np.exp(beta + C)) + 1e-4 - 1)
    r = np.linalg.norm(x - centre)
    h, slope = 1 / (alpha + r), -1 / (alpha + r) ** 2
    bijector = built(Radial, (2,), centre=centre, a=[a], beta=[beta])
    z, log_det = bijector.forward_and_log_det(tf.constant(x))
    np.testing.assert_allclose(z, x + beta_hat * h * (x - centre), atol=1e-9)
    expected = np.log(1 + beta_hat * h) + np.log(1 + beta_hat * h + beta_hat * slope * r)
    np.testing.assert_allclose(log_det, [expected], atol=1e-9)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (Planar, {"u": [-40.0, -40.0], "w": [3.0, 3.0], "b": [0.1]}),  # Would fold without m.
        (Planar, {"u": [900.0, 0.0], "w": [1.0, 1.0]}),
        (Planar, {"u": [1.0, -2.0], "w": [0.0, 0.0]}),
        (Radial, {"beta": [-40.0]}),
        (Radial, {"beta": [900.0], "a": [-10.0]}),
        (Radial, {"centre": [0.0, 0.0], "beta": [2.0]}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_weights_stay_invertible(cls, values, dtype):
    bijector = built(cls, (2,), dtype=dtype, **values)
    x = np.random.default_rng(0).normal(size=(200, 2)) * np.logspace(-3, 2, 200)[:, None]
    x[0] = 0.0
    z, log_det = bijector.forward_and_log_det(tf.constant(x, dtype))
    assert np.isfinite(log_det).all()
    again = bijector.forward(bijector.inverse(z))
    scale = np.maximum(1.0, np.abs(z))
    assert np.max(np.abs(again - z) / scale) < 2e3 * np.finfo(dtype).eps


@pytest.mark.parametrize("cls", [Planar, Radial])
def test_the_gradient_of_the_inverse(cls):
    """By z it is the inverse of the Jacobian, and with the weights it undoes that of f."""
    rng = np.random.default_rng(3)
    bijector = cls(dtype="float64")
    build(bijector, (3,))
    for weight in bijector.weights:
        weight.assign(rng.normal(size=weight.shape))
    values = [weight.value for weight in bijector.weights]
    x = tf.constant(rng.normal(size=(6, 3)))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        z = bijector.forward(x)
        back, inverse_log_det = bijector.inverse_and_log_det(z)
        _, log_det = bijector.forward_and_log_det(x)
        zero = tf.reduce_sum((back - x) * rng.normal(size=(6, 3)))
        zero += tf.reduce_sum((inverse_log_det + log_det) * rng.normal(size=6))
    for gradient in tape.gradient(zero, [x, *values]):
        np.testing.assert_allclose(gradient, np.zeros(gradient.shape), atol=1e-10)


def test_a_root_that_does_not_converge_is_an_error():
    def cubic(s):
        return s**3 - 7.0, 3.0 * s**2

    ends = tf.constant([-1e3]), tf.constant([1e3])
    np.testing.assert_allclose(increasing_root(cubic, *ends, 1e-4, "f"), [7.0 ** (1 / 3)], 1e-5)
    for solve in (increasing_root, tf.function(increasing_root, autograph=False)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="an inverse of f to within 3"):
            solve(cubic, *ends, 1e-4, "f", 3)


def test_what_is_not_finite_stays_so():
    z = tf.constant([[np.nan, 0.0], [0.5, 0.5]])
    x = built(Planar, (2,), dtype="float32", u=[1.0, 1.0]).inverse(z)
    assert np.isnan(x[0]).any()
    assert np.isfinite(x[1]).all()
