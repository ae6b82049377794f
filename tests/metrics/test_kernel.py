import numpy as np
import pytest

from tests.metrics.helpers import Pixels, random_images
from tfgen.metrics import KernelInceptionDistance, kid


def mmd_by_loops(x, y):
    """The unbiased estimate, term by term."""

    def k(a, b):
        return (float(a @ b) / len(a) + 1.0) ** 3

    n = len(x)
    total = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += (k(x[i], x[j]) + k(y[i], y[j])) / (n * (n - 1))
            total -= 2.0 * k(x[i], y[j]) / n**2
    return total


def test_a_hand_computed_distance():
    # k(0, 0) = 1, k(1, 1) = 8, k(0, 1) = 1.
    assert kid(np.zeros((2, 1)), np.ones((2, 1)), 2, 1) == (pytest.approx(1 + 8 - 2), 0.0)


def test_equals_a_double_loop():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((12, 5)), 1.0 + random.standard_normal((12, 5))
    value, std = kid(x, y, subset_size=12, num_subsets=3)
    assert value == pytest.approx(mmd_by_loops(x, y), rel=1e-12)
    assert std == pytest.approx(0.0, abs=1e-12)


def test_unbiased_for_equal_distributions():
    values = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        values.append(kid(*random.standard_normal((2, 10, 3)), subset_size=10, num_subsets=1)[0])
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_subsets_follow_the_seed():
    x, y = np.random.default_rng(0).standard_normal((2, 50, 3))
    first = kid(x, y, subset_size=20, num_subsets=5, seed=1)
    assert kid(x, y, subset_size=20, num_subsets=5, seed=1) == first
    assert kid(x, y, subset_size=20, num_subsets=5, seed=2) != first
    assert first[1] > 0


@pytest.mark.parametrize("sizes", [(9, 20), (20, 9)])
def test_fewer_examples_than_a_subset(sizes):
    real, fake = np.zeros((sizes[0], 2)), np.zeros((sizes[1], 2))
    with pytest.raises(ValueError, match=r"subset_size` = 10.*9"):
        kid(real, fake, subset_size=10)


@pytest.mark.parametrize(
    ("fake", "message"),
    [(np.zeros((5, 3)), "the same dimension"), (np.full((5, 2), np.nan), "finite")],
)
def test_features_that_cannot_be_compared(fake, message):
    with pytest.raises(ValueError, match=message):
        kid(np.zeros((5, 2)), fake, subset_size=2)


def test_streaming_equals_the_function():
    real, fake = random_images(30, seed=0), random_images(40, seed=1)
    metric = KernelInceptionDistance(Pixels(4), "test", subset_size=20, num_subsets=4, seed=3)
    other = KernelInceptionDistance(Pixels(4), subset_size=20, num_subsets=4, seed=3)
    metric.update_real(real[:7])
    other.update_real(real[7:])
    metric.update_fake(np.split(fake, 4))
    metric.merge(other)
    score = metric.result()
    expected = kid(real.reshape(30, 4), fake.reshape(40, 4), 20, 4, seed=3)
    assert (score.value, score.std) == expected
    assert "KID" in str(score) and "4 subsets of 20, 30 real test vs 40 fake" in str(score)
    metric.reset()
    with pytest.raises(ValueError, match="0 real and 0 fake"):
        metric.result()
