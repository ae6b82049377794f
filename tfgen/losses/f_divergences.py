"""f-divergences in the form that a network can estimate: output activations and conjugates.

D_f(P || Q) = sum_x Q(x) f(P(x) / Q(x)) is the supremum over functions T of
E_P[T(x)] - E_Q[f*(T(x))], where f* is the convex conjugate of f. A network's logits v become
T = activation(v), which is within the domain of f* and rises with v: high logits say real.

Reference: Nowozin, Cseke and Tomioka, "f-GAN: Training Generative Neural Samplers using Variational
    Divergence Minimization", 2016, https://arxiv.org/abs/1606.00709, tables 2 and 6.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import tensorflow as tf

from tfgen.core.config import Configurable, register

_LAST_EXPONENT = 60.0


def _exp(x: tf.Tensor) -> tf.Tensor:
    """Returns exp(x), which goes on as its tangent above 60.

    Differences of logits, which relativistic losses take, would overflow float32 above 88.
    """
    return tf.exp(tf.minimum(x, _LAST_EXPONENT)) * (1 + tf.nn.relu(x - _LAST_EXPONENT))


class FDivergence(Configurable, ABC):
    """An f-divergence: any value with these three methods, elementwise on float tensors."""

    @abstractmethod
    def activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns T = g_f(v), rising, in the domain of the conjugate, for logits of any size."""

    @abstractmethod
    def conjugate(self, t: tf.Tensor) -> tf.Tensor:
        """Returns f*(t); not finite outside of its domain."""

    @abstractmethod
    def conjugate_of_activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns f*(g_f(v)), simplified so that it is exact and finite for large logits."""


@register
@dataclass(frozen=True)
class KL(FDivergence):
    """Kullback-Leibler: f(u) = u log u, sum_x P log(P / Q)."""

    def activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v."""
        return v

    def conjugate(self, t: tf.Tensor) -> tf.Tensor:
        """Returns exp(t - 1)."""
        return tf.exp(t - 1)

    def conjugate_of_activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns exp(v - 1)."""
        return _exp(v - 1)


@register
@dataclass(frozen=True)
class ReverseKL(FDivergence):
    """Reverse Kullback-Leibler: f(u) = -log u, sum_x Q log(Q / P)."""

    def activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns -exp(-v)."""
        return -_exp(-v)

    def conjugate(self, t: tf.Tensor) -> tf.Tensor:
        """Returns -1 - log(-t), for t < 0."""
        return -1 - tf.math.log(-t)

    def conjugate_of_activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v - 1."""
        return v - 1


@register
@dataclass(frozen=True)
class PearsonChiSquared(FDivergence):
    """Pearson's chi squared: f(u) = (u - 1)^2, sum_x (P - Q)^2 / Q."""

    def activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v."""
        return v

    def conjugate(self, t: tf.Tensor) -> tf.Tensor:
        """Returns t^2 / 4 + t."""
        return tf.square(t) / 4 + t

    def conjugate_of_activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v^2 / 4 + v."""
        return self.conjugate(v)


@register
@dataclass(frozen=True)
class SquaredHellinger(FDivergence):
    """The squared Hellinger distance: f(u) = (sqrt(u) - 1)^2, sum_x (sqrt(P) - sqrt(Q))^2."""

    def activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns 1 - exp(-v)."""
        return 1 - _exp(-v)

    def conjugate(self, t: tf.Tensor) -> tf.Tensor:
        """Returns t / (1 - t), for t < 1."""
        return t / (1 - t)

    def conjugate_of_activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns exp(v) - 1."""
        return _exp(v) - 1


@register
@dataclass(frozen=True)
class JensenShannon(FDivergence):
    """Jensen-Shannon: f(u) = u log u - (u + 1) log((u + 1) / 2), KL(P || M) + KL(Q || M).

    M = (P + Q) / 2. This f, the paper's, gives twice the usual Jensen-Shannon divergence.
    """

    def activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns log 2 - log(1 + exp(-v))."""
        return math.log(2) - tf.nn.softplus(-v)

    def conjugate(self, t: tf.Tensor) -> tf.Tensor:
        """Returns -log(2 - exp(t)), for t < log 2."""
        return -tf.math.log(2 - tf.exp(t))

    def conjugate_of_activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns log(1 + exp(v)) - log 2."""
        return tf.nn.softplus(v) - math.log(2)


@register
@dataclass(frozen=True)
class TotalVariation(FDivergence):
    """Total variation: f(u) = |u - 1| / 2, sum_x |P - Q| / 2."""

    def activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns tanh(v) / 2."""
        return tf.tanh(v) / 2

    def conjugate(self, t: tf.Tensor) -> tf.Tensor:
        """Returns t, for |t| <= 1/2."""
        return t

    def conjugate_of_activation(self, v: tf.Tensor) -> tf.Tensor:
        """Returns tanh(v) / 2."""
        return self.activation(v)
