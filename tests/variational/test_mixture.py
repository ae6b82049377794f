"""A mixture is what scikit-learn's EM makes of it, and its likelihood never falls."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import mixture
from sklearn.exceptions import ConvergenceWarning

from tests.small_models import COMPLAINT
from tfgen import NonFiniteError
from tfgen.data import Examples
from tfgen.variational import (
    DiagonalCovariance,
    FullCovariance,
    IsotropicCovariance,
    MixtureModel,
)
from tfgen.variational.mixture import distant_rows

RNG = np.random.default_rng(1)
CENTERS = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 4.0]])
WHICH = RNG.choice(3, 307, p=[0.5, 0.3, 0.2])
NOISE = RNG.normal(size=(307, 2)) * np.array([[1.0, 0.3], [0.5, 0.5], [0.3, 0.9]])[WHICH]
X = (CENTERS[WHICH] + NOISE @ [[1.0, 0.4], [0.0, 1.0]]).astype(np.float32)

KINDS = {"full": FullCovariance, "diag": DiagonalCovariance, "spherical": IsotropicCovariance}


def fit(model, x=X, epochs=10, batch_size=100, **kwargs) -> MixtureModel:
    if not model.compiled:
        model.compile()
    model.fit(x, batch_size=batch_size, epochs=epochs, verbose=0, **kwargs)
    return model


def peer(model, kind, max_iter) -> mixture.GaussianMixture:
    """Returns scikit-learn's mixture, fitted from where a model is."""
    precisions = np.linalg.inv(model.covariance_matrices())
    if kind != "full":
        precisions = np.diagonal(precisions, axis1=1, axis2=2)
    if kind == "spherical":
        precisions = precisions[:, 0]
    made = mixture.GaussianMixture(
        model.num_components,
        covariance_type=kind,
        tol=0,
        reg_covar=model.regularization,
        max_iter=max_iter,
        weights_init=model.component_weights,
        means_init=model.means.numpy(),
        precisions_init=precisions,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return made.fit(X.astype(np.float64))


def assert_same(model, expected, kind, atol) -> None:
    np.testing.assert_allclose(model.component_weights, expected.weights_, atol=atol)
    np.testing.assert_allclose(model.means, expected.means_, atol=atol)
    covariances = model.covariance_matrices()
    if kind != "full":
        covariances = np.diagonal(covariances, axis1=1, axis2=2)
    if kind == "spherical":
        covariances = covariances[:, 0]
    np.testing.assert_allclose(covariances, expected.covariances_, atol=atol)


@pytest.mark.parametrize(("epochs", "regularization"), [(1, 1e-3), (4, 0.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_iterations_are_those_of_scikit_learn(kind, epochs, regularization):
    model = MixtureModel((2,), 3, KINDS[kind](), regularization, seed=3)
    model.prepare_once(Examples(X))
    expected = peer(model, kind, epochs)
    fit(model, epochs=epochs)
    assert_same(model, expected, kind, atol=1e-8)
    np.testing.assert_allclose(model.log_prob(X), expected.score_samples(X), rtol=1e-5)
    np.testing.assert_allclose(model.classify(X), expected.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(("regularization", "atol"), [(0.0, 1e-6), (1e-6, 1e-5)])
def test_it_converges_to_what_scikit_learn_does(regularization, atol):
    """With a regularization, covariances stop where the likelihood would fall."""
    model = MixtureModel((2,), 3, regularization=regularization, seed=3)
    model.prepare_once(Examples(X))
    expected = peer(model, "full", 300)
    logged = fit(model, epochs=70, batch_size=300).history.history["log_likelihood"]
    assert logged[-1] - logged[-2] < 1e-9
    assert_same(model, expected, "full", atol)


def test_the_logged_likelihood_is_that_of_all_examples_before_the_epoch():
    model = fit(MixtureModel((2,), 3), epochs=4)
    before = model.log_prob(X).numpy().mean()
    logged = fit(model, epochs=5, initial_epoch=4).history.history["log_likelihood"]
    assert logged == [pytest.approx(before, rel=1e-6)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("regularization", [0.0, 1.0])
def test_the_likelihood_never_falls(kind, regularization):
    model = MixtureModel((2,), 4, KINDS[kind](), regularization, seed=2)
    logged = fit(model, epochs=25).history.history["log_likelihood"]
    assert len(logged) == 25 and logged[-1] > logged[0] + 0.1
    assert np.diff(logged).min() > -1e-12


def test_the_batch_size_does_not_matter_nor_a_break():
    models = [fit(MixtureModel((2,), 3), epochs=5, batch_size=size) for size in (307, 64, 10)]
    models.append(fit(fit(MixtureModel((2,), 3), epochs=2), epochs=3))
    for other in models[1:]:
        np.testing.assert_allclose(other.means, models[0].means, rtol=1e-9)
        np.testing.assert_allclose(other.roots, models[0].roots, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(other.logits, models[0].logits, rtol=1e-9)


def test_it_finds_the_clusters_and_samples_them():
    model = fit(MixtureModel((2,), 3), epochs=30)
    order = np.argsort(model.component_weights)[::-1]
    np.testing.assert_allclose(model.component_weights[order], [0.5, 0.3, 0.2], atol=0.06)
    np.testing.assert_allclose(model.means.numpy()[order], CENTERS, atol=0.25)
    found = model.classify(X).numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert np.mean(order[WHICH] == found.argmax(axis=1)) > 0.95
    samples = model.sample(4000, seed=0).numpy()
    np.testing.assert_allclose(samples.mean(axis=0), X.mean(axis=0), atol=0.12)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(X.T), atol=0.25)
    cold = model.sample(4000, seed=0, temperature=1e-6).numpy()
    nearest = np.linalg.norm(cold[:, np.newaxis] - model.means.numpy(), axis=2)
    assert nearest.min(axis=1).max() < 0.02
    counts = np.bincount(nearest.argmin(axis=1), minlength=3) / 4000
    np.testing.assert_allclose(counts, model.component_weights, atol=0.03)


def test_callbacks_can_stop_by_the_likelihood():
    stop = keras.callbacks.EarlyStopping("log_likelihood", 1e-3, mode="max")
    history = fit(MixtureModel((2,), 3), epochs=200, callbacks=[stop]).history.history
    assert 3 < len(history["log_likelihood"]) < 100


def test_the_seed_chooses_the_start():
    starts = []
    for seed in (0, 0, 1):
        model = MixtureModel((2,), 3, seed=seed)
        model.prepare_once(Examples(X))
        starts.append(model.means.numpy())
        assert all((X == np.float32(mean)).all(axis=1).any() for mean in starts[-1])
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])


def test_distant_rows_are_in_every_cluster():
    x = np.repeat(np.float64([[0, 0], [50, 0], [0, 50], [50, 50]]), 20, axis=0)
    x += np.random.default_rng(0).normal(size=x.shape)
    for seed in range(10):
        chosen, nearest = distant_rows(x, 4, np.random.default_rng(seed))
        assert len({tuple(np.round(row / 50)) for row in chosen}) == 4
        squares = ((x[:, np.newaxis] - chosen) ** 2).sum(axis=2)
        np.testing.assert_array_equal(nearest, squares.argmin(axis=1))


def test_a_component_on_one_example_is_bounded_by_the_regularization():
    x = np.concatenate([X, [[100.0, 100.0]]]).astype(np.float32)
    model = fit(MixtureModel((2,), 4, regularization=0.01), x, epochs=15)
    alone = np.argmax(model.means.numpy()[:, 0])
    np.testing.assert_allclose(model.means[alone], [100, 100], rtol=1e-6)
    np.testing.assert_allclose(model.covariance_matrices()[alone], 0.01 * np.eye(2), atol=1e-9)
    for kind in KINDS.values():
        with pytest.raises(ValueError, match=COMPLAINT + ".*regularization=0"):
            fit(MixtureModel((2,), 4, kind(), regularization=0.0), x, epochs=15)


def test_a_component_without_examples_stays_and_is_no_nan():
    model = MixtureModel((2,), 3)
    model.compile()
    model.prepare_once(Examples(X))
    means = model.means.numpy()
    means[1] = 1e6
    model.means.assign(means)
    roots = model.roots.numpy()[1]
    fit(model)
    np.testing.assert_array_equal(model.means[1], [1e6, 1e6])
    np.testing.assert_array_equal(model.roots[1], roots)
    assert model.component_weights[1] < 1e-300
    for found in (model.log_prob(X), model.classify(X), model.sample(100, seed=0), model.logits):
        assert np.isfinite(found).all()
    assert np.max(model.sample(100, seed=0)) < 100


def test_more_components_than_different_examples():
    x = np.repeat(np.float32([[0, 0], [3, 0], [0, 3]]), 5, axis=0)
    model = fit(MixtureModel((2,), 5, regularization=0.01), x, batch_size=4)
    assert np.isfinite(model.history.history["log_likelihood"]).all()
    assert np.isfinite(model.log_prob(x)).all()
    np.testing.assert_allclose(model.component_weights.sum(), 1)


def test_a_constant_number_has_the_regularization_as_variance():
    x = np.concatenate([X, np.full((307, 1), 7.1, np.float32)], axis=1)
    model = fit(MixtureModel((3,), 3, regularization=0.01), x)
    np.testing.assert_allclose(model.covariance_matrices()[:, 2, 2], 0.01, rtol=1e-9)
    with pytest.raises(ValueError, match=COMPLAINT + "a constant number"):
        fit(MixtureModel((3,), 3, regularization=0.0), x)


def test_a_dataset_begins_from_its_first_batch():
    batches = tf.data.Dataset.from_tensor_slices(X).batch(50)
    model = MixtureModel((2,), 3)
    model.compile()
    logged = model.fit(batches, epochs=20, verbose=0).history["log_likelihood"]
    assert np.diff(logged).min() > -1e-12
    assert logged[-1] == pytest.approx(model.log_prob(X).numpy().mean(), abs=1e-2)
    small = MixtureModel((2,), 51)
    small.compile()
    with pytest.raises(ValueError, match="Expected at least 51 examples in the first batch"):
        small.fit(batches, verbose=0)


def test_fewer_examples_than_components_are_refused():
    with pytest.raises(ValueError, match="Expected at least 10 examples, one for each component"):
        fit(MixtureModel((2,), 10), X[:9], batch_size=3)


def test_numbers_that_are_not_finite_are_refused():
    bad = X.copy()
    bad[60, 1] = np.nan
    with pytest.raises(ValueError, match=COMPLAINT):
        fit(MixtureModel((2,), 3), bad)
    model = MixtureModel((2,), 3)
    model.compile()
    with pytest.raises(NonFiniteError, match="data"):
        model.fit(tf.data.Dataset.from_tensor_slices(bad).batch(50), verbose=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_components": 0},
        {"num_components": -2},
        {"num_components": 2.5},
        {"regularization": -1e-3},
        {"regularization": float("inf")},
        {"covariance": "diag"},
    ],
    ids=str,
)
def test_bad_arguments(wrong):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        MixtureModel((2,), **wrong)
