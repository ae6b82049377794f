"""Likelihoods add up to one and are what they draw; posteriors are the densities of their draws."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.contract.cases import by_name
from tests.contract.models.flow_models import stirred
from tests.contract.variational_values import LIKELIHOODS, POSTERIORS
from tfgen.core import random

DISCRETE = [case for case in LIKELIHOODS if case.num_values]
ON_LEVELS = [case for case in DISCRETE if case.name not in ("bernoulli", "categorical")]


def built(case, rows: int = 1):
    """Returns a likelihood, and its parameters for features of so many rows."""
    likelihood = case.create()
    likelihood.build((None, 5), (None, *case.event_shape))
    features = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    return likelihood, likelihood.parameters(tf.constant(features))


def every(case, likelihood) -> np.ndarray:
    """Returns all examples, [values ** 4, *event]."""
    x = np.array(list(itertools.product(range(case.num_values), repeat=4)))
    x = x.reshape(-1, *case.event_shape)
    whole = likelihood.event_spec(case.event_shape).dtype.is_integer
    return np.int32(x) if whole else np.float32(x / (case.num_values - 1))


@pytest.mark.parametrize("case", **by_name(DISCRETE))
def test_probabilities_of_all_examples_add_up_to_one(case):
    likelihood, parameters = built(case)
    log_prob = likelihood.log_prob(every(case, likelihood), parameters).numpy().astype(np.float64)
    assert log_prob.shape == (case.num_values**4,)
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("case", **by_name(ON_LEVELS))
def test_rounding_of_an_example_changes_nothing(case):
    likelihood, parameters = built(case)
    x = every(case, likelihood)
    moved = x + 0.009 / (case.num_values - 1) * np.sign(0.5 - x)  # What `on_support` lets pass.
    likelihood.on_support(tf.constant(moved))
    expected = likelihood.log_prob(x, parameters)
    np.testing.assert_allclose(likelihood.log_prob(moved, parameters), expected, rtol=1e-5)


@pytest.mark.parametrize("case", **by_name(DISCRETE))
def test_examples_are_drawn_as_often_as_they_are_probable(case):
    likelihood, parameters = built(case)
    x, count = every(case, likelihood), 20_000
    shared = tf.nest.map_structure(lambda p: tf.repeat(p, count, axis=0), parameters)
    drawn = likelihood.sample_rows(random.row_seeds(count, 0), shared).numpy()
    scale = 1 if drawn.dtype == np.int32 else case.num_values - 1
    places = np.rint(drawn.reshape(count, 4) * scale)
    codes = places @ case.num_values ** np.arange(3, -1, -1)
    often = np.bincount(codes.astype(int), minlength=len(x)) / count
    expected = np.exp(likelihood.log_prob(x, parameters))
    deviation = np.sqrt(expected * (1 - expected) / count)
    assert (np.abs(often - expected) < 5 * deviation + 2 / count).all()


@pytest.mark.parametrize("case", **by_name([c for c in LIKELIHOODS if c.num_values is None]))
def test_densities_are_those_of_tfp(case):
    from tensorflow_probability import distributions as tfd

    likelihood, (mean, log_scale) = built(case, rows=3)
    x = np.random.default_rng(1).uniform(size=(3, *case.event_shape)).astype(np.float32)
    expected = tfd.Independent(tfd.Normal(mean, tf.exp(log_scale)), 3).log_prob(x)
    np.testing.assert_allclose(likelihood.log_prob(x, (mean, log_scale)), expected, rtol=1e-5)


@pytest.mark.parametrize("case", **by_name(LIKELIHOODS))
def test_rows_broadcast_and_means_are_in_range(case):
    likelihood, parameters = built(case, rows=6)
    x = likelihood.sample_rows(random.row_seeds(2, 3), tf.nest.map_structure(_first, parameters))
    apart = tf.nest.map_structure(lambda p: _apart(p, 2), parameters)
    found = likelihood.log_prob(x[:, tf.newaxis], apart)
    repeated = likelihood.log_prob(tf.repeat(x, 3, axis=0), parameters)
    np.testing.assert_allclose(tf.reshape(found, [-1]), repeated, rtol=1e-5)
    mean = likelihood.mean(parameters)
    assert mean.shape == (6, *case.event_shape)
    assert mean.dtype == likelihood.event_spec(case.event_shape).dtype
    assert (mean.numpy() >= 0).all()
    assert (mean.numpy() <= (1 if mean.dtype == tf.float32 else case.num_values - 1)).all()
    # A draw of a row is a function of its seed.
    second = tf.nest.map_structure(_row, parameters)
    alone = likelihood.sample_rows(random.row_seeds(2, 3)[1:], second)
    np.testing.assert_allclose(alone, x[1:], rtol=1e-6)


def _first(p):
    return p[:2] if p.shape.rank else p


def _row(p):
    return p[1:2] if p.shape.rank else p


def _apart(p, rows):
    return tf.reshape(p, [rows, -1, *p.shape[1:]]) if p.shape.rank else p


def posterior_and_parameters(case):
    posterior = case.create()
    posterior.build((None, 4), (None, 3))
    stirred(posterior)
    features = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    return posterior, posterior.parameters(tf.constant(features))


@pytest.mark.parametrize("case", **by_name(POSTERIORS))
def test_the_density_of_a_draw_is_that_of_the_noise_by_autodiff(case):
    posterior, parameters = posterior_and_parameters(case)
    noise = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(noise)
        z, log_q = posterior.draw(parameters, noise)
        rows = tf.reshape(z, [10, 3])
    whole = tape.jacobian(rows, noise)
    whole = tf.reshape(whole, [10, 3, 10, 3])
    each = np.stack([whole[i, :, i] for i in range(10)]).astype(np.float64)
    log_noise = -0.5 * (noise.numpy().reshape(10, 3) ** 2 + np.log(2 * np.pi)).sum(1)
    expected = log_noise - np.linalg.slogdet(each)[1]
    np.testing.assert_allclose(tf.reshape(log_q, [-1]), expected, atol=1e-4)
    # Of each row by itself.
    whole = whole.numpy() * (1 - np.eye(10))[:, None, :, None]
    np.testing.assert_array_equal(whole, 0)


@pytest.mark.parametrize("case", **by_name(POSTERIORS))
def test_posteriors_tell_the_density_and_mean_where_they_know_them(case):
    posterior, parameters = posterior_and_parameters(case)
    noise = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32))
    z, log_q = posterior.draw(parameters, noise)
    centre, _ = posterior.draw(parameters, tf.zeros([2, 1, 3]))
    np.testing.assert_allclose(posterior.mean(parameters), centre[:, 0], rtol=1e-5, atol=1e-6)
    distribution = posterior.distribution(parameters)
    assert posterior.has_density == (distribution is not None)
    if posterior.has_density:
        np.testing.assert_allclose(posterior.log_prob(z, parameters), log_q, rtol=1e-4, atol=1e-5)
        by_tfp = tf.transpose(distribution.log_prob(tf.transpose(z, [1, 0, 2])))
        np.testing.assert_allclose(by_tfp, log_q, rtol=1e-4, atol=1e-4)
    else:
        with pytest.raises(NotImplementedError, match="a posterior with a density"):
            posterior.log_prob(z, parameters)


@pytest.mark.parametrize("case", **by_name(POSTERIORS))
def test_scales_stay_above_their_bound(case):
    posterior, _ = posterior_and_parameters(case)
    bias = posterior._head.bias.numpy()
    bias[3:6] = -1e4
    posterior._head.bias.assign(bias)
    z, log_q = posterior.draw(posterior.parameters(tf.ones([1, 4])), tf.ones([1, 2, 3]))
    assert np.isfinite(z).all()
    assert np.isfinite(log_q).all()
    scale = np.exp(posterior.parameters(tf.ones([1, 4]))[1])
    np.testing.assert_allclose(scale, posterior.min_scale, rtol=1e-4)
