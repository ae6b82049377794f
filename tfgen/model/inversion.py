"""Latents of examples, found by optimisation through a decoder that stays as it is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Encoding(NamedTuple):
    """Latents found by optimisation, and how near they come.

    Attributes:
        z: [batch, latent_dim].
        distance: [batch], the loss between each example and its reconstruction.
    """

    z: tf.Tensor
    distance: tf.Tensor


def latents(encoding: Any) -> Any:
    """Returns the latents alone of what `encode` returned."""
    return encoding.z if isinstance(encoding, Encoding) else encoding


@register
@dataclass(frozen=True)
class Inversion(Configurable):
    """How `encode` of a model without an encoder finds latents: by Adam, from several starts.

    Args:
        steps: of Adam from each start, > 0; one only looks at the start.
        restarts: starting points, the same for all examples, > 0.
        loss: `loss(x, reconstruction) -> [batch]`; the model's own unless given.
        batch_size: how many examples are optimised at a time at most, > 0, which bounds the memory
            and changes results by rounding alone; `encode` has a `batch_size`, too. A graph, say
            one that is exported, optimises all at once.

    Raises:
        TypeError: when a number is not an integer, or the loss not a function.
        ValueError: when a number is not > 0.

    Reference: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", 2016,
        https://arxiv.org/abs/1609.03552, section 3.1.
    """

    steps: int = 200
    restarts: int = 4
    loss: Loss | None = None
    batch_size: int = 256

    def __post_init__(self) -> None:
        for name in ("steps", "restarts", "batch_size"):
            check_integer(name, getattr(self, name))
        if self.loss is not None and not callable(self.loss):
            raise TypeError(expected("`loss`, e.g. AbsoluteError()", repr(self.loss)))


def checked_inversion(inversion: Any) -> Inversion:
    """Returns an inversion, the default one for None; raises TypeError for anything else."""
    if not isinstance(inversion, Inversion | None):
        raise TypeError(expected("`inversion`, e.g. Inversion(steps=200)", repr(inversion)))
    return inversion or Inversion()


class Inverter:
    """The inversion of one model's decoder, traced once for each `Inversion`.

    Args:
        decode: `decode(z, condition) -> examples`, latents [batch, d] and conditions by name.
        loss: between examples and reconstructions, where an `Inversion` names none.
        starts: `starts(row_seeds) -> [num, d]` of int32 [num, 2], the points that descents start
            from, which are always the same.
        project: what keeps latents where they must be, after each step.
    """

    def __init__(
        self,
        decode: Callable[[tf.Tensor, dict[str, tf.Tensor] | None], tf.Tensor],
        loss: Loss,
        starts: Callable[[tf.Tensor], tf.Tensor],
        project: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> None:
        self._decode = decode
        self._loss = loss
        self._starts = starts
        self._project = project
        self._losses: list[Loss] = []
        # As a graph, as it takes hundreds of steps. Of a partial, which is this model's alone:
        # TensorFlow counts the traces of a method for all models together, and would warn.
        self._search = tf.function(partial(self._best), reduce_retracing=True, autograph=False)

    def encode(
        self, x: tf.Tensor, condition: dict[str, tf.Tensor] | None, inversion: Inversion
    ) -> Encoding:
        """Returns the best latents that all descents meet, for each example.

        Args:
            x: float32 [batch, *event].
            condition: by name, [batch, ...].
            inversion: how to search.
        """
        inversion = checked_inversion(inversion)
        loss = self._known(inversion.loss or self._loss)
        search = partial(
            self._search, loss=loss, steps=inversion.steps, restarts=inversion.restarts
        )
        return in_batches(search, (x, condition or {}), inversion.batch_size)

    def _known(self, loss: Loss) -> Loss:
        """Returns an equal loss that was used before, if there is one.

        TensorFlow knows arguments again only while they live, and would trace anew.
        """
        found = next((known for known in self._losses if known == loss), None)
        if found is None:
            self._losses.append(loss)
        return loss if found is None else found

    def reconstruct(
        self, x: tf.Tensor, condition: dict[str, tf.Tensor] | None, inversion: Inversion
    ) -> tf.Tensor:
        """Returns the decoded latents that `encode` finds, [batch, *event]."""
        z = self.encode(x, condition, inversion).z
        return in_batches(self._decode, (z, condition or {}), inversion.batch_size)

    def _best(
        self, x: tf.Tensor, condition: dict[str, tf.Tensor], loss: Loss, steps: int, restarts: int
    ) -> Encoding:
        # Of a stream of their own: `sample(seed=0)` would begin there otherwise.
        starts = self._starts(random.stream(random.row_seeds(restarts, seed=0), "inversion"))
        return invert(
            lambda z: loss(x, self._decode(z, condition)),
            tf.ensure_shape(starts, [restarts, None]),
            tf.shape(x)[0],
            steps,
            self._project,
        )


def invert(
    distance: Callable[[tf.Tensor], tf.Tensor],
    starts: tf.Tensor,
    num_rows: int | tf.Tensor,
    num_steps: int,
    project: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> Encoding:
    """Minimises distances over latents, from several starting points, and keeps the best point met.

    To be called in a graph: it takes `num_steps` steps of Adam from each start.

    Args:
        distance: latents [num_rows, d] -> [num_rows], each a function of its own row.
        starts: [num_restarts, d], of known shape, the same for all rows.
        num_rows: of the latents.
        num_steps: of each descent, > 0; one only looks at the start.
        project: what keeps latents where they must be, after each step.
    """
    far = tf.fill([num_rows], float("inf"))
    best = Encoding(tf.zeros([num_rows, starts.shape[1]]), far)
    for start in tf.unstack(starts):
        z = tf.broadcast_to(start, tf.shape(best.z))
        best = _nearer(best, _descend(distance, z, num_steps, project))
    return best


def _descend(
    distance: Callable[[tf.Tensor], tf.Tensor],
    z: tf.Tensor,
    num_steps: int,
    project: Callable[[tf.Tensor], tf.Tensor],
) -> Encoding:
    """Returns the best of the points that Adam meets on its way from z."""
    rate, beta_1, beta_2 = 0.1, 0.9, 0.99

    def body(step: tf.Tensor, z: tf.Tensor, m: tf.Tensor, v: tf.Tensor, best: Encoding) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(z)
            reached = distance(z)
        best = _nearer(best, Encoding(z, reached))
        slope = tape.gradient(reached, z)
        m = beta_1 * m + (1 - beta_1) * slope
        v = beta_2 * v + (1 - beta_2) * tf.square(slope)
        t = tf.cast(step + 1, tf.float32)
        unbiased_v = v / (1 - beta_2**t)
        decay = 0.5 * (1 + tf.cos(math.pi * t / num_steps))
        move = rate * decay * m / (1 - beta_1**t) / (tf.sqrt(unbiased_v) + 1e-8)
        return step + 1, project(z - move), m, v, best

    far = tf.fill(tf.shape(z)[:1], float("inf"))
    zeros = tf.zeros_like(z)
    *_, best = tf.while_loop(
        lambda step, *_: step < num_steps,
        body,
        (tf.constant(0), z, zeros, zeros, Encoding(z, far)),
    )
    return best


def _nearer(a: Encoding, b: Encoding) -> Encoding:
    """Returns the nearer of two latents for each example."""
    closer = b.distance < a.distance
    return Encoding(
        tf.where(closer[:, tf.newaxis], b.z, a.z), tf.where(closer, b.distance, a.distance)
    )


def in_batches(function: Callable[..., Any], rows: tuple, batch_size: int) -> Any:
    """Returns a function of rows, computed `batch_size` at a time; in a graph, for all at once.

    Args:
        function: nests of tensors [batch, ...] -> a nest of tensors [batch, ...].
        rows: its arguments, of as many rows each, or None.
        batch_size: > 0.
    """
    count = keras.tree.flatten(rows)[0].shape[0]
    if not tf.executing_eagerly() or count <= batch_size:
        return function(*rows)

    def part(first: int) -> Any:
        cut = lambda row: None if row is None else row[first : first + batch_size]  # noqa: E731
        return function(*keras.tree.map_structure(cut, rows))

    parts = [part(first) for first in range(0, count, batch_size)]
    return tf.nest.map_structure(lambda *part: tf.concat(part, axis=0), *parts)
