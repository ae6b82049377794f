"""BEGAN and BiGAN: their steps, and what they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.adversarial.helpers import generator, small_gan
from tests.small_models import COMPLAINT, blocks
from tfgen.adversarial import BEGAN, BiGAN
from tfgen.distributions import StandardNormal
from tfgen.layers import SpectralNormalization
from tfgen.losses import (
    Hinge,
)
from tfgen.networks import (
    MLP,
    InfoGANAutoencoder,
    InfoGANDiscriminator,
    InfoGANEncoder,
    InfoGANGenerator,
    JointDiscriminator,
)
from tfgen.training.update import Update


def test_began_keeps_its_balance():
    gan = BEGAN(
        InfoGANGenerator((8, 8, 1), 8, (4, 4)),
        InfoGANAutoencoder((8, 8, 1), 4, (4, 4)),
        diversity=0.6,
        balance_rate=0.5,
        prior=StandardNormal(3),
    )
    gan.compile()
    x = {"x": tf.random.stateless_uniform([8, 8, 8, 1], [0, 0])}
    balance = 0.0
    for _ in range(3):
        assert gan.balance.numpy() == pytest.approx(balance, abs=1e-6)
        logs = gan.train_step(x)
        real, fake = float(logs["discriminator_real"]), float(logs["generator"])
        assert float(logs["generator_balance"]) == pytest.approx(balance, abs=1e-6)
        loss = real - balance * float(logs["discriminator_fake"])
        assert float(logs["discriminator"]) == pytest.approx(loss, rel=1e-4)
        surplus = 0.6 * real - fake
        convergence = float(logs["generator_convergence"])
        assert convergence == pytest.approx(real + abs(surplus), rel=1e-4)
        balance = min(1.0, max(0.0, balance + 0.5 * surplus))
    gan.balance.assign(1.0)
    gan.balance_rate = 1e6
    gan.train_step(x)
    assert gan.balance.numpy() in (0.0, 1.0)


def test_began_needs_an_autoencoder():
    with pytest.raises(ValueError, match="an autoencoder"):
        BEGAN(InfoGANGenerator((8, 8, 1), 8, (4, 4)), InfoGANDiscriminator(8, (4, 4)))
    for options in ({"diversity": 0.0}, {"diversity": 1.5}, {"balance_rate": 0.0}):
        with pytest.raises(ValueError, match=COMPLAINT):
            BEGAN(
                InfoGANGenerator((8, 8, 1), 8, (4, 4)),
                InfoGANAutoencoder((8, 8, 1), 4, (4, 4)),
                **options,
            )


def test_bigan_trains_the_encoder_with_the_generator():
    gan = BiGAN(
        generator(), MLP((3,), (8,)), JointDiscriminator((4,), (4,), (8,)), prior=StandardNormal(3)
    )
    updates = gan.updates({"x": tf.constant(blocks(4))}, tf.constant([0, 0]))
    assert [update.trains for update in updates] == [("discriminator",), ("generator", "encoder")]
    assert all(isinstance(update, Update) for update in updates)
    with pytest.raises(ValueError, match=r"an encoder to latents of shape \(64,\)"):
        BiGAN(InfoGANGenerator((8, 8, 1)), InfoGANEncoder(3), JointDiscriminator())


@pytest.mark.ci
def test_spectral_norms_stay_near_one():
    net = InfoGANDiscriminator(16, (4, 8), spectral_norm=True)
    gan = small_gan(discriminator=net, loss=Hinge())
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4),
        discriminator_optimizer=keras.optimizers.Adam(2e-4),
    )
    gan.fit(blocks(16), batch_size=8, epochs=30, verbose=0)
    layers = [layer for layer in net._flatten_layers() if isinstance(layer, SpectralNormalization)]
    assert len(layers) == 4
    for layer in layers:
        kernel = np.asarray(layer.normalized_kernel())
        norm = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        assert norm == pytest.approx(1.0, abs=0.01)
