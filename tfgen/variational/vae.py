"""The variational autoencoder: an encoder's posterior, a prior, a likelihood and a bound."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import register
from tfgen.data.examples import Batch, Examples
from tfgen.distributions.base import BaseDensity
from tfgen.distributions.likelihoods import Bernoulli, Likelihood
from tfgen.distributions.noise import StandardNormal
from tfgen.model.rows import Conditions
from tfgen.model.verbs import BATCH_SIZE
from tfgen.training.update import Terms
from tfgen.variational.base import EncodedModel, QuietLatents, as_they_are, lacking
from tfgen.variational.bounds import ELBO, Bound, Evidence, check_bound, estimate
from tfgen.variational.posteriors import Posterior, built_posterior
from tfgen.variational.vamp import PosteriorMixture, VampPrior, check_vamp

MOST_DRAWS = 50
"""That `log_prob_bound` works out at a time, which bounds its memory for any number."""
MOST_PARAMETERS = 2**26
"""Of the likelihood, of all draws of a batch of rows that are worked out at a time."""


@register
class VAE(EncodedModel):
    """p(x) = E_p(z) p(x | z), learned with q(z | x) by a lower bound on log p(x), the ELBO

        E_q log p(x | z) - KL(q(z | x) || p(z)),

    summed over all numbers of an example, in nats, averaged over the batch, with beta = 1, unless
    `bound` says otherwise.

    The encoder makes features of examples [batch, *event], the decoder makes features of latents
    [batch, latent_dim]; any networks will do: the posterior and the likelihood own the affine maps
    from features to their parameters. With `num_classes`, one-hot labels stand beside the latents,
    so that the decoder takes [batch, latent_dim + num_classes], and beside the encoder's features.

    `encode` gives the mean of q(z | x), and `posterior_samples` draws from it; `decode` gives the
    mean of p(x | z), and so does `sample`, unless `draw_samples`. At a temperature t, the noise of
    the prior is scaled by sqrt(t).

    Args:
        encoder: x [batch, *event] -> features.
        decoder: z [batch, latent_dim] -> features, at each position of an example or in all.
        latent_dim: of z, > 0.
        likelihood: p(x | features), `Bernoulli()` unless given.
        event_shape: of one example; the shape of the decoder's outputs unless given.
        prior: over vectors of `latent_dim` numbers: `StandardNormal` unless given,
            `DiagonalGaussian`, `DiagonalMixture`, `Transformed` for a flow, or `VampPrior`.
        posterior: q(z | features), `DiagonalPosterior()` unless given.
        bound: what is maximised, `ELBO()` unless given.
        num_classes: of labels that the model is conditioned on, >= 2; None for no labels.
        draw_samples: whether `sample` draws from p(x | z) in place of its mean.
        ema_decay: of the average of weights that the verbs use, in [0, 1); None for no average.
        seed: of the training noise, in [0, 2**31).
        name: of the model.

    Raises:
        TypeError: when a part is not what it has to be.
        ValueError: when parts do not fit each other, or a number is out of range.

    Reference: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014,
        https://arxiv.org/abs/1312.6114; Rezende, Mohamed and Wierstra, "Stochastic Backpropagation
        and Approximate Inference in Deep Generative Models", 2014,
        https://arxiv.org/abs/1401.4082.
    """

    has_temperature = True
    traced_verbs = frozenset({"log_prob_bound"})
    _averaged = ("encoder", "posterior", "prior", "decoder", "likelihood")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        latent_dim: int,
        likelihood: Likelihood | None = None,
        event_shape: Sequence[int] | None = None,
        prior: BaseDensity | VampPrior | None = None,
        posterior: Posterior | None = None,
        bound: Bound | None = None,
        num_classes: int | None = None,
        draw_samples: bool = False,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        likelihood = likelihood or Bernoulli()
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
        self.bound = bound or ELBO()
        check_bound(self.bound)
        self.posterior = built_posterior(posterior, self._features_shape, latent_dim)
        if self.bound.doubly_reparameterized and not self.posterior.has_density:
            what = "a posterior with a density, as the gradient is doubly reparameterised"
            raise ValueError(expected(what, type(self.posterior).__name__))
        self.prior = self._built_prior(prior)
        self._make_averages()
        self._quiet = QuietLatents()

    def _built_prior(self, prior: Any) -> BaseDensity | VampPrior:
        prior = prior or StandardNormal(self.latent_dim)
        if not isinstance(prior, BaseDensity | VampPrior):
            raise TypeError(expected("`prior`, such as StandardNormal(32)", repr(prior)))
        if prior.dim != self.latent_dim:
            raise ValueError(expected(f"a prior of {self.latent_dim} numbers", prior.dim))
        if prior.conditional:
            raise ValueError(expected("an unconditional `prior`", type(prior).__name__))
        if isinstance(prior, VampPrior):
            check_vamp(prior, self.posterior, self.event_spec, self.num_classes)
        if not prior.built:
            shape = self.event_shape if isinstance(prior, VampPrior) else (self.latent_dim,)
            prior.build((None, *shape))
        return prior

    def lacks(self) -> Mapping[str, str]:
        """Returns the bound, where the likelihood is not a probability."""
        return lacking(self.likelihood)

    # The verbs.

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean of p(x | z), or a draw of it, of one z a row seed, int32 [batch, 2]."""
        prior = self._prior(self.averaged)
        z = prior.sample_rows(row_seeds, None, temperature)
        return self._sampled(z, condition, row_seeds)

    def encode_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the mean of q(z | x), [batch, latent_dim]."""
        posterior = self.averaged(self.posterior)
        return posterior.mean(self._posterior_of(x, condition, self.averaged, training=False))

    def log_prob_bound_rows(
        self,
        x: tf.Tensor,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        num_importance: int = 1,
    ) -> tf.Tensor:
        """Returns log mean_i p(x, z_i) / q(z_i | x) of draws z_i ~ q(z | x), [batch].

        Its mean is a lower bound on log p(x), tighter for more draws. They are worked out fifty at
        a time, or fewer of large examples, so that memory does not grow with their number.
        """
        x = self.likelihood.in_range(x)
        parameters = self._posterior_of(x, condition, self.averaged, training=False)
        prior = self._prior(self.averaged)

        def log_weights(seeds: tf.Tensor, count: int) -> tf.Tensor:
            noise = random.normal(seeds, (count, self.latent_dim))
            given = (x, condition, parameters, prior, noise, self.averaged)
            return self._evidence(*given).log_weights

        seeds = random.stream(row_seeds, "posterior")
        each = BATCH_SIZE * math.prod(self.event_shape) * self.likelihood.num_params
        most = max(1, min(MOST_DRAWS, MOST_PARAMETERS // each))
        return estimate(log_weights, seeds, num_importance, most)

    def posterior_samples(
        self, x: Any, num_samples: int = 1, seed: Any = None, condition: Any = None
    ) -> tf.Tensor:
        """Draws latents from q(z | x), [batch, num_samples, latent_dim]; a seed gives the same.

        Args:
            x: [batch, *event].
            num_samples: of each example, > 0.
            seed, condition: as for `log_prob_bound`.
        """
        check_integer("num_samples", num_samples)
        x = self._checked_examples(x)
        seeds, given = self._seeds(seed, x), self._given(condition, x)
        parameters = self._posterior_of(x, given, self.averaged, training=False)
        shape = (num_samples, self.latent_dim)
        noise = random.normal(random.stream(seeds, "posterior"), shape)
        return self.averaged(self.posterior).draw(parameters, noise)[0]

    # Training.

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        """Sets what posterior and prior begin with, by the first batch, such as pseudo-inputs."""
        rows, seed = x["x"], random.step_seed(self.seed, tf.constant(0, tf.int64))
        parameters = self._posterior_of(rows, self.conditions_of(x), as_they_are, training=False)
        noise = random.draw_normal([tf.shape(rows)[0], 1, self.latent_dim], seed)
        self.posterior.prepare(parameters, noise)
        if isinstance(self.prior, VampPrior):
            self.prior.begin_as(rows, self.event_spec, self.seed)
        else:
            self.prior.prepare(self.posterior.draw(parameters, noise)[0][:, 0])

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns minus the bound, and its parts, in nats."""
        return self._terms_of(self._examples(x), self.conditions_of(x), seed, training)

    def _terms_of(
        self, x: tf.Tensor, condition: Conditions, seed: tf.Tensor, training: bool
    ) -> Terms:
        parameters = self._posterior_of(x, condition, as_they_are, training)
        prior = self._prior(as_they_are)
        first, second = tf.unstack(random.split_seed(seed, 2))

        def draw(num_samples: int, by_path: Callable | None = None) -> Evidence:
            noise = random.draw_normal([tf.shape(x)[0], num_samples, self.latent_dim], first)
            own = second if training else None
            given = (x, condition, parameters, prior, noise, as_they_are)
            return self._evidence(*given, training, own, by_path)

        def kl() -> tf.Tensor | None:
            return closed_kl(self.posterior.distribution(parameters), prior.distribution())

        terms = self.bound.terms(draw, kl, self.step.value)
        if not self.likelihood.is_normalized:
            del terms["log_prob_bound"]
        return terms

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> dict[str, float]:
        """Warns, once, when the latents have told nothing for two epochs."""
        kl = logs.get("kl", logs.get("kl_sampled", math.inf))
        self._quiet.see({"latents": kl})
        return {}

    # Inside.

    def _posterior_of(
        self, x: tf.Tensor, condition: Conditions | None, part: Callable, training: bool
    ) -> tuple:
        """Returns the parameters of q(z | x)."""
        features = self._encoded(x, condition, part, training)
        return part(self.posterior).parameters(features)

    def _prior(self, part: Callable) -> BaseDensity | PosteriorMixture:
        """Returns the prior as it is now: that of a `VampPrior` follows the encoder.

        The encoder takes pseudo-inputs as out of training: batch normalisation is of data alone.
        """
        prior = part(self.prior)
        if not isinstance(prior, VampPrior):
            return prior
        inputs = prior.inputs(self.event_spec)
        parameters = self._posterior_of(inputs, None, part, training=False)
        return PosteriorMixture(part(self.posterior), parameters)

    def _evidence(
        self,
        x: tf.Tensor,
        condition: Conditions | None,
        parameters: tuple,
        prior: BaseDensity | PosteriorMixture,
        noise: tf.Tensor,
        part: Callable,
        training: bool = False,
        seed: tf.Tensor | None = None,
        by_path: Callable | None = None,
    ) -> Evidence:
        """Returns what draws [batch, k, latent_dim] of noise say of each example."""
        posterior = part(self.posterior)
        z, log_q = posterior.draw(parameters, noise, seed)
        if by_path is not None:
            z = by_path(z)
            log_q = posterior.log_prob(z, keras.tree.map_structure(tf.stop_gradient, parameters))
        count = noise.shape[1]
        rows = tf.reshape(z, [-1, self.latent_dim])
        if condition:
            condition = {name: tf.repeat(value, count, 0) for name, value in condition.items()}
        decoded = self._decoded(rows, condition, part, training)
        apart = keras.tree.map_structure(lambda p: _by_draw(p, count), decoded)
        log_likelihood = part(self.likelihood).log_prob(x[:, tf.newaxis], apart)
        log_prior = tf.reshape(prior.log_prob(rows), [-1, count])
        return Evidence(log_likelihood, log_prior, log_q)


def closed_kl(q: Any, p: Any) -> tf.Tensor | None:
    """Returns KL(q || p) of each row, [batch], where TFP knows it; None where it does not."""
    from tensorflow_probability import distributions as tfd

    if q is None or p is None:
        return None
    try:
        return tfd.kl_divergence(q, p)
    except NotImplementedError:
        return None


def _by_draw(parameter: tf.Tensor, count: int) -> tf.Tensor:
    """Returns [batch, count, ...] of [batch * count, ...]; what broadcasts stays as it is."""
    if not parameter.shape.rank:
        return parameter
    return tf.reshape(parameter, [-1, count, *parameter.shape[1:]])
