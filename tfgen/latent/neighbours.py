"""Exact nearest neighbours of many queries among many candidates, without their distance matrix.

A distance is the squared Euclidean distance of two prepared vectors, up to a factor, so that one
matrix product scores many pairs. Candidates are scored in float32, tile by tile, keeping only each
tile's minimum; the few that are within rounding of the best are then compared in float64.
"""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register

TILE = 512  # Candidates per matrix product; the scores, [chunk, TILE], stay in the cache.
CHUNK_FLOATS = 2**22  # Of a chunk of queries, or of its scores in a tile.
BLOCK_FLOATS = 2**23  # Of a block of candidates.
FINALISTS = 4  # Candidates per query and tile that are compared in float64, where ties abound.
LARGEST = 1e36  # Squared norm; sums of a few such numbers must stay in float32.


@runtime_checkable
class Distance(Protocol):
    """A distance `scale * |prepare(x) - prepare(y)|^2` between vectors x and y."""

    scale: float

    def prepare(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the vectors to compare by squared differences, of float32 [batch, d]."""


@register
@dataclasses.dataclass(frozen=True)
class SquaredEuclidean(Configurable):
    """The squared Euclidean distance |x - y|^2."""

    scale = 1.0

    def prepare(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the vectors, float32 [batch, d], as they are."""
        return vectors


@register
@dataclasses.dataclass(frozen=True)
class Cosine(Configurable):
    """The cosine distance 1 - cos(x, y), in [0, 2]: half the squared distance of unit vectors.

    A vector of zeros has no direction; it is refused.
    """

    scale = 0.5

    def prepare(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the vectors, float32 [batch, d], divided by their lengths."""
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
        queries: [num_queries, ...] vectors, images or other arrays; converted to float32.
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

        The first seen of equally near candidates is kept. Distances that matter are compared in
        float64; the result is exact unless a query has more than 4 candidates of a tile of 512
        within float32 rounding of its nearest: then it is one of those. (On a GPU that holds if
        TensorFloat-32, whose products are coarser, is switched off.)

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
        best, columns = _search(self._queries, self._best, vectors)
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
        queries: [num_queries, ...] vectors, images or other arrays; converted to float32.
        candidates: [num_candidates, ...], each of the shape of a query.
        distance: A `Distance`; None is `SquaredEuclidean()`.
        block: Number of candidates searched at a time; None takes at most 32 MB of them.

    Returns:
        The indices, int64 [num_queries], the lowest among equals, and the distances, float32
        [num_queries] (squared for `SquaredEuclidean`). See `RunningNearest.update` on exactness.

    Raises:
        TypeError: `distance` is not a `Distance`.
        ValueError: An argument is empty or not finite, or their sizes differ.

    >>> nearest([[0.0], [5.0]], [[1.0], [4.0], [6.0]])[0].numpy().tolist()
    [0, 1]
    """
    running = RunningNearest(queries, distance)
    candidates = candidates if tf.is_tensor(candidates) else np.asarray(candidates)
    _check_rows("candidates", candidates.shape)
    if block is None:
        block = min(max(TILE, BLOCK_FLOATS // running._queries.shape[1]), 2**17)
    check_integer("block", block)
    for start in range(0, candidates.shape[0], block):
        running.update(candidates[start : start + block])
    return running.indices, running.distances


def _check_rows(name: str, shape: Any) -> None:
    if len(shape) < 2 or 0 in shape:
        rows = f"`{name}` of rank 2 or more, [batch, ...], and not empty"
        raise ValueError(expected(rows, f"shape {tuple(shape)}"))


def _prepare(name: str, rows: Any, distance: Distance, size: int | None = None) -> tf.Tensor:
    """Returns the rows, checked, as the vectors to compare, float32 [batch, d]."""
    rows = tf.cast(tf.convert_to_tensor(rows), tf.float32)
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


def _search(
    queries: tf.Tensor, best: tf.Tensor, candidates: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the squared distances to, and the rows of, the nearest candidates.

    Where the distance is not below `best`, float64 [num_queries], it and the row mean nothing.
    """
    # Around a point amid the candidates, rounding errors are small whatever offset the data have.
    center = tf.reduce_mean(candidates[:TILE], axis=0)
    columns, reach = _columns(candidates, center)
    step = CHUNK_FLOATS // max(TILE, candidates.shape[1])
    found = [
        _search_chunk(queries[i : i + step], best[i : i + step], candidates, center, columns, reach)
        for i in range(0, queries.shape[0], step)
    ]
    distances, indices = zip(*found, strict=True)
    return tf.concat(distances, axis=0), tf.concat(indices, axis=0)


@tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None])])
def _columns(candidates: tf.Tensor, center: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns [y, |y|^2] as columns, [d + 1, batch], and the largest |y|, of y = c - center."""
    y = candidates - center
    norms = tf.reduce_sum(tf.square(y), axis=1, keepdims=True)
    return tf.transpose(tf.concat([y, norms], axis=1)), tf.sqrt(tf.reduce_max(norms))


@tf.function(
    input_signature=[
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None], tf.float64),
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None]),
        tf.TensorSpec([None, None]),
        tf.TensorSpec([]),
    ]
)
def _search_chunk(
    queries: tf.Tensor,
    best: tf.Tensor,
    candidates: tf.Tensor,
    center: tf.Tensor,
    columns: tf.Tensor,
    reach: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Does `_search` for some queries: scores [-2x, 1] @ [y, |y|^2] = |x - y|^2 - |x|^2."""
    x = queries - center
    norms = tf.reduce_sum(tf.square(x), axis=1)
    x = tf.concat([-2.0 * x, tf.ones_like(norms)[:, None]], axis=1)
    minima = tf.map_fn(
        lambda tile: tf.reduce_min(_scores(x, columns, tile), axis=1),
        tf.range(-(-tf.shape(columns)[1] // TILE)),
        parallel_iterations=2,
        fn_output_signature=tf.float32,
    )
    # A float32 score is off by less than this: one rounding for each of its d + 1 products and
    # sums and for the few operations before and after, of numbers below (|x| + |y|)^2.
    dim = tf.cast(tf.shape(x)[1], tf.float32)
    rounding = (dim + 8.0) * 2.0**-24 * tf.square(tf.sqrt(norms) + reach)
    lowest = tf.reduce_min(minima, axis=0) + rounding
    limit = tf.minimum(lowest, tf.cast(best, tf.float32) - norms) + rounding
    pairs, distances = _finalists(x, queries, columns, candidates, minima, limit)

    num_rows, rows = tf.shape(x)[0], pairs[:, 0]
    best = tf.math.unsorted_segment_min(distances, rows, num_rows)
    pairs = tf.boolean_mask(pairs, distances == tf.gather(best, rows))
    indices = tf.math.unsorted_segment_min(pairs[:, 1], pairs[:, 0], num_rows)
    # A row without finalists has the largest integer here; some index that exists does as well.
    return best, tf.minimum(indices, tf.shape(candidates, tf.int64)[0] - 1)


def _scores(x: tf.Tensor, columns: tf.Tensor, tile: tf.Tensor) -> tf.Tensor:
    return x @ columns[:, tile * TILE : (tile + 1) * TILE]


def _finalists(
    x: tf.Tensor,
    queries: tf.Tensor,
    columns: tf.Tensor,
    candidates: tf.Tensor,
    minima: tf.Tensor,
    limit: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the (query, candidate) pairs that score up to `limit`, and their true distances."""
    num_tiles = tf.shape(minima)[0]
    all_pairs = tf.TensorArray(tf.int64, num_tiles, infer_shape=False, element_shape=[None, 2])
    distances = tf.TensorArray(tf.float64, num_tiles, infer_shape=False, element_shape=[None])
    for tile in tf.range(num_tiles):
        tf.autograph.experimental.set_loop_options(parallel_iterations=2)
        rows = tf.where(minima[tile] <= limit)[:, 0]
        scores = _scores(tf.gather(x, rows), columns, tile)
        close = _up_to(tf.gather(limit, rows)[:, None], scores)
        pairs = tf.stack([tf.gather(rows, close[:, 0]), close[:, 1]], axis=1)
        pairs += tf.cast([0, tile * TILE], tf.int64)
        difference = tf.cast(tf.gather(queries, pairs[:, 0]), tf.float64)
        difference -= tf.cast(tf.gather(candidates, pairs[:, 1]), tf.float64)
        all_pairs = all_pairs.write(tile, pairs)
        distances = distances.write(tile, tf.reduce_sum(tf.square(difference), axis=1))
    return all_pairs.concat(), distances.concat()


def _up_to(limit: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Returns where scores <= limit, int64 [count, 2]; the lowest of each row if these are many."""
    close = tf.where(scores <= limit)
    if tf.shape(close)[0] > FINALISTS * tf.shape(scores)[0]:
        # Equal candidates, say of a collapsed generator, would make all pairs finalists.
        negative, order = tf.math.top_k(-scores, FINALISTS)
        close = tf.where(-negative <= limit)
        column = tf.cast(tf.gather_nd(order, close), tf.int64)
        close = tf.stack([close[:, 0], column], axis=1)
    return close
