"""Autoencoders, and those whose codes together follow a prior."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks
from tfgen import UnsupportedCapability, data
from tfgen.core import random
from tfgen.distributions import (
    Bernoulli,
    DiagonalGaussian,
    Normal,
    StandardNormal,
    Uniform,
)
from tfgen.losses import RBF, InverseMultiquadratic, squared_mmd
from tfgen.networks import MLP
from tfgen.variational import WAE, Autoencoder


def autoencoder(kind=Autoencoder, **kwargs):
    """Returns a model of 4 x 4 images with codes of two numbers, not compiled."""
    networks = MLP((8,), (16,), activation="tanh"), MLP((8,), (16,), activation="tanh")
    return kind(*networks, **({"latent_dim": 2, "event_shape": (4, 4, 1)} | kwargs))


def terms(model, x, seed=(1, 2)):
    return model.objective({"x": tf.constant(x)}, tf.constant(seed), training=False)


def test_the_loss_is_the_likelihood_of_the_code():
    model, x = autoencoder(likelihood=Normal(0.5)), blocks(3)
    mean, _ = model.likelihood.parameters(model.decoder(model.encode(x)))
    np.testing.assert_allclose(model.reconstruct(x), np.clip(mean, 0, 1), rtol=1e-5)
    mean = mean.numpy()
    each = 0.5 * ((x - mean) / 0.5) ** 2 + np.log(0.5) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(terms(model, x)["loss"], each.sum((1, 2, 3)), rtol=1e-5)


def test_a_code_is_an_affine_map_of_the_features():
    model, x = autoencoder(), blocks(3)
    kernel, bias = model.head.get_weights()
    expected = model.encoder(x).numpy() @ kernel + bias
    np.testing.assert_allclose(model.encode(x), expected, rtol=1e-5, atol=1e-6)
    assert kernel.shape == (8, 2)


def test_an_encoder_of_as_many_numbers_gives_the_codes_at_first():
    encoder = MLP((2,), (16,), activation="tanh")
    model, x = Autoencoder(encoder, MLP((8,)), 2, event_shape=(4, 4, 1)), blocks(3)
    np.testing.assert_allclose(model.encode(x), encoder(x), rtol=1e-5, atol=1e-6)


def test_an_autoencoder_tells_examples_apart_and_does_not_sample():
    model = autoencoder()
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(blocks(), batch_size=8, epochs=60, verbose=0).history["loss"]
    assert np.abs(model.reconstruct(blocks(4)) - blocks(4)).max() < 0.1
    # That of all blocks known exactly: 16 numbers, of 0.1 or 0.9, of 0.325 nats each.
    assert 5.2 < history[-1] < 5.6
    with pytest.raises(UnsupportedCapability, match="Autoencoder has no sample"):
        model.sample(2)


def test_the_loss_has_the_mmd_between_codes_and_prior():
    kernel = InverseMultiquadratic((0.5, 3.0))
    model, x = autoencoder(WAE, kernel=kernel, weight=7.0, likelihood=Normal()), blocks(6)
    found, seed = terms(model, x), tf.constant([1, 2])
    mmd = squared_mmd(model.encode(x), StandardNormal(2).draw(6, seed), kernel)
    np.testing.assert_allclose(found["mmd"], mmd, rtol=1e-5)
    np.testing.assert_allclose(found["loss"], found["reconstruction"] + 7.0 * mmd, rtol=1e-5)
    plain = autoencoder(likelihood=Normal())
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(found["reconstruction"], terms(plain, x)["loss"], rtol=1e-6)


def test_the_usual_kernel_has_the_squared_distance_of_the_prior():
    model = autoencoder(WAE)
    draws = random.draw_normal([2, 4000, 2], [0, 1])
    distance = tf.reduce_mean(tf.reduce_sum((draws[0] - draws[1]) ** 2, axis=1))
    assert model.kernel.scales == pytest.approx((4.0,))
    assert float(distance) == pytest.approx(4.0, abs=0.2)


def test_samples_are_decoded_draws_of_the_prior():
    model = autoencoder(WAE)
    seeds = random.row_seeds(3, 5)
    z = StandardNormal(2).sample_rows(seeds, None, tf.fill([3], 0.25))
    expected = model.decode(z)
    np.testing.assert_allclose(model.sample(3, seed=5, temperature=0.25), expected, rtol=1e-5)
    drawn = autoencoder(WAE, draw_samples=True).sample(50, seed=0)
    assert set(np.unique(drawn)) == {0.0, 1.0}


@pytest.mark.parametrize("kind", [Autoencoder, WAE])
@pytest.mark.parametrize(
    "arguments",
    [
        {"latent_dim": 0},
        {"latent_dim": 2.0},
        {"likelihood": "bernoulli"},
        {"event_shape": (4, 4, None)},
        {"num_classes": 1},
        {"ema_decay": 1.0},
        {"seed": -1},
    ],
    ids=str,
)
def test_arguments_that_are_wrong(kind, arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        autoencoder(kind, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": -1.0}, "`weight` to be a finite number >= 0. Received: -1.0"),
        ({"weight": float("nan")}, "`weight` to be a finite number >= 0"),
        ({"kernel": "rbf"}, "a kernel of `tfgen.losses`"),
        ({"prior": StandardNormal(3)}, "a prior of 2 numbers. Received: 3"),
        ({"prior": DiagonalGaussian(2)}, "without weights to train"),
        ({"prior": DiagonalGaussian(2, conditional=True)}, COMPLAINT),
        ({"prior": Uniform(2)}, "`prior`, such as StandardNormal"),
        ({"prior": "normal"}, "`prior`, such as StandardNormal"),
    ],
    ids=str,
)
def test_wae_arguments_that_are_wrong(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        autoencoder(WAE, **arguments)


def test_networks_that_are_swapped_are_told_of():
    with pytest.raises(ValueError, match=COMPLAINT):
        Autoencoder(MLP((8,)), keras.layers.Conv2D(1, 3), 2, event_shape=(4, 4, 1))


def test_examples_outside_the_support_are_refused():
    model = autoencoder()
    with pytest.raises(ValueError, match=COMPLAINT):
        terms(model, blocks(2) + 1.0)


def test_one_example_has_no_mmd():
    with pytest.raises(ValueError, match="at least 2 rows a side"):
        terms(autoencoder(WAE), blocks(1))


def permutation_p_value(x, y, kernel, num_permutations=200):
    """Returns how often a random split of the union is as far apart as two samples are."""
    joint = tf.concat([x, y], axis=0)
    values = kernel(joint, joint).numpy()
    rng, half = np.random.default_rng(0), len(x)

    def statistic(order):
        sign = np.where(np.argsort(order) < half, 1.0, -1.0)
        off_diagonal = values - np.diag(np.diag(values))
        return sign @ off_diagonal @ sign

    found = statistic(np.arange(2 * half))
    others = [statistic(rng.permutation(2 * half)) for _ in range(num_permutations)]
    return (1 + np.sum(np.array(others) >= found)) / (1 + num_permutations)


@pytest.mark.slow
def test_codes_of_digits_follow_the_prior_of_a_wae_and_not_of_an_autoencoder():
    """By a two-sample permutation test, at 1 %, of codes of digits that were not trained on."""
    heldout = data.load("digits", split="test").as_float()[:300]
    prior = StandardNormal(4).sample_rows(random.row_seeds(len(heldout), 7))
    p_values, distances, errors = {}, {}, {}
    for kind, settings in ((WAE, {"weight": 300.0}), (Autoencoder, {})):
        keras.utils.set_random_seed(0)
        train = data.load("digits", split="train", batch_size=128)
        model = kind(
            MLP((64,), (128,), activation="relu"),
            MLP((64,), (128,), activation="relu"),
            latent_dim=4,
            likelihood=Normal(0.5**0.5),
            event_shape=(8, 8, 1),
            **settings,
        )
        model.compile(keras.optimizers.Adam(2e-3))
        model.fit(train, epochs=60, verbose=0)
        codes = model.encode(heldout)
        errors[kind] = float(np.sum((model.reconstruct(heldout) - heldout) ** 2) / len(heldout))
        p_values[kind] = permutation_p_value(codes, prior, RBF((1.0, 2.0)))
        distances[kind] = float(squared_mmd(codes, prior, RBF((1.0, 2.0))))
    assert p_values[WAE] > 0.01
    assert p_values[Autoencoder] == 1 / 201
    assert distances[WAE] < 0.05 * distances[Autoencoder]
    assert errors[WAE] < 1.5 * errors[Autoencoder]


def test_the_permutation_test_tells_samples_apart_and_only_those():
    """Of a normal sample, that of another mean or deviation, and one of the same."""
    x, y = random.draw_normal([2, 200, 2], [3, 4])
    kernel = RBF((1.0,))
    assert permutation_p_value(x, y, kernel) > 0.05
    assert permutation_p_value(x, y + 0.5, kernel) < 0.01
    assert permutation_p_value(x, 1.5 * y, kernel) < 0.05


def test_a_model_is_saved_with_its_kernel_and_likelihood(tmp_path):
    model = autoencoder(WAE, kernel=RBF((0.5,)), weight=0.0, likelihood=Bernoulli())
    again = WAE.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert again.kernel == RBF((0.5,)) and again.weight == 0.0
    np.testing.assert_array_equal(again.sample(2, seed=0), model.sample(2, seed=0))
