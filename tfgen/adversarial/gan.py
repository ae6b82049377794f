"""Generative adversarial networks: one class for every loss, penalty and pair of networks."""

import re
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen.adversarial.base import AdversarialModel, build, warn_of_misfits
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import register
from tfgen.core.examples import Batch, Examples
from tfgen.core.inversion import Encoding
from tfgen.core.update import Terms, Update
from tfgen.core.variables import assign_each
from tfgen.losses import AdversarialLoss, Critic, NonSaturating, Penalty


@register
class GAN(AdversarialModel):
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
        ema_decay: of the average of the generator that samples, in [0, 1); none unless given.
        num_classes: of the labels of a conditional model; unconditional unless given.
        encode_steps, encode_restarts: how `encode` optimises: Adam steps, and starting points.
        seed, name: as for every model.

    Logs `discriminator` and `generator`, their losses (that of D with its penalties), and each
    penalty as `discriminator_<penalty>`.

    Example:
        gan = GAN(InfoGANGenerator((28, 28, 1)), InfoGANDiscriminator(), loss=Hinge())
        gan.compile()
        gan.fit(data, epochs=20)
        images = gan.sample(64, seed=0)

    Reference: Goodfellow et al., "Generative Adversarial Networks", 2014,
        https://arxiv.org/abs/1406.2661.
    """

    # On two CPU cores XLA makes InfoGAN's networks 1.1 times faster, DCGAN's 1.2 times slower,
    # and memory 2 to 3 times larger (examples/benchmark_adversarial.py).
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
        encode_steps: int = 200,
        encode_restarts: int = 4,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, prior, ema_decay, num_classes, seed, name)
        check_integer("discriminator_steps", discriminator_steps)
        check_integer("encode_steps", encode_steps)
        check_integer("encode_restarts", encode_restarts)
        self.encode_steps = encode_steps
        self.encode_restarts = encode_restarts
        self.loss = loss or NonSaturating()
        self.penalties = tuple(penalties)
        self.discriminator_steps = discriminator_steps
        self.weight_clip = weight_clip
        self.augmentation = augmentation
        build(discriminator, self._with_label_shape((None, *self.event_shape)))
        warn_of_misfits(discriminator, self.loss, self.penalties)

    def encode(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> Encoding:
        """Finds latents of examples by optimising them; see `invert`."""
        steps, restarts = self.encode_steps, self.encode_restarts
        return self.invert(x, condition, num_steps=steps, num_restarts=restarts)

    def reconstruct(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the decoded latents that `encode` finds for examples [batch, *event]."""
        return self.decode(self.encode(x, condition).z, condition)

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> Sequence[Update]:
        """Returns the updates of D, each on a slice of the batch, and that of G."""
        slices = self._slices(x)
        seeds = tf.unstack(tf.random.split(seed, len(slices) + 1, alg="philox"))
        return [
            *(self._judge(part, s, training) for part, s in zip(slices, seeds, strict=False)),
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

    def _judge(self, x: Batch, seed: tf.Tensor, training: bool) -> Update:
        """Returns an update of the discriminator."""

        def terms() -> Terms:
            seeds = tf.unstack(tf.random.split(seed, 4, alg="philox"))
            fake = tf.stop_gradient(self._generate(x, seeds[0], training))
            real, fake = self._seen(x["x"], seeds[1]), self._seen(fake, seeds[2])
            logits = [self._logits(images, x, training) for images in (real, fake)]
            loss = self.loss.discriminator(*logits)
            critic = Critic(self.discriminator, self._labels(x))
            penalties = [
                penalty(critic, real, fake, seeds[3], self.step.value) for penalty in self.penalties
            ]
            named = zip(map(title, self.penalties), penalties, strict=True)
            return {"loss": tf.add_n([loss, *penalties]), **dict(named)}

        return Update("discriminator", terms, ("discriminator",), self._clip)

    def _deceive(self, x: Batch, seed: tf.Tensor, training: bool) -> Update:
        """Returns an update of the generator."""

        def terms() -> Terms:
            seeds = tf.unstack(tf.random.split(seed, 3, alg="philox"))
            fake = self._seen(self._generate(x, seeds[0], training), seeds[1])
            fake = self._logits(fake, x, training)
            if not self.loss.needs_real:
                return {"loss": self.loss.generator(fake)}
            real = self._logits(self._seen(x["x"], seeds[2]), x, training)
            return {"loss": self.loss.generator(fake, real)}

        return Update("generator", terms, ("generator",), self.move_ema)

    def _generate(self, x: Batch, seed: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns an example for each of a batch, of the same label if there are labels."""
        z = self.noise(tf.shape(x["x"])[0], seed)
        return self.generator(self._with_labels(z, self._labels(x)), training=training)

    def _labels(self, x: Batch) -> tf.Tensor | None:
        return None if self.num_classes is None else x["label"]

    def _logits(self, images: tf.Tensor, x: Batch, training: bool) -> tf.Tensor:
        """Returns what the discriminator says of images, which have the labels of a batch."""
        return self.discriminator(self._with_labels(images, self._labels(x)), training=training)

    def _seen(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns what the discriminator sees of images."""
        return images if self.augmentation is None else self.augmentation(images, seed)

    def _clip(self, terms: Terms) -> None:
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


def title(penalty: object) -> str:
    """Returns the name of a penalty in the logs, e.g. gradient_penalty."""
    kind = type(getattr(penalty, "penalty", penalty)).__name__  # What a lazy one applies.
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
