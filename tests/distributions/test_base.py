"""Bases of flows: densities by TFP, draws at a temperature, and one for each condition."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfgen.core import random
from tfgen.distributions import DiagonalGaussian, DiagonalMixture, Logistic, StandardNormal

DIM, FEATURES = 3, 2


def built(base, conditional: bool = False):
    """Returns a base whose weights are not those that it begins with."""
    base.build((None, DIM), (None, FEATURES) if conditional else None)
    rng = np.random.default_rng(0)
    for weight in base.weights:
        weight.assign(weight + 0.4 * rng.normal(size=weight.shape))
    return base


def rows(count: int, size: int = DIM, seed: int = 1) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=(count, size)), tf.float32)


def test_they_begin_as_the_standard_normal():
    x, base = rows(5), DiagonalGaussian(DIM)
    base.build((None, DIM))
    expected = tfd.MultivariateNormalDiag(tf.zeros(DIM)).log_prob(x)
    np.testing.assert_allclose(base.log_prob(x), expected, rtol=1e-6)
    np.testing.assert_allclose(StandardNormal(DIM).log_prob(x), expected, rtol=1e-6)


def test_a_gaussian_is_that_of_tfp():
    base = built(DiagonalGaussian(DIM))
    mean, log_scale = base.mean[0].value, base.log_scale[0].value
    other = tfd.MultivariateNormalDiag(mean, tf.exp(log_scale))
    np.testing.assert_allclose(base.log_prob(rows(5)), other.log_prob(rows(5)), rtol=1e-5)


def test_a_mixture_is_that_of_tfp():
    base = built(DiagonalMixture(DIM, 4, spread=2.0))
    logits, means, scales = (v[0].value for v in (base.logits, base.means, base.log_scales))
    parts = tfd.MultivariateNormalDiag(means, tf.exp(scales))
    other = tfd.MixtureSameFamily(tfd.Categorical(logits), parts)
    np.testing.assert_allclose(base.log_prob(rows(5)), other.log_prob(rows(5)), rtol=1e-5)


def test_a_logistic_is_that_of_tfp():
    x = 20 * rows(5)  # Far out too.
    base = Logistic(DIM)
    np.testing.assert_allclose(base.log_prob(x), base.distribution().log_prob(x), rtol=1e-5)
    seeds, t = random.row_seeds(4000, 0), tf.fill([4000], 0.25)
    for draws in (
        base.sample_rows(seeds),
        base.draw(4000, [1, 2]),
        2 * base.sample_rows(seeds, None, t),
    ):
        np.testing.assert_allclose(np.mean(draws, axis=0), 0, atol=0.15)
        np.testing.assert_allclose(np.std(draws, axis=0), np.pi / 3**0.5, rtol=0.05)
        inner = np.mean(np.abs(draws) < np.log(3), axis=0)
        np.testing.assert_allclose(inner, 0.5, atol=0.04)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("create", [DiagonalGaussian, lambda d, **k: DiagonalMixture(d, 3, **k)])
def test_draws_are_of_the_density(create, conditional):
    """The mean of q(x) / p(x) of draws of p is one, of a density q near to it."""
    base = built(create(DIM, conditional=conditional), conditional)
    count = 6000
    condition = tf.repeat(rows(1, FEATURES), count, axis=0) if conditional else None
    x = base.sample_rows(random.row_seeds(count, 0), condition)
    wide = tfd.MultivariateNormalDiag(tf.reduce_mean(x, 0), tf.math.reduce_std(x, 0))
    ratio = tf.exp(wide.log_prob(x) - base.log_prob(x, condition)).numpy()
    assert ratio.mean() == pytest.approx(1, abs=5 * float(ratio.std()) / count**0.5)


def test_a_condition_moves_the_density():
    base = built(DiagonalGaussian(DIM, conditional=True), conditional=True)
    one, other = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
    assert not np.allclose(base.log_prob(rows(1), one), base.log_prob(rows(1), other))
    both = base.log_prob(tf.repeat(rows(1), 2, 0), tf.concat([one, other], 0))
    np.testing.assert_allclose(both[1:], base.log_prob(rows(1), other), rtol=1e-5)


def test_noise_is_scaled_by_the_root_of_the_temperature():
    base = built(DiagonalGaussian(DIM))
    seeds = random.row_seeds(2, 0)
    mean = base.mean[0].value
    hot, plain = (base.sample_rows(seeds, None, t) for t in (tf.constant([4.0, 0.25]), None))
    factors = np.array([[2.0], [0.5]], np.float32)
    np.testing.assert_allclose(hot - mean, factors * (plain - mean), rtol=1e-4, atol=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="Expected a base of vectors of 4 numbers"):
        DiagonalGaussian(3).build((None, 4))
    with pytest.raises(ValueError, match="Expected a flow with conditions"):
        DiagonalGaussian(3, conditional=True).build((None, 3))
    with pytest.raises(ValueError, match="Expected `spread`"):
        DiagonalMixture(3, spread=0.0)
    with pytest.raises(ValueError, match="Expected a `condition`"):
        built(DiagonalGaussian(3, conditional=True), conditional=True).log_prob(rows(1))
