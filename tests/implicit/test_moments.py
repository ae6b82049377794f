"""Generators whose statistics, or kernel means, are those of the data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import losses
from tfgen.distributions import StandardNormal
from tfgen.implicit import Covariance, Mean, MomentMatching, Moments, SquaredMMD
from tfgen.networks import MLP

RANDOM = np.random.default_rng(0)
X = (RANDOM.normal(size=(600, 2)) @ [[1.0, 0.5], [0.0, 0.3]] + [2.0, -1.0]).astype(np.float32)
Y = RANDOM.normal(size=(400, 2)).astype(np.float32)


def trained(discrepancy, x, hidden_units=(), epochs: int = 60) -> np.ndarray:
    """Returns samples of a generator that was trained on x."""
    generator = MLP((2,), hidden_units, activation="tanh")
    model = MomentMatching(generator, discrepancy, StandardNormal(2))
    model.compile(optimizer=keras.optimizers.Adam(0.02), steps_per_execution=3)
    model.fit(x, batch_size=200, epochs=epochs, verbose=0)
    return model.sample(4000, seed=0).numpy()


def test_mean_averages_to_the_mean():
    distance = Moments([Mean()])(X, Y)
    assert float(distance) == pytest.approx(((X.mean(0) - Y.mean(0)) ** 2).sum(), rel=1e-5)


def test_covariance_averages_to_the_covariance():
    np.testing.assert_allclose(
        tf.reduce_mean(Covariance()(X), axis=0), np.cov(X.T, bias=True), rtol=1e-4, atol=1e-5
    )
    distance = Moments([Covariance()])(X, Y)
    expected = ((np.cov(X.T, bias=True) - np.cov(Y.T, bias=True)) ** 2).sum()
    assert float(distance) == pytest.approx(expected, rel=1e-4)


def test_covariance_says_nothing_of_the_mean():
    assert float(Moments([Covariance()])(X, X + 3.0)) == pytest.approx(0, abs=1e-8)


def test_statistics_are_added_up():
    statistics = [Mean(), Covariance(), lambda x: tf.exp(x[:, :1])]
    alone = [float(Moments([statistic])(X, Y)) for statistic in statistics]
    assert float(Moments(statistics)(X, Y)) == pytest.approx(sum(alone), rel=1e-5)
    assert alone[2] == pytest.approx((np.exp(X[:, 0]).mean() - np.exp(Y[:, 0]).mean()) ** 2, 1e-4)


def test_squared_mmd_is_that_of_the_losses():
    kernel = losses.InverseMultiquadratic((0.5, 2.0))
    for unbiased in (True, False):
        found = SquaredMMD(kernel, unbiased)(X, Y)
        assert float(found) == float(losses.squared_mmd(X, Y, kernel, unbiased))


def test_equal_samples_are_at_no_distance():
    assert float(Moments()(X, X)) == 0
    assert float(SquaredMMD(unbiased=False)(X, X)) == pytest.approx(0, abs=1e-6)


def test_a_linear_generator_learns_mean_and_covariance():
    samples = trained(Moments(), X)
    np.testing.assert_allclose(samples.mean(0), X.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(X.T), atol=0.15)


def test_only_what_is_asked_for_is_matched():
    """The mean alone leaves the covariance of the first weights, about that of the noise."""
    samples = trained(Moments([Mean()]), X)
    np.testing.assert_allclose(samples.mean(0), X.mean(0), atol=0.1)
    assert np.abs(np.cov(samples.T) - np.cov(X.T)).max() > 0.3


@pytest.mark.ci
def test_moments_cannot_tell_a_mixture_from_a_gaussian_and_mmd_can():
    signs = RANDOM.choice([-2.0, 2.0], size=(600, 1))
    mixture = (0.2 * RANDOM.normal(size=(600, 2)) + signs).astype(np.float32)
    between = {}
    for name, discrepancy in (
        ("moments", Moments()),
        ("mmd", SquaredMMD(losses.RBF((0.5, 1.0, 2.0)))),
    ):
        samples = trained(discrepancy, mixture, hidden_units=(32,), epochs=150)
        between[name] = (np.linalg.norm(samples, axis=1) < 1.5).mean()
    assert between["moments"] > 0.15 > between["mmd"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Moments([]), ValueError, "at least one statistic"),
        (lambda: Moments(Mean()), TypeError, "`statistics`, a list of functions"),
        (lambda: Moments(["mean"]), TypeError, "`statistics`, a list of functions"),
        (lambda: SquaredMMD("rbf"), TypeError, "a kernel of `tfgen.losses`"),
        (lambda: MomentMatching(MLP((2,)), "moments"), TypeError, "`discrepancy`"),
        (lambda: losses.RBF((-1.0,)), ValueError, "`bandwidths`"),
    ],
)
def test_what_discrepancies_refuse(make, error, message):
    with pytest.raises(error, match=f"Expected {message}.* Received: "):
        make()


@pytest.mark.parametrize(
    ("statistic", "shape"),
    [
        (lambda x: tf.reduce_mean(x, axis=0), r"\(2,\)"),
        (lambda x: tf.reduce_sum(x), r"\(\)"),
        (lambda x: x[1:], r"\(4, 2\)"),
    ],
)
def test_statistics_have_a_row_for_each_example(statistic, shape):
    with pytest.raises(ValueError, match=rf"a row for each example\. Received: shape {shape}"):
        Moments([statistic])(X[:5], Y[:5])


def test_a_statistic_of_a_wrong_shape_is_found_when_the_model_is_made():
    for size in (2, 3, 5):  # The mean of a batch has `size` rows: of numbers, not of examples.
        with pytest.raises(ValueError, match="a row for each example"):
            MomentMatching(MLP((size,)), Moments([lambda x: tf.reduce_mean(x, axis=0)]))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros([64, 3], np.float32), ValueError, r"examples of shape \(2,\)"),
        (tf.data.Dataset.from_tensors({"x": tf.zeros([8, 2], tf.int32)}), TypeError, "float32"),
    ],
)
def test_data_are_such_as_the_generator_makes(data, error, message):
    model = MomentMatching(MLP((2,)), prior=StandardNormal(2))
    model.compile()
    with pytest.raises(error, match=f"Expected {message}"):
        model.fit(data, verbose=0)
