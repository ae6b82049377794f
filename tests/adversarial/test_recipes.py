"""Recipes are the settings of their papers, and train."""

import keras
import numpy as np
import pytest

from tests.small_models import blocks
from tfgen import losses
from tfgen.adversarial import SGHMC, recipes
from tfgen.core import random
from tfgen.distributions import StandardNormal
from tfgen.networks import MLP, JointDiscriminator

# Recipe, loss, steps of D, penalties, optimizer: its kind, rate and decays.
PAPERS = [
    ("minimax_gan", losses.Minimax, 1, [], "adam", 2e-4, (0.5, 0.999)),
    ("non_saturating_gan", losses.NonSaturating, 1, [], "adam", 2e-4, (0.5, 0.999)),
    ("dcgan", losses.NonSaturating, 1, [], "adam", 2e-4, (0.5, 0.999)),
    ("lsgan", losses.LeastSquares, 1, [], "adam", 2e-4, (0.5, 0.999)),
    ("wgan", losses.Wasserstein, 5, [], "rmsprop", 5e-5, (None, None)),
    ("wgan_gp", losses.Wasserstein, 5, [losses.GradientPenalty(10.0)], "adam", 1e-4, (0.0, 0.9)),
    ("dragan", losses.NonSaturating, 1, [losses.DRAGAN(10.0)], "adam", 1e-4, (0.5, 0.999)),
    ("sngan", losses.Hinge, 5, [], "adam", 2e-4, (0.0, 0.9)),
    ("relativistic", losses.RelativisticAverage, 1, [], "adam", 2e-4, (0.5, 0.999)),
]


def networks():
    return MLP((4, 4, 1), (8,), output_activation="sigmoid"), MLP((1,), (8,))


@pytest.mark.parametrize("name, loss, steps, penalties, kind, rate, decays", PAPERS)
def test_gans(name, loss, steps, penalties, kind, rate, decays):
    gan = getattr(recipes, name)(*networks(), prior=StandardNormal(3))
    assert type(gan.loss) is loss
    assert gan.discriminator_steps == steps
    assert list(gan.penalties) == penalties
    assert (gan.weight_clip == losses.WeightClip(0.01)) == (name == "wgan")
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        config = optimizer.get_config()
        assert type(optimizer).__name__.lower() == kind
        assert config["learning_rate"] == pytest.approx(rate)
        assert (config.get("beta_1"), config.get("beta_2")) == decays
    assert gan.generator_optimizer is not gan.discriminator_optimizer
    assert_trains(gan)


def test_arguments_go_on_to_the_model():
    gan = recipes.wgan_gp(*networks(), weight=3.0, discriminator_steps=2, ema_decay=0.5, seed=4)
    assert list(gan.penalties) == [losses.GradientPenalty(3.0)]
    assert (gan.discriminator_steps, gan.ema_decay, gan.seed) == (2, 0.5, 4)
    inner = recipes.relativistic(*networks(), losses.Hinge()).loss.inner
    assert inner == losses.Hinge()


def test_began():
    generator, _ = networks()
    autoencoder = MLP((4, 4, 1), (4,), output_activation="sigmoid")
    gan = recipes.began(generator, autoencoder, diversity=0.7, prior=StandardNormal(3))
    assert gan.diversity == 0.7
    assert float(gan.generator_optimizer.learning_rate) == pytest.approx(1e-4)
    assert_trains(gan)


def test_bigan():
    generator, _ = networks()
    parts = (generator, MLP((3,), (8,)), JointDiscriminator((4,), (4,), (8,)))
    gan = recipes.bigan(*parts, prior=StandardNormal(3))
    assert float(gan.encoder_optimizer.learning_rate) == pytest.approx(2e-4)
    assert_trains(gan)


def test_bayesian_gan():
    """Of three generators before two discriminators, each a chain of so many examples."""
    generators, discriminators = (
        [networks()[index] for _ in range(count)] for index, count in ((0, 3), (1, 2))
    )
    gan = recipes.bayesian_gan(
        generators, discriminators, 10, StandardNormal(3), friction=0.3, prior_std=2.0, seed=4
    )
    assert type(gan.loss) is losses.NonSaturating
    assert gan.latent_dim == 4
    for optimizer, count in ((gan.generator_optimizer, 3), (gan.discriminator_optimizer, 2)):
        assert type(optimizer) is SGHMC
        assert (optimizer.num_examples, optimizer.beta_2) == (10 * count, 0.99)
        assert (optimizer.friction, optimizer.prior_std) == (0.3, 2.0)
    assert gan.generator_optimizer.seed != gan.discriminator_optimizer.seed
    assert_trains(gan)
    z = gan.prior.sample_rows(random.row_seeds(6, 0))
    for row, image in zip(z, gan.sample(6, seed=0), strict=True):
        chain = generators[int(row[0] * 3)]
        np.testing.assert_allclose(chain(row[None, 1:])[0], image, rtol=1e-5, atol=1e-6)


def assert_trains(gan: keras.Model) -> None:
    before = [v.numpy() for v in gan.trainable_variables]
    gan.run_eagerly = True  # Two steps take less than to trace one.
    history = gan.fit(blocks(10), batch_size=10, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    for a, b in zip(before, gan.trainable_variables, strict=True):
        # The last bias of a critic may cancel.
        assert b.shape == (1,) or not np.array_equal(a, b.numpy()), b.path
