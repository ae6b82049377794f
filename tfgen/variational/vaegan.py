"""The VAE/GAN: a VAE that compares what a discriminator sees, and whose decoder deceives it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_not_negative, check_positive, expected
from tfgen.core.config import made_shape, register
from tfgen.data.examples import Batch
from tfgen.distributions.base import BaseDensity
from tfgen.distributions.likelihoods import Bernoulli, Likelihood, Normal
from tfgen.losses.adversarial import AdversarialLoss, NonSaturating
from tfgen.losses.critic import KnowsFeatures
from tfgen.model.rows import Conditions
from tfgen.training.update import Terms, Update
from tfgen.variational.base import EncodedModel, QuietLatents, as_they_are
from tfgen.variational.posteriors import Posterior, built_posterior
from tfgen.variational.vae import closed_kl
from tfgen.variational.wae import untrained_prior


@register
class VAEGAN(EncodedModel):
    """A VAE whose errors are those of a discriminator's features f = D_l, and a GAN in one:

        D:           mean of loss.discriminator(D(x), D(x')) and loss.discriminator(D(x), D(x_p))
        encoder:     KL(q(z | x) || p(z)) + ||f(x) - f(x')||^2 / (2 s^2)
        decoder:     ||f(x) - f(x')||^2 / (2 s^2) + adversarial_weight
                     * mean of loss.generator(D(x')) and loss.generator(D(x_p)),

    where x' is decoded from z ~ q(z | x), and x_p from z_p ~ p(z). A step does these updates in
    this order, with the same noise. The squares are summed: up to a constant, the second term is
    -log N(f(x); f(x'), s^2 I), in nats, with s = 1 in the paper, whose features are thousands. Of
    few or small features a smaller s keeps the KL divergence from drowning them, and batch
    normalisation of D, as in the paper, keeps it from scaling them at will. The paper's gamma
    is `1 / adversarial_weight`. With `adversarial_weight=0` the decoder learns to reconstruct
    alone, in features by which D learns to tell real from decoded.

    x' is the mean of `likelihood`, whose density is not asked for. The encoder, the decoder, and
    labels are as for `VAE`; D does not see labels. `encode` gives the mean of q(z | x), `sample`
    decodes draws of the prior, at a temperature t with its noise scaled by sqrt(t).

    Args:
        encoder: x [batch, *event] -> features.
        decoder: z [batch, latent_dim] -> features, at each position of an example or in all.
        discriminator: x -> raw logits [batch, 1] or [batch, height, width, 1], which tells the
            outputs of its hidden layers, `features(x, training)`, as those of `tfgen.networks` do.
        latent_dim: of z, > 0.
        likelihood: what makes x' of the decoder's features: `Bernoulli()`, its probabilities, which
            is used unless given; for examples without bounds, `Normal()`.
        event_shape: of one example; the shape of the decoder's outputs unless given.
        loss: of `tfgen.losses`; `NonSaturating()` unless given.
        feature_layer: l, which of the features is compared; the last unless given.
        feature_scale: s, the standard deviation of the features given z, > 0.
        adversarial_weight: of the decoder's adversarial loss, >= 0.
        prior: over vectors of `latent_dim` numbers, without weights to train; `StandardNormal`
            unless given.
        posterior: q(z | features), `DiagonalPosterior()` unless given.
        num_classes: of labels that the model is conditioned on, >= 2; None for no labels.
        ema_decay: of the average of weights that the verbs use, in [0, 1); None for no average.
        seed, name: as for every model.

    Logs `discriminator`, `encoder` and `decoder`, the losses, `encoder_kl` (`encoder_kl_sampled`
    where it has no closed form),
    `encoder_reconstruction` (the second term) and `decoder_adversarial`, without its weight.

    Raises:
        TypeError: when a part is not what it has to be.
        ValueError: when parts do not fit each other, or a number is out of range.

    Reference: Larsen, Soenderby, Larochelle and Winther, "Autoencoding Beyond Pixels Using a
        Learned Similarity Metric", 2016, https://arxiv.org/abs/1512.09300, algorithm 1.
    """

    has_temperature = True
    groups = {
        "encoder": ("encoder", "posterior"),
        "decoder": ("decoder", "likelihood"),
        "discriminator": ("discriminator",),
    }
    default_optimizers = {
        "encoder": lambda: keras.optimizers.Adam(3e-4, beta_1=0.5),
        "decoder": lambda: keras.optimizers.Adam(3e-4, beta_1=0.5),
        "discriminator": lambda: keras.optimizers.Adam(3e-4, beta_1=0.5),
    }
    _averaged = ("encoder", "posterior", "decoder", "likelihood")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        discriminator: keras.layers.Layer,
        latent_dim: int,
        likelihood: Likelihood | None = None,
        event_shape: Sequence[int] | None = None,
        loss: AdversarialLoss | None = None,
        feature_layer: int = -1,
        feature_scale: float = 1.0,
        adversarial_weight: float = 1.0,
        prior: BaseDensity | None = None,
        posterior: Posterior | None = None,
        num_classes: int | None = None,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            encoder,
            decoder,
            latent_dim,
            likelihood or Bernoulli(),
            event_shape,
            num_classes,
            False,
            ema_decay,
            seed,
            name,
        )
        check_positive("feature_scale", feature_scale)
        check_not_negative("adversarial_weight", adversarial_weight)
        _check_mean_alone(self.likelihood, self.event_spec)
        self.loss = NonSaturating() if loss is None else loss
        if not isinstance(self.loss, AdversarialLoss):
            raise TypeError(expected("an adversarial loss, e.g. Hinge()", repr(loss)))
        self.prior = untrained_prior(prior, latent_dim)
        self.posterior = built_posterior(posterior, self._features_shape, latent_dim)
        self.discriminator = discriminator
        self.feature_layer = feature_layer
        self.feature_scale = feature_scale
        self.adversarial_weight = adversarial_weight
        _check_discriminator(discriminator, feature_layer, self.event_shape)
        self._make_averages()
        self._quiet = QuietLatents()

    # The verbs.

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the decoded draw of the prior of each row seed, int32 [batch, 2]."""
        return self.decode_rows(self.prior.sample_rows(row_seeds, None, temperature), condition)

    def encode_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the mean of q(z | x), [batch, latent_dim]."""
        posterior = self.averaged(self.posterior)
        features = self._encoded(x, condition, self.averaged, training=False)
        return posterior.mean(posterior.parameters(features))

    # Training.

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> list[Update]:
        """Returns the updates of the discriminator, the encoder and the decoder."""
        real, condition = self._examples(x), self.conditions_of(x)
        first, second, third = tf.unstack(random.split_seed(seed, 3))

        def posterior() -> tuple[tf.Tensor, Terms]:
            return self._drawn(real, condition, first, third if training else None, training)

        def decoded(z: tf.Tensor) -> tf.Tensor:
            parameters = self._decoded(z, condition, as_they_are, training)
            return self.likelihood.mean(parameters)

        def fakes() -> list[tf.Tensor]:
            drawn = self.prior.draw(tf.shape(real)[0], second)
            return [decoded(tf.stop_gradient(z)) for z in (posterior()[0], drawn)]

        def judge() -> Terms:
            made = [tf.stop_gradient(fake) for fake in fakes()]
            logits = self._logits(real, training)
            each = [self.loss.discriminator(logits, self._logits(x, training)) for x in made]
            return {"loss": tf.add_n(each) / len(each)}

        def encode() -> Terms:
            z, divergence = posterior()
            error = self._squares(real, decoded(z), training)
            (kl,) = divergence.values()
            return {"loss": kl + error, **divergence, "reconstruction": error}

        def decode() -> Terms:
            made = fakes()
            error = self._squares(real, made[0], training)
            given = [self._logits(real, training)] if self.loss.needs_real else []
            each = [self.loss.generator(self._logits(x, training), *given) for x in made]
            adversarial = tf.add_n(each) / len(each)
            loss = error + self.adversarial_weight * adversarial
            return {"loss": loss, "adversarial": adversarial}

        return [
            Update("discriminator", judge, ("discriminator",)),
            Update("encoder", encode, ("encoder",)),
            Update("decoder", decode, ("decoder",)),
        ]

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> dict[str, float]:
        """Warns, once, when the latents have told nothing for two epochs."""
        kl = logs.get("encoder_kl", logs.get("encoder_kl_sampled", math.inf))
        self._quiet.see({"latents": kl})
        return {}

    def _drawn(
        self,
        x: tf.Tensor,
        condition: Conditions,
        seed: tf.Tensor,
        own: tf.Tensor | None,
        training: bool,
    ) -> tuple[tf.Tensor, Terms]:
        """Returns a draw z ~ q(z | x), [batch, latent_dim], and KL(q || p), [batch], by name."""
        features = self._encoded(x, condition, as_they_are, training)
        parameters = self.posterior.parameters(features)
        noise = random.draw_normal([tf.shape(x)[0], 1, self.latent_dim], seed)
        z, log_q = (part[:, 0] for part in self.posterior.draw(parameters, noise, own))
        kl = closed_kl(self.posterior.distribution(parameters), self.prior.distribution())
        if kl is None:
            return z, {"kl_sampled": log_q - self.prior.log_prob(z)}
        return z, {"kl": kl}

    def _logits(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.cast(self.discriminator(x, training=training), tf.float32)

    def _squares(self, x: tf.Tensor, decoded: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns ||f(x) - f(x')||^2 / (2 s^2) of two batches, [batch]."""
        sides = [self._features(part, training) for part in (x, decoded)]
        squares = tf.math.squared_difference(*(tf.cast(side, tf.float32) for side in sides))
        total = tf.reduce_sum(squares, axis=list(range(1, squares.shape.rank)))
        return 0.5 * total / self.feature_scale**2

    def _features(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return self.discriminator.features(x, training=training)[self.feature_layer]


def _check_mean_alone(likelihood: Likelihood, event: tf.TensorSpec) -> None:
    """Raises ValueError unless all of a likelihood's weights move its mean, wherever that is."""
    free = isinstance(likelihood, Normal) and specs.bounds(event) is None
    fixed = free and not (likelihood.trained or likelihood.by_feature)
    if not (fixed or isinstance(likelihood, Bernoulli)):
        what = "`Bernoulli()`, or for examples without bounds `Normal()` of a fixed scale"
        raise ValueError(expected(what, type(likelihood).__name__))


def _check_discriminator(network: Any, layer: int, event_shape: Sequence[int]) -> None:
    """Builds a discriminator; raises unless it has logits and the features that are asked for."""
    if not isinstance(network, KnowsFeatures):
        what = "a `discriminator` with a method `features`, as those of `tfgen.networks` have"
        raise TypeError(expected(what, type(network).__name__))
    made = made_shape("discriminator", network, (None, *event_shape))[1:]
    if len(made) > len(event_shape) or made[-1:] != (1,):
        what = "a `discriminator` of logits [batch, 1] or [batch, height, width, 1]"
        raise ValueError(expected(what, f"outputs of shape {('batch', *made)}"))
    found = len(network.features(tf.zeros([1, *event_shape])))
    if not isinstance(layer, int) or not -found <= layer < found:
        raise ValueError(expected(f"`feature_layer`, an integer in [{-found}, {found})", layer))
