import numpy as np
import pytest

from tests.metrics.helpers import Pixels, random_images
from tfgen.metrics import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    manifold,
    precision_recall,
)


def by_brute_force(real, fake, k):
    def radii(x):
        distances = np.linalg.norm(x[:, None] - x[None], axis=-1)
        return np.sort(distances, axis=1)[:, k]  # Column 0 is the distance to itself.

    distances = np.linalg.norm(fake[:, None] - real[None], axis=-1)
    near_real = distances <= radii(real)[None, :]
    near_fake = distances <= radii(fake)[:, None]
    return {
        precision_recall: (near_real.any(axis=1).mean(), near_fake.any(axis=0).mean()),
        density_coverage: (near_real.sum(axis=1).mean() / k, near_real.any(axis=0).mean()),
    }


def blob(number, seed, centre=0.0):
    return centre + np.random.default_rng(seed).standard_normal((number, 3))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("chunk_entries", [1, 100, 2**20])
def test_equals_brute_force(k, chunk_entries, monkeypatch):
    monkeypatch.setattr(manifold, "CHUNK_ENTRIES", chunk_entries)
    real, fake = blob(60, seed=0), blob(45, seed=1) + 1.5
    for function, expected in by_brute_force(real, fake, k).items():
        assert function(real, fake, k) == pytest.approx(expected)
        assert 0 < min(expected) and max(expected) < 1


def test_distances_come_in_chunks(monkeypatch):
    monkeypatch.setattr(manifold, "CHUNK_ENTRIES", 100)
    x, y = blob(33, seed=0), blob(20, seed=1)
    chunks = [pairs.distances for pairs in manifold._pairs(x, y)]
    assert max(distances.size for distances in chunks) == 100
    joined = np.concatenate(chunks)
    np.testing.assert_allclose(joined, np.sum((x[:, None] - y[None]) ** 2, axis=-1), atol=1e-12)


def test_identical_and_disjoint_sets():
    x = blob(50, seed=0)
    assert precision_recall(x, x) == (1.0, 1.0)
    assert precision_recall(x, x + 1e3) == (0.0, 0.0)


def test_a_generator_that_drops_a_mode():
    real = np.concatenate([blob(40, seed=0), blob(40, seed=1, centre=100.0)])
    precision, recall = precision_recall(real, real[:40])
    assert (precision, recall) == (1.0, 0.5)
    assert precision_recall(real[:40], real) == (0.5, 1.0)


def test_a_line_of_points():
    # Balls of radius 1 about 0, 1, 2: 3 is on the rim of the last, 3.1 outside. The fake points'
    # neighbours are 0.1 away, so that no real point is covered.
    real, fake = np.array([[0.0], [1.0], [2.0]]), np.array([[3.0], [3.1]])
    assert precision_recall(real, fake, k=1) == (0.5, 0.0)


def test_density_and_coverage_of_one_distribution():
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 4_000, 2))
    density, coverage = density_coverage(real, fake, k=3)
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - 2**-3, abs=0.02)


def test_density_and_coverage_of_a_dropped_mode():
    real = np.concatenate([blob(40, seed=0), blob(40, seed=1, centre=100.0)])
    density, coverage = density_coverage(real, real[:40], k=3)
    assert coverage == 0.5
    assert density == pytest.approx(4 / 3, rel=0.01)  # Each point is in its own ball besides.


def test_outliers_widen_the_manifold_that_recall_is_measured_on():
    real = np.concatenate([blob(40, seed=0), blob(40, seed=1, centre=100.0)])
    fake = np.concatenate([real[:40], [[50.0] * 3, [120.0] * 3, [0.0, 200.0, 0.0]]])
    assert precision_recall(real, fake, k=3)[1] == 1.0
    assert density_coverage(real, fake, k=3) == pytest.approx((4 / 3 * 40 / 43, 0.5))


def test_points_on_the_rim_count_though_rounding_moves_them():
    x = 1e3 * blob(30, seed=0)
    assert precision_recall(np.repeat(x, 5, axis=0), np.repeat(x, 5, axis=0)) == (1.0, 1.0)


@pytest.mark.parametrize("ratio", [1e3, 1e5, 1e7, 1e9])
@pytest.mark.parametrize("copies", [1, 4])
def test_clusters_far_smaller_than_their_distances(ratio, copies):
    sides = [
        np.concatenate([ratio * blob(1, seed=10 * seed) + blob(25, seed + i) for seed in range(4)])
        for i in (1, 2)
    ]
    real, fake = (np.repeat(side, copies, axis=0) for side in sides)
    for function, expected in by_brute_force(real, fake, 5).items():
        assert function(real, fake, 5) == pytest.approx(expected)
        assert 0.1 < min(expected)


def test_small_spreads_far_from_zero():
    real, fake = 1e6 + 1e-3 * blob(60, seed=0), 1e6 + 1e-3 * blob(60, seed=1)
    for function, expected in by_brute_force(real, fake, 3).items():
        assert function(real, fake, 3) == pytest.approx(expected)


def test_a_set_of_one_point():
    assert precision_recall(np.full((30, 3), 0.1), np.full((40, 3), 0.1)) == (1.0, 1.0)
    assert precision_recall(np.full((30, 3), 0.1), np.full((40, 3), 0.2)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (np.zeros((9, 4)), "the same dimension"),
        (np.zeros((3, 3)), "more than k = 3"),
        (np.full((9, 3), np.nan), "finite"),
        (np.zeros((0, 3)), "at least one row"),
    ],
)
@pytest.mark.parametrize("function", [precision_recall, density_coverage])
def test_features_that_cannot_be_compared(function, fake, message):
    with pytest.raises(ValueError, match=message):
        function(blob(9, seed=0), fake, k=3)


@pytest.mark.parametrize(
    ("metric", "function", "names"),
    [
        (PrecisionRecall, precision_recall, ("precision", "recall")),
        (DensityCoverage, density_coverage, ("density", "coverage")),
    ],
)
def test_streaming_equals_the_function(metric, function, names):
    real, fake = random_images(30, seed=0), 0.6 * random_images(40, seed=1)
    metric = metric(Pixels(4), "test", k=2)
    metric.update_real(np.split(real, 3))
    metric.update_fake(fake)
    scores = metric.result()
    expected = function(real.reshape(30, 4), fake.reshape(40, 4), k=2)
    assert tuple(score.value for score in scores) == expected
    assert tuple(score.metric for score in scores) == names
    assert "k=2, 30 real test vs 40 fake" in str(scores)
