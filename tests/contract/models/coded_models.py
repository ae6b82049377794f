"""Models with one code for each example, tiny."""

from typing import Any

import tensorflow as tf

from tests.contract.models import parts
from tests.contract.models.flow_models import stirred
from tests.contract.values import perceptual
from tfgen import bijectors, distributions, flows, losses, networks, variational
from tfgen.core.config import register


@register
class SamePosterior(variational.DiagonalPosterior):
    """One whose noise does not depend on how a batch is divided among replicas."""

    def draw(self, parameters: tuple, noise: tf.Tensor, seed: Any = None) -> tuple:
        """Draws z of the same noise for each row."""
        same = tf.linspace(-1.0, 1.0, self.dim)
        return super().draw(parameters, tf.broadcast_to(same, tf.shape(noise)), seed)


def _mlp(*units: int) -> networks.MLP:
    return networks.MLP((units[-1],), units[:-1], output_activation="tanh")


def autoencoder(exact: bool = False) -> variational.Autoencoder:
    """One of images and their labels, whose errors are perceptual as well."""
    return variational.Autoencoder(
        _mlp(16),
        networks.MLP((8, 8, 3), (16,)),
        latent_dim=3,
        likelihood=distributions.PerceptualLikelihood(
            distributions.Normal(0.2), perceptual(), weight=2.0
        ),
        event_shape=(8, 8, 1),
        num_classes=3,
        ema_decay=0.9,
        seed=1,
    )


def wae(exact: bool = False) -> variational.WAE:
    """One of points, with kernels of several scales, that draws its samples."""
    return variational.WAE(
        _mlp(12, 3),
        _mlp(12),
        latent_dim=3,
        likelihood=distributions.Normal(0.2, trained=True, min_scale=0.05),
        event_shape=(2,),
        prior=parts.noise(3, exact),
        kernel=losses.InverseMultiquadratic((1.0, 6.0)),
        weight=3.0,
        draw_samples=True,
        ema_decay=0.8,
        seed=2,
    )


def fitted_sampler(exact: bool = False) -> variational.FittedSampler:
    """A flow of labels fitted to the codes of an autoencoder without."""
    autoencoder = variational.Autoencoder(
        _mlp(16),
        networks.MLP((8, 8, 2), (16,), batch_norm=not exact),
        latent_dim=2,
        event_shape=(8, 8, 1),
    )
    flow = flows.Flow(
        bijectors.Chain([bijectors.MaskedAutoregressive((6,), activation="tanh")]),
        (2,),
        distributions.DiagonalGaussian(2, conditional=True),
        num_classes=3,
    )
    return variational.FittedSampler(autoencoder, stirred(flow), seed=3)


def vaegan(exact: bool = False) -> variational.VAEGAN:
    """One of images and their labels, with another loss than the usual one."""
    posterior = SamePosterior if exact else variational.DiagonalPosterior
    return variational.VAEGAN(
        _mlp(12),
        networks.MLP((8, 8, 2), (12,), batch_norm=not exact),
        networks.InfoGANDiscriminator(16, (4, 8), batch_norm=not exact),
        latent_dim=3,
        event_shape=(8, 8, 1),
        loss=losses.LeastSquares(),
        feature_layer=-2,
        feature_scale=0.5,
        adversarial_weight=0.5,
        prior=parts.noise(3, exact),
        posterior=posterior(min_scale=1e-3),
        num_classes=3,
        ema_decay=0.9,
        seed=4,
    )


def vae_of_features(exact: bool = False) -> variational.VAEGAN:
    """One of points, whose decoder does not deceive the discriminator."""
    posterior = SamePosterior if exact else variational.DiagonalPosterior
    return variational.VAEGAN(
        _mlp(12),
        _mlp(12),
        networks.MLP((1,), (16,), activation="leaky_relu"),
        latent_dim=2,
        likelihood=distributions.Normal(),
        event_shape=(2,),
        loss=losses.RelativisticAverage(losses.NonSaturating()),
        adversarial_weight=0.0,
        prior=parts.noise(2, exact),
        posterior=posterior(),
    )
