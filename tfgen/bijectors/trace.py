"""Log-determinants of residual maps, log |det(I + dg/dx)|: worked out, or estimated by series.

The series is log det(I + J) = sum_k (-1)^(k+1) tr(J^k) / k, k = 1, 2, ..., for |J| < 1. Products
with powers of J are gradients, of one evaluation of g; traces are means of v'J^k v over random v.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.layers.linearised import Linearised, Map, SmoothMap

_FIXED_SEED = (20, 1906)  # Of the probes where there is no seed.


class LogDet(Configurable, ABC):
    """A way to find log |det(I + dg/dx)|."""

    draws = True
    """Whether it makes draws from a seed."""

    @abstractmethod
    def value_and_log_det(
        self, g: SmoothMap, x: tf.Tensor, seed: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns g(x), [batch, *event], and log |det(I + dg/dx)|, [batch].

        Args:
            g: the residual, of each row by itself.
            x: [batch, *event].
            seed: int32 [2], or None where results are to be functions of each row alone.
        """


@register
@dataclass(frozen=True)
class ExactLogDet(LogDet):
    """Of the Jacobian [D, D] of each row, by D gradients: for small D."""

    draws = False

    def value_and_log_det(
        self, g: SmoothMap, x: tf.Tensor, seed: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns g(x) and log |det(I + dg/dx)|."""
        dim = math.prod(x.shape[1:])
        value, product = _linearised(g, x, dim)
        jacobian = tf.reshape(product(_units(x)), [-1, dim, dim])
        jacobian += tf.eye(dim, dtype=x.dtype)
        # By Cholesky's decomposition: XLA has no determinant.
        lower = tf.linalg.cholesky(tf.matmul(jacobian, jacobian, transpose_b=True))
        return value, tf.reduce_sum(tf.math.log(tf.linalg.diag_part(lower)), axis=1)


@register
@dataclass(frozen=True)
class PowerSeries(LogDet):
    """The first terms of the series, off by D |J|^(n + 1) / (n + 1) / (1 - |J|) at most.

    The gradient is by Neumann's series, as for `RussianRoulette`, up to the same power of J.

    Args:
        num_terms: n, > 0.
        num_probes: of the estimate of each trace, > 0; the traces are exact, by D of them, where it
            is None. Without a seed, probes are the same for all events of a shape.

    Raises:
        TypeError, ValueError: when a number is not an integer, or out of range.

    Reference: Behrmann, Grathwohl, Chen, Duvenaud and Jacobsen, "Invertible Residual Networks",
        2019, https://arxiv.org/abs/1811.00995.
    """

    num_terms: int = 20
    num_probes: int | None = 1

    def __post_init__(self) -> None:
        check_integer("num_terms", self.num_terms)
        if self.num_probes is not None:
            check_integer("num_probes", self.num_probes)

    @property
    def draws(self) -> bool:
        """Whether it makes draws from a seed."""
        return self.num_probes is not None

    def value_and_log_det(
        self, g: SmoothMap, x: tf.Tensor, seed: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns g(x) and an estimate of log |det(I + dg/dx)|."""
        is_exact, dim = self.num_probes is None, math.prod(x.shape[1:])
        count = dim if is_exact else self.num_probes
        value, product = _linearised(g, x, count)
        probes = _units(x) if is_exact else _signs(x, count, seed)
        last, weight = tf.constant(self.num_terms), tf.ones([], x.dtype)
        log_det = tf.reshape(_series(product, probes, last, lambda k: weight), [-1, count])
        return value, (tf.reduce_sum if is_exact else tf.reduce_mean)(log_det, axis=1)


class NumTerms(Configurable, ABC):
    """The distribution of a number of terms, n >= 0."""

    @abstractmethod
    def survival(self) -> np.ndarray:
        """Returns the probabilities that n >= 1, 2, ..., as far as they are above 1e-8."""

    def draw(self, shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """Draws numbers, int32."""
        unit = random.draw_uniform(shape, seed)
        reached = unit[..., tf.newaxis] < self.survival().astype(np.float32)
        return tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)

    def at_least(self, k: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """Returns the probability that n >= k, of integers; for the most k there is, beyond it."""
        table = np.concatenate([[1.0], self.survival()])
        return tf.gather(tf.constant(table, dtype), tf.clip_by_value(k, 0, len(table) - 1))


@register
@dataclass(frozen=True)
class PoissonTerms(NumTerms):
    """p(n) = rate^n exp(-rate) / n!.

    Args:
        rate: the mean, in (0, 100].

    Raises:
        ValueError: when it is not.
    """

    rate: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 100:
            raise ValueError(expected("`rate` in (0, 100]", self.rate))

    def survival(self) -> np.ndarray:
        """Returns the probabilities that n >= 1, 2, ..."""
        n = np.arange(300)
        factorials = np.cumsum(np.log(np.maximum(n, 1)))
        return _likely(1 - np.cumsum(np.exp(n * math.log(self.rate) - self.rate - factorials)))


@register
@dataclass(frozen=True)
class GeometricTerms(NumTerms):
    """p(n) = probability (1 - probability)^(n - 1), n = 1, 2, ...

    Args:
        probability: that the series ends after a term, in [0.01, 1).

    Raises:
        ValueError: when it is not.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0.01 <= self.probability < 1:
            raise ValueError(expected("`probability` in [0.01, 1)", self.probability))

    def survival(self) -> np.ndarray:
        """Returns the probabilities that n >= 1, 2, ..."""
        return _likely((1 - self.probability) ** np.arange(2000.0))


def _likely(probabilities: np.ndarray) -> np.ndarray:
    """Returns the first of falling probabilities, which a draw in single precision can meet."""
    return probabilities[probabilities > 1e-8]


@register
@dataclass(frozen=True)
class RussianRoulette(LogDet):
    """As many terms of the series as are drawn, each divided by the probability that it is.

    It has no bias, neither its value nor its gradient, d/dt log det(I + J) = E v'(I + J)^-1 dJ/dt v
    by Neumann's series (I + J)^-1 = sum_k (-J)^k. The rows w of that product, w' = v'(I + J)^-1,
    are held constant, so that what is kept for the gradient is g and one product w'J, whatever the
    number of terms.

    Probes v have independent signs, whose estimates vary less than those by the normal
    distribution of the paper.

    Args:
        exact_terms: how many terms are always there, >= 0.
        num_terms: the distribution of how many more there are, `PoissonTerms()` by default.
        num_samples: how many numbers of terms are drawn, each giving an estimate by the same
            products with J; the mean of them is taken. > 0.
        by_row: whether each row draws numbers of its own. A mean over rows varies less then, but
            the whole batch takes as long as the row of most terms.

    Raises:
        TypeError, ValueError: when an argument is of another kind, or out of range.

    Reference: Chen, Behrmann, Duvenaud and Jacobsen, "Residual Flows for Invertible Generative
        Modeling", 2019, https://arxiv.org/abs/1906.02735.
    """

    exact_terms: int = 2
    num_terms: NumTerms = field(default_factory=PoissonTerms)
    num_samples: int = 1
    by_row: bool = False

    def __post_init__(self) -> None:
        check_integer("exact_terms", self.exact_terms, minimum=0)
        check_integer("num_samples", self.num_samples)
        if not isinstance(self.num_terms, NumTerms):
            raise TypeError(expected("`num_terms`, such as PoissonTerms()", repr(self.num_terms)))

    def value_and_log_det(
        self, g: SmoothMap, x: tf.Tensor, seed: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns g(x) and an estimate of log |det(I + dg/dx)|.

        Raises:
            ValueError: without a seed.
        """
        if seed is None:
            raise ValueError(expected("a seed, as in training", seed))
        probe_seed, count_seed = tf.unstack(random.split_seed(seed, 2))
        shape = [tf.shape(x)[0], self.num_samples] if self.by_row else [self.num_samples]
        counts = self.num_terms.draw(shape, count_seed)
        value, product = _linearised(g, x)

        def weight(k: tf.Tensor) -> tf.Tensor:
            further = k - self.exact_terms
            share = tf.reduce_mean(tf.cast(counts >= further, x.dtype), axis=-1)
            return share / self.num_terms.at_least(further, x.dtype)

        last = self.exact_terms + tf.reduce_max(counts)
        return value, _series(product, _signs(x, 1, probe_seed), last, weight)


def _linearised(g: SmoothMap, x: tf.Tensor, repeats: int = 1) -> Linearised:
    """Returns g(x), and w -> w'J of rows that each of x is repeated to."""
    if repeats == 1:
        return g.linearised(x)
    value, product = g.linearised(tf.repeat(x, repeats, axis=0))
    return value[::repeats], product


def _series(
    product: Map, probes: tf.Tensor, last: tf.Tensor, weight: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Returns v'log(I + J)v for each probe v, [rows], with Neumann's gradient.

    Args:
        product: w -> w'J.
        probes: v, [rows, *event].
        last: the number of terms, int32.
        weight: returns that of a term k, a scalar or [rows].
    """
    ones = [1] * (probes.shape.rank - 1)

    def body(
        k: tf.Tensor, power: tf.Tensor, value: tf.Tensor, w: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        power = -product(power)  # v'(-J)^k
        scale = weight(k)
        value -= scale * _dot(power, probes) / tf.cast(k, probes.dtype)
        w += power * (tf.reshape(scale, [-1, *ones]) if scale.shape.rank else scale)
        return k + 1, power, value, w

    initial = (tf.constant(1), probes, tf.zeros(tf.shape(probes)[:1], probes.dtype), probes)
    invariants = (tf.TensorShape([]), probes.shape, tf.TensorShape([None]), probes.shape)
    _, _, value, w = tf.while_loop(
        lambda k, *_: k <= last, body, initial, shape_invariants=invariants
    )
    slope = _dot(product(tf.stop_gradient(w)), probes)  # Its gradient counts, not its value.
    return slope + tf.stop_gradient(value - slope)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Returns the inner product of each row, [rows]."""
    return tf.reduce_sum(a * b, axis=range(1, a.shape.rank))


def _units(x: tf.Tensor) -> tf.Tensor:
    """Returns the unit vectors for each row of x in turn, [batch * D, *event]."""
    dim = math.prod(x.shape[1:])
    unit = tf.reshape(tf.eye(dim, dtype=x.dtype), [dim, *x.shape[1:]])
    return tf.tile(unit, [tf.shape(x)[0], *[1] * (x.shape.rank - 1)])


def _signs(x: tf.Tensor, count: int, seed: tf.Tensor | None) -> tf.Tensor:
    """Returns probes of signs for each row of x in turn, [batch * count, *event].

    Without a seed, all rows have the same.
    """
    batch, event = tf.shape(x)[0], x.shape[1:]
    rows = count if seed is None else batch * count
    bits = random.draw_integers([rows, *event], _FIXED_SEED if seed is None else seed, 2)
    signs = tf.cast(2 * bits - 1, x.dtype)
    return tf.tile(signs, [batch, *[1] * len(event)]) if seed is None else signs
