"""Functions, priors, intervals, grids and values that an output density refuses."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow_probability import distributions as tfd

from tests.implicit.helpers import NORMAL, float64
from tfgen.implicit import OutputDensity

POISSON = tfd.Poisson(3.0, force_probs_to_zero_outside_support=True)
PARTLY_DISCRETE = tfd.Mixture(
    tfd.Categorical(probs=float64(0.99, 0.01)), [NORMAL, tfd.Deterministic(*float64(0.4321))]
)


def step(h):
    """Returns 0 below 0 and 1 above, with a gradient of none."""
    return tf.cast(h > 0, tf.float64)


class WithoutCdf(tfd.Distribution):
    """A distribution that TFP knows neither cdf nor quantiles of."""

    def __init__(self):
        super().__init__(tf.float32, tfd.NOT_REPARAMETERIZED, False, True)

    def _event_shape(self):
        return tf.TensorShape([])

    def _batch_shape(self):
        return tf.TensorShape([])

    def _log_prob(self, h):
        return -tf.abs(h)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda h: tf.reduce_sum(h), "for each of .*Received: float64 of shape ()"),
        (lambda h: h[:, None], "for each of .*Received"),
        (lambda h: tf.cast(h, tf.int32), "for each of .*Received: int32"),
        (lambda h: h - tf.reduce_mean(h), "each h the same in any batch.*Received"),
        (lambda h: h * tf.cast(tf.size(h), tf.float64), "each h the same in any batch.*Received"),
        (lambda h: tf.math.log(h), r"finite on the interval.*Received: f\(-7\.03"),
        (lambda h: tf.exp(200 * h), r"finite on the interval.*Received: f\(.*inf"),
        (lambda h: tf.round(h), "with a gradient.*Received: none"),
        (lambda h: h.numpy() ** 2, "with a gradient.*Received: none"),
        (lambda h: tf.sign(h), "a continuous `f`.*Received"),
        (lambda h: h - tf.floor(h), "a continuous `f`.*Received"),
        (lambda h: h + step(h), r"a continuous `f`.*a jump from .* to 1 at"),
        (lambda h: h - step(h), r"a continuous `f`.*a jump from .* to -1 at"),
        (lambda h: h + 1e-6 * step(h - 0.1234), "a continuous `f`.*a jump .* at 0.1234"),
        (lambda h: tf.cast(h + step(h), tf.float32), "a continuous `f`.*a jump .* to 1 at"),
        (lambda h: tf.sin(1e5 * h), "a continuous `f`.*Received"),
        (lambda h: math.exp(h), "numbers at once.*Received: .*scalar"),
        (lambda h: h if h > 0 else 0.0, "numbers at once.*Received: .*ambiguous"),
        (lambda h: tf.matmul(h, [[1.0]]), "numbers at once.*Received: "),
    ],
)
def test_unfit_functions_are_refused(f, message):
    with pytest.raises(ValueError, match=f"(?s)Expected .*{message}"):
        OutputDensity(f, NORMAL)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="Expected `f` to be a function.*Received: 3"):
        OutputDensity(3, NORMAL)


@pytest.mark.parametrize(
    ("prior", "error", "message"),
    [
        ("normal", TypeError, "a TFP distribution.*Received: 'normal'"),
        (tfd.Normal, TypeError, "a TFP distribution.*Received"),
        (stats.norm, TypeError, "a TFP distribution.*Received"),
        (WithoutCdf(), TypeError, "`prior` to have a cdf.*Received"),
        (tfd.Normal([0.0, 1.0], 1.0), ValueError, r"one float, shape \(\).*Received: .*\(2,\)"),
        (tfd.MultivariateNormalDiag([0.0]), ValueError, r"one float, shape \(\).*Received"),
        (tfd.Bernoulli(0.5), ValueError, r"one float, shape \(\).*Received.*int32"),
        (
            tfd.Bernoulli(0.5, dtype=tf.float32),
            ValueError,
            "a continuous `prior`.*a jump of its cdf",
        ),
        (tfd.Poisson(3.0), ValueError, "a continuous `prior`.*a jump of its cdf"),
        (POISSON, ValueError, "a continuous `prior`.*jump of its cdf"),
        (PARTLY_DISCRETE, ValueError, "a continuous `prior`.*jump of its cdf.*at 0.4321"),
    ],
)
def test_unfit_priors_are_refused(prior, error, message):
    with pytest.raises(error, match=f"(?s)Expected .*{message}"):
        OutputDensity(tf.square, prior)


@pytest.mark.parametrize(
    "interval", [(1.0, -1.0), (0.0, 0.0), (0.0, np.inf), (np.nan, 1.0), (1.0,), 3.0, (50.0, 60.0)]
)
def test_unfit_intervals_are_refused(interval):
    with pytest.raises(ValueError, match="Expected `interval` .*Received"):
        OutputDensity(tf.square, NORMAL, interval=interval)


@pytest.mark.parametrize(("num_points", "error"), [(99, ValueError), (1e4, TypeError)])
def test_unfit_grids_are_refused(num_points, error):
    with pytest.raises(error, match="Expected `num_points` .*Received"):
        OutputDensity(tf.square, NORMAL, num_points=num_points)


@pytest.mark.parametrize("method", ["prob", "log_prob", "cdf"])
@pytest.mark.parametrize("x", [1.0, [[1.0]], [np.nan], [0.0, np.inf]])
def test_unfit_values_are_refused(chi_squared, method, x):
    with pytest.raises(ValueError, match="Expected `x` .*Received"):
        getattr(chi_squared, method)(x)
