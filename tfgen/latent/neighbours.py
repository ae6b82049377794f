"""Exact nearest neighbours of many queries among many candidates, without their distance matrix.

A distance is the squared Euclidean distance of two prepared vectors, up to a factor.
"""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.latent.search import TILE, search

BLOCK_FLOATS = 2**23  # Of a block of candidates.
LARGEST = 1e36  # Squared norm; sums of a few such numbers must stay in float32.


@runtime_checkable
class Distance(Protocol):
    """A distance `scale * |prepare(x) - prepare(y)|^2` between vectors x and y."""

    scale: float

    def prepare(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the vectors to compare by squared differences, of float32 [batch, d].

        Those of this module also take float64, and return it.
        """


@register
@dataclasses.dataclass(frozen=True)
class SquaredEuclidean(Configurable):
    """The squared Euclidean distance |x - y|^2."""

    scale = 1.0

    def prepare(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the vectors, float [batch, d], as they are."""
        return vectors


@register
@dataclasses.dataclass(frozen=True)
class Cosine(Configurable):
    """The cosine distance 1 - cos(x, y), in [0, 2]: half the squared distance of unit vectors.

    A vector of zeros has no direction; it is refused.
    """

    scale = 0.5

    def prepare(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the vectors, float [batch, d], divided by their lengths."""
        # Dividing by the largest value first keeps the squares of tiny values above zero.
        vectors = vectors / tf.reduce_max(tf.abs(vectors), axis=1, keepdims=True)
        return vectors / tf.norm(vectors, axis=1, keepdims=True)


class RunningNearest:
    """The nearest of all candidates seen so far, for every query.

    Memory does not grow with the number of candidates: draw a block of them, `update`, forget it.
    Blocks of some thousands are searched fastest.

    Example:
        running = RunningNearest(images)
        for noise in noise_blocks:
            running.update(generator(noise), payload=noise)
        running.payload  # The noise of each image's nearest sample, [num_queries, noise_dim].

    Attributes:
        indices: int64 [num_queries], of the nearest candidates; -1 before the first `update`.
        distances: float32 [num_queries], to them; infinite before the first `update`.
        payload: [num_queries, ...], what came with them; None if nothing did.
        num_candidates: How many candidates were seen.

    Args:
        queries: [num_queries, ...] vectors, images or other arrays. Numbers that float32 does not
            hold are kept as float64.
        distance: A `Distance`; None is `SquaredEuclidean()`.

    Raises:
        TypeError: `distance` is not a `Distance`.
        ValueError: `queries` has no rows, or one that is not finite (or zero, for `Cosine`).
    """

    def __init__(self, queries: Any, distance: Distance | None = None) -> None:
        self.distance = SquaredEuclidean() if distance is None else distance
        if not isinstance(self.distance, Distance):
            raise TypeError(expected("`distance` with `prepare` and `scale`", repr(distance)))
        self._queries = _prepare("queries", queries, self.distance)
        count = self._queries.shape[0]
        self._best = tf.fill([count], tf.constant(float("inf"), tf.float64))
        self.indices = tf.fill([count], tf.constant(-1, tf.int64))
        self.payload = None
        self.num_candidates = 0

    @property
    def distances(self) -> tf.Tensor:
        """To the nearest candidates, float32 [num_queries]; infinite before the first `update`."""
        return tf.cast(self.distance.scale * self._best, tf.float32)

    def update(self, candidates: Any, payload: Any = None) -> None:
        """Takes a block of candidates into account.

        The nearest candidate is the one whose sum of squared differences, in float64, is the
        least, and the first seen of equals. (On a GPU that holds if TensorFloat-32, whose products
        are coarser, is switched off.)

        Args:
            candidates: [block, ...], each of the shape of a query. Their indices go on from
                those of the block before.
            payload: [block, ...], what to keep of each candidate; in every call or in none.

        Raises:
            ValueError: `candidates` is empty, not finite, or of another size than the queries;
                `payload` has not one row for each, or was not given in all calls.
        """
        vectors = _prepare("candidates", candidates, self.distance, self._queries.shape[1])
        payload = None if payload is None else tf.convert_to_tensor(payload)
        self._check_payload(payload, vectors.shape[0])
        best, columns = search(self._queries, self._best, vectors)
        nearer = best < self._best
        if payload is not None:
            new, old = tf.gather(payload, columns), self.payload
            mask = tf.reshape(nearer, [-1] + [1] * (payload.shape.rank - 1))
            self.payload = new if old is None else tf.where(mask, new, old)
        self._best = tf.where(nearer, best, self._best)
        self.indices = tf.where(nearer, columns + self.num_candidates, self.indices)
        self.num_candidates += vectors.shape[0]

    def _check_payload(self, payload: tf.Tensor | None, count: int) -> None:
        if self.num_candidates and (payload is None) != (self.payload is None):
            raise ValueError(expected("`payload` in every update or in none", payload))
        if payload is None:
            return
        row = payload.shape[1:] if self.payload is None else self.payload.shape[1:]
        if payload.shape != [count, *row]:
            received = f"shape {tuple(payload.shape)}"
            raise ValueError(expected(f"`payload` of shape {(count, *row)}", received))


def nearest(
    queries: Any, candidates: Any, distance: Distance | None = None, block: int | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds for every query the nearest of the candidates.

    Args:
        queries: [num_queries, ...] vectors, images or other arrays. Numbers that float32 does not
            hold are kept as float64.
        candidates: [num_candidates, ...], each of the shape of a query.
        distance: A `Distance`; None is `SquaredEuclidean()`.
        block: Number of candidates searched at a time; None takes at most 32 MB of them.

    Returns:
        The indices, int64 [num_queries], those of the least sums of squared differences in
        float64, the lowest among equals; and the distances, float32 [num_queries] (squared for
        `SquaredEuclidean`).

    Raises:
        TypeError: `distance` is not a `Distance`.
        ValueError: An argument is empty or not finite, or their sizes differ.

    >>> nearest([[0.0], [5.0]], [[1.0], [4.0], [6.0]])[0].numpy().tolist()
    [0, 1]
    """
    running = RunningNearest(queries, distance)
    candidates = _as_array(candidates)
    _check_rows("candidates", candidates.shape)
    if block is None:
        block = min(max(TILE, BLOCK_FLOATS // running._queries.shape[1]), 2**17)
    check_integer("block", block)
    for start in range(0, candidates.shape[0], block):
        running.update(candidates[start : start + block])
    return running.indices, running.distances


def _as_array(rows: Any) -> tf.Tensor | np.ndarray:
    return rows if tf.is_tensor(rows) else np.asarray(rows)


def _check_rows(name: str, shape: Any) -> None:
    if len(shape) < 2 or 0 in shape:
        rows = f"`{name}` of rank 2 or more, [batch, ...], and not empty"
        raise ValueError(expected(rows, f"shape {tuple(shape)}"))


def _prepare(name: str, rows: Any, distance: Distance, size: int | None = None) -> tf.Tensor:
    """Returns the rows, checked, as the vectors to compare, float32 or float64 [batch, d]."""
    rows = tf.convert_to_tensor(_as_array(rows))
    rows = tf.cast(rows, _dtype_for(rows.dtype, distance))
    _check_rows(name, rows.shape)
    vectors = distance.prepare(tf.reshape(rows, [rows.shape[0], -1]))
    if size not in (None, vectors.shape[1]):
        raise ValueError(expected(f"`{name}` with rows of {size} values", vectors.shape[1]))
    if tf.executing_eagerly():
        norms = tf.reduce_sum(tf.square(vectors), axis=1)
        bad = tf.where(~(norms < LARGEST))
        if bad.shape[0]:
            row = int(bad[0, 0])
            finite = f"rows of `{name}` with a finite squared norm < {LARGEST} under {distance}"
            raise ValueError(expected(finite, f"{float(norms[row])} in row {row}"))
    return vectors


def _dtype_for(dtype: tf.DType, distance: Distance) -> tf.DType:
    """Returns the dtype that loses nothing of the rows, for a distance that takes it."""
    if isinstance(distance, Cosine):
        return tf.float64  # Lengths that are rounded to float32 change the order of directions.
    is_wide = dtype.size > 2 and dtype != tf.float32
    return tf.float64 if is_wide and isinstance(distance, SquaredEuclidean) else tf.float32
