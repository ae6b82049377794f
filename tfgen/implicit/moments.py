"""Moment matching: a generator whose statistics, or kernel means, are those of the data."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import expected
from tfgen.core.config import Configurable, output_shape, register
from tfgen.data.examples import Batch
from tfgen.distributions import StandardNormal, VectorDensity
from tfgen.losses.mmd import RBF, Kernel, squared_mmd
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.training.replicas import gathered
from tfgen.training.update import Terms

Statistic = Callable[[tf.Tensor], tf.Tensor]
"""What is averaged over examples: [num_examples, *event] -> [num_examples, ...]."""


@register
class Mean(Configurable):
    """The statistic s(x) = x."""

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the examples."""
        return x


@register
class Covariance(Configurable):
    """The statistic s(x) = (x - m)(x - m)^T, m the mean of the examples, which says nothing of m.

    It averages to the covariance of the examples, the biased one, divided by their number.
    """

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the products of each flattened example, [num_examples, d, d]."""
        x = tf.convert_to_tensor(x)
        x = tf.reshape(x, [tf.shape(x)[0], x.shape[1:].num_elements()])
        centred = x - tf.reduce_mean(x, axis=0)
        return centred[:, :, tf.newaxis] * centred[:, tf.newaxis, :]


class Discrepancy(Configurable, ABC):
    """How far two samples are apart."""

    @abstractmethod
    def __call__(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Returns a float32 scalar of examples [n, *event] and [m, *event]."""


@register
@dataclass(frozen=True)
class Moments(Discrepancy):
    """sum over statistics s of || mean s(x) - mean s(y) ||^2.

    Args:
        statistics: each maps examples [num_examples, *event] to [num_examples, ...], e.g. `Mean()`,
            `Covariance()` or a function of yours. To be saved with a model, a function has to be
            registered with `keras.saving.register_keras_serializable`.

    Raises:
        TypeError: when one is no function.
        ValueError: when there are none.
    """

    statistics: Sequence[Statistic] = (Mean(), Covariance())

    def __post_init__(self) -> None:
        if not isinstance(self.statistics, Sequence) or not all(map(callable, self.statistics)):
            raise TypeError(expected("`statistics`, a list of functions", repr(self.statistics)))
        if not self.statistics:
            raise ValueError(expected("at least one statistic", self.statistics))
        object.__setattr__(self, "statistics", tuple(self.statistics))

    def __call__(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Returns the sum of squares, float32 scalar.

        Raises:
            ValueError: when a statistic does not have a row for each example.
        """
        return tf.add_n(
            [tf.reduce_sum(tf.square(_mean(s, x) - _mean(s, y))) for s in self.statistics]
        )


def _mean(statistic: Statistic, x: tf.Tensor) -> tf.Tensor:
    values = tf.cast(statistic(x), tf.float32)
    if values.shape.rank in (None, 0) or not values.shape[:1].is_compatible_with(x.shape[:1]):
        what = f"a statistic of shape [{x.shape[0] or 'num_examples'}, ...], a row for each example"
        raise ValueError(expected(what, f"shape {values.shape}"))
    return tf.reduce_mean(values, axis=0)


@register
@dataclass(frozen=True)
class SquaredMMD(Discrepancy):
    """The squared maximum mean discrepancy: all moments at once, when the kernel is characteristic.

    Args:
        kernel: of `tfgen.losses`; `RBF()` unless given.
        unbiased: as in `tfgen.losses.squared_mmd`.

    Raises:
        TypeError: when the kernel is not a `Kernel`.
    """

    kernel: Kernel = RBF()
    unbiased: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, Kernel):
            raise TypeError(expected("a kernel of `tfgen.losses`, e.g. RBF()", repr(self.kernel)))

    def __call__(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Returns the estimate, float32 scalar."""
        return squared_mmd(x, y, self.kernel, self.unbiased)


@register
class MomentMatching(GenerativeModel):
    """A generator G, x = G(z) with z ~ prior, trained on

        minimise over G    discrepancy(x_1 .. x_B, G(z_1) .. G(z_B))

    of batches, those of all replicas together. With `Moments`, G can learn no more of the data than
    the statistics say: any distribution that has them is as good. With `SquaredMMD` it is an MMD
    net. Statistics of small batches scatter, and what scatters counts as distance: batches should
    be large, hundreds of examples or more.

    Args:
        generator: a layer, latents [batch, d] -> examples [batch, *event].
        discrepancy: `Moments()`, mean and covariance, unless given; or `SquaredMMD(kernel)`.
        prior: of z, as for `tfgen.adversarial.GAN`; `StandardNormal(64)` unless given.
        seed, name: as for every model.

    Raises:
        TypeError: when `discrepancy` is not a `Discrepancy`.
        ValueError: when a statistic does not have a row for each example.

    Example:
        net = MomentMatching(MLP((2,)), SquaredMMD(RBF((0.1, 1.0))), prior=StandardNormal(2))
        net.compile(optimizer="adam")
        net.fit(x, batch_size=512, epochs=50)

    Reference: Dziugaite, Roy and Ghahramani, "Training Generative Neural Networks via Maximum Mean
        Discrepancy Optimization", 2015, https://arxiv.org/abs/1505.03906, and Li, Swersky and
        Zemel, "Generative Moment Matching Networks", 2015, https://arxiv.org/abs/1502.02761.
    """

    def __init__(
        self,
        generator: keras.layers.Layer,
        discrepancy: Discrepancy | None = None,
        prior: VectorDensity | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        self.generator = generator
        self.discrepancy = Moments() if discrepancy is None else discrepancy
        if not isinstance(self.discrepancy, Discrepancy):
            raise TypeError(expected("`discrepancy`, e.g. Moments()", repr(discrepancy)))
        self.prior = prior or StandardNormal(64)
        self._event = specs.event_spec(output_shape(generator, (None, self.prior.dim))[1:])
        for size in (3, 5):  # Complains of statistics of a wrong shape, whatever the event's.
            batch = tf.zeros([size, *self.event_shape])
            self.discrepancy(batch, batch)

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """What the prior draws."""
        return specs.latent_spec(self.prior.dim)

    @property
    def event_spec(self) -> tf.TensorSpec:
        """What the generator makes."""
        return self._event

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns the discrepancy between the joint batch and as many samples."""
        z = self.prior.draw(tf.shape(x["x"])[0], seed)
        fake = tf.cast(self.generator(z, training=training), tf.float32)
        return {"loss": self.discrepancy(gathered(x["x"]), gathered(fake))}

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, latent_dim]."""
        return tf.cast(self.generator(z, training=False), tf.float32)

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns G(z) of one draw of z a row seed, int32 [batch, 2]."""
        return self.decode_rows(self.prior.sample_rows(row_seeds))
