"""Implicit Maximum Likelihood Estimation: every example pulls its nearest sample closer."""

import math
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Protocol, runtime_checkable

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer, check_not_negative, expected
from tfgen.core.config import output_shape, register
from tfgen.data.examples import Batch, Examples
from tfgen.latent.neighbours import Distance, RunningNearest, SquaredEuclidean
from tfgen.latent.spaces import Euclidean
from tfgen.losses.reconstruction import summed_squared_error
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.training.update import Terms

# Candidates are made and searched in blocks of about this many numbers, within these sizes.
_BLOCK_NUMBERS = 2**20
_SMALLEST_BLOCK, _LARGEST_BLOCK = 128, 8192
# Up to about this many numbers, 2 GB, examples are searched for together; for more of them the
# candidates are made anew.
_SEARCHED_NUMBERS = 2**29


@runtime_checkable
class Adaptive(Protocol):
    """A generator whose weights can begin from the data, such as `MLP(linear_skip=True)`."""

    def adapt(self, x: Any) -> None:
        """Sets weights from examples [num_examples, *event]."""


@register
class IMLE(GenerativeModel):
    """Learns a generator T whose samples lie near every example. Each round draws candidates

        e_1 .. e_m ~ N(0, I),  T(e_1) .. T(e_m),

    takes for every x_i of the data, or of a random subset S, the nearest of them,
    sigma(i) = argmin_j d(x_i, T(e_j)), and then takes steps on

        minimise over T    sum_{i in S} d(x_i, T(e_sigma(i))).

    A generator that is `Adaptive` is given the examples before the very first round, a `sketch` of
    them when they are streamed.

    No example is left without a sample near it, hence no mode is dropped; as the number of
    candidates grows, this maximises the likelihood. Examples may be images, latents or any vectors.

    Args:
        generator: T, a layer, noise [batch, noise_dim] -> examples [batch, *event].
        num_examples: N, that of the training data.
        noise_dim: of e, > 0.
        num_candidates: m, drawn each round, > 0; 2 N unless given.
        subset_size: of S, the examples that a round trains on, drawn anew each round; all of them
            unless given.
        staleness: epochs that a round lasts, > 0. An epoch passes over S once.
        distance: d, `SquaredEuclidean()` (the default) or another of `tfgen.latent.neighbours`.
        noise_std: standard deviation of Gaussian noise added to e_sigma(i) while training, >= 0.
        space: a projection that ends T, e.g. `Sphere()` for latents on a sphere; none unless given.
        seed, name: as for every model.

    Raises:
        TypeError: when a size or a number of epochs is not an integer.
        ValueError: when a number is out of range.

    Example:
        imle = IMLE(MLP((2,)), num_examples=len(x), noise_dim=8)
        imle.compile(optimizer="adam")
        imle.fit(x, batch_size=128, epochs=50)

    Reference: Li and Malik, "Implicit Maximum Likelihood Estimation", 2018,
        https://arxiv.org/abs/1809.09087.
    """

    groups = {"generator": ("generator",)}
    default_optimizers = {"generator": lambda: keras.optimizers.Adam(1e-3, beta_1=0.5)}

    def __init__(
        self,
        generator: keras.layers.Layer,
        num_examples: int,
        noise_dim: int = 32,
        num_candidates: int | None = None,
        subset_size: int | None = None,
        staleness: int = 1,
        distance: Distance | None = None,
        noise_std: float = 0.0,
        space: Callable[[tf.Tensor], tf.Tensor] | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        check_integer("num_examples", num_examples)
        check_integer("noise_dim", noise_dim)
        check_integer("staleness", staleness)
        if num_candidates is not None:
            check_integer("num_candidates", num_candidates)
        if subset_size is not None:
            check_integer("subset_size", subset_size)
            if subset_size > num_examples:
                raise ValueError(expected(f"`subset_size` <= {num_examples}", subset_size))
        check_not_negative("noise_std", noise_std)
        self.generator = generator
        self.num_examples = num_examples
        self.noise_dim = noise_dim
        self.num_candidates = num_candidates or 2 * num_examples
        self.subset_size = subset_size
        self.staleness = staleness
        self.distance = distance or SquaredEuclidean()
        self.noise_std = noise_std
        self.space = space or Euclidean()
        self.assigned_noise = self.add_weight(
            shape=(num_examples, noise_dim),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="assigned_noise",
        )
        self._event = specs.event_spec(output_shape(generator, (None, noise_dim))[1:])

    @property
    def event_spec(self) -> tf.TensorSpec:
        """What the generator makes."""
        return self._event

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """The noise, which `decode` takes."""
        return specs.latent_spec(self.noise_dim)

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns the distances between the examples of a batch and their samples."""
        e = tf.gather(self.assigned_noise.value, x["index"])
        if training and self.noise_std:
            e += self.noise_std * random.draw_normal(tf.shape(e), seed)
        return {"loss": self._distances(x["x"], self._transform(e, training))}

    def _transform(self, e: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns T(e), in float32 whatever the generator computes in."""
        return self.space(tf.cast(self.generator(e, training=training), tf.float32))

    def _distances(self, x: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        size = math.prod(self.event_shape)
        x, samples = (
            self.distance.prepare(tf.reshape(vectors, [-1, size])) for vectors in (x, samples)
        )
        return self.distance.scale * summed_squared_error(x, samples)

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of noise [batch, noise_dim]."""
        return self._transform(z, training=False)

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the example of one draw of noise a row seed, int32 [batch, 2]."""
        return self.decode_rows(random.normal(row_seeds, (self.noise_dim,)))

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        """Lets the generator begin from the data, if it can."""
        if isinstance(self.generator, Adaptive):
            self.generator.adapt(examples.sketch())

    def training_data(self, examples: Examples) -> Examples:
        """Restricts each round to its random subset."""
        if self.subset_size is None:
            return examples
        return examples.in_rounds(self.subset_size, self.staleness)

    def begin_epoch(self, epoch: int, examples: Examples | None) -> None:
        """Begins a round: finds the nearest candidate of each example that it trains on."""
        if epoch % self.staleness == 0 or self.step.numpy() == 0:
            members = examples.members(epoch)
            size = max(1, _SEARCHED_NUMBERS // math.prod(self.event_shape))
            for start in range(0, len(members), size):
                rows = members[start : start + size]
                noise = self.nearest_noise(examples.as_float(rows))
                self.assigned_noise.assign(
                    tf.tensor_scatter_nd_update(self.assigned_noise.value, rows[:, None], noise)
                )

    def nearest_noise(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the noise of the nearest of fresh candidates to each example.

        Candidates are made and compared block by block, so memory does not grow with their number.

        Args:
            x: float32 [batch, *event].

        Returns:
            [batch, noise_dim].
        """
        nearest = RunningNearest(x, self.distance)
        key = random.fold_in([self.seed, 1], tf.cast(self.step.value, tf.int32))
        block = _BLOCK_NUMBERS // math.prod(self.event_shape)
        block = max(_SMALLEST_BLOCK, min(block, _LARGEST_BLOCK))
        for first in range(0, self.num_candidates, block):
            size = min(block, self.num_candidates - first)
            noise, candidates = self._candidates(random.fold_in(key, first), size)
            nearest.update(candidates, noise)
        return nearest.payload

    @cached_property
    def _candidates(self) -> Callable[[tf.Tensor, int], tuple[tf.Tensor, tf.Tensor]]:
        """`_draw` as a graph, of this model alone; see `Inverter`."""
        return tf.function(partial(self._draw), reduce_retracing=True, autograph=False)

    def _draw(self, seed: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns noise, and the candidates that it becomes."""
        noise = random.draw_normal([size, self.noise_dim], seed)
        return noise, self._transform(noise, training=False)

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises unless all examples are at hand, as many and of the shape expected."""
        if examples is None:
            raise ValueError(
                expected(
                    "an array or what tfgen.data.load returned: each round searches all examples",
                    "a dataset",
                )
            )
        if examples.num_examples != self.num_examples:
            raise ValueError(expected(f"{self.num_examples} examples", examples.num_examples))
