"""Generative adversarial networks: one class for every loss, penalty and pair of networks."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen.adversarial.base import EncodedByInversion, labels_in, with_labels
from tfgen.adversarial.checks import check_function, check_game, check_logits, warn_of_misfits
from tfgen.adversarial.penalised import penalised
from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import register
from tfgen.data.examples import Batch, Examples
from tfgen.losses import AdversarialLoss, Critic, NonSaturating, Penalty
from tfgen.model.inversion import Inversion
from tfgen.training.averages import assign_each
from tfgen.training.update import Terms, Update


@register
class GAN(EncodedByInversion):
    """A generator G and a discriminator D, each of which minimises its own loss:

        D:  mean loss.discriminator(D(x), D(G(z))) + sum of penalties(D, x, G(z))
        G:  mean loss.generator(D(G(z)))                                  z ~ prior.

    A step of training takes a batch apart into `discriminator_steps` slices; each gives D one
    update, with noise of its own, and then G gets one of as many examples as a slice has. The
    batch size is thus `discriminator_steps` times that of papers such as WGAN's.

    A WGAN with gradient penalty is `GAN(g, d, loss=Wasserstein(), penalties=[GradientPenalty()],
    discriminator_steps=5)`; `tfgen.adversarial.recipes` names the published settings.

    Args:
        generator: a layer, latents [batch, d] -> examples [batch, *event]; of a conditional model,
            (latents, labels [batch]) -> examples.
        discriminator: a layer, examples -> raw logits [batch, 1] or [batch, height, width, 1]; of
            a conditional model, (examples, labels [batch]) -> logits.
        loss: of `tfgen.losses`; `NonSaturating()` unless given.
        penalties: of `tfgen.losses`, added to the discriminator's loss.
        prior: of z, a layer with `dim`, `draw(num_rows, seed)` and `sample_rows(row_seeds)`;
            `tfgen.distributions.StandardNormal(64)` unless given.
        discriminator_steps: updates of D for one of G, > 0.
        weight_clip: what the variables of D are put through after each of its updates, e.g.
            `tfgen.losses.WeightClip(0.01)`.
        augmentation: `augmentation(images, seed) -> images`, differentiable, through which D sees
            real and generated examples alike, e.g. `tfgen.layers.DiffAugment()`.
        ema_decay: of the average of the generator that samples, in [0, 1), less in the first steps:
            min(ema_decay, (1 + t) / (10 + t)) at step t; none unless given.
        num_classes: of the labels of a conditional model; unconditional unless given.
        inversion: how `encode` optimises; `Inversion()`, of the absolute error, unless given.
        seed, name: as for every model.

    Logs `discriminator` and `generator`, their losses (that of D with its penalties), and each
    penalty as `discriminator_<penalty>`.

    Raises:
        TypeError: when the loss or a penalty is not one of `tfgen.losses`, or another argument is
            of a wrong kind.
        ValueError: when a number is out of its range, or the networks do not fit each other.

    Example:
        gan = GAN(InfoGANGenerator((28, 28, 1)), InfoGANDiscriminator(), loss=Hinge())
        gan.compile()
        gan.fit(data, epochs=20)
        images = gan.sample(64, seed=0)

    Reference: Goodfellow et al., "Generative Adversarial Networks", 2014,
        https://arxiv.org/abs/1406.2661.
    """

    # On two CPU cores XLA makes little of InfoGAN's networks beyond their optimizers, DCGAN's 1.2
    # times slower, and memory twice as large (examples/benchmarks/adversarial.py).
    default_jit_compile = False

    def __init__(
        self,
        generator: keras.layers.Layer,
        discriminator: keras.layers.Layer,
        loss: AdversarialLoss | None = None,
        penalties: Sequence[Penalty] = (),
        prior: keras.layers.Layer | None = None,
        discriminator_steps: int = 1,
        weight_clip: Callable[[tf.Tensor], tf.Tensor] | None = None,
        augmentation: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        ema_decay: float | None = None,
        num_classes: int | None = None,
        inversion: Inversion | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            *(generator, discriminator, prior, ema_decay, num_classes, seed, name),
            inversion=inversion,
        )
        check_integer("discriminator_steps", discriminator_steps)
        self.loss = NonSaturating() if loss is None else loss
        check_game(self.loss, penalties)
        check_function("weight_clip", weight_clip, "WeightClip(0.01)")
        check_function("augmentation", augmentation, "DiffAugment()")
        self.penalties = tuple(penalties)
        self.discriminator_steps = discriminator_steps
        self.weight_clip = weight_clip
        self.augmentation = augmentation
        check_logits(
            discriminator, self._with_label_shape((None, *self.event_shape)), self.event_shape
        )
        warn_of_misfits(discriminator, self.loss, self.penalties)

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> Sequence[Update]:
        """Returns the updates of D, each on a slice of the batch, and that of G."""
        slices = self._slices(x)
        seeds = tf.unstack(random.split_seed(seed, len(slices) + 1))
        return [
            *(self._judge(k, part, seeds[k], training) for k, part in enumerate(slices)),
            self._deceive(slices[-1], seeds[-1], training),
        ]

    def _slices(self, x: Batch) -> list[Batch]:
        """Returns the parts of a batch, one for each update of D.

        Part k takes every n-th example, so that the parts of two replicas are those of their joint
        batch.
        """
        n = self.discriminator_steps
        if n == 1:
            return [x]
        size = x["x"].shape[0] or tf.shape(x["x"])[0]
        message = f"Expected a batch divisible by {n}, the discriminator's steps. Received:"
        whole = tf.debugging.Assert(tf.equal(size % n, 0), [message, size])
        with tf.control_dependencies([whole]):
            return [{name: value[k::n] for name, value in x.items()} for k in range(n)]

    def _judge(self, k: int, x: Batch, seed: tf.Tensor, training: bool) -> Update:
        """Returns the k-th update of the discriminator in a step of training."""

        def terms() -> Terms:
            seeds = tf.unstack(random.split_seed(seed, 4))
            fake = tf.stop_gradient(self._generate(x, seeds[0], training))
            real, fake = self._seen(x["x"], seeds[1]), self._seen(fake, seeds[2])
            logits = [self._logits(images, x, training) for images in (real, fake)]
            loss = self.loss.discriminator(*logits)
            critic = Critic(self.discriminator, labels_in(self.conditions_of(x)))
            done = self.step.value * self.discriminator_steps + k
            return penalised(loss, self.penalties, critic, real, fake, seeds[3], done)

        return Update("discriminator", terms, ("discriminator",), self._clip)

    def _deceive(self, x: Batch, seed: tf.Tensor, training: bool) -> Update:
        """Returns an update of the generator."""

        def terms() -> Terms:
            seeds = tf.unstack(random.split_seed(seed, 3))
            fake = self._seen(self._generate(x, seeds[0], training), seeds[1])
            fake = self._logits(fake, x, training)
            if not self.loss.needs_real:
                return {"loss": self.loss.generator(fake)}
            real = self._logits(self._seen(x["x"], seeds[2]), x, training)
            return {"loss": self.loss.generator(fake, real)}

        return Update("generator", terms, ("generator",))

    def _generate(self, x: Batch, seed: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns an example for each of a batch, of the same label if there are labels."""
        z = self.noise(tf.shape(x["x"])[0], seed)
        inputs = with_labels(z, self.conditions_of(x))
        return tf.cast(self.generator(inputs, training=training), tf.float32)

    def _logits(self, images: tf.Tensor, x: Batch, training: bool) -> tf.Tensor:
        """Returns what the discriminator says of images, which have the labels of a batch."""
        inputs = with_labels(images, self.conditions_of(x))
        return tf.cast(self.discriminator(inputs, training=training), tf.float32)

    def _seen(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns what the discriminator sees of images."""
        return images if self.augmentation is None else self.augmentation(images, seed)

    def _clip(self, terms: Terms, aux: Terms) -> None:
        if self.weight_clip is not None:
            assign_each(self.discriminator.trainable_variables, self.weight_clip)

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """As for every adversarial model; the batch must also be divisible among D's steps."""
        super().check_data(spec, examples)
        shares = self.discriminator_steps * self.distribute_strategy.num_replicas_in_sync
        size = spec["x"].shape[0]
        if size is not None and size % shares:
            what = f"a batch size divisible by {shares}, the discriminator's steps on all replicas"
            raise ValueError(expected(what, size))
