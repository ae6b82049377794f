"""Fitted densities against NumPy, SciPy and data of known make."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tests.small_models import COMPLAINT
from tfgen.core import random
from tfgen.distributions import Gaussian, GaussianMixture

RNG = np.random.default_rng(0)
COVARIANCE = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]])
X = RNG.multivariate_normal([1.0, -2.0, 3.0], COVARIANCE, size=500)

BLOB_MEANS = np.array([[-4.0, 1.0], [5.0, -2.0]])
BLOB_COVARIANCES = np.array([[[1.0, 0.5], [0.5, 0.5]], [[0.3, 0.0], [0.0, 2.0]]])
BLOBS = np.concatenate(
    [RNG.multivariate_normal(BLOB_MEANS[k], BLOB_COVARIANCES[k], [3000, 1000][k]) for k in (0, 1)]
)


def test_gaussian_takes_the_mean_and_covariance():
    gaussian = Gaussian(3, jitter=0.0)
    assert gaussian.fit(X) is gaussian
    np.testing.assert_allclose(gaussian.mean.numpy(), X.mean(0), rtol=1e-5)
    scale = gaussian.scale.numpy()
    np.testing.assert_allclose(scale @ scale.T, np.cov(X, rowvar=False), rtol=1e-4, atol=1e-5)
    assert np.array_equal(scale, np.tril(scale))


def test_log_prob_of_gaussian_is_that_of_scipy():
    gaussian = Gaussian(3).fit(X)
    reference = stats.multivariate_normal(X.mean(0), np.cov(X, rowvar=False))
    points = RNG.normal(size=(20, 3)) * 3
    log_prob = gaussian.distribution().log_prob(points.astype(np.float32))
    np.testing.assert_allclose(log_prob, reference.logpdf(points), rtol=1e-4)


def test_moments_of_gaussian_samples():
    gaussian = Gaussian(3).fit(X)
    samples = gaussian.sample_rows(random.row_seeds(8000, seed=0)).numpy()
    np.testing.assert_allclose(samples.mean(0), X.mean(0), atol=5 * (2 / 8000) ** 0.5)
    np.testing.assert_allclose(
        np.cov(samples, rowvar=False), np.cov(X, rowvar=False), atol=5 * 2 * (2 / 8000) ** 0.5
    )


def test_gaussian_that_was_not_fitted_is_standard():
    seeds = random.row_seeds(5, seed=1)
    np.testing.assert_array_equal(Gaussian(3).sample_rows(seeds), random.normal(seeds, (3,)))


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3, 1e6])
def test_a_mixture_has_no_unit(unit):
    one, other = (
        GaussianMixture(2, num_components=2, jitter=1e-4).fit(u * BLOBS) for u in (1, unit)
    )
    np.testing.assert_allclose(other.logits, one.logits, rtol=1e-5)
    np.testing.assert_allclose(other.means, unit * one.means.numpy(), rtol=1e-4)
    np.testing.assert_allclose(other.scales, unit * one.scales.numpy(), rtol=1e-4, atol=1e-7 * unit)


def test_a_mixture_of_points_far_from_zero():
    near, far = (GaussianMixture(2, num_components=2).fit(BLOBS + shift) for shift in (0, 1e5))
    np.testing.assert_allclose(far.means, near.means.numpy() + 1e5, rtol=1e-6)
    np.testing.assert_allclose(far.scales, near.scales, rtol=1e-3, atol=1e-4)


def test_a_mixture_of_one_point():
    mixture = GaussianMixture(2, num_components=1).fit(np.ones([5, 2]))
    samples = mixture.sample_rows(random.row_seeds(5, seed=0))
    np.testing.assert_allclose(samples, np.ones([5, 2]), rtol=1e-6)


@pytest.mark.parametrize("x", [np.ones([5, 2]), np.arange(10.0)[:, None] * [1, -2]])
def test_gaussian_on_a_point_or_a_line(x):
    """A covariance without an inverse is no error."""
    gaussian = Gaussian(2).fit(x)
    samples = gaussian.sample_rows(random.row_seeds(50, seed=0)).numpy()
    away = samples - x.mean(0)
    np.testing.assert_allclose(away[:, 1], away[:, 0] * -2 if x.std() else 0, atol=0.05)


def test_jitter_is_relative():
    with_jitter = Gaussian(2, jitter=0.5).fit(np.array([[0.0, 0.0], [2.0, 6.0], [4.0, 0.0]]))
    scale = with_jitter.scale.numpy()
    # The covariance is [[4, 0], [0, 12]]; half of its mean variance, 8, is added.
    np.testing.assert_allclose(scale @ scale.T, [[8, 0], [0, 16]], atol=1e-5)


def fitted_blobs():
    mixture = GaussianMixture(2, num_components=2).fit(BLOBS)
    order = np.argsort(mixture.means.numpy()[:, 0])
    return mixture, order


def test_mixture_recovers_separate_blobs():
    mixture, order = fitted_blobs()
    weights = special.softmax(mixture.logits.numpy())[order]
    np.testing.assert_allclose(weights, [0.75, 0.25], atol=0.01)
    np.testing.assert_allclose(mixture.means.numpy()[order], BLOB_MEANS, atol=0.2)
    scales = mixture.scales.numpy()[order]
    np.testing.assert_allclose(scales @ scales.transpose(0, 2, 1), BLOB_COVARIANCES, atol=0.25)


def test_log_prob_of_mixture_is_that_of_scipy():
    mixture, _ = fitted_blobs()
    points = RNG.normal(size=(20, 2)) * 4
    weights = special.softmax(mixture.logits.numpy().astype(np.float64))
    scales = mixture.scales.numpy().astype(np.float64)
    terms = [
        np.log(w) + stats.multivariate_normal(m, s @ s.T).logpdf(points)
        for w, m, s in zip(weights, mixture.means.numpy(), scales, strict=True)
    ]
    log_prob = mixture.distribution().log_prob(points.astype(np.float32))
    np.testing.assert_allclose(log_prob, special.logsumexp(terms, axis=0), rtol=1e-4)


def test_samples_of_mixture_come_from_the_blobs_in_their_shares():
    mixture, _ = fitted_blobs()
    samples = mixture.sample_rows(random.row_seeds(4000, seed=0)).numpy()
    left = samples[:, 0] < 0
    assert abs(left.mean() - 0.75) < 5 * (0.75 * 0.25 / 4000) ** 0.5 + 0.01
    for k, side in enumerate([left, ~left]):
        np.testing.assert_allclose(samples[side].mean(0), BLOB_MEANS[k], atol=0.3)
        np.testing.assert_allclose(np.cov(samples[side].T), BLOB_COVARIANCES[k], atol=0.35)


def test_mixture_of_one_is_the_gaussian():
    mixture, gaussian = GaussianMixture(3, 1, jitter=0.0).fit(X), Gaussian(3, jitter=0.0).fit(X)
    np.testing.assert_allclose(mixture.means.numpy()[0], gaussian.mean.numpy(), rtol=1e-5)
    # EM's covariance is that of maximum likelihood, over N rather than N - 1.
    expected = gaussian.scale.numpy() * (499 / 500) ** 0.5
    np.testing.assert_allclose(mixture.scales.numpy()[0], expected, rtol=1e-4, atol=1e-5)
    seeds = random.row_seeds(4, seed=2)
    assert mixture.sample_rows(seeds).shape == (4, 3)


@pytest.mark.parametrize("create", [Gaussian, lambda dim: GaussianMixture(dim, 2)])
def test_samples_are_functions_of_their_row_seed(create):
    density = create(3).fit(X)
    seeds = random.row_seeds(9, seed=3)
    together = density.sample_rows(seeds)
    np.testing.assert_allclose(together[4:5], density.sample_rows(seeds[4:5]), rtol=1e-6)
    graph = tf.function(density.sample_rows)(seeds)
    np.testing.assert_allclose(graph, together, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("create", [Gaussian, lambda dim: GaussianMixture(dim, 2)])
def test_nothing_is_trained(create):
    assert create(2).trainable_variables == []


BAD_VECTORS = {
    "one axis": np.ones(2),
    "three axes": np.ones([4, 2, 1]),
    "another size": np.ones([4, 3]),
    "none": np.ones([0, 2]),
    "one": np.ones([1, 2]),
    "NaN": np.array([[0, 1], [np.nan, 1]]),
    "infinity": np.array([[0, 1], [np.inf, 1]]),
}


@pytest.mark.parametrize("create", [Gaussian, lambda dim: GaussianMixture(dim, 2)])
@pytest.mark.parametrize("x", BAD_VECTORS.values(), ids=BAD_VECTORS)
def test_bad_vectors(create, x):
    with pytest.raises(ValueError, match=COMPLAINT):
        create(2).fit(x)


def test_fewer_vectors_than_components():
    with pytest.raises(ValueError, match="Expected at least 5 vectors of 2 numbers. Received: "):
        GaussianMixture(2, 5).fit(RNG.normal(size=(4, 2)))


@pytest.mark.parametrize(
    "create",
    [
        lambda: Gaussian(0),
        lambda: Gaussian(2.5),
        lambda: Gaussian(2, jitter=-1e-6),
        lambda: Gaussian(2, jitter=float("nan")),
        lambda: GaussianMixture(-1),
        lambda: GaussianMixture(2, num_components=0),
        lambda: GaussianMixture(2, num_components=1.5),
        lambda: GaussianMixture(2, jitter=float("inf")),
        lambda: GaussianMixture(2, jitter=-1.0),
    ],
)
def test_bad_arguments(create):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        create()
