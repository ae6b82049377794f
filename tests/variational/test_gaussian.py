"""A Gaussian is the closed form after one epoch, whatever the batches, and whitens."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.small_models import COMPLAINT
from tfgen import NonFiniteError
from tfgen.variational import (
    DiagonalCovariance,
    FullCovariance,
    GaussianModel,
    IsotropicCovariance,
)

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(53, 3)) @ RNG.normal(size=(3, 3)) + [4.0, -2.0, 0.5]).astype(np.float32)
LABELS = np.arange(53) % 2


def fitted(x=X, labels=None, batch_size=16, epochs=1, **kwargs) -> GaussianModel:
    model = GaussianModel(x.shape[1:], **kwargs)
    model.compile()
    model.fit(x, labels, batch_size=batch_size, epochs=epochs, verbose=0)
    return model


def covariance(x) -> np.ndarray:
    return np.cov(np.float64(x), rowvar=False, bias=True)


def assert_closed_form(model, x, regularization=1e-6) -> None:
    np.testing.assert_allclose(model.means[0], np.float64(x).mean(axis=0), rtol=1e-9)
    expected = covariance(x) + regularization * np.eye(x.shape[1])
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(model.covariance_matrices()[0] / scale, expected / scale, atol=1e-9)


@pytest.mark.parametrize("batch_size", [53, 16, 7, 1])
def test_one_epoch_is_the_closed_form(batch_size):
    assert_closed_form(fitted(batch_size=batch_size), X)


def test_an_offset_costs_no_digits():
    x = (X * 0.01 + 3000.0).astype(np.float32)
    assert_closed_form(fitted(x), x)


def test_further_epochs_change_nothing():
    assert_closed_form(fitted(epochs=3), X)


def test_a_dataset_with_a_smaller_last_batch():
    model = GaussianModel((3,))
    model.compile()
    model.fit(tf.data.Dataset.from_tensor_slices(X).batch(10), verbose=0)
    assert_closed_form(model, X)


KINDS = {
    FullCovariance: covariance,
    DiagonalCovariance: lambda x: np.diag(np.diag(covariance(x))),
    IsotropicCovariance: lambda x: np.eye(3) * np.diag(covariance(x)).mean(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_covariances_are_of_their_form(kind):
    model = fitted(covariance=kind(), regularization=0.25)
    expected = KINDS[kind](X) + 0.25 * np.eye(3)
    np.testing.assert_allclose(model.covariance_matrices()[0], expected, rtol=1e-9, atol=1e-12)
    density = stats.multivariate_normal(np.float64(X).mean(axis=0), expected)
    np.testing.assert_allclose(model.log_prob(X), density.logpdf(X), rtol=1e-5)
    logged = model.history.history["log_likelihood"]
    assert logged == [pytest.approx(density.logpdf(np.float64(X)).mean(), rel=1e-9)]


@pytest.mark.parametrize("kind", KINDS)
def test_latents_are_white_and_come_back(kind):
    model = fitted(covariance=kind(), regularization=0.0)
    z = model.encode(X)
    spread = covariance(z)
    np.testing.assert_allclose(np.mean(z, axis=0), 0, atol=1e-5)
    assert np.trace(spread) == pytest.approx(3, rel=1e-4)
    if kind is FullCovariance:
        np.testing.assert_allclose(spread, np.eye(3), atol=1e-4)
    np.testing.assert_allclose(model.decode(z), X, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.25, 1.0])
def test_samples_are_of_the_power_of_the_density(temperature):
    model = fitted()
    x = model.sample(20000, seed=0, temperature=temperature).numpy()
    expected = temperature * covariance(X)
    np.testing.assert_allclose(x.mean(axis=0), X.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(covariance(x), expected, atol=0.05 * expected.max())


def test_classes_have_gaussians_of_their_own():
    model = fitted(labels=LABELS, num_classes=2)
    for label in range(2):
        own = X[LABELS == label]
        np.testing.assert_allclose(model.means[label], np.float64(own).mean(axis=0), rtol=1e-9)
        found = model.covariance_matrices()[label]
        np.testing.assert_allclose(found, covariance(own) + 1e-6 * np.eye(3), rtol=1e-6)
        density = stats.multivariate_normal(np.float64(own).mean(axis=0), found)
        given = np.full(53, label)
        np.testing.assert_allclose(model.log_prob(X, given), density.logpdf(X), rtol=1e-4)
        np.testing.assert_allclose(model.decode(model.encode(X, given), given), X, atol=1e-3)


def test_a_class_without_examples_keeps_what_it_began_with():
    model = fitted(labels=LABELS, batch_size=53, num_classes=3)
    np.testing.assert_allclose(model.means[2], np.float64(X).mean(axis=0), rtol=1e-9)
    spread = np.diag(np.diag(covariance(X))) + 1e-6 * np.eye(3)
    np.testing.assert_allclose(model.covariance_matrices()[2], spread, rtol=1e-9)
    assert np.isfinite(model.log_prob(X, np.full(53, 2))).all()


def test_images_are_vectors_and_samples_stay_images():
    x = np.random.default_rng(0).uniform(size=(20, 4, 4, 1)).astype(np.float32)
    model = fitted(x, regularization=0.01)
    assert_closed_form(model, x.reshape(20, 16), 0.01)
    samples = model.sample(50, seed=0, temperature=4.0).numpy()
    assert samples.shape == (50, 4, 4, 1)
    assert samples.min() == 0 and samples.max() == 1
    np.testing.assert_allclose(model.reconstruct(x), x, atol=1e-5)


def test_a_constant_number_has_the_regularization_as_variance():
    x = np.concatenate([X, np.full((53, 1), 7.0, np.float32)], axis=1)
    model = fitted(x, regularization=0.01)
    assert model.covariance_matrices()[0, 3, 3] == pytest.approx(0.01, rel=1e-9)
    assert np.isfinite(model.log_prob(x)).all()
    model = fitted(x, covariance=DiagonalCovariance(), regularization=0.01)
    assert model.covariance_matrices()[0, 3, 3] == pytest.approx(0.01, rel=1e-9)


SINGULAR = {
    "constant": np.concatenate([X, np.full((53, 1), 7.1, np.float32)], axis=1),
    "twice": np.concatenate([X, X[:, :1]], axis=1),
    "few": X[:3],
}


@pytest.mark.parametrize("x", SINGULAR.values(), ids=SINGULAR)
def test_a_singular_covariance_is_refused_without_regularization(x):
    with pytest.raises(ValueError, match=COMPLAINT + ".*regularization=0"):
        fitted(x, regularization=0.0, batch_size=3)


def test_a_constant_number_is_refused_of_independent_ones_too():
    with pytest.raises(ValueError, match=COMPLAINT + "a constant number"):
        fitted(SINGULAR["constant"], covariance=DiagonalCovariance(), regularization=0.0)
    model = fitted(SINGULAR["twice"], covariance=DiagonalCovariance(), regularization=0.0)
    assert np.isfinite(model.log_prob(SINGULAR["twice"])).all()


def test_numbers_that_are_not_finite_are_refused():
    bad = X.copy()
    bad[40, 1] = np.nan
    with pytest.raises(ValueError, match=COMPLAINT):
        fitted(bad)
    model = GaussianModel((3,))
    model.compile()
    with pytest.raises(NonFiniteError, match="data"):
        model.fit(tf.data.Dataset.from_tensor_slices(bad).batch(16), verbose=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"regularization": -1.0},
        {"regularization": float("nan")},
        {"num_classes": 0},
        {"num_classes": 1.5},
        {"covariance": "full"},
        {"covariance": FullCovariance},
    ],
    ids=str,
)
def test_bad_arguments(wrong):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        GaussianModel((3,), **wrong)


def test_nothing_is_optimised():
    model = GaussianModel((3,))
    model.compile("adam")
    assert model.trainable_variables == [] and model.groups == {}
    with pytest.raises(TypeError, match=COMPLAINT):
        model.compile(mean_optimizer=keras.optimizers.SGD())
