"""Generative Latent Optimization: a generator and one latent per example, learned together."""

from collections.abc import Callable
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer, check_not_negative, check_positive, expected
from tfgen.core.config import output_shape, register
from tfgen.data.examples import Batch, Examples
from tfgen.distributions import FittedDensity, Gaussian
from tfgen.latent.spaces import Sphere
from tfgen.latent.table import LatentTable
from tfgen.losses.pyramid import LaplacianPyramid
from tfgen.losses.reconstruction import ReconstructionLoss
from tfgen.model.inversion import Encoding, Inversion, Inverter, checked_inversion
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.training import keras_compat
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
            `fit` ends and, while `fit` trains, by `tfgen.callbacks` that sample and when the model
            is saved; `fit_sampler` does it in other callbacks.
        initial_std: standard deviation of the initial latents, before they are projected.
        initial_codes: `initial_codes(x, latent_dim) -> [num_examples, latent_dim]`, which makes the
            latents that the first `fit` begins with, e.g. `PrincipalComponents()`; random ones
            unless given. x is an array, but the `Examples` themselves when they are streamed.
        latent_noise: standard deviation of Gaussian noise added to the latents while training,
            >= 0; the points near a latent then decode to nearly the same.
        inversion: how `encode` optimises; `Inversion()` unless given.
        seed, name: as for every model.

    Raises:
        TypeError: when a size is not an integer.
        ValueError: when a number is out of range, or there are fewer examples than the density
            needs; two, of a Gaussian.

    Example:
        glo = GLO(InfoGANGenerator((28, 28, 1)), num_examples=60_000, latent_dim=64)
        glo.compile()
        glo.fit(data, epochs=30)
        images = glo.sample(64, seed=0)

    Reference: Bojanowski, Joulin, Lopez-Paz and Szlam, "Optimizing the Latent Space of Generative
        Networks", 2018, https://arxiv.org/abs/1707.05776.
    """

    groups = {"generator": ("generator",), "latents": ("latents",)}
    default_optimizers = {
        "generator": lambda: keras.optimizers.Adam(1e-3, beta_1=0.5),
        "latents": lambda: RowAdam(1e-2, beta_1=0.5),
    }
    slow_verbs = frozenset({"encode", "reconstruct"})

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
        inversion: Inversion | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        check_integer("num_examples", num_examples)
        check_integer("latent_dim", latent_dim)
        check_positive("initial_std", initial_std)
        check_not_negative("latent_noise", latent_noise)
        self.generator = generator
        self.num_examples = num_examples
        self.latent_dim = latent_dim
        self.loss = loss or LaplacianPyramid()
        self.space = space or Sphere()
        self.prior = prior or Gaussian(latent_dim)
        if isinstance(self.prior, FittedDensity) and num_examples < self.prior.fewest:
            what = f"`num_examples` >= {self.prior.fewest}, which the prior is fitted to"
            raise ValueError(expected(what, num_examples))
        self.initial_std = initial_std
        self.initial_codes = initial_codes
        self.latent_noise = latent_noise
        self.inversion = checked_inversion(inversion)
        self.latents = LatentTable(num_examples, latent_dim, self.space, initial_std, seed)
        # One more than the number of steps after which the density was fitted, 0 if it never was.
        self.prior_fitted = self._counter("int64", "prior_fitted")
        self._event = specs.event_spec(output_shape(generator, (None, latent_dim))[1:])

    @property
    def event_spec(self) -> tf.TensorSpec:
        """What the generator makes."""
        return self._event

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """A vector, which is projected to Z."""
        return specs.latent_spec(self.latent_dim)

    @property
    def codes(self) -> tf.Tensor:
        """The learned latents, [num_examples, latent_dim]."""
        return self.latents.codes.value

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns the loss between the examples of a batch and their decoded latents."""
        z = self.latents(x["index"])
        if training and self.latent_noise:
            noise = random.draw_normal(tf.shape(z), seed)
            z += tf.cast(self.latent_noise * noise, z.dtype)
        return {"loss": self.loss(x["x"], self._generate(z, training))}

    def _generate(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns G(z) in float32, whatever the generator computes in."""
        return tf.cast(self.generator(z, training=training), tf.float32)

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        """Makes the initial latents."""
        if self.initial_codes is not None:
            x = examples.as_float() if examples.in_memory else examples
            self.latents.assign(self.initial_codes(x, self.latent_dim))

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, latent_dim], projected to Z."""
        return self._generate(self.space(z))

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Decodes one latent of the fitted density a row seed, int32 [batch, 2]."""
        return self.decode_rows(self.prior.sample_rows(row_seeds))

    def fit_prior(self, prior: keras.layers.Layer | None = None) -> None:
        """Fits the density of latents to the table, and samples from it from now on.

        Args:
            prior: another density to put in place of the present one.
        """
        if prior is not None:
            keras_compat.untrack(self, self.prior)
            self.prior = prior
        self.prior.fit(self.codes.numpy())
        self.prior_fitted.assign(self.training_steps + 1)

    def fit_sampler(self) -> None:
        """Fits the density if training has moved the latents since; EM is slow."""
        if int(self.prior_fitted.numpy()) != self.training_steps + 1:
            self.fit_prior()

    def encode_rows(
        self,
        x: tf.Tensor,
        condition: Conditions | None = None,
        inversion: Inversion | None = None,
    ) -> Encoding:
        """Finds latents of examples, seen or not, by optimising them with the generator frozen.

        Each example starts from some points of Z, the same for all examples, and keeps the best
        point that Adam meets on its way from any of them.

        Args:
            x: float32 [batch, *event].
            condition: none.
            inversion: how to search; that of the model unless given.

        Returns:
            `Encoding(z, distance)`.
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
        # Latents are in Z after each step: a slope through the projection would be another.
        decode = lambda z, condition: self._generate(z)  # noqa: E731
        return Inverter(decode, self.loss, self._starts, self.space)

    def _starts(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Returns points of Z, [num, latent_dim], of row seeds, int32 [num, 2]."""
        starts = self.space(random.normal(row_seeds, (self.latent_dim,)))
        return tf.ensure_shape(starts, [None, self.latent_dim])

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
        if examples is not None and examples.num_examples != self.num_examples:
            raise ValueError(
                expected(
                    f"{self.num_examples} examples, the rows of the latent table",
                    examples.num_examples,
                )
            )

    def check_optimizer(self, group: str, optimizer: keras.optimizers.Optimizer) -> None:
        """Raises TypeError unless that of the latents is row-wise; it projects what it moves."""
        if group == "latents":
            if not isinstance(optimizer, (RowAdam, RowSGD)):
                what = "a row-wise `latents_optimizer`, RowAdam or RowSGD"
                raise TypeError(expected(what, type(optimizer).__name__))
            optimizer.project = self.space
