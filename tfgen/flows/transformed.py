"""A flow over vectors as the base of another."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfgen.bijectors.bijector import Bijector
from tfgen.bijectors.chain import build
from tfgen.core.checks import expected
from tfgen.core.config import register
from tfgen.distributions.base import BaseDensity
from tfgen.distributions.noise import StandardNormal


@register
class Transformed(BaseDensity):
    """The density of x of which z = f(x) is drawn from another: a flow, as a base of flows.

    The bijector, and the base below, may be those of a `Flow` that is trained already, which
    `Transformed(flow.bijector, flow.base, trainable=False)` freezes.

    Args:
        bijector: f, over vectors.
        base: of z; N(0, I) unless given.
        dim: of the vectors, > 0; known from a bijector that is built.
        conditional: whether the bijector is given the condition of the flow.

    Raises:
        ValueError: when the size is not known, or the bijector is not one over vectors.
    """

    def __init__(
        self,
        bijector: Bijector,
        base: BaseDensity | None = None,
        dim: int | None = None,
        conditional: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if dim is None and not bijector.built:
            raise ValueError(expected("`dim`, as the bijector is not built", None))
        self.dim = math.prod(bijector.event_shape) if dim is None else dim
        self.bijector = bijector
        self.base = base or StandardNormal(self.dim)
        self.conditional = conditional

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one draw, float32 [dim]."""
        return tf.TensorSpec([self.dim], tf.float32, name="z")

    def build(self, input_shape: Sequence[int | None], condition_shape: Any = None) -> None:
        """Makes the weights, for vectors (None, dim), and conditions (None, features)."""
        self.condition_dim = int(condition_shape[-1]) if self.conditional else None
        build(self.bijector, (self.dim,), self.condition_dim)
        if not self.base.built:
            self.base.build(input_shape, condition_shape)
        if not self.trainable:
            self.bijector.trainable = self.base.trainable = False
        self.built = True

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        z = self.base.sample_rows(row_seeds, condition, temperature)
        return self.bijector.inverse(z, self._given(condition))

    def log_prob(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log density of each vector, [batch] of [batch, dim], in nats."""
        z, log_det = self.bijector.forward_and_log_det(x, self._given(condition))
        return self.base.log_prob(z, condition) + log_det

    def prepare(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> None:
        """Sets the weights of the bijector that begin from data, unless they are frozen."""
        if self.trainable:
            self.base.prepare(
                self.bijector.prepare(z, self._given(condition), inverse=False), condition
            )

    def _given(self, condition: tf.Tensor | None) -> tf.Tensor | None:
        return condition if self.conditional else None
