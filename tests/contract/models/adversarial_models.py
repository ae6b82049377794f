"""GANs over real networks, tiny."""

from tests.contract.models import parts
from tests.contract.noise import SameNoise
from tfgen import adversarial, distributions, layers, losses, networks


def gan(exact: bool = False) -> adversarial.GAN:
    return adversarial.GAN(
        parts.image_net(batch_norm=not exact),
        networks.InfoGANDiscriminator(16, (4, 8), batch_norm=not exact),
        prior=parts.noise(4, exact),
        ema_decay=0.9,
        **parts.ENCODE,
        seed=3,
    )


def critic(exact: bool = False) -> adversarial.GAN:
    """Several steps of a clipped critic, with what penalises its slope and changes its images."""
    transform = layers.DiffAugment((layers.Color(), layers.Translate(0.2), layers.Cutout(0.4)))
    random = (losses.GradientPenalty(2.0), losses.Lazy(losses.DRAGAN(), every=2))
    return adversarial.GAN(
        parts.image_net(batch_norm=not exact),
        networks.MLP((1,), (16,), activation="leaky_relu"),
        losses.Wasserstein(),
        [losses.R1(0.5), losses.Orthogonal(1e-3), *(() if exact else random)],
        prior=SameNoise(3) if exact else distributions.Uniform(3, -2.0, 2.0),
        discriminator_steps=2,
        weight_clip=losses.WeightClip(0.5),
        augmentation=None if exact else transform,
        **parts.ENCODE,
    )


def conditional(exact: bool = False) -> adversarial.GAN:
    return adversarial.GAN(
        networks.ConditionalGenerator(parts.image_net(batch_norm=not exact), 3, embedding_dim=2),
        networks.ProjectionDiscriminator(
            networks.MLP((1,), (16,), spectral_norm=True), 3, spectral_norm=True
        ),
        losses.Hinge(),
        prior=parts.noise(4, exact),
        ema_decay=0.5,
        num_classes=3,
        **parts.ENCODE,
    )


def relativistic(exact: bool = False) -> adversarial.GAN:
    return adversarial.GAN(
        networks.MLP((2,), (16,), batch_norm=not exact),
        networks.MLP((1,), (16,), activation="leaky_relu"),
        losses.RelativisticAverage(losses.NonSaturating()),
        prior=SameNoise(3) if exact else distributions.Logistic(3),
        **parts.ENCODE,
    )


def began(exact: bool = False) -> adversarial.BEGAN:
    return adversarial.BEGAN(
        parts.image_net(batch_norm=not exact),
        networks.InfoGANAutoencoder((8, 8, 1), 6, (4, 8)),
        diversity=0.7,
        balance_rate=0.01,
        prior=parts.noise(4, exact),
        ema_decay=0.9,
        **parts.ENCODE,
    )


def bigan(exact: bool = False) -> adversarial.BiGAN:
    return adversarial.BiGAN(
        parts.image_net(batch_norm=not exact),
        networks.InfoGANEncoder(4, 16, (4, 8), batch_norm=not exact),
        networks.JointDiscriminator((4, 8), (6,), (16,)),
        penalties=[losses.R2(0.1)],
        prior=parts.noise(4, exact),
        ema_decay=0.9,
    )


def bayesian(exact: bool = False) -> adversarial.GAN:
    """A mixture of generators before a committee."""
    blocks = [distributions.Uniform(1, 0.0, 1.0), distributions.StandardNormal(3)]
    return adversarial.GAN(
        layers.OneOf([networks.MLP((2,), (16,)) for _ in range(1 if exact else 2)]),
        layers.EachOf([networks.MLP((1,), (16,), activation="leaky_relu") for _ in range(2)]),
        prior=SameNoise(4) if exact else distributions.Blockwise(blocks),
        **parts.ENCODE,
    )
