"""A likelihood with a perceptual distance beside it, and the VAE of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.values import perceptual
from tests.small_models import COMPLAINT, blocks
from tfgen import UnsupportedCapability
from tfgen.core import random
from tfgen.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    Normal,
    PerceptualLikelihood,
)
from tfgen.losses import AbsoluteError, SquaredError
from tfgen.networks import MLP
from tfgen.variational import VAE, Autoencoder, ImportanceWeighted

EVENT = (8, 8, 1)


def built(likelihood, distance=None, weight=3.0):
    layer = PerceptualLikelihood(likelihood, distance or perceptual(), weight)
    layer.build((None, 5), (None, *EVENT))
    return layer


def examples(num: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(size=[num, *EVENT])
    return np.float32(np.round(255 * values) / 255)


LIKELIHOODS = {
    "bernoulli": Bernoulli,
    "normal": lambda: Normal(0.5, by_feature=True),
    "fixed": Normal,
    "levels": lambda: Categorical(256, levels=True),
    "logistic": lambda: DiscretizedLogisticMixture(2),
}


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_distance_to_the_mean_is_taken_off(kind):
    layer, x = built(LIKELIHOODS[kind]()), examples(4)
    parameters = layer.parameters(random.draw_normal([4, 5], [1, 2]))
    inner, mean = layer.likelihood, layer.likelihood.mean(parameters)
    expected = inner.log_prob(x, parameters) - 3.0 * layer.distance(tf.constant(x), mean)
    np.testing.assert_allclose(layer.log_prob(x, parameters), expected, rtol=1e-5)
    np.testing.assert_array_equal(layer.mean(parameters), mean)
    seeds = random.row_seeds(4, 0)
    drawn = inner.sample_rows(seeds, parameters)
    np.testing.assert_array_equal(layer.sample_rows(seeds, parameters), drawn)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_leading_axes_broadcast(kind):
    """Two examples beside three parameters each give six numbers, each that of its pair."""
    layer, x = built(LIKELIHOODS[kind]()), examples(2)
    flat = layer.parameters(random.draw_normal([6, 5], [1, 2]))
    each = tf.nest.map_structure(
        lambda p: p if not p.shape.rank else tf.reshape(p, [2, 3, *p.shape[1:]]), flat
    )
    found = layer.log_prob(tf.constant(x)[:, tf.newaxis], each)
    assert found.shape == (2, 3)
    alone = layer.log_prob(np.repeat(x, 3, axis=0), flat)
    np.testing.assert_allclose(tf.reshape(found, [-1]), alone, rtol=1e-5)


def vae(**kwargs):
    likelihood = PerceptualLikelihood(Bernoulli(), SquaredError(), 200.0)
    networks = MLP((8,), (16,), activation="tanh"), MLP((8,), (16,), activation="tanh")
    settings = {"latent_dim": 2, "likelihood": likelihood, "event_shape": (4, 4, 1)}
    return VAE(*networks, **(settings | kwargs))


def test_its_vae_has_no_bound_and_says_why():
    with pytest.raises(UnsupportedCapability, match="its likelihood is not normalised"):
        vae().log_prob_bound(blocks(2))


def test_a_distance_of_no_weight_changes_nothing():
    x, noise = blocks(3), tf.constant([1, 2])
    models = [vae(likelihood=PerceptualLikelihood(Bernoulli(), SquaredError(), 0.0))]
    models.append(vae(likelihood=Bernoulli()))
    models[1].set_weights(models[0].get_weights())
    losses = [m.objective({"x": tf.constant(x)}, noise, training=False)["loss"] for m in models]
    np.testing.assert_allclose(*losses, rtol=1e-6)


@pytest.mark.parametrize(
    "bound",
    [None, pytest.param(ImportanceWeighted(3), marks=pytest.mark.slow)],
    ids=["elbo", "iwae"],
)
def test_training_brings_means_closer(bound):
    keras.utils.set_random_seed(0)
    model = vae(bound=bound)
    model.compile(keras.optimizers.Adam(0.02))
    before = SquaredError()(blocks(4), model.reconstruct(blocks(4))).numpy().mean()
    model.fit(blocks(), batch_size=8, epochs=40, verbose=0)
    after = SquaredError()(blocks(4), model.reconstruct(blocks(4))).numpy().mean()
    assert after < 0.1 * before


def test_a_frozen_network_stays_as_it_is():
    """The gradient goes through it, and moves the decoder alone."""
    likelihood = PerceptualLikelihood(Bernoulli(), perceptual(), 50.0)
    model = Autoencoder(MLP((8,)), MLP((8,)), 2, likelihood, event_shape=EVENT)
    model.compile(keras.optimizers.Adam(0.01))
    network = likelihood.distance.network
    before = network.get_weights()
    model.fit(examples(16), batch_size=8, epochs=2, verbose=0)
    for was, now in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    with tf.GradientTape() as tape:
        logits = tf.zeros([2, *EVENT])
        tape.watch(logits)
        distance = likelihood.log_prob(examples(2), (logits,))
        distance -= likelihood.likelihood.log_prob(examples(2), (logits,))
    assert np.abs(tape.gradient(distance, logits)).max() > 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Bernoulli(), SquaredError(), -1.0), "`weight` to be a finite number >= 0. Received: -1"),
        ((Bernoulli(), SquaredError(), float("inf")), "`weight` to be a finite number >= 0"),
        (("bernoulli", SquaredError()), "`likelihood`, such as"),
        ((Bernoulli(), "perceptual"), "`distance`, such as"),
        ((Bernoulli(), AbsoluteError), "`distance`, such as"),
    ],
    ids=["negative", "infinite", "likelihood", "distance", "class"],
)
def test_arguments_that_are_wrong(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        PerceptualLikelihood(*arguments)
    raised.match(COMPLAINT)


def test_integers_have_no_mean_to_compare():
    likelihood = PerceptualLikelihood(Categorical(3), SquaredError())
    with pytest.raises(TypeError, match="likelihood of floats. Received: one of int32"):
        Autoencoder(MLP((8,)), MLP((8,)), 2, likelihood, event_shape=(4,))
