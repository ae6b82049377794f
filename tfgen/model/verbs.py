"""The verbs of every model, and the error of a model that does not have one."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer
from tfgen.model.paths import linear

CAPABILITIES = {
    "sample_rows": "it has no sampler",
    "log_prob": "its density is not tractable",
    "log_prob_bound": "it has no bound on the likelihood",
    "encode": "it has no encoder",
    "decode": "it has no latent variables",
    "reconstruct": "it has no encoder",
    "complete": "it cannot condition on part of an example",
}
"""The methods a model may write, and why one that does not write it lacks it."""


class UnsupportedCapability(NotImplementedError):
    """Raised when a model is asked for something that its family cannot do."""

    def __init__(self, model: type, capability: str, able: list[str]) -> None:
        name = "sample" if capability == "sample_rows" else capability
        models = ", ".join(able) or "none yet"
        reason = CAPABILITIES[capability]
        super().__init__(f"{model.__name__} has no {name} ({reason}); models with {name}: {models}")


class Capabilities:
    """The verbs. A model overrides those that its mathematics allows; the others say so.

    Raises:
        UnsupportedCapability: by a verb that the model does not have.
    """

    @classmethod
    def capabilities(cls) -> frozenset[str]:
        """Returns the names of the capabilities that this class has."""
        return frozenset(
            name for name in CAPABILITIES if getattr(cls, name) is not getattr(Capabilities, name)
        )

    def sample(
        self, num_samples: int, seed: int | None = None, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Draws samples; the same seed gives the same samples.

        Args:
            num_samples: how many, > 0.
            seed: in [0, 2**31), or None for other samples at each call.
            condition: [num_samples, ...] what to condition on, for a conditional model.

        Returns:
            [num_samples, *event]; images are float32 in [0, 1].

        Raises:
            TypeError: when a number is not an integer.
            ValueError: when one is out of range, or an unconditional model gets a condition.
        """
        return self.sample_rows(random.row_seeds(num_samples, seed), condition)

    def sample_rows(self, row_seeds: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Draws one sample a row seed, [batch, *event] from int32 [batch, 2].

        Args:
            row_seeds: such as `tfgen.core.random.row_seeds` makes.
            condition: [batch, ...] what to condition on, for a conditional model.
        """
        raise self._unsupported("sample_rows")

    def log_prob(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the exact log density of each example, [batch], in nats."""
        raise self._unsupported("log_prob")

    def log_prob_bound(
        self, x: tf.Tensor, num_importance: int = 1, seed: int | None = None
    ) -> tf.Tensor:
        """Returns a lower bound on the log density of each example, [batch], in nats.

        Args:
            x: float32 [batch, *event].
            num_importance: draws of the latents that the bound averages over, > 0.
            seed: of the draws, in [0, 2**31), or None for others at each call.
        """
        raise self._unsupported("log_prob_bound")

    def encode(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> Any:
        """Returns the latents [batch, ...] of examples, or a named tuple that begins with them.

        Args:
            x: float32 [batch, *event].
            condition: [batch, ...] what they are conditioned on, for a conditional model.
        """
        raise self._unsupported("encode")

    def decode(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the examples [batch, *event] of latents [batch, ...] and their conditions."""
        raise self._unsupported("decode")

    def reconstruct(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the decoded latents of examples, [batch, *event] of [batch, *event]."""
        raise self._unsupported("reconstruct")

    def complete(self, x: tf.Tensor, mask: tf.Tensor, seed: int | None = None) -> tf.Tensor:
        """Returns examples [batch, *event] whose entries under `mask` == 0 are drawn anew.

        Args:
            x: float32 [batch, *event], of which the entries under `mask` != 0 are given.
            mask: which entries are given, broadcast to `x`.
            seed: of the draws, in [0, 2**31), or None for others at each call.
        """
        raise self._unsupported("complete")

    def interpolate(
        self,
        start: tf.Tensor,
        end: tf.Tensor,
        num_points: int = 8,
        path: Callable = linear,
        condition: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Decodes points on paths between latents.

        Args:
            start, end: [batch, latent_dim], the latents at both ends.
            num_points: on each path, both ends counted, >= 2.
            path: `tfgen.model.paths.linear` or `spherical`.
            condition: [batch, ...], of each path, for a conditional model.

        Returns:
            [batch, num_points, *event].

        Raises:
            TypeError: when `num_points` is not an integer.
            ValueError: when it is below 2.
        """
        check_integer("num_points", num_points, minimum=2)
        points = path(start, end, tf.linspace(0.0, 1.0, num_points))
        if condition is not None:
            condition = tf.repeat(condition, num_points, axis=0)
        decoded = self.decode(tf.reshape(points, [-1, *points.shape[2:]]), condition)
        return tf.reshape(decoded, [-1, num_points, *decoded.shape[1:]])

    def latent_arithmetic(
        self, a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Decodes a - b + c, the analogy "a is to b as the result is to c".

        Args:
            a, b, c: latents [batch, latent_dim].
            condition: [batch, ...], of the results, for a conditional model.

        Returns:
            [batch, *event].
        """
        return self.decode(a - b + c, condition)

    @property
    def condition_spec(self) -> tf.TensorSpec | None:
        """The specification of a batch of conditions, by name; None of an unconditional model."""
        return None

    @classmethod
    def _unsupported(cls, capability: str) -> UnsupportedCapability:
        able = sorted(
            m.__name__ for m in _subclasses(Capabilities) if capability in m.capabilities()
        )
        return UnsupportedCapability(cls, capability, able)


def _subclasses(cls: type) -> Iterator[type]:
    for subclass in cls.__subclasses__():
        if not subclass.__name__.startswith("_"):
            yield subclass
        yield from _subclasses(subclass)
