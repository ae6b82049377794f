"""What a VAE maximises: lower bounds on log p(x), of draws from a posterior."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_not_negative, expected
from tfgen.core.config import Configurable, register
from tfgen.training.update import Terms

Schedule = keras.optimizers.schedules.LearningRateSchedule
"""A number that depends on the step, such as `PolynomialDecay(0.0, 10_000, 1.0)`, a warm-up."""


class Evidence(NamedTuple):
    """What k draws z ~ q(z | x) say of each example.

    Attributes:
        log_likelihood: log p(x | z), [batch, k].
        log_prior: log p(z), [batch, k].
        log_posterior: log q(z | x), [batch, k].
    """

    log_likelihood: tf.Tensor
    log_prior: tf.Tensor
    log_posterior: tf.Tensor

    @property
    def log_weights(self) -> tf.Tensor:
        """log p(x, z) - log q(z | x), [batch, k]."""
        return self.log_likelihood + self.log_prior - self.log_posterior

    @property
    def sampled_kl(self) -> tf.Tensor:
        """The mean of log q(z | x) - log p(z) over the draws, [batch]."""
        return tf.reduce_mean(self.log_posterior - self.log_prior, axis=1)


class Draw(Protocol):
    """Draws evidence for a bound."""

    def __call__(
        self, num_samples: int, by_path: Callable[[tf.Tensor], tf.Tensor] | None = None
    ) -> Evidence:
        """Returns the evidence of a number of draws.

        Args:
            num_samples: k, > 0.
            by_path: applied to z. The gradient of log q(z | x) then comes by z alone, not by the
                parameters of q.
        """


class Bound(Configurable, ABC):
    """Base of the bounds that a VAE maximises."""

    analytic: bool = False
    """Whether it takes KL divergences in closed form, where there is one."""

    doubly_reparameterized: bool = False
    """Whether its gradient is by the density of the posterior at a given z."""

    @abstractmethod
    def terms(self, draw: Draw, kl: Callable[[], tf.Tensor | None], step: tf.Tensor) -> Terms:
        """Returns the loss and what is logged beside it, each [batch].

        Args:
            draw: returns the evidence of a batch.
            kl: returns KL(q(z | x) || p(z)) in closed form, [batch], or None where there is none.
            step: how many training steps were done, for schedules.
        """


@register
@dataclass(frozen=True)
class ELBO(Bound):
    """E_q log p(x | z) - beta max(KL(q(z | x) || p(z)), free_bits), summed over all numbers of x.

    The KL divergence is in closed form where TFP has it, logged as "kl"; else it is the mean of
    log q(z | x) - log p(z) over the draws, logged as "kl_sampled". "log_prob_bound" is the bound
    with beta = 1 and no free bits.

    Args:
        beta: of the KL divergence, >= 0, or a Keras schedule of it by the training step.
        free_bits: nats of the KL divergence of an example that cost nothing, >= 0, or a schedule.
        num_samples: draws of z for each example, > 0.
        analytic: whether a closed form is used where there is one.

    Raises:
        TypeError: when a number is something else, or `num_samples` is not an integer.
        ValueError: when a number is out of range.

    Reference: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014,
        https://arxiv.org/abs/1312.6114; Higgins et al., "beta-VAE", 2017,
        https://openreview.net/forum?id=Sy2fzU9gl; Kingma et al. on free bits, 2016,
        https://arxiv.org/abs/1606.04934.
    """

    beta: float | Schedule = 1.0
    free_bits: float | Schedule = 0.0
    num_samples: int = 1
    analytic: bool = True

    def __post_init__(self) -> None:
        for name in ("beta", "free_bits"):
            _check_number_or_schedule(name, getattr(self, name))
        check_integer("num_samples", self.num_samples)

    def terms(self, draw: Draw, kl: Callable[[], tf.Tensor | None], step: tf.Tensor) -> Terms:
        """Returns "loss", "log_prob_bound" and "kl" or "kl_sampled", each [batch]."""
        evidence = draw(self.num_samples)
        closed = kl() if self.analytic else None
        divergence = evidence.sampled_kl if closed is None else closed
        likelihood = tf.reduce_mean(evidence.log_likelihood, axis=1)
        name = "kl_sampled" if closed is None else "kl"
        return self.terms_of(likelihood, {name: divergence}, step)

    def terms_of(
        self, likelihood: tf.Tensor, divergences: Mapping[str, tf.Tensor], step: tf.Tensor
    ) -> Terms:
        """Returns the loss, the bound and the divergences, each [batch].

        Args:
            likelihood: the mean of log p(x | z) over draws, [batch].
            divergences: of one or several parts of the latents, [batch] by name. Each has its own
                `free_bits`.
            step: how many training steps were done.
        """
        parts = list(divergences.values())
        free = value_at(self.free_bits, step)
        paid = parts if self.free_bits == 0.0 else [tf.maximum(part, free) for part in parts]
        cost = value_at(self.beta, step) * tf.add_n(paid)
        bound = likelihood - tf.add_n(parts)
        return {"loss": cost - likelihood, "log_prob_bound": bound, **divergences}


@register
@dataclass(frozen=True)
class ImportanceWeighted(Bound):
    """F_k = E log (1/k) sum_i p(x, z_i) / q(z_i | x), of k draws z_i ~ q: F_1 is the ELBO.

    The plain gradient is that of the estimate. The doubly reparameterised one (DReG) has the same
    mean and, for the encoder, less variance, that does not drown the signal as k grows:

        sum_i w_i^2 d log(p(x, z_i) / q(z_i | x)) / dz_i  dz_i / dphi,   w_i normalised weights,

    where q's parameters are held constant inside the logarithm. It needs a posterior with a
    density.

    Args:
        num_samples: k, > 0.
        doubly_reparameterized: whether the encoder's gradient is DReG's.

    Raises:
        TypeError: when `num_samples` is not an integer.
        ValueError: when it is not > 0.

    Reference: Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016,
        https://arxiv.org/abs/1509.00519; Tucker, Lawson, Gu and Maddison, "Doubly Reparameterized
        Gradient Estimators for Monte Carlo Objectives", 2019, https://arxiv.org/abs/1810.04152.
    """

    num_samples: int = 5
    doubly_reparameterized: bool = False

    def __post_init__(self) -> None:
        check_integer("num_samples", self.num_samples)

    def terms(self, draw: Draw, kl: Callable[[], tf.Tensor | None], step: tf.Tensor) -> Terms:
        """Returns "loss", "log_prob_bound" and "kl_sampled", each [batch]."""
        scaled = _ScaledLater() if self.doubly_reparameterized else None
        evidence = draw(self.num_samples, scaled)
        log_weights = evidence.log_weights
        bound = log_mean_exp(log_weights)
        loss = -bound
        if scaled is not None:
            weights = tf.stop_gradient(tf.nn.softmax(log_weights, axis=1))
            scaled.factor = weights[..., tf.newaxis]
            surrogate = -tf.reduce_sum(weights * log_weights, axis=1)
            loss = surrogate + tf.stop_gradient(loss - surrogate)
        return {"loss": loss, "log_prob_bound": bound, "kl_sampled": evidence.sampled_kl}


class _ScaledLater:
    """The identity, whose gradient is multiplied by a factor that is known once it is asked for."""

    factor: tf.Tensor

    def __call__(self, z: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def identity(z: tf.Tensor) -> tuple[tf.Tensor, Callable]:
            return tf.identity(z), lambda upstream: upstream * self.factor

        return identity(z)


def _check_number_or_schedule(name: str, value: object) -> None:
    """Raises TypeError or ValueError unless a value is a number >= 0, or a schedule of one."""
    if isinstance(value, Schedule):
        return
    if not isinstance(value, int | float):
        raise TypeError(expected(f"`{name}`, a number or a Keras schedule", repr(value)))
    check_not_negative(name, value)


def value_at(value: float | Schedule, step: tf.Tensor) -> tf.Tensor | float:
    """Returns a number, or what a schedule gives at a step."""
    return value(step) if isinstance(value, Schedule) else value


def estimate(
    log_weights: Callable[[tf.Tensor, int], tf.Tensor],
    row_seeds: tf.Tensor,
    num_samples: int,
    chunk: int,
) -> tf.Tensor:
    """Returns log (1/k) sum_i exp(w_i) of k draws, [batch], working out a few of them at a time.

    Args:
        log_weights: row seeds [batch, 2] and how many draws -> w_i, [batch, draws].
        row_seeds: int32 [batch, 2].
        num_samples: k, > 0.
        chunk: the most draws to work out at a time, > 0, which bounds the memory.
    """
    count = -(-num_samples // chunk)
    size = -(-num_samples // count)
    seeds = random.split(row_seeds, count)

    def body(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        counted = number * size + tf.range(size) < num_samples
        weights = tf.where(counted, log_weights(seeds[:, number], size), -math.inf)
        both = tf.concat([total[:, tf.newaxis], weights], axis=1)
        return number + 1, tf.reduce_logsumexp(both, axis=1)

    start = tf.fill(tf.shape(row_seeds)[:1], -math.inf)
    _, total = tf.while_loop(lambda number, _: number < count, body, (tf.constant(0), start))
    return total - math.log(num_samples)


def log_mean_exp(values: tf.Tensor) -> tf.Tensor:
    """Returns log (1/k) sum_i exp(values_i) over the last axis."""
    return tf.reduce_logsumexp(values, axis=-1) - math.log(values.shape[-1])


def check_bound(bound: object) -> None:
    """Raises TypeError unless an object is a bound."""
    if not isinstance(bound, Bound):
        raise TypeError(expected("`bound`, such as ELBO()", repr(bound)))
