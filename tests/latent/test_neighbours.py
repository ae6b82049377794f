"""Exact nearest neighbours, against brute force in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.latent import Cosine, RunningNearest, SquaredEuclidean, nearest
from tfgen.latent.search import TILE


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def brute_force(queries, candidates, distance=None):
    """Returns the first of the nearest, and all distances."""
    x, y = (np.reshape(a, [len(a), -1]).astype(np.float64) for a in (queries, candidates))
    if isinstance(distance, Cosine):
        x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
        all_distances = 1 - x @ y.T
    else:
        all_distances = np.stack([np.sum((row - y) ** 2, axis=1) for row in x])
    return np.argmin(all_distances, axis=1), all_distances


def check(queries, candidates, distance=None, block=None, rtol=1e-6):
    indices, distances = nearest(queries, candidates, distance, block)
    expected, all_distances = brute_force(queries, candidates, distance)
    assert (indices.dtype, distances.dtype) == (tf.int64, tf.float32)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, np.min(all_distances, axis=1), rtol=rtol, atol=1e-9)


def test_by_hand():
    # Squared distances 25 and 2, 0 and 29; cosines -1 and 0, 3/5 and 4/5 from the axes.
    indices, distances = nearest([[0, 0], [3, 4]], [[3, 4], [1, -1]])
    assert (indices.numpy().tolist(), distances.numpy().tolist()) == ([1, 0], [2, 0])
    indices, distances = nearest([[0, 2], [3, 4]], [[0, -1], [5, 0]], Cosine())
    assert indices.numpy().tolist() == [1, 1]
    np.testing.assert_allclose(distances, [1, 0.4], rtol=1e-6)


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Cosine()], ids=repr)
@pytest.mark.parametrize("dim", [2, 64, 300])
@pytest.mark.parametrize("block", [None, 700])
def test_equals_brute_force(distance, dim, block):
    check(normal(200, dim), normal(3 * TILE + 5, dim, seed=1), distance, block, rtol=1e-5)


@pytest.mark.parametrize(
    ("num_queries", "num_candidates", "dim"),
    [(1, 1, 1), (1, 1, 5), (1, 2 * TILE + 1, 3), (50, 1, 3), (50, TILE, 1), (50, TILE + 1, 1)],
)
def test_edge_sizes(num_queries, num_candidates, dim):
    check(normal(num_queries, dim), normal(num_candidates, dim, seed=1))


@pytest.mark.parametrize("block", [1, 7, 100, 512, 600, 10_000])
def test_any_block_size(block):
    check(normal(40, 8), normal(600, 8, seed=1), block=block)


def test_more_queries_than_a_chunk():
    check(normal(8192 + 100, 3), normal(20, 3, seed=1))


@pytest.mark.parametrize("offset", [100.0, -1e4])
def test_common_offset(offset):
    # Uncentred, |x|^2 + |y|^2 - 2xy of the smaller offset is off by 0.1, and by 1000 of the other.
    check(normal(300, 64) + offset, normal(2000, 64, seed=1) + offset)


def test_queries_far_from_all_candidates():
    check(normal(100, 16) + 1000, normal(1500, 16, seed=1))


def test_one_far_candidate():
    candidates = normal(2000, 16, seed=1)
    candidates[700] = 1e4
    check(normal(100, 16), candidates)


@pytest.mark.parametrize("scale", [1e-10, 1e10])
def test_small_and_large_values(scale):
    indices, distances = nearest(scale * normal(100, 8), scale * normal(900, 8, seed=1))
    expected, all_distances = brute_force(scale * normal(100, 8), scale * normal(900, 8, seed=1))
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, np.min(all_distances, axis=1), rtol=1e-6)


def test_near_ties_are_decided_in_float64():
    pairs = np.repeat(normal(50, 20), 2, axis=0)
    pairs[1::2, 0] *= 1 + 2.0**-22
    check(normal(300, 20, seed=1), pairs)


def test_many_near_ties_are_decided_in_float64():
    # A circle around queries whose distances to it differ by some 1e-6.
    angles = np.linspace(0.1, 6.0, 1000)
    candidates = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    check(1e-6 * normal(200, 2), candidates)


def test_a_grid_finer_than_float32_tells():
    indices, distances = nearest([[0.9], [0.123456]], np.linspace(0, 1, 100_001)[:, None])
    assert indices.numpy().tolist() == [90_000, 12_346]
    np.testing.assert_allclose(distances, [0, 4e-6**2], atol=1e-18)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sorted_numbers(dtype):
    rng = np.random.default_rng(0)
    candidates, queries = (rng.uniform(size=(n, 1)).astype(dtype) for n in (50_000, 300))
    check(queries, np.sort(candidates, axis=0))


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Cosine()], ids=repr)
def test_tight_clusters_on_a_sphere(distance):
    centers = normal(8, 32)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    queries, candidates = (
        np.repeat(centers, n, axis=0) + 1e-4 * normal(8 * n, 32, seed=n) for n in (10, 300)
    )
    indices = nearest(queries, candidates, distance)[0]
    x, y = queries.astype(np.float64), candidates.astype(np.float64)
    if isinstance(distance, Cosine):
        x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
    np.testing.assert_array_equal(indices, brute_force(x, y)[0])


def test_numbers_that_float32_does_not_hold():
    check([[2**53 - 2]], [[2**53 - 6], [2**53 - 3], [2**53]])
    check(1 + 1e-10 * normal(50, 3).astype(np.float64), 1 + 1e-10 * normal(600, 3, seed=1))
    check(normal(50, 3), normal(600, 3, seed=1).astype(np.float64) + 1e-12)


def test_many_candidates_at_the_very_same_distance():
    signs = 2 * np.random.default_rng(0).integers(0, 2, [600, 64]) - 1
    indices, distances = nearest(np.zeros([200, 64], np.float32), np.float32(signs))
    np.testing.assert_array_equal(indices, np.zeros(200))
    np.testing.assert_array_equal(distances, np.full(200, 64))


def hard_case(seed):
    """Returns queries and candidates of random sizes, spreads, offsets, orders and duplicates."""
    rng = np.random.default_rng(seed)
    dim, num_clusters = rng.integers(1, 20), rng.integers(1, 6)
    centers = rng.standard_normal([num_clusters, dim]) * 10.0 ** rng.uniform(-3, 4)
    spreads = 10.0 ** rng.uniform(-6, 0, [num_clusters, 1])

    def points(number):
        which = rng.integers(0, num_clusters, number)
        return centers[which] + spreads[which] * rng.standard_normal([number, dim])

    queries, candidates = points(40), points(rng.integers(1, 3000))
    candidates = candidates[rng.integers(0, len(candidates), len(candidates))]  # Some twice.
    offset = rng.choice([0.0, 10.0 ** rng.uniform(0, 6)])
    order = [np.arange(len(candidates)), np.argsort(candidates[:, 0])][rng.integers(2)]
    dtype = rng.choice([np.float32, np.float64])
    return (queries + offset).astype(dtype), (candidates[order] + offset).astype(dtype)


@pytest.mark.parametrize("first_seed", range(0, 50, 10))
def test_hard_cases(first_seed):
    for seed in range(first_seed, first_seed + 10):
        queries, candidates = hard_case(seed)
        block = [None, 700][seed % 2]
        indices = nearest(queries, candidates, block=block)[0]
        np.testing.assert_array_equal(indices, brute_force(queries, candidates)[0], f"{seed=}")


@pytest.mark.parametrize("block", [None, 150])
def test_lowest_of_equal_candidates(block):
    distinct = normal(100, 6)
    check(normal(50, 6, seed=1), np.concatenate([distinct] * 7), block=block)
    check(distinct, np.repeat(distinct, 3, axis=0), block=block)


@pytest.mark.parametrize("num_candidates", [1, 3, 2 * TILE + 7])
def test_all_candidates_equal(num_candidates):
    candidates = np.tile(normal(1, 6), [num_candidates, 1])
    indices, distances = nearest(normal(50, 6, seed=1), candidates)
    np.testing.assert_array_equal(indices, np.zeros(50))
    expected = brute_force(normal(50, 6, seed=1), candidates)[1][:, 0]
    np.testing.assert_allclose(distances, expected, rtol=1e-6)


def test_cosine_ignores_lengths():
    queries, candidates = normal(50, 6), normal(300, 6, seed=1)
    lengths = 10.0 ** np.random.default_rng(2).uniform(-20, 18, [300, 1])
    scaled = (candidates.astype(np.float64) * lengths).astype(np.float32)
    np.testing.assert_array_equal(
        nearest(queries, scaled, Cosine())[0], nearest(queries, candidates, Cosine())[0]
    )


def test_images_of_bytes():
    images = np.random.default_rng(0).integers(0, 256, [30, 4, 4, 3], dtype=np.uint8)
    samples = np.random.default_rng(1).integers(0, 256, [600, 4, 4, 3], dtype=np.uint8)
    check(images, samples)
    check(tf.constant(images), tf.constant(samples))


def test_inside_a_function():
    queries, candidates = normal(30, 5), normal(800, 5, seed=1)
    compiled = tf.function(lambda x, y: nearest(x, y, block=300))
    for found, expected in zip(
        compiled(queries, candidates), nearest(queries, candidates), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_running_nearest_keeps_the_noise_of_the_nearest():
    queries, candidates, noise = normal(60, 5), normal(900, 5, seed=1), normal(900, 2, seed=2)
    running = RunningNearest(queries)
    assert running.indices.numpy().tolist() == [-1] * 60
    assert np.all(np.isinf(running.distances))
    start = 0
    for size in (1, 99, 600, 200):
        block = slice(start, start + size)
        running.update(candidates[block], noise[block])
        start += size
        expected, all_distances = brute_force(queries, candidates[:start])
        assert running.num_candidates == start
        np.testing.assert_array_equal(running.indices, expected)
        np.testing.assert_array_equal(running.payload, noise[expected])
        np.testing.assert_allclose(running.distances, np.min(all_distances, axis=1), rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (2, 3, 1)])
def test_payload_of_any_shape(shape):
    queries, candidates = normal(20, 4), normal(100, 4, seed=1)
    labels = np.arange(100 * int(np.prod(shape))).reshape(100, *shape)
    running = RunningNearest(queries)
    running.update(candidates[:70], labels[:70])
    running.update(candidates[70:], labels[70:])
    assert running.payload.dtype == tf.int64
    np.testing.assert_array_equal(running.payload, labels[brute_force(queries, candidates)[0]])


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Cosine()], ids=repr)
def test_distance_configuration(distance):
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(distance))
    assert restored == distance


X = normal(6, 3)


@pytest.mark.parametrize(
    ("queries", "candidates"),
    [
        (X[:0], X),
        (X, X[:0]),
        (X, []),
        (X[:, :0], X[:, :0]),
        (X, X[:, :2]),
        (X[0], X),
        (X, X[0]),
        (X, 1.0),
        (X, X[:, :, None, None][:, :2]),
    ],
)
def test_refused_shapes(queries, candidates):
    with pytest.raises(ValueError, match=COMPLAINT):
        nearest(queries, candidates)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e19])
@pytest.mark.parametrize("name", ["queries", "candidates"])
def test_refuses_rows_that_are_not_finite(name, value):
    bad = X.copy()
    bad[2, 1] = bad[4, 0] = value
    arrays = {"queries": X, "candidates": X, name: bad}
    with pytest.raises(ValueError, match=f"Expected rows of `{name}`.* in row 2"):
        nearest(**arrays)


def test_cosine_refuses_zero():
    zero = X.copy()
    zero[3] = 0
    with pytest.raises(
        ValueError, match=r"`candidates` .* under Cosine\(\). Received: .* in row 3"
    ):
        nearest(X, zero, Cosine())


@pytest.mark.parametrize(("block", "error"), [(0, ValueError), (2.5, TypeError)])
def test_refused_blocks(block, error):
    with pytest.raises(error, match=COMPLAINT):
        nearest(X, X, block=block)


@pytest.mark.parametrize("distance", ["cosine", 2.0])
def test_refused_distances(distance):
    with pytest.raises(TypeError, match=COMPLAINT):
        RunningNearest(X, distance)


@pytest.mark.parametrize(
    ("first", "second"),
    [(X, None), (None, X), (X, X[:5]), (X, X[:, :2]), (X[:5], None), (1.0, None)],
)
def test_refused_payloads(first, second):
    running = RunningNearest(X)
    with pytest.raises(ValueError, match=COMPLAINT):
        running.update(X, first)
        running.update(X, second)
