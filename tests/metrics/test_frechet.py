import warnings

import numpy as np
import pytest
import scipy.linalg

from tests.metrics.helpers import Pixels, random_images
from tfgen.metrics import FeatureStatistics, FrechetInceptionDistance, fid, frechet_distance


def features(number, dimension, seed, mean=0.0, scale=1.0):
    draw = np.random.default_rng(seed).standard_normal((number, dimension))
    mix = np.random.default_rng(99).standard_normal((dimension, dimension)) / np.sqrt(dimension)
    return mean + scale * draw @ mix


def moments(x):
    return x.mean(axis=0), np.cov(x, rowvar=False)


def quiet_fid(real, fake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fid(real, fake)


def fid_from_singular_values(real, fake):
    """The distance without any covariance: tr((AB)^½) is the nuclear norm of the two data sets."""
    x = (real - real.mean(axis=0)) / np.sqrt(len(real) - 1)
    y = (fake - fake.mean(axis=0)) / np.sqrt(len(fake) - 1)
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    step = real.mean(axis=0) - fake.mean(axis=0)
    return step @ step + np.sum(x**2) + np.sum(y**2) - 2.0 * overlap


def test_gaussians_with_diagonal_covariances():
    distance = frechet_distance([0, 1], np.diag([1, 4]), [3, 1], np.diag([9, 0.25]))
    assert distance == pytest.approx(3**2 + (1 - 3) ** 2 + (2 - 0.5) ** 2, rel=1e-12)


def test_gaussians_whose_covariances_do_not_commute():
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 4.0]])
    # In two dimensions tr(M^½) = (tr M + 2 det(M)^½)^½; det(ab) = 5 * 3.75, tr(ab) = 13.
    expected = 5.0 + 5.0 - 2.0 * np.sqrt(13.0 + 2.0 * np.sqrt(5.0 * 3.75))
    assert frechet_distance([0, 0], a, [0, 0], b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance([0, 0], b, [0, 0], a) == pytest.approx(expected, rel=1e-12)


def test_equals_the_matrix_square_root():
    real, fake = features(500, 40, seed=0), features(400, 40, seed=1, mean=0.3, scale=1.2)
    (m1, c1), (m2, c2) = moments(real), moments(fake)
    root = scipy.linalg.sqrtm(c1 @ c2)
    expected = np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2.0 * root.real)
    assert frechet_distance(m1, c1, m2, c2) == pytest.approx(expected, rel=1e-9)
    assert fid(real, fake) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("num_real", "num_fake"), [(30, 20), (20, 300), (300, 20), (2, 2)])
def test_fewer_examples_than_features(num_real, num_fake):
    real, fake = features(num_real, 100, seed=0), features(num_fake, 100, seed=1, mean=0.1)
    distance = quiet_fid(real, fake)
    assert isinstance(distance, float)
    assert distance == pytest.approx(fid_from_singular_values(real, fake), rel=1e-9)


def test_many_scales_keep_their_digits():
    scales = np.logspace(0, -6, 60)
    real, fake = features(200, 60, seed=0) * scales, 1.5 * features(200, 60, seed=1) * scales
    assert fid(real, fake) == pytest.approx(fid_from_singular_values(real, fake), rel=1e-9)


@pytest.mark.parametrize("number", [20, 1000])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_identical_sets_are_at_distance_zero(number, offset):
    x = features(number, 64, seed=0) + offset
    assert quiet_fid(x, x) == pytest.approx(0.0, abs=1e-6)
    assert quiet_fid(x, x[::-1]) == pytest.approx(0.0, abs=1e-6)


def test_features_that_never_fire():
    real, fake = features(300, 20, seed=0), features(300, 20, seed=1, scale=2.0)
    distance = fid(real[:, :15], fake[:, :15])
    real[:, 15:] = fake[:, 15:] = 0.0
    assert fid(real, fake) == pytest.approx(distance, rel=1e-9)
    assert fid(np.zeros((30, 4)), np.ones((30, 4))) == pytest.approx(4.0)


def test_a_covariance_of_zeros():
    assert frechet_distance([0.0], [[0.0]], [0.0], [[4.0]]) == pytest.approx(4.0)


def test_statistics_of_features_far_from_zero():
    x = 1e6 + features(1000, 5, seed=0)
    statistics = FeatureStatistics()
    for batch in np.split(x, [1, 10, 300]):
        statistics.update(batch)
    np.testing.assert_allclose(statistics.mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(statistics.covariance, np.cov(x, rowvar=False), rtol=1e-7)


@pytest.mark.parametrize("batches", [[100], [1, 2, 64, 100], list(range(1, 200))])
def test_streaming_equals_the_function(batches):
    real, fake = random_images(200, seed=0), 0.5 * random_images(300, seed=1)
    metric = FrechetInceptionDistance(Pixels(4))
    for batch in np.split(real, batches):
        metric.update_real(batch)
    metric.update_fake(fake)
    expected = fid(real.reshape(200, 4), fake.reshape(300, 4))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-9)


def test_order_of_batches_and_merging_do_not_matter():
    real, fake = features(200, 4, seed=0), features(200, 4, seed=1, scale=1.3)
    expected = fid(real, fake)
    metric, other = FrechetInceptionDistance(Pixels(4)), FrechetInceptionDistance(Pixels(4))
    metric.update_fake_features(fake[120:])
    other.update_real_features(real[:50])
    other.update_fake_features(fake[:120])
    metric.update_real_features(real[50:])
    metric.merge(other)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-9)
    assert (metric.result().num_real, metric.result().num_fake) == (200, 200)


def test_merging_into_an_empty_metric_copies():
    metric, other = FrechetInceptionDistance(Pixels(4)), FrechetInceptionDistance(Pixels(4))
    for side in (other.update_real_features, other.update_fake_features):
        side(features(50, 4, seed=0))
    metric.merge(other)
    metric.update_fake_features(features(50, 4, seed=1) + 3.0)
    assert float(other.result()) == pytest.approx(0.0, abs=1e-9)


def test_results_follow_updates_and_resets():
    metric = FrechetInceptionDistance(Pixels(4))
    real = features(100, 4, seed=0)
    metric.update_real_features(real)
    metric.update_fake_features(features(100, 4, seed=1))
    assert float(metric.result()) > 1e-3
    metric.reset(keep_real=True)
    metric.update_fake_features(real)
    assert float(metric.result()) == pytest.approx(0.0, abs=1e-9)
    metric.update_real_features(3.0 * real)
    expected = fid(np.concatenate([real, 3.0 * real]), real)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-9)
    metric.reset()
    with pytest.raises(ValueError, match="0 real and 0 fake"):
        metric.result()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_matrix_that_is_no_covariance(scale):
    rotation = np.linalg.qr(features(4, 4, seed=0))[0]
    for values in ([1, 1, 0.5, -0.1], [1, 0, 0, -1e-4], [-1, -1, -1, -1], [1, 1e-12, 1e-12, -1]):
        cov = scale * (rotation * values) @ rotation.T
        with pytest.raises(ValueError, match="`cov_1` to be positive semi-definite.* eigenvalues"):
            frechet_distance(np.zeros(4), (cov + cov.T) / 2, np.zeros(4), np.eye(4))
    swap = [[1e-12, 1.0], [1.0, 1e-12]]
    with pytest.raises(ValueError, match="`cov_2` to be positive"):
        frechet_distance([0, 0], np.eye(2), [0, 0], swap)


def test_eigenvalues_that_rounding_made_negative_are_zero():
    rotation = np.linalg.qr(features(40, 40, seed=0))[0]
    values = np.where(np.arange(40) < 20, 1.0, 0.0)
    exact = (rotation * values) @ rotation.T
    rounded = exact.astype(np.float32).astype(np.float64)
    rounded = (rounded + rounded.T) / 2
    assert np.linalg.eigvalsh(rounded)[0] < -1e-9
    distance = frechet_distance(np.zeros(40), rounded, np.zeros(40), 4 * np.eye(40))
    assert distance == pytest.approx(20 * 1 + 20 * 4, rel=1e-4)


def test_warns_of_a_singular_covariance():
    with pytest.warns(UserWarning, match="8 examples of 10 features"):
        fid(features(8, 10, seed=0), features(100, 10, seed=1))


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros((5, 2)), np.zeros((5, 3)), "2 real and 3 fake"),
        (np.zeros((0, 2)), np.zeros((5, 2)), "at least one row"),
        (np.zeros((1, 2)), np.zeros((5, 2)), "at least 2 examples"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), "to be finite"),
        (np.zeros((5, 2)), np.full((5, 2), np.inf), "to be finite"),
        (np.zeros(5), np.zeros((5, 2)), "rank 2"),
    ],
)
def test_features_that_cannot_be_compared(real, fake, message):
    with pytest.raises(ValueError, match=message):
        quiet_fid(real, fake)


@pytest.mark.parametrize(
    ("mean", "cov", "message"),
    [
        ([0.0, 0.0], np.eye(3), "shape"),
        ([[0.0]], np.eye(1), "rank 1"),
        ([0.0, np.nan], np.eye(2), "finite"),
        ([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]], "symmetric"),
        ([0.0], [[1.0]], "the same dimension"),
    ],
)
def test_gaussians_that_are_none(mean, cov, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance([0.0, 0.0], np.eye(2), mean, cov)
