"""The Wasserstein autoencoder, whose codes together follow a prior."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_not_negative, expected
from tfgen.core.config import register
from tfgen.data.examples import Batch
from tfgen.distributions.base import BaseDensity
from tfgen.distributions.likelihoods import Likelihood
from tfgen.distributions.noise import StandardNormal
from tfgen.losses.mmd import InverseMultiquadratic, Kernel, squared_mmd
from tfgen.model.rows import Conditions
from tfgen.training.replicas import gathered
from tfgen.training.update import Terms
from tfgen.variational.autoencoder import CodedModel


@register
class WAE(CodedModel):
    """An autoencoder whose codes, those of all examples together, follow a prior (WAE-MMD):

        minimise    E_data -log p(x | z(x))  +  weight * MMD^2(z(x_1) .. z(x_B), z_1 .. z_B),

    where z_i ~ prior, and the squared MMD is the unbiased estimate of a batch, that of all replicas
    together. A VAE asks q(z | x) of every example to look like the prior; here only their mixture
    has to, so that codes do not overlap. The estimate scatters with the batch size: batches should
    have about a hundred examples, and must have two.

    The cost ||x - G(z)||^2 of the paper is -log p of `Normal(0.5**0.5)`, but for a constant. The
    networks are as for `Autoencoder`. `sample` gives the mean of p(x | z), unless `draw_samples`.
    At a temperature t, the noise of the prior is scaled by sqrt(t).

    Args:
        encoder, decoder, latent_dim, likelihood, event_shape, num_classes, ema_decay: as for
            `Autoencoder`.
        prior: over vectors of `latent_dim` numbers, without weights to train; `StandardNormal`
            unless given.
        kernel: of the MMD, of `tfgen.losses`; `InverseMultiquadratic((2 * latent_dim,))`, the
            expected squared distance of two draws of N(0, I), unless given. Several scales serve
            where codes are far from the prior at first.
        weight: of the MMD (lambda in the paper), in nats, >= 0.
        draw_samples: whether `sample` draws from p(x | z) in place of its mean.
        seed, name: as for every model.

    Logs `loss`, `reconstruction` (-log p) and `mmd` (its square, without the weight).

    Raises:
        TypeError: when a part is not what it has to be.
        ValueError: when parts do not fit each other, or a number is out of range.

    Reference: Tolstikhin, Bousquet, Gelly and Schoelkopf, "Wasserstein Auto-Encoders", 2018,
        https://arxiv.org/abs/1711.01558, algorithm 2.
    """

    has_temperature = True

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        latent_dim: int,
        likelihood: Likelihood | None = None,
        event_shape: Sequence[int] | None = None,
        prior: BaseDensity | None = None,
        kernel: Kernel | None = None,
        weight: float = 10.0,
        num_classes: int | None = None,
        draw_samples: bool = False,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            encoder,
            decoder,
            latent_dim,
            likelihood,
            event_shape,
            num_classes,
            draw_samples,
            ema_decay,
            seed,
            name,
        )
        check_not_negative("weight", weight)
        self.prior = untrained_prior(prior, latent_dim)
        self.kernel = kernel or InverseMultiquadratic((2.0 * latent_dim,))
        if not isinstance(self.kernel, Kernel):
            raise TypeError(expected("a kernel of `tfgen.losses`, e.g. RBF()", repr(kernel)))
        self.weight = weight

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns -log p(x | z(x)) with the MMD of the joint batch, and both alone."""
        z, log_prob = self._coded(x, training)
        drawn = self.prior.draw(tf.shape(z)[0], seed)
        mmd = squared_mmd(gathered(z), gathered(drawn), self.kernel)
        return {"loss": self.weight * mmd - log_prob, "reconstruction": -log_prob, "mmd": mmd}

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean of p(x | z), or a draw of it, of one z a row seed, int32 [batch, 2]."""
        z = self.prior.sample_rows(row_seeds, None, temperature)
        return self._sampled(z, condition, row_seeds)


def untrained_prior(prior: Any, latent_dim: int) -> BaseDensity:
    """Returns a prior over latents that has nothing to train: N(0, I) in place of None.

    Raises:
        TypeError: when it is no density that can be drawn at a temperature.
        ValueError: when it is over vectors of another size, conditional, or has weights to train.
    """
    prior = prior or StandardNormal(latent_dim)
    if not isinstance(prior, BaseDensity):
        raise TypeError(expected("`prior`, such as StandardNormal(32)", repr(prior)))
    if prior.dim != latent_dim:
        raise ValueError(expected(f"a prior of {latent_dim} numbers", prior.dim))
    if not prior.built:
        prior.build((None, latent_dim))
    if prior.conditional or prior.trainable_variables:
        what = "an unconditional prior without weights to train, such as StandardNormal(32)"
        raise ValueError(expected(what, type(prior).__name__))
    return prior
