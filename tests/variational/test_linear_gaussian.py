"""The VAE of which everything is known: x = W z + b + s e is normal, and so is z given x."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import distributions, variational
from tfgen.core import random

DIM, SIZE, SCALE = 2, 5, 0.5
RNG = np.random.default_rng(0)
W = RNG.normal(size=(DIM, SIZE)).astype(np.float32)
B = RNG.normal(size=SIZE).astype(np.float32)
X = (RNG.normal(size=(16, DIM)) @ W + B + SCALE * RNG.normal(size=(16, SIZE))).astype(np.float32)


def model(posterior=None, bound=None, **kwargs) -> variational.VAE:
    """Returns a VAE whose decoder is the true one."""
    keras.utils.set_random_seed(0)
    made = variational.VAE(
        keras.layers.Identity(),
        keras.layers.Identity(),
        latent_dim=DIM,
        likelihood=distributions.Normal(SCALE),
        event_shape=(SIZE,),
        posterior=posterior,
        bound=bound,
        **kwargs,
    )
    made.likelihood._head.set_weights([W, B])
    made.compile(keras.optimizers.SGD(0.1))
    return made


def exact() -> np.ndarray:
    """Returns log p(x) of each x."""
    from scipy.stats import multivariate_normal

    return multivariate_normal(B, W.T @ W + SCALE**2 * np.eye(SIZE)).logpdf(X)


def nearly_true(made: variational.VAE) -> variational.VAE:
    """Gives a diagonal posterior the true mean, and deviations that are a little too large."""
    covariance = np.linalg.inv(W @ W.T / SCALE**2 + np.eye(DIM))
    to_mean = W.T @ covariance / SCALE**2
    kernel = np.concatenate([to_mean, np.zeros([SIZE, DIM])], axis=1)
    bias = np.concatenate([0.1 - B @ to_mean, np.log(1.3 * np.sqrt(np.diag(covariance)))])
    made.posterior._head.set_weights([np.float32(kernel), np.float32(bias)])
    return made


def with_true_posterior(made: variational.VAE) -> variational.VAE:
    """Gives a posterior of full covariance the weights of the true one."""
    precision = W @ W.T / SCALE**2 + np.eye(DIM)
    covariance = np.linalg.inv(precision)
    lower = np.linalg.cholesky(covariance)
    to_mean = W.T @ covariance / SCALE**2
    kernel = np.zeros((SIZE, made.posterior._head.units), np.float32)
    kernel[:, :DIM] = to_mean
    bias = np.concatenate([-B @ to_mean, np.log(np.diag(lower)), lower[np.tril_indices(DIM, -1)]])
    made.posterior._head.set_weights([kernel, bias.astype(np.float32)])
    return made


def test_the_bound_is_tight_at_the_true_posterior():
    made = with_true_posterior(model(variational.FullCovariancePosterior(min_scale=1e-6)))
    for count in (1, 7):
        np.testing.assert_allclose(made.log_prob_bound(X, count, seed=0), exact(), atol=1e-4)
    # Log-likelihoods of draws vary, but the mean of many does not.
    bound = variational.ELBO(num_samples=4000)
    many = with_true_posterior(model(variational.FullCovariancePosterior(1e-6), bound))
    terms = many.objective({"x": tf.constant(X)}, tf.constant([1, 2]), training=False)
    np.testing.assert_allclose(-tf.reduce_mean(terms["loss"]), exact().mean(), atol=0.02)


def test_bounds_rise_with_the_number_of_draws_to_the_exact_density():
    made, x = nearly_true(model()), np.repeat(X, 64, axis=0)
    one, ten = (float(np.mean(made.log_prob_bound(x, k, seed=0))) for k in (1, 10))
    many = float(np.mean(made.log_prob_bound(x, 1000, seed=0)))
    known = float(exact().mean())
    assert one < ten < many
    assert many == pytest.approx(known, abs=0.01)


def test_memory_and_draws_do_not_depend_on_how_draws_are_taken_together():
    made = model()
    whole = made.log_prob_bound(X, 120, seed=3)
    alone = tf.concat(
        [
            made.log_prob_bound(X[i : i + 1], 120, seed=random.row_seeds(16, 3)[i : i + 1])
            for i in range(16)
        ],
        axis=0,
    )
    np.testing.assert_allclose(alone, whole, rtol=1e-5)


def encoder_gradient(made: variational.VAE, seed: int, rows: int) -> np.ndarray:
    """Returns the gradient of the mean loss of one x, taken so many times, by the posterior."""
    x = tf.constant(np.repeat(X[:1], rows, axis=0))
    with tf.GradientTape() as tape:
        terms = made.objective({"x": x}, tf.constant([seed, 0]), training=True)
        loss = tf.reduce_mean(terms["loss"])
    parts = tape.gradient(loss, made.posterior.trainable_variables)
    return np.concatenate([np.ravel(part) for part in parts])


def test_gradients_are_those_of_differences():
    made = model(bound=variational.ELBO(num_samples=3, analytic=False))
    found = encoder_gradient(made, 5, 8)
    kernel, step = made.posterior._head.kernel, 1e-2
    start = kernel.numpy()

    def loss(value: np.ndarray) -> float:
        kernel.assign(value)
        x = tf.constant(np.repeat(X[:1], 8, axis=0))
        return float(tf.reduce_mean(made.objective({"x": x}, tf.constant([5, 0]), True)["loss"]))

    for place in ((0, 0), (3, 1), (4, 3)):
        moved = np.zeros_like(start)
        moved[place] = step
        slope = (loss(start + moved) - loss(start - moved)) / (2 * step)
        assert found[place[0] * start.shape[1] + place[1]] == pytest.approx(
            slope, rel=0.02, abs=0.02
        )


def test_both_gradients_of_the_importance_weighted_bound_have_one_mean():
    plain, doubly = (
        model(bound=variational.ImportanceWeighted(64, doubly_reparameterized=doubly))
        for doubly in (False, True)
    )
    for made in (plain, doubly):  # Not at the optimum, where both are zero.
        nearly_true(made)
    runs = [
        np.array([encoder_gradient(made, seed, 16) for seed in range(60)])
        for made in (plain, doubly)
    ]
    means = [run.mean(axis=0) for run in runs]
    errors = [run.std(axis=0) / len(run) ** 0.5 for run in runs]
    limit = 4.5 * np.sqrt(errors[0] ** 2 + errors[1] ** 2) + 1e-4
    assert (np.abs(means[0] - means[1]) < limit).all()
    # Doubly reparameterised, it varies less.
    assert np.mean(runs[1].var(axis=0)) < 0.5 * np.mean(runs[0].var(axis=0))
    # The loss, and the gradient of the decoder, are the same.
    found = []
    for made in (plain, doubly):
        with tf.GradientTape() as tape:
            x = {"x": tf.constant(X)}
            loss = tf.reduce_mean(made.objective(x, tf.constant([7, 0]), True)["loss"])
        found.append([loss, *tape.gradient(loss, made.likelihood.trainable_variables)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_closed_kl_is_the_mean_of_the_sampled_one():
    for posterior in (None, variational.FullCovariancePosterior()):
        closed = model(posterior, variational.ELBO())
        sampled = model(posterior, variational.ELBO(num_samples=4000, analytic=False))
        seed, x = tf.constant([1, 1]), {"x": tf.constant(X)}
        found = sampled.objective(x, seed, False)["kl_sampled"]
        np.testing.assert_allclose(closed.objective(x, seed, False)["kl"], found, rtol=0.1)
