"""What all densities have in common: noise, priors, samplers over codes."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.core.config import Configurable

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd


class Density(Configurable, keras.layers.Layer, ABC):
    """A distribution that can be drawn from, and whose density is known; a layer owns its weights.

    A subclass writes `event_spec`, `sample_rows` and `log_prob`. Those that can be fitted to
    examples are `FittedDensity`.
    """

    @property
    @abstractmethod
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one draw, named "z"."""

    @abstractmethod
    def sample_rows(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Draws one event a row seed, [batch, *event] from int32 [batch, 2]."""

    @abstractmethod
    def log_prob(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the log density of each event, [batch] of [batch, *event], in nats."""

    def draw(self, num_rows: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws events for one step of training, [num_rows, *event], from a seed, int32 [2]."""
        return self.sample_rows(random.split([seed], num_rows)[0])


class VectorDensity(Density):
    """Base of the densities over vectors [batch, dim] that TFP has too.

    They are not trained: their weights, if they have any, come from elsewhere.

    Args:
        dim: of the vectors, > 0.

    Raises:
        TypeError: when `dim` is not an integer.
        ValueError: when it is not > 0.
    """

    def __init__(self, dim: int, **kwargs: object) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        check_integer("dim", dim)
        self.dim = dim

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one draw, float32 [dim]."""
        return tf.TensorSpec([self.dim], tf.float32, name="z")

    @abstractmethod
    def distribution(self) -> "tfd.Distribution":
        """Returns the TFP distribution over [dim], made anew by each call."""

    def log_prob(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the log density of each vector, float32 [batch] of [batch, dim], in nats.

        Raises:
            ValueError: when `x` has another shape.
        """
        return self.distribution().log_prob(self.vectors(x))

    def vectors(self, x: tf.Tensor) -> tf.Tensor:
        """Returns vectors as float32 [batch, dim], or raises ValueError."""
        x = tf.cast(x, tf.float32)
        check_rank("x", x.shape, 2, "[batch, dim]")
        if not x.shape[1:].is_compatible_with([self.dim]):
            raise ValueError(expected(f"vectors of {self.dim} numbers", tuple(x.shape)))
        return x


class FittedDensity(VectorDensity):
    """Base of the densities that `fit` takes from vectors, by maximum likelihood."""

    @property
    def fewest(self) -> int:
        """How many vectors `fit` needs at least."""
        return 2

    @abstractmethod
    def fit(self, x: np.ndarray) -> "FittedDensity":
        """Takes the weights from vectors.

        Args:
            x: [num_examples, dim], at least two, all finite.

        Returns:
            Itself.

        Raises:
            ValueError: when `x` is anything else.
        """

    def _constant(self, name: str, shape: tuple[int, ...], initializer: str) -> keras.Variable:
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, trainable=False, dtype="float32"
        )

    def _checked(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, np.float64)
        check_rank("x", x.shape, 2, "[num_examples, dim]")
        if x.shape[1] != self.dim or len(x) < self.fewest:
            what = f"at least {self.fewest} vectors of {self.dim} numbers"
            raise ValueError(expected(what, x.shape))
        if not np.isfinite(x).all():
            raise ValueError(expected("finite vectors", "NaN or infinity"))
        return x
