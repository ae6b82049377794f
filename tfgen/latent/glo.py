"""Generative Latent Optimization: a generator and one latent per example, learned together."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import (
    check_integer,
    check_not_negative,
    check_positive,
    check_unconditional,
    expected,
)
from tfgen.core.config import build_once, register
from tfgen.data.batches import check_examples_like
from tfgen.data.examples import Batch, Examples
from tfgen.data.image_checks import check_images
from tfgen.distributions import Gaussian
from tfgen.latent.spaces import Sphere
from tfgen.latent.table import LatentTable
from tfgen.losses.pyramid import LaplacianPyramid
from tfgen.losses.reconstruction import ReconstructionLoss
from tfgen.model.inversion import Encoding, in_batches, invert
from tfgen.model.model import GenerativeModel
from tfgen.training.row_optimizers import RowAdam, RowSGD
from tfgen.training.update import Terms


@register
class GLO(GenerativeModel):
    """Learns a generator G and one latent z_i in Z for each example x_i:

        minimise over G and {z_i in Z}    sum_i loss(x_i, G(z_i)).

    After each step the latents of the batch are projected back to Z, the unit sphere or ball. There
    is no encoder: an unseen x is encoded by optimising z with G frozen. New examples are G(z) with
    z from a density fitted to the learned latents, a Gaussian with full covariance or a mixture.

    Args:
        generator: a layer, latents [batch, latent_dim] -> examples [batch, *event].
        num_examples: N, the rows of the latent table; that of the training data.
        latent_dim: d, > 0.
        loss: `loss(x, reconstruction) -> [batch]`, e.g. from `tfgen.losses`; the Laplacian pyramid
            loss unless given.
        space: Z, e.g. `Sphere()` (the default) or `Ball()`.
        prior: the density that samples latents, a layer with `fit(codes)` and
            `sample_rows(row_seeds)`; `tfgen.distributions.Gaussian` unless given. It is fitted when
            `fit` ends and, while `fit` trains, whenever samples are drawn or the model is saved.
        initial_std: standard deviation of the initial latents, before they are projected.
        initial_codes: `initial_codes(x, latent_dim) -> [num_examples, latent_dim]`, which makes the
            latents that the first `fit` begins with, e.g. `PrincipalComponents()`; random ones
            unless given.
        latent_noise: standard deviation of Gaussian noise added to the latents while training,
            >= 0; the points near a latent then decode to nearly the same.
        encode_steps, encode_restarts: how `encode` optimises: Adam steps, and starting points.
        seed, name: as for every model.

    Raises:
        TypeError: when a size or a number of steps is not an integer.
        ValueError: when a number is out of range.

    Example:
        glo = GLO(InfoGANGenerator((28, 28, 1)), num_examples=60_000, latent_dim=64)
        glo.compile()
        glo.fit(data, epochs=30)
        images = glo.sample(64, seed=0)

    Reference: Bojanowski, Joulin, Lopez-Paz and Szlam, "Optimizing the Latent Space of Generative
        Networks", 2018, https://arxiv.org/abs/1707.05776.
    """

    groups = ("generator", "latents")
    default_optimizers = {
        "generator": lambda: keras.optimizers.Adam(1e-3, beta_1=0.5),
        "latents": lambda: RowAdam(1e-2, beta_1=0.5),
    }

    def __init__(
        self,
        generator: keras.layers.Layer,
        num_examples: int,
        latent_dim: int = 64,
        loss: ReconstructionLoss | None = None,
        space: Callable[[tf.Tensor], tf.Tensor] | None = None,
        prior: keras.layers.Layer | None = None,
        initial_std: float = 0.1,
        initial_codes: Callable[[np.ndarray, int], np.ndarray] | None = None,
        latent_noise: float = 0.0,
        encode_steps: int = 200,
        encode_restarts: int = 4,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        check_integer("num_examples", num_examples)
        check_integer("latent_dim", latent_dim)
        check_integer("encode_steps", encode_steps)
        check_integer("encode_restarts", encode_restarts)
        check_positive("initial_std", initial_std)
        check_not_negative("latent_noise", latent_noise)
        self.generator = generator
        self.num_examples = num_examples
        self.latent_dim = latent_dim
        self.loss = loss or LaplacianPyramid()
        self.space = space or Sphere()
        self.prior = prior or Gaussian(latent_dim)
        self.initial_std = initial_std
        self.initial_codes = initial_codes
        self.latent_noise = latent_noise
        self.encode_steps = encode_steps
        self.encode_restarts = encode_restarts
        self.latents = LatentTable(num_examples, latent_dim, self.space, initial_std, seed)
        # The step whose latents the density was fitted to, None when `fit` does not train.
        self._prior_step: int | None = None
        build_once(generator, (None, latent_dim))
        self.built = True

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.generator.compute_output_shape((None, self.latent_dim))[1:])

    @property
    def codes(self) -> tf.Tensor:
        """The learned latents, [num_examples, latent_dim]."""
        return self.latents.codes.value

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns the loss between the examples of a batch and their decoded latents."""
        z = self.latents(x["index"])
        if training and self.latent_noise:
            noise = tf.random.stateless_normal(tf.shape(z), seed, alg="philox")
            z += tf.cast(self.latent_noise * noise, z.dtype)
        return {"loss": self.loss(x["x"], self.generator(z, training=training))}

    def begin_epoch(self, epoch: int, examples: Examples | None) -> None:
        """Makes the initial latents before the very first step."""
        self._prior_step = -1  # No step: a run that is resumed does not know of its last fit.
        if self.initial_codes is not None and self.step.numpy() == 0:
            self.latents.assign(self.initial_codes(examples.as_float(), self.latent_dim))

    def decode(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, latent_dim], projected to Z."""
        check_unconditional(condition)
        return self.generator(self.space(z), training=False)

    def sample_rows(self, row_seeds: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Decodes one latent of the fitted density a row seed, int32 [batch, 2]."""
        check_unconditional(condition)
        with tf.init_scope():  # As a graph is traced, too: it may be exported.
            self._renew_prior()
        return self.decode(self.prior.sample_rows(row_seeds))

    def fit_prior(self, prior: keras.layers.Layer | None = None) -> None:
        """Fits the density of latents to the table, and samples from it from now on.

        Args:
            prior: another density to put in place of the present one.
        """
        if prior is not None:
            # Keras would go on counting the weights of the one that is replaced.
            self._tracker.untrack(self.prior)
            self.prior = prior
        self.prior.fit(self.codes.numpy())

    def end_training(self) -> None:
        """Fits the density of latents."""
        self.fit_prior()
        self._prior_step = None

    def _renew_prior(self) -> None:
        """Fits the density if `fit` has moved the latents since; not each epoch, as EM is slow."""
        if self._prior_step is not None and self._prior_step != self.step.numpy():
            self.fit_prior()
            self._prior_step = int(self.step.numpy())

    def save_own_variables(self, store: Any) -> None:
        """As for every model; one saved while `fit` trains has a density of its latents."""
        self._renew_prior()  # Keras saves the parts of a model after the model's own variables.
        super().save_own_variables(store)

    def encode(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, *, batch_size: int = 256
    ) -> Encoding:
        """Finds latents of examples, seen or not, by optimising them with the generator frozen.

        Each example starts from `encode_restarts` points of Z, the same for all examples, takes
        `encode_steps` steps of Adam from each, and keeps the best point met.

        Args:
            x: float32 [batch, *event].
            condition: None, as the model is unconditional.
            batch_size: how many are optimised at a time, > 0, which bounds the memory and changes
                results by rounding alone. A graph, say one that is exported, optimises all at once.

        Returns:
            `Encoding(z, distance)`.

        Raises:
            TypeError: when `x` is not of floats, or `batch_size` not an integer.
            ValueError: when `x` has another shape, or holds images that are not in [0, 1], or
                `batch_size` is not > 0.
        """
        check_unconditional(condition)
        check_integer("batch_size", batch_size)
        search = partial(
            self._search, num_steps=self.encode_steps, num_restarts=self.encode_restarts
        )
        return in_batches(search, (self._checked(x),), batch_size)

    def reconstruct(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, *, batch_size: int = 256
    ) -> tf.Tensor:
        """Returns the decoded latents that `encode` finds for examples [batch, *event].

        Args:
            x, condition, batch_size: as for `encode`.
        """
        z = self.encode(x, condition, batch_size=batch_size).z
        return in_batches(self.decode, (z,), batch_size)

    def _checked(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples to encode as float32, or raises."""
        x = tf.convert_to_tensor(x)
        if not x.dtype.is_floating:
            raise TypeError(expected("x of floats in [0, 1]", x.dtype.name))
        x = tf.cast(x, tf.float32)
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(expected(f"x of shape [batch, *{self.event_shape}]", tuple(x.shape)))
        if tf.executing_eagerly() and len(x.shape) == 4:
            check_images(x, "x")
        return x

    @cached_property
    def _search(self) -> Callable[..., Encoding]:
        """`_best_descent` as a graph, as it takes hundreds of steps."""
        # Of a partial, which is this model's alone: TensorFlow counts the traces of a method for
        # all models together, and would warn that there are many.
        return tf.function(partial(self._best_descent), reduce_retracing=True, autograph=False)

    def _best_descent(self, x: tf.Tensor, num_steps: int, num_restarts: int) -> Encoding:
        """Returns the best latents of all descents."""

        def distance(z: tf.Tensor) -> tf.Tensor:
            return self.loss(x, self.generator(z, training=False))

        seeds = random.row_seeds(num_restarts, seed=0)
        starts = self.space(random.normal(seeds, (self.latent_dim,)))
        starts = tf.ensure_shape(starts, [num_restarts, self.latent_dim])
        return invert(distance, starts, tf.shape(x)[0], num_steps, self.space)

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises unless the data have indices, and as many examples as the table has rows."""
        if "index" not in spec:
            raise ValueError(
                expected(
                    "batches with the key 'index' (tfgen.data.load gives it, and arrays get it)",
                    sorted(spec),
                )
            )
        if examples is None and self.initial_codes is not None:
            raise ValueError(
                expected(
                    "an array or what tfgen.data.load returned: `initial_codes` needs all examples",
                    "a dataset",
                )
            )
        if not spec["index"].dtype.is_integer:
            raise TypeError(expected("integer indices", spec["index"].dtype.name))
        check_examples_like(self.event_shape, spec)
        if examples is not None and len(self.event_shape) == 3:
            check_images(examples.x)
        if examples is not None and examples.num_examples != self.num_examples:
            raise ValueError(
                expected(
                    f"{self.num_examples} examples, the rows of the latent table",
                    examples.num_examples,
                )
            )

    def _built_optimizer(self, group: str, given: Any) -> keras.optimizers.Optimizer:
        """As for every model; that of the latents must be row-wise, and projects what it moves."""
        optimizer = super()._built_optimizer(group, given)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if group == "latents":
            if not isinstance(inner, (RowAdam, RowSGD)):
                raise TypeError(
                    expected(
                        "a row-wise `latents_optimizer`, RowAdam or RowSGD", type(inner).__name__
                    )
                )
            inner.project = self.space
        return optimizer
