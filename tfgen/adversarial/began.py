"""Boundary equilibrium GAN: the discriminator is an autoencoder."""

import functools

import keras
import tensorflow as tf

from tfgen.adversarial.base import EncodedByInversion
from tfgen.adversarial.checks import check_function
from tfgen.core import random
from tfgen.core.checks import check_positive, expected
from tfgen.core.config import made_shape, register
from tfgen.data.examples import Batch
from tfgen.losses import AbsoluteError
from tfgen.losses.reconstruction import ReconstructionLoss
from tfgen.model.inversion import Inversion
from tfgen.training.replicas import global_mean
from tfgen.training.update import Terms, Update


@register
class BEGAN(EncodedByInversion):
    """A generator G and an autoencoder D, whose reconstruction error L(v) = loss(v, D(v)) judges:

        D:  mean L(x) - k L(G(z_D))
        G:  mean L(G(z_G))
        k <- clip(k + balance_rate (diversity L(x) - L(G(z_G))), 0, 1).

    k holds the two sides at E L(G(z)) = diversity E L(x): with a smaller `diversity`, D cares more
    for reconstructing the data, and the samples vary less.

    Args:
        generator: a layer, latents [batch, d] -> examples [batch, *event].
        discriminator: D, an autoencoder: a layer, examples -> examples of the same shape.
        diversity: gamma, in (0, 1].
        balance_rate: lambda_k, the learning rate of k, > 0.
        loss: `loss(x, reconstruction) -> [batch]`; `AbsoluteError()` unless given.
        prior: of z; `tfgen.distributions.StandardNormal(64)` unless given.
        ema_decay: of the average of the generator that samples, in [0, 1); none unless given.
        inversion: how `encode` optimises; `Inversion()`, of the absolute error, unless given.
        seed, name: as for every model.

    Logs `discriminator` and `generator`, their losses; `discriminator_real` and
    `discriminator_fake`, L(x) and L(G(z)); `generator_balance`, k; and `generator_convergence`,
    the measure L(x) + |diversity L(x) - L(G(z))|, which falls as training succeeds.

    Raises:
        TypeError: when an argument is of a wrong kind.
        ValueError: when a number is out of its range, or D makes examples of another shape.

    Reference: Berthelot, Schumm and Metz, "BEGAN: Boundary Equilibrium Generative Adversarial
        Networks", 2017, https://arxiv.org/abs/1703.10717.
    """

    def __init__(
        self,
        generator: keras.layers.Layer,
        discriminator: keras.layers.Layer,
        diversity: float = 0.5,
        balance_rate: float = 1e-3,
        loss: ReconstructionLoss | None = None,
        prior: keras.layers.Layer | None = None,
        ema_decay: float | None = None,
        inversion: Inversion | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            *(generator, discriminator, prior, ema_decay, None, seed, name), inversion=inversion
        )
        check_positive("balance_rate", balance_rate)
        if not 0 < diversity <= 1:
            raise ValueError(expected("`diversity` in (0, 1]", diversity))
        self.diversity = diversity
        self.balance_rate = balance_rate
        check_function("loss", loss, "AbsoluteError()")
        self.loss = loss or AbsoluteError()
        shape = (None, *self.event_shape)
        made = made_shape("discriminator", discriminator, shape)[1:]
        if made != self.event_shape:
            raise ValueError(
                expected(f"an autoencoder of {self.event_shape} as `discriminator`", made)
            )
        self.balance = self.add_weight(
            shape=(), initializer="zeros", trainable=False, aggregation="mean", name="balance"
        )

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> list[Update]:
        """Returns the update of the autoencoder, then that of the generator with k."""
        num_rows = tf.shape(x["x"])[0]
        seeds = tf.unstack(random.split_seed(seed, 2))

        @functools.cache
        def of_data() -> tf.Tensor:
            """Returns L(x), which the first update knows and the second takes over."""
            return self._error(x["x"], training)

        def judge() -> Terms:
            fake = self._generate(num_rows, seeds[0], training)
            real, fake = of_data(), self._error(tf.stop_gradient(fake), training)
            return {"loss": real - self.balance.value * fake, "real": real, "fake": fake}

        def deceive() -> tuple[Terms, Terms]:
            fake = self._generate(num_rows, seeds[1], training)
            loss = self._error(fake, training)
            real, surplus = of_data(), self.diversity * of_data() - loss
            convergence = global_mean(real) + tf.abs(global_mean(surplus))
            terms = {"loss": loss, "convergence": tf.stop_gradient(convergence)}
            aux = {"surplus": tf.reduce_sum(surplus), "count": tf.cast(num_rows, surplus.dtype)}
            return terms | {"balance": self.balance.value}, aux

        return [
            Update("discriminator", judge, ("discriminator",)),
            Update("generator", deceive, ("generator",), self._move_balance),
        ]

    def _generate(self, num_rows: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        fake = self.generator(self.noise(num_rows, seed), training=training)
        return tf.cast(fake, tf.float32)

    def _error(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns L(x), [batch]."""
        return self.loss(x, tf.cast(self.discriminator(x, training=training), tf.float32))

    def _move_balance(self, terms: Terms, aux: Terms) -> None:
        surplus = tf.cast(aux["surplus"] / aux["count"], tf.float32)
        k = self.balance.value + self.balance_rate * surplus
        self.balance.assign(tf.clip_by_value(k, 0.0, 1.0))
