"""What all adversarial models share: a generator of noise, its average, labels and checks."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.adversarial.checks import check_classes
from tfgen.core import random
from tfgen.core.checks import check_integer, check_unconditional, expected
from tfgen.core.config import build_once
from tfgen.data.batches import check_examples_like
from tfgen.data.examples import Batch, Examples
from tfgen.data.image_checks import check_images
from tfgen.distributions import StandardNormal
from tfgen.losses import AbsoluteError
from tfgen.losses.reconstruction import ReconstructionLoss
from tfgen.model.inversion import Encoding, in_batches, invert
from tfgen.model.model import GenerativeModel
from tfgen.training.averages import move_average
from tfgen.training.update import Terms


class AdversarialModel(GenerativeModel):
    """Base of the models x = G(z), z ~ prior, whose G learns from a second network D.

    With `ema_decay`, an exponential moving average of the generator, the statistics of its batch
    normalisation included, is kept beside it, and is what samples, decodes and is exported. Its
    decay at step t is min(ema_decay, (1 + t) / (10 + t)), so that the first steps are forgotten.

    With `num_classes`, the networks take a pair (input, labels int [batch]), and training data must
    have labels.
    """

    groups = ("generator", "discriminator")
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
        if ema_decay is not None and not 0 <= ema_decay < 1:
            raise ValueError(expected("`ema_decay` in [0, 1)", ema_decay))
        if num_classes is not None:
            check_integer("num_classes", num_classes, minimum=2)
        self.generator = generator
        self.discriminator = discriminator
        self.prior = prior or StandardNormal(64)
        self.ema_decay = ema_decay
        self.num_classes = num_classes
        check_classes(num_classes, generator, discriminator)
        build_once(generator, self._with_label_shape((None, self.latent_dim)))
        self.ema_generator = self._average_of(generator)
        self.built = True

    def _average_of(self, network: keras.layers.Layer) -> keras.layers.Layer | None:
        """Returns where the average of a network is kept, if it is."""
        return None if self.ema_decay is None else _copied(network)

    def _with_label_shape(self, shape: tuple) -> Any:
        return shape if self.num_classes is None else (shape, (None,))

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return self.prior.dim

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        shape = self._with_label_shape((None, self.latent_dim))
        return tuple(self.generator.compute_output_shape(shape)[1:])

    @property
    def condition_spec(self) -> tf.TensorSpec | None:
        """What `sample` and `decode` are conditioned on: labels, or nothing."""
        return None if self.num_classes is None else tf.TensorSpec([None], tf.int64, "label")

    # Sampling.

    @property
    def sampler(self) -> keras.layers.Layer:
        """The network that samples: the average of the generator, if there is one."""
        return self.generator if self.ema_generator is None else self.ema_generator

    def sample_rows(self, row_seeds: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns G(z) of one draw of z a row seed, int32 [batch, 2].

        Args:
            row_seeds: int32 [batch, 2].
            condition: labels, int [batch] in [0, num_classes); one drawn for each row unless given.
        """
        if self.num_classes is not None and condition is None:
            unit = random.uniform(random.stream(row_seeds, "label"), ())
            condition = tf.cast(unit * self.num_classes, tf.int32)
        return self.decode(self.prior.sample_rows(row_seeds), condition)

    def decode(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, latent_dim], and their labels."""
        return self.sampler(self._with_labels(z, condition), training=False)

    def _with_labels(self, inputs: tf.Tensor, labels: tf.Tensor | None) -> Any:
        """Returns what a network takes: the inputs, or the pair of them and their labels."""
        if self.num_classes is None:
            check_unconditional(labels)
            return inputs
        if labels is None:
            raise ValueError(
                expected("`condition`, labels [batch]: the model is conditional", None)
            )
        labels = checked_labels(labels, self.num_classes)
        if not labels.shape.is_compatible_with(inputs.shape[:1]):
            raise ValueError(expected(f"{inputs.shape[0]} labels", labels.shape[0]))
        return inputs, labels

    def invert(
        self,
        x: tf.Tensor,
        condition: tf.Tensor | None = None,
        *,
        loss: ReconstructionLoss | None = None,
        num_steps: int = 200,
        num_restarts: int = 4,
        batch_size: int = 256,
    ) -> Encoding:
        """Finds latents of examples, seen or not, by optimising z with the generator frozen.

        Args:
            x: float32 [batch, *event].
            condition: labels, int [batch], of a conditional model.
            loss: `loss(x, reconstruction) -> [batch]`; `AbsoluteError()` unless given.
            num_steps, num_restarts: of Adam from each starting point, and of such points, drawn
                from the prior.
            batch_size: how many are optimised at a time, when this is not part of a graph.

        Returns:
            `Encoding(z, distance)`, the best point met.

        Raises:
            TypeError: when `x` is not of floats, or a number not an integer.
            ValueError: when `x` has another shape, or a number is not > 0.

        Reference: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", 2016,
            https://arxiv.org/abs/1609.03552, section 3.1.
        """
        for name, value in (("num_steps", num_steps), ("num_restarts", num_restarts)):
            check_integer(name, value)
        check_integer("batch_size", batch_size)
        x = tf.convert_to_tensor(x)
        if not x.dtype.is_floating:
            raise TypeError(expected("x of floats", x.dtype.name))
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(expected(f"x of shape [batch, *{self.event_shape}]", tuple(x.shape)))
        given = self._with_labels(x, condition)  # Complains of labels that are missing or wrong.
        search = partial(
            self._search,
            loss=loss or AbsoluteError(),
            num_steps=num_steps,
            num_restarts=num_restarts,
        )
        rows = (tf.cast(x, tf.float32), *(() if condition is None else given[1:]))
        return in_batches(search, rows, batch_size)

    @cached_property
    def _search(self) -> Callable[..., Encoding]:
        """`_best_descent` as a graph, of this model alone."""
        return tf.function(partial(self._best_descent), reduce_retracing=True, autograph=False)

    def _best_descent(
        self,
        x: tf.Tensor,
        condition: tf.Tensor | None = None,
        *,
        loss: ReconstructionLoss,
        num_steps: int,
        num_restarts: int,
    ) -> Encoding:
        starts = self.prior.sample_rows(random.row_seeds(num_restarts, seed=0))
        starts = tf.ensure_shape(starts, [num_restarts, self.latent_dim])
        return invert(
            lambda z: loss(x, self.decode(z, condition)), starts, tf.shape(x)[0], num_steps
        )

    # Training.

    def noise(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns latents for one step of training, [num_rows, latent_dim]."""
        return self.prior.draw(num_rows, seed)

    @property
    def averages(self) -> list[tuple[keras.layers.Layer | None, keras.layers.Layer]]:
        """The average of each network that has one, and the network."""
        return [(self.ema_generator, self.generator)]

    def move_ema(self, terms: Terms) -> None:
        """Moves the averages, if there are any, after a step of the generator."""
        if self.ema_decay is not None:
            t = tf.cast(self.step.value, tf.float32)
            decay = tf.minimum(self.ema_decay, (1.0 + t) / (10.0 + t))
            for average, network in self.averages:
                move_average(average, network, decay)

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises unless the data are such as the generator makes, with labels if it needs them."""
        check_examples_like(self.event_shape, spec)
        if examples is not None and len(self.event_shape) == 3:
            check_images(examples.x)
        if self.num_classes is not None:
            self._check_labels(spec, examples)
        if len(self.event_shape) == 3:
            self._check_range()

    def _check_labels(self, spec: Batch, examples: Examples | None) -> None:
        if "label" not in spec:
            what = (
                "batches with the key 'label' (fit(x, labels) gives it): the model is conditional"
            )
            raise ValueError(expected(what, sorted(spec)))
        if examples is not None:
            checked_labels(tf.constant(examples.labels), self.num_classes)

    def _check_range(self) -> None:
        """Raises ValueError unless the generator's images are in [0, 1], as those of the data."""
        rows = random.row_seeds(8, seed=0)
        labels = None if self.num_classes is None else np.arange(8) % self.num_classes
        inputs = self._with_labels(self.prior.sample_rows(rows), labels)
        images = np.asarray(self.generator(inputs, training=False))
        # Before training, a tanh behind batch normalisation is hardly below zero.
        if images.min() < -1e-5 or images.max() > 1 + 1e-5:
            what = "a generator of images in [0, 1] (it may end in a sigmoid)"
            raise ValueError(expected(what, f"values from {images.min():g} to {images.max():g}"))


class EncodedByInversion(AdversarialModel):
    """Base of the models without an encoder, which encode examples by optimising latents."""

    def __init__(self, *args: Any, encode_steps: int, encode_restarts: int) -> None:
        super().__init__(*args)
        check_integer("encode_steps", encode_steps)
        check_integer("encode_restarts", encode_restarts)
        self.encode_steps = encode_steps
        self.encode_restarts = encode_restarts

    def encode(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> Encoding:
        """Finds latents of examples by optimising them.

        It is `invert` with the `encode_steps` and `encode_restarts` that the model was given.

        Args:
            x: float32 [batch, *event].
            condition: labels, int [batch], of a conditional model.

        Returns:
            `Encoding(z, distance)`, latents [batch, d] and how near they come, [batch].
        """
        steps, restarts = self.encode_steps, self.encode_restarts
        return self.invert(x, condition, num_steps=steps, num_restarts=restarts)

    def reconstruct(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the decoded latents that `encode` finds for examples [batch, *event]."""
        return self.decode(self.encode(x, condition).z, condition)


def checked_labels(labels: Any, num_classes: int) -> tf.Tensor:
    """Returns labels as int32 [batch].

    Raises:
        TypeError: if they are not integers.
        ValueError: if they are not of rank 1, or, as far as values are known, not in range.
    """
    labels = tf.convert_to_tensor(labels)
    if not labels.dtype.is_integer:
        raise TypeError(expected("integer labels", labels.dtype.name))
    if len(labels.shape) != 1:
        raise ValueError(expected("labels [batch]", f"shape {tuple(labels.shape)}"))
    if tf.executing_eagerly():
        values = labels.numpy()
        outside = values[(values < 0) | (values >= num_classes)]
        if outside.size:
            raise ValueError(expected(f"labels in [0, {num_classes})", int(outside[0])))
    return tf.cast(labels, tf.int32)


def _copied(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a layer of the same structure and weights, which no optimizer trains."""
    copy = type(layer).from_config(layer.get_config())
    copy.trainable = False
    if not copy.built:
        copy.build_from_config(layer.get_build_config())
    copy.set_weights(layer.get_weights())
    return copy
