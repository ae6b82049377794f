"""The search behind `tfgen.latent.neighbours`: the least sum of squared differences, in float64.

One matrix product scores many pairs. Candidates are scored in float32, tile by tile, keeping only
each tile's minimum. All that are within the rounding of these scores of the best are then compared
by their differences in float64; where these are many, float64 scores come between.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

TILE = 512  # Candidates per matrix product; the scores, [chunk, TILE], stay in the cache.
CHUNK_FLOATS = 2**22  # Of a chunk of queries, of its scores in a tile, or of differences.
FINALISTS = 4  # Candidates per query and tile; where there are more, float64 scores choose first.


def search(
    queries: tf.Tensor, best: tf.Tensor, candidates: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the squared distances to, and the rows of, the nearest candidates.

    Args:
        queries: float32 or float64 [num_queries, d].
        best: float64 [num_queries], squared distances to candidates seen before, or infinity.
        candidates: float32 or float64 [num_candidates, d], at least one.

    Returns:
        The distances, float64 [num_queries], and the rows, int64 [num_queries], the lowest among
        equals. Where the distance is not below `best`, it and the row mean nothing.
    """
    if queries.dtype != candidates.dtype:
        queries, candidates = tf.cast(queries, tf.float64), tf.cast(candidates, tf.float64)
    # Around a point amid the candidates, rounding errors are small whatever offset the data have.
    center = tf.reduce_mean(candidates, axis=0)
    to_columns, of_chunk = _compiled(queries.dtype)
    columns, reaches = to_columns(candidates, center)
    step = max(1, CHUNK_FLOATS // max(TILE, candidates.shape[1]))
    found = [
        of_chunk(queries[i : i + step], best[i : i + step], candidates, center, columns, reaches)
        for i in range(0, queries.shape[0], step)
    ]
    distances, indices = zip(*found, strict=True)
    return tf.concat(distances, axis=0), tf.concat(indices, axis=0)


@functools.cache
def _compiled(dtype: tf.DType) -> tuple[Callable, Callable]:
    """Returns `_columns` and `_search_chunk` for vectors of a dtype, traced once."""
    matrix, vector = tf.TensorSpec([None, None], dtype), tf.TensorSpec([None], dtype)
    columns, reaches = tf.TensorSpec([None, None]), tf.TensorSpec([None])
    best = tf.TensorSpec([None], tf.float64)
    return (
        tf.function(_columns, input_signature=[matrix, vector]),
        tf.function(
            _search_chunk, input_signature=[matrix, best, matrix, vector, columns, reaches]
        ),
    )


def _columns(candidates: tf.Tensor, center: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns [y, |y|^2] as columns, [d + 1, batch], of y = c - center, and tiles' largest |y|."""
    y = tf.cast(candidates - center, tf.float32)
    norms = tf.reduce_sum(tf.square(y), axis=1, keepdims=True)
    tiles = tf.range(tf.shape(y)[0]) // TILE
    reaches = tf.sqrt(tf.math.segment_max(norms[:, 0], tiles))
    return tf.transpose(tf.concat([y, norms], axis=1)), reaches


def _search_chunk(
    queries: tf.Tensor,
    best: tf.Tensor,
    candidates: tf.Tensor,
    center: tf.Tensor,
    columns: tf.Tensor,
    reaches: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Does `search` for some queries: scores [-2x, 1] @ [y, |y|^2] = |x - y|^2 - |x|^2."""
    exact = tf.cast(queries, tf.float64) - tf.cast(center, tf.float64)
    norms = tf.reduce_sum(tf.square(exact), axis=1)
    x = tf.concat([tf.cast(-2.0 * exact, tf.float32), tf.ones([tf.shape(exact)[0], 1])], axis=1)
    minima = tf.map_fn(
        lambda tile: tf.reduce_min(_scores(x, columns, tile), axis=1),
        tf.range(tf.shape(reaches)[0]),
        parallel_iterations=2,
        fn_output_signature=tf.float32,
    )
    dim = tf.shape(queries)[1]
    rounding = _rounding(tf.cast(tf.sqrt(norms), tf.float32), reaches[:, None], dim)
    # What is left of `best` after the subtraction may be of the size of float64's own rounding.
    doubt = 2.0**-52 * (tf.cast(dim, tf.float64) + 8.0) * (best + norms)
    known = tf.cast(best - norms + doubt, tf.float32)
    lowest = tf.minimum(tf.reduce_min(minima + rounding, axis=0), known)
    rows, distances, indices = _finalists(
        x, queries, columns, candidates, minima, lowest + rounding
    )
    best, indices = _least(distances, rows, indices, tf.shape(x)[0])
    # A row without finalists has the largest integer here; some index that exists does as well.
    return best, tf.minimum(indices, tf.shape(candidates, tf.int64)[0] - 1)


def _rounding(x: tf.Tensor, y: tf.Tensor, dim: tf.Tensor) -> tf.Tensor:
    """Returns by how much a score may be off, of vectors with lengths |x| and at most |y|.

    The errors of the d + 1 products and sums of a score and of those of |y|^2, and of the few
    operations before and after, are each below half an epsilon times the terms, of which the sums
    of absolute values are at most 2 |x| |y| and |y|^2. What underflows adds the smallest number.
    """
    limits = np.finfo(x.dtype.as_numpy_dtype)
    dim = 1.01 * tf.cast(dim, x.dtype) + 8.0
    return dim * (limits.eps * y * (x + y) + limits.tiny)


def _scores(x: tf.Tensor, columns: tf.Tensor, tile: tf.Tensor) -> tf.Tensor:
    return x @ columns[:, tile * TILE : (tile + 1) * TILE]


def _finalists(
    x: tf.Tensor,
    queries: tf.Tensor,
    columns: tf.Tensor,
    candidates: tf.Tensor,
    minima: tf.Tensor,
    limits: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns, of tiles with scores up to `limits`, queries with their nearest and its distance.

    Args:
        x, queries, columns, candidates: as in `_search_chunk`.
        minima: float32 [num_tiles, chunk], the least score of each tile.
        limits: float32 [num_tiles, chunk], above which no score can be that of the nearest.

    Returns:
        Rows of queries, int64, squared distances, float64, and candidates, int64, all [number].
    """
    num_tiles = tf.shape(minima)[0]
    kinds = tf.int64, tf.float64, tf.int64
    found = [
        tf.TensorArray(kind, num_tiles, infer_shape=False, element_shape=[None]) for kind in kinds
    ]
    for tile in tf.range(num_tiles):
        tf.autograph.experimental.set_loop_options(parallel_iterations=2)
        rows = tf.where(minima[tile] <= limits[tile])[:, 0]
        near = candidates[tile * TILE : (tile + 1) * TILE]
        scores = _scores(tf.gather(x, rows), columns, tile)
        close = tf.where(scores <= tf.gather(limits[tile], rows)[:, None])
        if tf.shape(close)[0] > FINALISTS * tf.shape(rows)[0]:
            close = _close_in_float64(tf.gather(queries, rows), near)
        distances = _squared_distances(queries, near, tf.gather(rows, close[:, 0]), close[:, 1])
        least, which = _least(distances, close[:, 0], close[:, 1], tf.shape(rows)[0])
        which += tf.cast(tile * TILE, tf.int64)
        found = [
            array.write(tile, values)
            for array, values in zip(found, (rows, least, which), strict=True)
        ]
    rows, distances, indices = (array.concat() for array in found)
    return rows, distances, indices


def _close_in_float64(queries: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Returns which pairs may be nearest by float64 scores, int64 [number, 2].

    Of equal candidates, say of a collapsed generator, only the first counts.
    """
    columns = tf.range(tf.shape(candidates)[0])
    distinct, which = tf.raw_ops.UniqueV2(x=candidates, axis=[0])
    first = tf.math.unsorted_segment_min(columns, which, tf.shape(distinct)[0])
    distinct = tf.cast(distinct, tf.float64)
    center = tf.reduce_mean(distinct, axis=0)
    x, y = tf.cast(queries, tf.float64) - center, distinct - center
    norms = tf.reduce_sum(tf.square(y), axis=1)
    scores = norms - 2.0 * tf.matmul(x, y, transpose_b=True)
    lengths = tf.norm(x, axis=1, keepdims=True)
    rounding = _rounding(lengths, tf.sqrt(tf.reduce_max(norms)), tf.shape(x)[1])
    lowest = tf.reduce_min(scores, axis=1, keepdims=True)
    close = tf.where(scores <= lowest + 2.0 * rounding)
    return tf.stack([close[:, 0], tf.cast(tf.gather(first, close[:, 1]), tf.int64)], axis=1)


def _squared_distances(
    x: tf.Tensor, y: tf.Tensor, x_rows: tf.Tensor, y_rows: tf.Tensor
) -> tf.Tensor:
    """Returns |x[i] - y[j]|^2 by differences, float64 [number], a part of the pairs at a time."""
    number, part = tf.shape(x_rows)[0], tf.maximum(1, CHUNK_FLOATS // tf.shape(x)[1])
    num_parts = tf.maximum(1, -(-number // part))
    found = tf.TensorArray(tf.float64, num_parts, infer_shape=False, element_shape=[None])
    for i in tf.range(num_parts):
        tf.autograph.experimental.set_loop_options(parallel_iterations=1)
        pairs = slice(i * part, (i + 1) * part)
        difference = tf.cast(tf.gather(x, x_rows[pairs]), tf.float64)
        difference -= tf.cast(tf.gather(y, y_rows[pairs]), tf.float64)
        found = found.write(i, tf.reduce_sum(tf.square(difference), axis=1))
    return found.concat()


def _least(
    distances: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, num_rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each row's least distance and the lowest of its columns that have it."""
    least = tf.math.unsorted_segment_min(distances, rows, num_rows)
    has_it = distances == tf.gather(least, rows)
    columns, rows = tf.boolean_mask(columns, has_it), tf.boolean_mask(rows, has_it)
    return least, tf.math.unsorted_segment_min(columns, rows, num_rows)
