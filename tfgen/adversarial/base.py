"""What all adversarial models share: a generator of noise, its average, labels and checks."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.adversarial.checks import check_classes
from tfgen.core import random, specs
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import made_shape
from tfgen.data.examples import Batch, Examples
from tfgen.distributions import StandardNormal
from tfgen.losses import AbsoluteError
from tfgen.model.inversion import Encoding, Inversion, Inverter, checked_inversion
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.training.averages import Averages, average_of


class AdversarialModel(GenerativeModel):
    """Base of the models x = G(z), z ~ prior, whose G learns from a second network D.

    With `ema_decay`, an exponential moving average of the generator, the statistics of its batch
    normalisation included, is kept beside it, and is what samples, decodes and is exported. Its
    decay at step t is min(ema_decay, (1 + t) / (10 + t)), so that the first steps are forgotten.

    With `num_classes`, the networks take a pair (input, labels int [batch]), and training data must
    have labels.
    """

    groups = {"generator": ("generator",), "discriminator": ("discriminator",)}
    default_optimizers = dict.fromkeys(
        ("generator", "discriminator", "encoder"), lambda: keras.optimizers.Adam(2e-4, beta_1=0.5)
    )

    def __init__(
        self,
        generator: keras.layers.Layer,
        discriminator: keras.layers.Layer,
        prior: keras.layers.Layer | None,
        ema_decay: float | None,
        num_classes: int | None,
        seed: int,
        name: str | None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        if num_classes is not None:
            check_integer("num_classes", num_classes, minimum=2)
        self.generator = generator
        self.discriminator = discriminator
        self.prior = prior or StandardNormal(64)
        self.ema_decay = ema_decay
        self.num_classes = num_classes
        check_classes(num_classes, generator, discriminator)
        made = made_shape("generator", generator, self._with_label_shape((None, self.latent_dim)))
        self._event = specs.event_spec(made[1:])
        self.ema_generator = average_of(generator, ema_decay)

    def _with_label_shape(self, shape: tuple) -> Any:
        return shape if self.num_classes is None else (shape, (None,))

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return self.prior.dim

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """What the prior draws."""
        return specs.latent_spec(self.latent_dim)

    @property
    def event_spec(self) -> tf.TensorSpec:
        """What the generator makes."""
        return self._event

    @property
    def condition_specs(self) -> Mapping[str, tf.TensorSpec]:
        """Labels, or nothing."""
        return {} if self.num_classes is None else {"label": specs.label_spec(self.num_classes)}

    @property
    def averages(self) -> Averages:
        """The average of the generator, if it is kept."""
        return [] if self.ema_generator is None else [(self.ema_generator, self.generator)]

    # Sampling.

    @property
    def sampler(self) -> keras.layers.Layer:
        """The network that samples: the average of the generator, if there is one."""
        return self.averaged(self.generator)

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns G(z) of one draw of z a row seed, int32 [batch, 2]."""
        return self.decode_rows(self.prior.sample_rows(row_seeds), condition)

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, latent_dim], and their labels."""
        return tf.cast(self.sampler(with_labels(z, condition), training=False), tf.float32)

    # Training.

    def noise(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns latents for one step of training, [num_rows, latent_dim]."""
        return self.prior.draw(num_rows, seed)

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises ValueError unless the generator's images are in [0, 1], as those of the data."""
        if not specs.is_image(self.event_spec):
            return
        rows = random.row_seeds(8, seed=0)
        condition = {name: np.arange(8) % self.num_classes for name in self.condition_specs}
        inputs = with_labels(self.prior.sample_rows(rows), condition)
        images = np.asarray(self.generator(inputs, training=False))
        # Before training, a tanh behind batch normalisation is hardly below zero.
        if images.min() < -1e-5 or images.max() > 1 + 1e-5:
            what = "a generator of images in [0, 1] (it may end in a sigmoid)"
            raise ValueError(expected(what, f"values from {images.min():g} to {images.max():g}"))


class EncodedByInversion(AdversarialModel):
    """Base of the models without an encoder, which encode examples by optimising latents."""

    slow_verbs = frozenset({"encode", "reconstruct"})

    def __init__(self, *args: Any, inversion: Inversion | None) -> None:
        super().__init__(*args)
        self.inversion = checked_inversion(inversion)

    def encode_rows(
        self,
        x: tf.Tensor,
        condition: Conditions | None = None,
        inversion: Inversion | None = None,
    ) -> Encoding:
        """Finds latents of examples, seen or not, by optimising z with the generator frozen.

        Args:
            x: float32 [batch, *event].
            condition: labels, of a conditional model.
            inversion: how to search; that of the model unless given.

        Returns:
            `Encoding(z, distance)`, latents [batch, d] and how near they come, [batch].
        """
        return self._inverter.encode(x, condition, inversion or self.inversion)

    def reconstruct_rows(
        self,
        x: tf.Tensor,
        condition: Conditions | None = None,
        inversion: Inversion | None = None,
    ) -> tf.Tensor:
        """Returns the decoded latents that `encode` finds, [batch, *event]."""
        return self._inverter.reconstruct(x, condition, inversion or self.inversion)

    @cached_property
    def _inverter(self) -> Inverter:
        return Inverter(self.decode_rows, AbsoluteError(), self._starts)

    def _starts(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Returns draws of the prior, [num, latent_dim], of row seeds, int32 [num, 2]."""
        return tf.ensure_shape(self.prior.sample_rows(row_seeds), [None, self.latent_dim])


def labels_in(condition: Conditions | None) -> tf.Tensor | None:
    """Returns the labels among conditions, integers [batch], if there are any."""
    return tf.convert_to_tensor(condition["label"]) if condition else None


def with_labels(inputs: tf.Tensor, condition: Conditions | None) -> Any:
    """Returns what a network takes: the inputs, or the pair of them and their labels."""
    labels = labels_in(condition)
    return inputs if labels is None else (inputs, labels)
