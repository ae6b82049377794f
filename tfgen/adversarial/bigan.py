"""Bidirectional GAN: an encoder learned beside the generator, by one discriminator of pairs."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.adversarial.base import AdversarialModel
from tfgen.adversarial.checks import check_game, check_logits, warn_of_misfits
from tfgen.adversarial.penalised import penalised
from tfgen.core import random
from tfgen.core.checks import expected
from tfgen.core.config import made_shape, register
from tfgen.data.examples import Batch
from tfgen.losses import AdversarialLoss, Critic, NonSaturating, Penalty
from tfgen.model.rows import Conditions
from tfgen.training.averages import Averages, average_of
from tfgen.training.update import Terms, Update


@register
class BiGAN(AdversarialModel):
    """A generator G, an encoder E, and a discriminator D of pairs:

        D:        mean loss.discriminator(D(x, E(x)), D(G(z), z)) + sum of penalties
        G and E:  mean loss.discriminator(D(G(z), z), D(x, E(x)))                  z ~ prior,

    where G and E take the loss of a D that would mistake each pair for the other, or minus the loss
    of D where `loss` is a saturating one. At the optimum E inverts G. There are no labels,
    augmentation or weight clipping, and one step of D for one of G and E.

    Args:
        generator: a layer, latents [batch, d] -> examples [batch, *event].
        encoder: a layer, examples -> latents [batch, d].
        discriminator: a layer, pairs (examples, latents) -> raw logits [batch, 1].
        loss: of `tfgen.losses`, of which the discriminator's side is used; `NonSaturating()` unless
            given.
        penalties: of `tfgen.losses`, added to the discriminator's loss; slopes are those over both
            parts of a pair.
        prior: of z; `tfgen.distributions.StandardNormal(64)` unless given.
        ema_decay: of the averages of the generator that samples and of the encoder that encodes, in
            [0, 1); none unless given.
        seed, name: as for every model.

    Logs `discriminator` and `generator`, the losses, of which the second is that of G and E
    together, and each penalty as `discriminator_<penalty>`.

    Raises:
        TypeError: when the loss or a penalty is not one of `tfgen.losses`.
        ValueError: when a number is out of its range, or the networks do not fit each other.

    Reference: Donahue, Krähenbühl and Darrell, "Adversarial Feature Learning", 2017,
        https://arxiv.org/abs/1605.09782.
    """

    groups = {name: (name,) for name in ("generator", "encoder", "discriminator")}

    def __init__(
        self,
        generator: keras.layers.Layer,
        encoder: keras.layers.Layer,
        discriminator: keras.layers.Layer,
        loss: AdversarialLoss | None = None,
        penalties: Sequence[Penalty] = (),
        prior: keras.layers.Layer | None = None,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, prior, ema_decay, None, seed, name)
        self.encoder = encoder
        self.loss = NonSaturating() if loss is None else loss
        check_game(self.loss, penalties)
        self.penalties = tuple(penalties)
        examples, latents = (None, *self.event_shape), (None, self.latent_dim)
        made = made_shape("encoder", encoder, examples)[1:]
        self.ema_encoder = average_of(encoder, ema_decay)
        if made != (self.latent_dim,):
            raise ValueError(expected(f"an encoder to latents of shape ({self.latent_dim},)", made))
        check_logits(discriminator, (examples, latents), self.event_shape)
        warn_of_misfits(discriminator, self.loss, self.penalties)

    @property
    def averages(self) -> Averages:
        """The averages of the generator and of the encoder, if they are kept."""
        encoders = [] if self.ema_encoder is None else [(self.ema_encoder, self.encoder)]
        return [*super().averages, *encoders]

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> list[Update]:
        """Returns the update of the discriminator, then that of the generator and the encoder."""
        seeds = tf.unstack(random.split_seed(seed, 3))

        def pairs(seed: tf.Tensor) -> tuple[tuple, tuple]:
            z = self.noise(tf.shape(x["x"])[0], seed)
            made = self.encoder(x["x"], training=training), self.generator(z, training=training)
            encoded, generated = (tf.cast(part, tf.float32) for part in made)
            return (x["x"], encoded), (generated, z)

        def logits(pair: tuple) -> tf.Tensor:
            return tf.cast(self.discriminator(pair, training=training), tf.float32)

        def judge() -> Terms:
            real, fake = tf.nest.map_structure(tf.stop_gradient, pairs(seeds[0]))
            loss = self.loss.discriminator(logits(real), logits(fake))
            critic = Critic(self.discriminator)
            return penalised(loss, self.penalties, critic, real, fake, seeds[2], self.step.value)

        def deceive() -> Terms:
            real, fake = pairs(seeds[1])
            if self.loss.saturating:
                return {"loss": -self.loss.discriminator(logits(real), logits(fake))}
            return {"loss": self.loss.discriminator(logits(fake), logits(real))}

        return [
            Update("discriminator", judge, ("discriminator",)),
            Update("generator", deceive, ("generator", "encoder")),
        ]

    def encode_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the latents E(x), [batch, latent_dim], of examples [batch, *event]."""
        return tf.cast(self.averaged(self.encoder)(x, training=False), tf.float32)
