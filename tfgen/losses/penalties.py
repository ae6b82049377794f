"""Penalties that keep a discriminator smooth, and weight clipping.

A penalty is `penalty(critic, real, fake, seed, step) -> [batch]`, float32, to be added to the
discriminator's loss:

    critic: a `Critic`, the discriminator as penalties see it.
    real, fake: as many real as generated examples, [batch, ...], or nests of such tensors (the
        pairs of a BiGAN), whose slopes are taken over all parts together.
    seed: int32 [2], of this step on this replica.
    step: int64 scalar, the number of steps done.

Examples are constants: a penalty trains the critic alone.

An example may have several logits, D(x) then being those of its patches. Penalties on slopes take
the slope of their mean, which is what losses use, so that a weight means the same for any number of
patches. With `summed=True` they take that of their sum, as the authors' code of these penalties
does where it sums outputs before it differentiates: for n patches the slope is n times as large.
For a single logit both are the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_not_negative, check_positive, expected
from tfgen.core.config import Configurable, register
from tfgen.losses.critic import (
    Critic,
    check_same_shapes,
    constant,
    slopes,
    squared_slopes,
    sum_of_squares,
)


class Penalty(Configurable, ABC):
    """A penalty on a discriminator; the module says what the arguments are."""

    bounds_slopes = False
    """Whether it asks for a slope at each example, which batch normalisation does not leave it."""

    log_name = "penalty"
    """What it is called in the logs of training."""

    @abstractmethod
    def __call__(
        self, critic: Critic, real: Any, fake: Any, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Returns the penalty of each example, float32 [batch]."""


def batch_size(x: Any) -> tf.Tensor:
    """Returns how many examples a nest of tensors has, an int32 scalar."""
    return tf.shape(keras.tree.flatten(x)[0])[0]


@register
@dataclass(frozen=True)
class GradientPenalty(Penalty):
    """weight * (||grad D(x)|| - target)^2 at points drawn uniformly between real and fake.

    Not for discriminators with batch normalisation, under which an example has no slope of its own.

    Args:
        weight: lambda, > 0.
        target: the slope that is asked for, >= 0.
        one_sided: whether only slopes above the target cost.
        summed: as the module says.

    Raises:
        ValueError: when `weight` is not > 0, or `target` < 0.

    Reference: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017,
        https://arxiv.org/abs/1704.00028; one-sided: Petzka, Fischer and Lukovnikov, "On the
        regularization of Wasserstein GANs", 2018, https://arxiv.org/abs/1709.08894.
    """

    log_name = "gradient_penalty"

    bounds_slopes = True

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    summed: bool = False

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)
        check_not_negative("target", self.target)

    def __call__(
        self, critic: Critic, real: Any, fake: Any, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Returns the penalty of each pair, float32 [batch]."""
        check_same_shapes(real, fake)
        share = random.draw_uniform([batch_size(real)], seed)

        def between(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
            a, b = tf.cast(a, tf.float32), tf.cast(b, tf.float32)
            shares = tf.reshape(share, [-1] + [1] * (len(a.shape) - 1))
            return b + shares * (a - b)

        points = keras.tree.map_structure(between, real, fake)
        excess = slopes(critic, points, self.summed) - self.target
        return self.weight * tf.square(tf.nn.relu(excess) if self.one_sided else excess)


@dataclass(frozen=True)
class _ZeroCentered(Penalty):
    weight: float = 10.0
    summed: bool = False

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)

    @abstractmethod
    def _points(self, real: Any, fake: Any) -> Any:
        """Returns the examples at which slopes cost."""

    def __call__(
        self, critic: Critic, real: Any, fake: Any, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Returns the penalty of each example, float32 [batch]."""
        return self.weight / 2 * squared_slopes(critic, self._points(real, fake), self.summed)


@register
@dataclass(frozen=True)
class R1(_ZeroCentered):
    """weight / 2 * ||grad D(x)||^2 at real examples.

    Args:
        weight: gamma, > 0.
        summed: as the module says.

    Raises:
        ValueError: when `weight` is not > 0.

    Reference: Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually
        Converge?", 2018, https://arxiv.org/abs/1801.04406, equation 9.
    """

    log_name = "r1"

    def _points(self, real: Any, fake: Any) -> Any:
        return real


@register
@dataclass(frozen=True)
class R2(_ZeroCentered):
    """weight / 2 * ||grad D(x)||^2 at generated examples; as `R1`, of equation 10.

    Args:
        weight: gamma, > 0.
        summed: as the module says.

    Raises:
        ValueError: when `weight` is not > 0.

    Reference: Mescheder, Geiger and Nowozin, 2018, https://arxiv.org/abs/1801.04406, equation 10.
    """

    log_name = "r2"

    def _points(self, real: Any, fake: Any) -> Any:
        return fake


@register
@dataclass(frozen=True)
class DRAGAN(Penalty):
    """weight * (||grad D(x + noise)|| - 1)^2 around real examples.

    The noise is normal, as in the paper; its standard deviation is `scale` times that of all the
    numbers of the real batch on this replica, as in the authors' code, whose noise is uniform.
    Critics with batch normalisation are not warned of: Lucic et al., 2018, compare it with them.

    Args:
        weight: lambda, > 0.
        scale: of the noise, > 0.
        summed: as the module says.

    Raises:
        ValueError: when a number is not > 0.

    Reference: Kodali, Abernethy, Hays and Kira, "On Convergence and Stability of GANs", 2017,
        https://arxiv.org/abs/1705.07215.
    """

    log_name = "dragan"

    weight: float = 10.0
    scale: float = 0.5
    summed: bool = False

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)
        check_positive("scale", self.scale)

    def __call__(
        self, critic: Critic, real: Any, fake: Any, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Returns the penalty of each real example, float32 [batch]."""
        parts = keras.tree.flatten(real)
        seeds = random.split_seed(seed, len(parts))
        noisy = [self._noisy(part, seeds[i]) for i, part in enumerate(parts)]
        x = keras.tree.pack_sequence_as(real, noisy)
        return self.weight * tf.square(slopes(critic, x, self.summed) - 1)

    def _noisy(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        noise = random.draw_normal(tf.shape(x), seed)
        return x + self.scale * tf.math.reduce_std(x) * noise


@register
@dataclass(frozen=True)
class Consistency(Penalty):
    """sum_j weights[j] * ||D_j(x) - D_j(T(x))||^2 over layers j, at real examples.

    Args:
        transform: T, `transform(x, seed) -> x` of the same shape, e.g. an augmentation.
        weights: lambda_j, >= 0, one for each of `Critic.features`, the last for the logits (which
            the paper found to be enough); or one number for all.

    Raises:
        TypeError: when `transform` is not a function.
        ValueError: when a weight is < 0, all are 0, or there are not as many as layers.

    Reference: Zhang, Zhang, Odena and Lee, "Consistency Regularization for Generative Adversarial
        Networks", 2020, https://arxiv.org/abs/1910.12027.
    """

    log_name = "consistency"

    transform: Callable[[Any, tf.Tensor], Any]
    weights: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        if not callable(self.transform):
            raise TypeError(expected("`transform(x, seed)`", repr(self.transform)))
        if isinstance(self.weights, Sequence):
            # A file gives lists back, which are neither equal to tuples nor hashable.
            object.__setattr__(self, "weights", tuple(self.weights))
        for weight in keras.tree.flatten(self.weights):
            check_not_negative("weights", weight)
        check_positive("the sum of the weights", sum(keras.tree.flatten(self.weights)))

    def __call__(
        self, critic: Critic, real: Any, fake: Any, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Returns the penalty of each real example, float32 [batch]."""
        real = constant(real)
        changed = constant(self.transform(real, seed))
        check_same_shapes(real, changed)
        pairs = list(zip(critic.features(real), critic.features(changed), strict=True))
        weights = self.weights if isinstance(self.weights, tuple) else [self.weights] * len(pairs)
        if len(weights) != len(pairs):
            raise ValueError(
                expected(f"{len(pairs)} `weights`, one a layer and one for logits", weights)
            )
        return tf.add_n(
            [
                weight * sum_of_squares(tf.cast(a, tf.float32) - tf.cast(b, tf.float32))
                for weight, (a, b) in zip(weights, pairs, strict=True)
                if weight
            ]
        )


@register
@dataclass(frozen=True)
class Lazy(Penalty):
    """Another penalty on every k-th step only, times k; the steps between do not compute it.

    Args:
        penalty: the other one.
        every: k, >= 1. It is due when `step` is divisible by k.

    Raises:
        TypeError: when `penalty` is not a penalty, or `every` is not an integer.
        ValueError: when `every` is not >= 1.

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020,
        https://arxiv.org/abs/1912.04958.
    """

    penalty: Penalty
    every: int = 16

    def __post_init__(self) -> None:
        if not isinstance(self.penalty, Penalty):
            raise TypeError(expected("a penalty, e.g. R1()", repr(self.penalty)))
        check_integer("every", self.every)

    @property
    def bounds_slopes(self) -> bool:
        """Whether the other penalty does."""
        return self.penalty.bounds_slopes

    @property
    def log_name(self) -> str:
        """That of the other penalty."""
        return self.penalty.log_name

    def __call__(
        self, critic: Critic, real: Any, fake: Any, seed: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        """Returns `every` times the penalty or zero, float32 [batch]."""
        due = tf.equal(tf.math.floormod(tf.cast(step, tf.int64), self.every), 0)
        compute = lambda: self.every * self.penalty(critic, real, fake, seed, step)  # noqa: E731
        zeros = tf.zeros([batch_size(real)])
        if critic.is_synchronized:
            # TensorFlow cannot wait for other replicas within a branch: pay on all steps.
            return tf.where(due, compute(), zeros)
        return tf.cond(due, compute, lambda: zeros)
