"""A bijector and the events that it is tried on."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from tfgen.bijectors import Bijector
from tfgen.bijectors.chain import build

CONDITION_DIM = 3


@dataclass(frozen=True)
class BijectorCase:
    """A bijector, tiny.

    Args:
        name: of the case.
        create: returns a new bijector, given `dtype`; its arguments differ from the defaults.
        event_shape: of x.
        conditional: whether it is given a condition.
        low, high: of each number of x; of a standard normal where they are None.
        noisy: the deviation of what is added to its initial weights, which may make an identity.
        atol: by which both round trips may be off in float64.
        constant: whether the log-determinant is the same for all x.
    """

    name: str
    create: Callable[..., Bijector]
    event_shape: tuple[int, ...]
    conditional: bool = False
    low: float | None = None
    high: float | None = None
    noisy: float = 0.3
    atol: float = 1e-8
    constant: bool = False

    def built(self, dtype: str = "float64") -> Bijector:
        """Returns a new bijector with the same weights each time, none of which is special."""
        keras.utils.set_random_seed(0)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype)  # Of the networks inside.
        try:
            bijector = self.create(dtype=dtype)
            build(bijector, self.event_shape, CONDITION_DIM if self.conditional else None)
        finally:
            keras.config.set_dtype_policy(before)
        rng = np.random.default_rng(1)
        for weight in bijector.trainable_weights:
            weight.assign(weight + self.noisy * rng.normal(size=weight.shape))
        return bijector

    def rows(self, count: int, dtype: str = "float64") -> tf.Tensor:
        """Returns events, [count, *event]."""
        rng = np.random.default_rng(2)
        shape = (count, *self.event_shape)
        if self.low is None:
            return tf.constant(rng.normal(size=shape), dtype)
        return tf.constant(rng.uniform(self.low, self.high, shape), dtype)

    def condition(self, count: int, dtype: str = "float64") -> tf.Tensor | None:
        """Returns conditions, [count, features]."""
        if not self.conditional:
            return None
        return tf.constant(np.random.default_rng(3).normal(size=(count, CONDITION_DIM)), dtype)
