"""What the two sides of an adversarial game minimise, as functions of the discriminator's logits.

Logits are those of real and of generated examples, [batch], [batch, 1] or patches
[batch, height, width, 1], of any float type; high ones say real. Losses are [batch], float32, means
over everything but the batch.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.config import Configurable, register
from tfgen.losses.f_divergences import FDivergence
from tfgen.training.replicas import global_mean


def mean_logits(logits: tf.Tensor) -> tf.Tensor:
    """Returns the mean over everything but the batch, float32 [batch]."""
    logits = as_logits("logits", logits)
    return tf.reduce_mean(logits, axis=list(range(1, len(logits.shape))))


def as_logits(name: str, logits: tf.Tensor) -> tf.Tensor:
    """Returns logits as float32, and raises ValueError unless they have a batch axis."""
    logits = tf.convert_to_tensor(logits)
    if not logits.dtype.is_floating or logits.shape.rank in (None, 0):
        what = f"`{name}` of floats, [batch], [batch, 1] or [batch, height, width, 1]"
        raise ValueError(expected(what, f"{logits.dtype.name} {logits.shape}"))
    return tf.cast(logits, tf.float32)


def _pair(real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns both logits as float32, and raises ValueError unless their shapes agree."""
    real, fake = as_logits("real", real), as_logits("fake", fake)
    if not real.shape.is_compatible_with(fake.shape):
        raise ValueError(expected(f"`fake` logits of shape {real.shape}, as real", fake.shape))
    return real, fake


class AdversarialLoss(Configurable, ABC):
    """Both sides of an adversarial game."""

    needs_real: ClassVar[bool] = False
    """Whether the generator's loss needs the logits of real examples."""

    saturating = False
    """Whether the generator minimises the negative of the discriminator's loss.

    A relativistic loss over this one then does the same; otherwise its generator's loss is the
    discriminator's with real and generated examples in each other's place.
    """

    @abstractmethod
    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns the discriminator's loss, [batch], of the logits of as many real as fake."""

    @abstractmethod
    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the generator's loss, [batch]; `real` logits where `needs_real`."""


@register
@dataclass(frozen=True)
class Minimax(AdversarialLoss):
    """D: -log D(x) - log(1 - D(G(z))); G: log(1 - D(G(z))), where D is the sigmoid of the logits.

    The generator's gradient vanishes where the discriminator is sure; see `NonSaturating`.

    Reference: Goodfellow et al., "Generative Adversarial Nets", 2014,
        https://arxiv.org/abs/1406.2661, equation 1.
    """

    saturating = True

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns softplus(-real) + softplus(fake), [batch]."""
        real, fake = _pair(real, fake)
        return mean_logits(tf.nn.softplus(-real) + tf.nn.softplus(fake))

    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns -softplus(fake), [batch]."""
        return mean_logits(-tf.nn.softplus(as_logits("fake", fake)))


@register
@dataclass(frozen=True)
class NonSaturating(AdversarialLoss):
    """D as in `Minimax`; G: -log D(G(z)), whose gradient is strong where the generator is bad.

    Reference: Goodfellow et al., "Generative Adversarial Nets", 2014,
        https://arxiv.org/abs/1406.2661, section 3.
    """

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns softplus(-real) + softplus(fake), [batch]."""
        return Minimax().discriminator(real, fake)

    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns softplus(-fake), [batch]."""
        return mean_logits(tf.nn.softplus(-as_logits("fake", fake)))


@register
@dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """D: (D(x) - b)^2 / 2 + (D(G(z)) - a)^2 / 2; G: (D(G(z)) - c)^2 / 2, on the logits themselves.

    Args:
        real: b, what the discriminator should say of real examples, finite.
        fake: a, of generated ones, finite, another number.
        generator_target: c, what the generator wants to hear, finite. With b - c = 1 and b - a = 2
            the game minimises a Pearson chi squared divergence.

    Raises:
        ValueError: when a target is not finite, or `real` equals `fake`.

    Reference: Mao et al., "Least Squares Generative Adversarial Networks", 2017,
        https://arxiv.org/abs/1611.04076, equation 2.
    """

    real: float = 1.0
    fake: float = 0.0
    generator_target: float = 1.0

    def __post_init__(self) -> None:
        targets = (self.real, self.fake, self.generator_target)
        if not all(map(math.isfinite, targets)) or self.real == self.fake:
            raise ValueError(expected("finite targets, `real` not equal to `fake`", targets))

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns (real - b)^2 / 2 + (fake - a)^2 / 2, [batch]."""
        real, fake = _pair(real, fake)
        return mean_logits(tf.square(real - self.real) + tf.square(fake - self.fake)) / 2

    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns (fake - c)^2 / 2, [batch]."""
        return mean_logits(tf.square(as_logits("fake", fake) - self.generator_target)) / 2


@register
@dataclass(frozen=True)
class Hinge(AdversarialLoss):
    """D: max(0, 1 - D(x)) + max(0, 1 + D(G(z))); G: -D(G(z)).

    Reference: Lim and Ye, "Geometric GAN", 2017, https://arxiv.org/abs/1705.02894; Miyato et al.,
        "Spectral Normalization for Generative Adversarial Networks", 2018,
        https://arxiv.org/abs/1802.05957.
    """

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns relu(1 - real) + relu(1 + fake), [batch]."""
        real, fake = _pair(real, fake)
        return mean_logits(tf.nn.relu(1 - real) + tf.nn.relu(1 + fake))

    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns -fake, [batch]."""
        return -mean_logits(fake)


@register
@dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    """D: D(G(z)) - D(x), minus an estimate of the distance; G: -D(G(z)).

    An estimate only while the critic's slopes are bounded: by `WeightClip`, `GradientPenalty` or
    spectral normalisation.

    Reference: Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017,
        https://arxiv.org/abs/1701.07875.
    """

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns fake - real, [batch]."""
        real, fake = _pair(real, fake)
        return mean_logits(fake - real)

    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns -fake, [batch]."""
        return -mean_logits(fake)


@register
@dataclass(frozen=True)
class FGAN(AdversarialLoss):
    """D: -T(x) + f*(T(G(z))), minus a lower bound of D_f(data || model), T = activation(logits).

    Args:
        divergence: of `tfgen.losses.f_divergences`, e.g. `KL()`.
        saturating: whether G minimises the bound itself, -f*(T(G(z))); otherwise -T(G(z)), the
            paper's practical choice, section 3.2.

    Raises:
        TypeError: when `divergence` is not a divergence.

    Reference: Nowozin, Cseke and Tomioka, "f-GAN", 2016, https://arxiv.org/abs/1606.00709.
    """

    divergence: FDivergence
    saturating: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.divergence, FDivergence):
            raise TypeError(expected("an f-divergence, e.g. KL()", repr(self.divergence)))

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns f*(T(fake)) - T(real), [batch]."""
        real, fake = _pair(real, fake)
        divergence = self.divergence
        return mean_logits(divergence.conjugate_of_activation(fake) - divergence.activation(real))

    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns -T(fake), or -f*(T(fake)) when saturating, [batch]."""
        fake = as_logits("fake", fake)
        if self.saturating:
            return mean_logits(-self.divergence.conjugate_of_activation(fake))
        return mean_logits(-self.divergence.activation(fake))


@dataclass(frozen=True)
class _RelativisticLoss(AdversarialLoss):
    """A game over how much more real one example looks than another."""

    inner: AdversarialLoss

    needs_real = True

    def __post_init__(self) -> None:
        if not isinstance(self.inner, AdversarialLoss):
            what = "an adversarial loss, e.g. NonSaturating()"
            raise TypeError(expected(what, repr(self.inner)))
        if self.inner.needs_real:
            what = "an `inner` loss that is not relativistic"
            raise ValueError(expected(what, repr(self.inner)))

    def generator(self, fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the discriminator's loss with the roles swapped, or minus it, [batch]."""
        if real is None:
            raise ValueError(expected("`real` logits: the loss is relativistic", real))
        real, fake = _pair(real, fake)
        if self.inner.saturating:
            return -self.discriminator(real, fake)
        return self.discriminator(fake, real)


@register
@dataclass(frozen=True)
class Relativistic(_RelativisticLoss):
    """Another loss on D(x) - D(G(z)) of pairs: which of two examples is the real one?

    The discriminator's loss is half the inner one, since both of its terms see the same difference:
    softplus(-(D(x) - D(G(z)))) over NonSaturating, Wasserstein itself over Wasserstein. The
    generator's is the same with the roles swapped, or its negative where the inner loss is
    saturating.

    Args:
        inner: a loss that is not relativistic.

    Raises:
        TypeError: when `inner` is no adversarial loss.
        ValueError: when it is relativistic itself.

    Reference: Jolicoeur-Martineau, "The Relativistic Discriminator", 2018,
        https://arxiv.org/abs/1807.00734.
    """

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns inner.discriminator(real - fake, fake - real) / 2, [batch]."""
        real, fake = _pair(real, fake)
        return self.inner.discriminator(real - fake, fake - real) / 2


@register
@dataclass(frozen=True)
class RelativisticAverage(_RelativisticLoss):
    """Another loss on logits less the mean of the other side's: more real than most fakes?

    The means are over all logits of the batches of all replicas. The generator's loss is the
    discriminator's with the roles swapped, or its negative where the inner loss is saturating.

    Args:
        inner: a loss that is not relativistic.

    Raises:
        TypeError: when `inner` is no adversarial loss.
        ValueError: when it is relativistic itself.

    Reference: Jolicoeur-Martineau, "The Relativistic Discriminator", 2018,
        https://arxiv.org/abs/1807.00734.
    """

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Returns inner.discriminator(real - mean(fake), fake - mean(real)), [batch]."""
        real, fake = _pair(real, fake)
        return self.inner.discriminator(real - global_mean(fake), fake - global_mean(real))
