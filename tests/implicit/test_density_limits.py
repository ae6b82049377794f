"""Output densities at the ends of the support: poles, finite limits and zeros."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow_probability import distributions as tfd

from tests.implicit.helpers import NORMAL, float64
from tfgen.implicit import OutputDensity

pytestmark = pytest.mark.ci

EXPONENTIAL = tfd.Exponential(*float64(1.0))
ARCSINE = tfd.Beta(*float64(0.5, 0.5))
PEAKED = tfd.Gamma(*float64(0.25, 1.0))


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize(
    ("prior", "by_scipy", "limit"),
    [
        (tfd.LogNormal(*float64(0.0, 1.0)), stats.lognorm(1), 0.0),
        (tfd.Gamma(*float64(3.0, 1.0)), stats.gamma(3), 0.0),
        (tfd.Gamma(*float64(2.0, 1.0)), stats.gamma(2), 0.5),
        (tfd.Beta(*float64(2.0, 2.0)), stats.beta(2, 2), 3.0),
        (tfd.Weibull(*float64(2.0, 1.0)), stats.weibull_min(2), 1.0),
        (tfd.Gamma(*float64(1.5, 1.0)), stats.gamma(1.5), np.inf),
        (tfd.Chi2(*float64(3.0)), stats.chi2(3), np.inf),
        (tfd.HalfNormal(*float64(1.0)), stats.halfnorm, np.inf),
        (PEAKED, stats.gamma(0.25), np.inf),
    ],
)
def test_a_square_has_the_limit_at_0_that_the_prior_gives_it(prior, by_scipy, limit, shift):
    density = OutputDensity(lambda h: tf.square(h) + shift, prior)
    assert density.poles.tolist() == ([shift] if limit == np.inf else [])
    np.testing.assert_allclose(density.prob([shift]), [limit], rtol=1e-8)
    h = np.array([0.01, 0.2, 0.9])
    expected = by_scipy.pdf(h) / (2 * h)
    np.testing.assert_allclose(density.prob(h**2 + shift), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("f", "prior", "poles"),
    [
        (tf.identity, ARCSINE, [0.0, 1.0]),
        (lambda h: 1 - h, ARCSINE, [0.0, 1.0]),
        (tf.square, ARCSINE, [0.0, 1.0]),
        (tf.identity, tfd.Beta(0.5, 0.5), [0.0, 1.0]),
        (tf.identity, PEAKED, [0.0]),
        (lambda h: 1 - tf.sqrt(h), PEAKED, [1.0]),
        (tf.sqrt, tfd.Gamma(*float64(0.5, 1.0)), []),
        (lambda h: tf.pow(h, 0.75), PEAKED, [0.0]),
        (lambda h: tf.square(tf.nn.relu(h)), NORMAL, [0.0]),
    ],
)
def test_poles_are_where_the_density_rises_without_bound(f, prior, poles):
    density = OutputDensity(f, prior)
    np.testing.assert_allclose(density.poles, poles, rtol=0, atol=1e-15)
    assert np.isinf(density.prob(density.poles)).all()


@pytest.mark.parametrize(
    ("f", "prior", "x", "expected"),
    [
        (lambda h: 1 - h, EXPONENTIAL, [1.0, 1 + 1e-12], [1.0, 0.0]),
        (tf.identity, EXPONENTIAL, [0.0, -1e-12], [1.0, 0.0]),
        (lambda h: 1 - h, tfd.Gamma(*float64(2.0, 1.0)), [1.0], [0.0]),
        (lambda u: 2 * u + 3, tfd.Uniform(*float64(0.0, 1.0)), [3.0, 5.0, 5.1], [0.5, 0.5, 0.0]),
        (lambda h: -tf.abs(h), NORMAL, [0.0, 1e-12], [2 * stats.norm.pdf(0), 0.0]),
    ],
)
def test_the_least_and_the_greatest_output_have_the_limit_from_within(f, prior, x, expected):
    density = OutputDensity(f, prior)
    assert density.poles.size == 0
    np.testing.assert_allclose(density.prob(x), expected, rtol=1e-12)


def test_the_upper_pole_leaves_density_and_cdf_below_it_as_they_are():
    """x = 1 - sqrt(h) has h = (1 - x)^2."""
    density = OutputDensity(lambda h: 1 - tf.sqrt(h), PEAKED)
    below = np.array([0.9, 0.1, 1e-3, 1e-6])
    expected = stats.gamma(0.25).pdf(below**2) * 2 * below
    np.testing.assert_allclose(density.prob(1 - below), expected, rtol=1e-9)
    np.testing.assert_allclose(density.cdf(1 - below), stats.gamma(0.25).sf(below**2), rtol=1e-9)
    np.testing.assert_allclose(density.cdf([1.0]), [1.0], rtol=1e-11)


@pytest.mark.parametrize("steepness", [50.0, 1e4])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_steep_functions_are_continuous(steepness, dtype):
    density = OutputDensity(lambda h: tf.tanh(steepness * tf.cast(h - 0.3, dtype)), NORMAL)
    expected = stats.norm.pdf([0.3]) / steepness
    np.testing.assert_allclose(density.prob([0.0]), expected, rtol=1e-6)


def test_an_infinite_slope_is_continuous():
    density = OutputDensity(lambda h: tf.sign(h) * tf.abs(h) ** (1 / 3), NORMAL)
    x = np.array([-1.0, 0.0, 0.1, 1.0])
    np.testing.assert_allclose(
        density.prob(x), stats.norm.pdf(x**3) * 3 * x**2, rtol=1e-9, atol=1e-20
    )
