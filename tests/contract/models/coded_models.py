"""Models with one code for each example, tiny."""

from tests.contract.models import parts
from tests.contract.models.flow_models import stirred
from tfgen import bijectors, distributions, flows, losses, networks, variational


def _mlp(*units: int) -> networks.MLP:
    return networks.MLP((units[-1],), units[:-1], output_activation="tanh")


def autoencoder(exact: bool = False) -> variational.Autoencoder:
    """One of images and their labels."""
    return variational.Autoencoder(
        _mlp(16),
        networks.MLP((8, 8, 3), (16,)),
        latent_dim=3,
        likelihood=distributions.Normal(0.2),
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
        likelihood=distributions.Normal(0.2),
        event_shape=(8, 8, 1),
    )
    flow = flows.Flow(
        bijectors.Chain([bijectors.MaskedAutoregressive((6,), activation="tanh")]),
        (2,),
        distributions.DiagonalGaussian(2, conditional=True),
        num_classes=3,
    )
    return variational.FittedSampler(autoencoder, stirred(flow), seed=3)
