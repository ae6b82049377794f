"""The VAE/GAN: what each of its three updates minimises, and of what."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks
from tfgen import data
from tfgen.bijectors import MaskedAutoregressive
from tfgen.core import random
from tfgen.distributions import (
    Bernoulli,
    Categorical,
    DiagonalGaussian,
    Normal,
    StandardNormal,
)
from tfgen.losses import RBF, Hinge, NonSaturating, Relativistic, squared_mmd
from tfgen.networks import MLP, InfoGANDiscriminator
from tfgen.variational import VAEGAN, DiagonalPosterior, FlowPosterior

SEED = tf.constant([3, 4])


def vaegan(discriminator=None, **kwargs):
    """Returns a model of 4 x 4 images, not compiled."""
    networks = MLP((8,), (16,), activation="tanh"), MLP((8,), (16,), activation="tanh")
    discriminator = discriminator or MLP((1,), (16, 12), activation="leaky_relu")
    settings = {"latent_dim": 2, "event_shape": (4, 4, 1), "seed": 1}
    return VAEGAN(*networks, discriminator, **(settings | kwargs))


def updates(model, x):
    found = model.updates({"x": tf.constant(x)}, SEED, training=False)
    return {update.name: update for update in found}


def parts(model, x):
    """Returns z and x' of q(z | x), x_p of the prior, and KL, by the model's own noise."""
    first, second, _ = tf.unstack(random.split_seed(SEED, 3))
    features = model.encoder(tf.constant(x))
    mean, log_std = model.posterior.parameters(features)
    mean, std = mean.numpy(), np.exp(log_std)
    noise = random.draw_normal([len(x), 1, 2], first)[:, 0].numpy()
    kl = 0.5 * (mean**2 + std**2 - 1).sum(1) - np.log(std).sum(1)
    drawn = StandardNormal(2).draw(len(x), second)
    return model.decode(mean + std * noise), model.decode(drawn), kl


def test_the_encoder_pays_the_kl_divergence_and_half_the_squares_of_features():
    model, x = vaegan(feature_layer=0, feature_scale=0.5), blocks(5)
    terms = updates(model, x)["encoder"].terms()
    rebuilt, _, kl = parts(model, x)
    sides = [model.discriminator.features(part)[0].numpy() for part in (x, rebuilt)]
    assert sides[0].shape == (5, 16)
    squares = ((sides[0] - sides[1]) ** 2).sum(1) / (2 * 0.5**2)
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(terms["reconstruction"], squares, rtol=1e-4)
    np.testing.assert_allclose(terms["loss"], kl + squares, rtol=1e-4)


def test_the_last_features_are_compared_unless_said():
    model, x = vaegan(), blocks(5)
    rebuilt, *_ = parts(model, x)
    sides = [model.discriminator.features(part)[-1].numpy() for part in (x, rebuilt)]
    assert sides[0].shape == (5, 12)
    found = updates(model, x)["encoder"].terms()["reconstruction"]
    np.testing.assert_allclose(found, 0.5 * ((sides[0] - sides[1]) ** 2).sum(1), rtol=1e-4)


@pytest.mark.parametrize("loss", [NonSaturating(), Hinge(), Relativistic(NonSaturating())], ids=str)
def test_both_reconstructions_and_samples_are_fakes(loss):
    model, x = vaegan(loss=loss, adversarial_weight=0.25), blocks(5)
    found = {name: update.terms() for name, update in updates(model, x).items()}
    rebuilt, sampled, _ = parts(model, x)
    real, *fakes = (model.discriminator(part) for part in (x, rebuilt, sampled))
    judged = [loss.discriminator(real, fake) for fake in fakes]
    np.testing.assert_allclose(found["discriminator"]["loss"], np.mean(judged, axis=0), rtol=1e-4)
    given = [real] if loss.needs_real else []
    deceived = np.mean([loss.generator(fake, *given) for fake in fakes], axis=0)
    np.testing.assert_allclose(found["decoder"]["adversarial"], deceived, rtol=1e-4)
    expected = found["encoder"]["reconstruction"] + 0.25 * deceived
    np.testing.assert_allclose(found["decoder"]["loss"], expected, rtol=1e-4)


def slopes(update, variables):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(update.terms()["loss"])
    return tape.gradient(loss, [v.value for v in variables])


def test_without_its_weight_the_decoder_knows_nothing_of_the_logits():
    """The gradients are those of the features alone, and the discriminator still learns."""
    models = [vaegan(adversarial_weight=weight) for weight in (0.0, 1.0)]
    models[1].set_weights(models[0].get_weights())
    x = blocks(5)
    found = [
        slopes(updates(model, x)["decoder"], model.group("decoder").trainable_variables)
        for model in models
    ]
    with tf.GradientTape() as tape:
        z, kl = models[0]._drawn(
            tf.constant(x), {}, tf.unstack(random.split_seed(SEED, 3))[0], None, False
        )
        mean = models[0].likelihood.mean(
            models[0].likelihood.parameters(models[0].decoder(tf.stop_gradient(z)))
        )
        f, g = (models[0].discriminator.features(part)[-1] for part in (x, mean))
        loss = tf.reduce_mean(0.5 * tf.reduce_sum((f - g) ** 2, axis=1))
    variables = models[0].group("decoder").trainable_variables
    expected = tape.gradient(loss, [v.value for v in variables])
    for alone, both, slope in zip(*found, expected, strict=True):
        np.testing.assert_allclose(alone, slope, rtol=1e-4, atol=1e-7)
        assert not np.allclose(both, slope, rtol=1e-2, atol=1e-7)
    judge = updates(models[0], x)["discriminator"]
    learned = slopes(judge, models[0].group("discriminator").trainable_variables)
    assert all(np.abs(slope).max() > 0 for slope in learned)


def test_a_posterior_without_a_closed_divergence_is_compared_by_its_draws():
    posterior = FlowPosterior(MaskedAutoregressive((4,), activation="tanh"))
    model, x = vaegan(posterior=posterior), blocks(5)
    kl = updates(model, x)["encoder"].terms()["kl_sampled"]
    assert kl.shape == (5,) and np.isfinite(kl).all()
    closed, drawn = vaegan(), vaegan()
    object.__setattr__(drawn.posterior, "distribution", lambda parameters: None)
    drawn.set_weights(closed.get_weights())
    x = np.repeat(blocks(1), 4000, axis=0)
    pairs = ((closed, "kl"), (drawn, "kl_sampled"))
    means = [tf.reduce_mean(updates(m, x)["encoder"].terms()[name]) for m, name in pairs]
    np.testing.assert_allclose(*means, rtol=0.1)


def test_samples_are_decoded_draws_at_their_temperature():
    model = vaegan()
    z = StandardNormal(2).sample_rows(random.row_seeds(3, 5), None, tf.fill([3], 0.25))
    found = model.sample(3, seed=5, temperature=0.25)
    np.testing.assert_allclose(found, model.decode(z), rtol=1e-5)
    assert "log_prob_bound" not in model.capabilities()


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_it_learns_to_reconstruct(weight):
    keras.utils.set_random_seed(0)
    discriminator = MLP((1,), (64,), activation="leaky_relu")
    model = vaegan(discriminator, adversarial_weight=weight, feature_scale=0.1)
    model.compile(keras.optimizers.Adam(5e-3))
    before = np.abs(model.reconstruct(blocks(4)) - blocks(4)).mean()
    model.fit(blocks(64), batch_size=16, epochs=60, verbose=0)
    after = np.abs(model.reconstruct(blocks(4)) - blocks(4)).mean()
    assert after < 0.4 * before


def on_digits(weight):
    """Returns a model trained on digits, with batch normalisation in its discriminator."""
    keras.utils.set_random_seed(0)
    model = VAEGAN(
        MLP((128,), (128,), activation="relu"),
        MLP((128,), (128,), activation="relu", output_activation="relu"),
        InfoGANDiscriminator(64, (16, 32), batch_norm=True),
        latent_dim=8,
        event_shape=(8, 8, 1),
        feature_layer=1,
        feature_scale=0.1,
        adversarial_weight=weight,
    )
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))
    model.fit(data.load("digits", split="train", batch_size=64), epochs=40, verbose=0)
    return model


@pytest.mark.slow
def test_digits_come_back_and_samples_are_nearer_to_them_for_the_game():
    """Errors are those of unseen digits, far below those of the mean digit."""
    x = data.load("digits", split="test").as_float()
    distances = {}
    for weight in (0.0, 1.0):
        model = on_digits(weight)
        errors = np.sum((model.reconstruct(x) - x) ** 2, axis=(1, 2, 3))
        spread = np.sum((x - x.mean(0)) ** 2, axis=(1, 2, 3))
        assert errors.mean() < 0.5 * spread.mean()
        sides = (tf.reshape(part, [len(x), -1]) for part in (model.sample(len(x), seed=0), x))
        distances[weight] = float(squared_mmd(*sides, RBF((1.0, 2.0, 4.0))))
    assert distances[1.0] < 0.8 * distances[0.0]


def test_each_group_has_an_optimizer_of_its_own():
    model = vaegan()
    model.compile(discriminator_optimizer=keras.optimizers.SGD(0.5))
    assert isinstance(model.discriminator_optimizer, keras.optimizers.SGD)
    assert isinstance(model.encoder_optimizer, keras.optimizers.Adam)
    held = {id(v) for g in model.groups for v in model.group(g).trainable_variables}
    assert held == {id(v) for v in model.trainable_variables}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"adversarial_weight": -0.5}, "`adversarial_weight` to be a finite number >= 0"),
        ({"adversarial_weight": float("nan")}, "`adversarial_weight` to be a finite number >= 0"),
        ({"feature_scale": 0.0}, "`feature_scale` to be a finite number > 0"),
        ({"loss": "hinge"}, "an adversarial loss"),
        ({"feature_layer": 2}, r"`feature_layer`, an integer in \[-2, 2\). Received: 2"),
        ({"feature_layer": -3}, r"`feature_layer`, an integer in \[-2, 2\). Received: -3"),
        ({"feature_layer": 1.0}, "`feature_layer`, an integer"),
        ({"discriminator": keras.layers.Dense(1)}, "`discriminator` with a method `features`"),
        ({"discriminator": MLP((3,), (4,))}, "`discriminator` of logits"),
        (
            {"discriminator": InfoGANDiscriminator(8, (4, 4)), "event_shape": (16,)},
            "a discriminator of",
        ),
        ({"prior": DiagonalGaussian(2)}, "without weights to train"),
        ({"prior": StandardNormal(3)}, "a prior of 2 numbers"),
        ({"posterior": "diagonal"}, "`posterior`, such as"),
        ({"likelihood": Normal()}, r"`Bernoulli\(\)`, or for examples without bounds"),
        ({"likelihood": Normal(by_feature=True), "event_shape": (16,)}, "of a fixed scale"),
        ({"likelihood": Categorical(3, levels=True)}, r"`Bernoulli\(\)`, or"),
        ({"num_classes": 1}, "`num_classes` >= 2"),
        ({"latent_dim": 0}, "`latent_dim` >= 1"),
    ],
    ids=str,
)
def test_arguments_that_are_wrong(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        vaegan(**arguments)
    raised.match(COMPLAINT)


def test_a_configuration_makes_the_like():
    model = vaegan(
        loss=Hinge(), posterior=DiagonalPosterior(1e-2), likelihood=Bernoulli(), feature_layer=-2
    )
    again = VAEGAN.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert again.loss == Hinge() and again.feature_layer == -2
    for name, update in updates(model, blocks(3)).items():
        loss = updates(again, blocks(3))[name].terms()["loss"]
        np.testing.assert_allclose(loss, update.terms()["loss"], rtol=1e-6)
