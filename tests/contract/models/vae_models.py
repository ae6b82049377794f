"""Variational autoencoders, tiny."""

from typing import Any

import keras
import tensorflow as tf

from tests.contract.models.flow_models import stirred
from tfgen import bijectors, distributions, flows, networks, variational
from tfgen.core.config import register


class _SameDraws:
    """Gives a posterior noise that does not depend on how a batch is divided among replicas."""

    def draw(self, parameters: tuple, noise: tf.Tensor, seed: Any = None) -> tuple:
        spread = tf.linspace(-1.0, 1.0, noise.shape[1] * noise.shape[2])
        spread = tf.reshape(spread, [1, *noise.shape[1:]])
        return super().draw(parameters, tf.broadcast_to(spread, tf.shape(noise)), seed)


@register
class SameDiagonal(_SameDraws, variational.DiagonalPosterior):
    """A diagonal one."""


@register
class SameFullCovariance(_SameDraws, variational.FullCovariancePosterior):
    """One of full covariance."""


@register
class SameFlow(_SameDraws, variational.FlowPosterior):
    """One that a bijector moves."""


def _mlp(*units: int) -> networks.MLP:
    return networks.MLP((units[-1],), units[:-1], output_activation="tanh")


def labels(exact: bool = False) -> variational.VAE:
    """One of images and their labels, whose bound is importance-weighted."""
    kind = SameDiagonal if exact else variational.DiagonalPosterior
    return variational.VAE(
        _mlp(12),
        _mlp(12),
        latent_dim=3,
        event_shape=(8, 8, 1),
        posterior=kind(min_scale=1e-3),
        bound=variational.ImportanceWeighted(3, doubly_reparameterized=True),
        num_classes=3,
        draw_samples=True,
        ema_decay=0.9,
        seed=1,
    )


def flow(exact: bool = False) -> variational.VAE:
    """One of points, with flows as prior and as posterior."""
    kind = SameFlow if exact else variational.FlowPosterior
    moved = bijectors.Chain([bijectors.MaskedAutoregressive((6,), activation="tanh")])
    prior = flows.Transformed(bijectors.Radial(), distributions.DiagonalGaussian(2), dim=2)
    warm_up = keras.optimizers.schedules.PolynomialDecay(0.5, 5, 1.0)
    return stirred(
        variational.VAE(
            _mlp(12),
            _mlp(12, 2),
            latent_dim=2,
            likelihood=distributions.Normal(0.5, by_feature=True, min_scale=0.05),
            prior=prior,
            posterior=kind(moved, condition_dim=4),
            bound=variational.ELBO(warm_up, free_bits=0.01, num_samples=2),
        )
    )


def vamp(exact: bool = False) -> variational.VAE:
    """One of images on levels, whose prior is made of posteriors."""
    kind = SameFullCovariance if exact else variational.FullCovariancePosterior
    return variational.VAE(
        _mlp(12),
        networks.MLP((8, 8, 3), (12,), output_activation="tanh"),
        latent_dim=3,
        likelihood=distributions.DiscretizedLogisticMixture(2, num_levels=4),
        event_shape=(8, 8, 1),
        prior=variational.VampPrior(3, num_components=5),
        posterior=kind(),
        bound=variational.ELBO(num_samples=2),
        ema_decay=0.8,
        seed=2,
    )
