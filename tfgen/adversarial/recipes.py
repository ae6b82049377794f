"""Published GANs by name: each returns a model, compiled with the optimizers of its paper.

`compile` it again for other optimizers. Batches are of as many examples as the paper gives each
update of the discriminator, mostly 64, times `model.discriminator_steps`.

Args of all, beside their own:
    generator: a layer, latents [batch, d] -> examples [batch, *event].
    discriminator: a layer, examples -> raw logits. `tfgen.networks` has the networks of the papers.
    **kwargs: of the model, such as `prior`, `ema_decay` or `seed`; those that the recipe sets, but
        for the loss, may be among them.

Each raises what its model raises.
"""

from collections.abc import Sequence
from typing import Any

import keras

from tfgen.adversarial.began import BEGAN
from tfgen.adversarial.bigan import BiGAN
from tfgen.adversarial.gan import GAN
from tfgen.distributions import Blockwise, StandardNormal, Uniform
from tfgen.layers import EachOf, OneOf
from tfgen.losses import (
    DRAGAN,
    GradientPenalty,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    Wasserstein,
    WeightClip,
)
from tfgen.model.inversion import Inversion
from tfgen.training.sghmc import SGHMC

Layer = keras.layers.Layer


def _compiled(model: Any, rate: float, beta_1: float, beta_2: float = 0.999) -> Any:
    """Returns a model compiled with an Adam of its own for each group."""
    model.compile(keras.optimizers.Adam(rate, beta_1=beta_1, beta_2=beta_2))
    return model


def minimax_gan(generator: Layer, discriminator: Layer, **kwargs: Any) -> GAN:
    """Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661, algorithm 1 with one step of D.

    With the Adam of DCGAN in place of the paper's momentum.
    """
    return _compiled(GAN(generator, discriminator, Minimax(), **kwargs), 2e-4, 0.5)


def non_saturating_gan(generator: Layer, discriminator: Layer, **kwargs: Any) -> GAN:
    """Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661, with the loss it recommends.

    With the Adam of DCGAN in place of the paper's momentum.
    """
    return _compiled(GAN(generator, discriminator, NonSaturating(), **kwargs), 2e-4, 0.5)


def dcgan(generator: Layer, discriminator: Layer, **kwargs: Any) -> GAN:
    """Radford, Metz and Chintala, 2016, https://arxiv.org/abs/1511.06434.

    For `networks.DCGANGenerator` and `DCGANDiscriminator`; the paper draws z from a uniform of 100
    numbers, here it is the model's `prior`. Batches of 128.
    """
    return _compiled(GAN(generator, discriminator, NonSaturating(), **kwargs), 2e-4, 0.5)


def lsgan(generator: Layer, discriminator: Layer, **kwargs: Any) -> GAN:
    """Mao et al., 2017, https://arxiv.org/abs/1611.04076, with targets 0, 1 and 1."""
    return _compiled(GAN(generator, discriminator, LeastSquares(), **kwargs), 2e-4, 0.5)


def wgan(generator: Layer, discriminator: Layer, clip: float = 0.01, **kwargs: Any) -> GAN:
    """Arjovsky, Chintala and Bottou, 2017, https://arxiv.org/abs/1701.07875.

    Five steps of the critic on fresh examples, its weights clipped, RMSProp at 5e-5.

    Args:
        clip: the bound of each weight of the critic, > 0.
    """
    settings = {"discriminator_steps": 5, "weight_clip": WeightClip(clip), **kwargs}
    model = GAN(generator, discriminator, Wasserstein(), **settings)
    model.compile(keras.optimizers.RMSprop(5e-5))
    return model


def wgan_gp(generator: Layer, discriminator: Layer, weight: float = 10.0, **kwargs: Any) -> GAN:
    """Gulrajani et al., 2017, https://arxiv.org/abs/1704.00028; the critic without BatchNorm.

    Args:
        weight: of the gradient penalty, > 0.
    """
    settings = {"discriminator_steps": 5, "penalties": [GradientPenalty(weight)], **kwargs}
    model = GAN(generator, discriminator, Wasserstein(), **settings)
    return _compiled(model, 1e-4, 0.0, 0.9)


def dragan(generator: Layer, discriminator: Layer, weight: float = 10.0, **kwargs: Any) -> GAN:
    """Kodali et al., 2017, https://arxiv.org/abs/1705.07215.

    Args:
        weight: of its penalty, > 0.
    """
    settings = {"penalties": [DRAGAN(weight)], **kwargs}
    return _compiled(GAN(generator, discriminator, NonSaturating(), **settings), 1e-4, 0.5)


def sngan(generator: Layer, discriminator: Layer, **kwargs: Any) -> GAN:
    """Miyato et al., 2018, https://arxiv.org/abs/1802.05957, with the hinge loss.

    For discriminators made with `spectral_norm=True`; five steps of D, as for its ResNets.
    """
    settings = {"discriminator_steps": 5, **kwargs}
    return _compiled(GAN(generator, discriminator, Hinge(), **settings), 2e-4, 0.0, 0.9)


def relativistic(generator: Layer, discriminator: Layer, loss: Any = None, **kwargs: Any) -> GAN:
    """Jolicoeur-Martineau, 2018, https://arxiv.org/abs/1807.00734: the average one, over `loss`.

    Args:
        loss: of `tfgen.losses`; `NonSaturating()` unless given, which makes the paper's RaSGAN. Its
            RaLSGAN is over `LeastSquares(1, -1)`, since differences of logits have targets of
            either sign.
    """
    average = RelativisticAverage(loss or NonSaturating())
    return _compiled(GAN(generator, discriminator, average, **kwargs), 2e-4, 0.5)


def began(generator: Layer, autoencoder: Layer, **kwargs: Any) -> BEGAN:
    """Berthelot, Schumm and Metz, 2017, https://arxiv.org/abs/1703.10717; Adam at 1e-4.

    Args:
        autoencoder: in place of a discriminator: a layer, examples -> examples of the same shape.
    """
    return _compiled(BEGAN(generator, autoencoder, **kwargs), 1e-4, 0.5)


def bigan(generator: Layer, encoder: Layer, discriminator: Layer, **kwargs: Any) -> BiGAN:
    """Donahue, Krähenbühl and Darrell, 2017, https://arxiv.org/abs/1605.09782; Adam at 2e-4.

    Args:
        encoder: a layer, examples -> latents [batch, d].
        discriminator: a layer, pairs (examples, latents) -> raw logits [batch, 1].
    """
    return _compiled(BiGAN(generator, encoder, discriminator, **kwargs), 2e-4, 0.5)


def bayesian_gan(
    generators: Sequence[Layer],
    discriminators: Sequence[Layer],
    num_examples: int,
    prior: Layer | None = None,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3,
    friction: float = 0.5,
    prior_std: float = 1.0,
    **kwargs: Any,
) -> GAN:
    """Saatchi and Wilson, 2017, https://arxiv.org/abs/1705.09558: a posterior over both networks.

    Each network is a chain of SGHMC, here the scale-adapted one with a `beta_2` of 0.99. Generators
    learn from all discriminators and the other way round; samples are of all generators alike, one
    posterior draw each. The first number of a latent, in [0, 1), says which makes an example, and a
    batch is divided among them: batches are of as many examples as one GAN takes, times
    `len(generators)`. Interpolation passes from one generator to the next, and `encode` chooses
    among those of its starting points: eight a generator, unless `inversion` is given.

    Args:
        generators, discriminators: networks of their own weights, without batch normalisation.
        num_examples: training examples that the posterior is given, > 0.
        prior: of the rest of the latents; `StandardNormal(64)` unless given.
        learning_rate, friction, prior_std: of `SGHMC`. A rate that falls leaves less of the error
            of long steps in the posterior draws, which are the last states of the chains.
        **kwargs: of `GAN`. Of a loss that is no likelihood, the result is no posterior.

    Returns:
        A GAN that is compiled.

    Example:
        gan = bayesian_gan(
            [MLP((2,)) for _ in range(5)],
            [MLP((1,)) for _ in range(2)],
            num_examples=len(x),
            prior=StandardNormal(2),
        )
        gan.fit(x, batch_size=5 * 128, epochs=200)
        gan.sample(1000, seed=0)
    """
    kwargs.setdefault("inversion", Inversion(restarts=8 * len(generators)))
    noise = Blockwise([Uniform(1, 0.0, 1.0), prior or StandardNormal(64)])
    model = GAN(OneOf(generators), EachOf(discriminators), prior=noise, **kwargs)
    settings = {"learning_rate": learning_rate, "friction": friction, "prior_std": prior_std}

    def sampler(num_chains: int, seed: int) -> SGHMC:
        # The loss is a mean over the chains: the part of each, and its gradient, is one of so many.
        return SGHMC(
            num_examples * num_chains,
            beta_2=0.99,
            epsilon=1e-3 / num_chains,
            seed=seed % 2**31,
            **settings,
        )

    model.compile(
        generator_optimizer=sampler(len(generators), model.seed),
        discriminator_optimizer=sampler(len(discriminators), model.seed + 1),
    )
    return model
