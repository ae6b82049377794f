"""Distributions as NumPy arrays see them: points in, densities and draws out."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfgen.distributions.density import VectorDensity


@runtime_checkable
class KnowsDensity(Protocol):
    """Anything that tells its density, such as a TFP distribution."""

    def log_prob(self, x: Any) -> Any:
        """Returns the log density of each x."""


class ArrayDistribution:
    """A distribution over numbers or vectors, called with float64 arrays.

    It answers with arrays of its own precision, and with None what it does not know.

    Args:
        distribution: a TFP distribution, a density of this package, or anything over numbers or
            vectors with the `log_prob` of a TFP distribution, and perhaps its `cdf` and `quantile`.
    """

    def __init__(self, distribution: KnowsDensity) -> None:
        if isinstance(distribution, VectorDensity):
            distribution = distribution.distribution()
        self.distribution = distribution

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """How many distributions it is; () for one."""
        return tuple(getattr(self.distribution, "batch_shape", ()))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one draw; () for numbers."""
        return tuple(getattr(self.distribution, "event_shape", ()))

    @property
    def dtype(self) -> tf.DType:
        """What the distribution takes."""
        return tf.as_dtype(getattr(self.distribution, "dtype", tf.float64))

    @property
    def is_tfp(self) -> bool:
        """Whether it is a TFP distribution, from which one can draw."""
        from tensorflow_probability import distributions as tfd

        return isinstance(self.distribution, tfd.Distribution)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Returns the log density of each event, [n] of [n, *event]."""
        return np.asarray(self.distribution.log_prob(self._taken(x)))

    def cdf(self, x: np.ndarray | float) -> np.ndarray | None:
        """Returns the mass up to each number."""
        return self._answer("cdf", x)

    def quantile(self, levels: np.ndarray) -> np.ndarray | None:
        """Returns the number up to which there is as much mass as each level."""
        return self._answer("quantile", levels)

    def sample(self, num: int, seed: tuple[int, int]) -> np.ndarray:
        """Draws events, [num, *event], the same for the same seed; only from TFP distributions."""
        return np.asarray(self.distribution.sample(num, seed=np.array(seed, np.int32)))

    def _answer(self, method: str, x: np.ndarray | float) -> np.ndarray | None:
        try:
            answer = getattr(self.distribution, method, lambda x: None)(self._taken(x))
        except NotImplementedError:
            return None
        return None if answer is None else np.asarray(answer)

    def _taken(self, x: np.ndarray | float) -> np.ndarray:
        with np.errstate(over="ignore"):  # Numbers too large for float32 are infinite.
            return np.asarray(x, np.float64).astype(self.dtype.as_numpy_dtype)
