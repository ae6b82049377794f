"""Maximum mean discrepancy: double loops, the closed form of Gaussians, and bad input."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.losses import RBF, InverseMultiquadratic, median_bandwidth, squared_mmd


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_loops(x, y, s, unbiased):
    def mean(a, b, skip):
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (skip and i == j)]
        return np.mean([np.exp(-np.sum((a[i] - b[j]) ** 2) / (2 * s**2)) for i, j in pairs])

    return mean(x, x, unbiased) + mean(y, y, unbiased) - 2 * mean(x, y, False)


def of_gaussians(d, shift, x_std, y_std, s):
    """MMD^2 of N(0, x_std^2 I) and N(shift, y_std^2 I) in d dimensions under an RBF kernel."""

    def expectation(variance, squared_distance):
        total = s**2 + variance
        return (s**2 / total) ** (d / 2) * math.exp(-squared_distance / (2 * total))

    within = expectation(2 * x_std**2, 0) + expectation(2 * y_std**2, 0)
    return within - 2 * expectation(x_std**2 + y_std**2, d * shift**2)


@pytest.mark.parametrize("unbiased", [True, False])
def test_equals_a_double_loop(unbiased):
    x, y = normal(7, 3), 1 + normal(9, 3, seed=1)
    found = squared_mmd(x, y, RBF((1.5,)), unbiased)
    assert found.shape == () and found.dtype == tf.float32
    np.testing.assert_allclose(found, by_loops(x, y, 1.5, unbiased), rtol=1e-5)


def test_events_are_flattened():
    x, y = normal(6, 2, 3, 1), 1 + normal(5, 2, 3, 1, seed=1)
    flat = squared_mmd(x.reshape(6, 6), y.reshape(5, 6), InverseMultiquadratic())
    np.testing.assert_array_equal(squared_mmd(x, y, InverseMultiquadratic()), flat)
    numbers = squared_mmd(x[:, 0, 0, 0], y[:, 0, 0, 0], RBF())
    np.testing.assert_array_equal(numbers, squared_mmd(x[:, 0, 0], y[:, 0, 0], RBF()))


@pytest.mark.parametrize(
    ("d", "shift", "y_std", "s"), [(1, 1.0, 1.0, 1.0), (2, 0.5, 2.0, 1.5), (3, 0.0, 0.5, 0.7)]
)
def test_the_mean_of_unbiased_estimates_is_the_closed_form(d, shift, y_std, s):
    found = [
        squared_mmd(
            normal(100, d, seed=seed), shift + y_std * normal(80, d, seed=1000 + seed), RBF((s,))
        )
        for seed in range(100)
    ]
    expected = of_gaussians(d, shift, 1.0, y_std, s)
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - expected) < 4 * error
    assert error < 0.05 * expected


def test_estimates_of_equal_distributions():
    pairs = [(normal(20, 2, seed=2 * seed), normal(20, 2, seed=2 * seed + 1)) for seed in range(99)]
    unbiased = [squared_mmd(x, y, RBF()).numpy() for x, y in pairs]
    biased = [squared_mmd(x, y, RBF(), unbiased=False).numpy() for x, y in pairs]
    assert min(unbiased) < 0 < max(unbiased)
    assert abs(np.mean(unbiased)) < 4 * np.std(unbiased) / np.sqrt(len(unbiased))
    assert min(biased) > 0


@pytest.mark.parametrize("kernel", [RBF((0.02,)), InverseMultiquadratic((1e-3,))])
def test_points_far_from_zero_lose_no_digits(kernel):
    x = np.round(normal(30, 4) * 16) / 1024  # Exact in float32, after the shift too.
    near, far = kernel(x, x).numpy(), kernel(x + 4096, x + 4096).numpy()
    np.testing.assert_allclose(far, near, rtol=1e-5)
    np.testing.assert_allclose(np.diag(far), 1, rtol=1e-14)
    assert 0.05 < near.mean() < 0.95


def test_rounding_makes_no_distance_negative():
    x = 1e6 * normal(30, 50)
    values = RBF((1e-3,))(x, x).numpy()
    assert values.max() <= 1


@pytest.mark.parametrize("kernel", [RBF, lambda s: InverseMultiquadratic([c * c for c in s])])
@pytest.mark.parametrize("width", [1e2, 1e4, 1e5])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_wide_kernels(kernel, width, offset):
    """Next to one everywhere, where the distance is little but that of the means."""
    x, y = offset + normal(50, 3), offset + 1 + normal(60, 3, seed=1)
    found = squared_mmd(x, y, kernel([width]), unbiased=False)
    step = x.astype(np.float64).mean(0) - y.astype(np.float64).mean(0)
    factor = 1.0 if kernel is RBF else 2.0
    np.testing.assert_allclose(found, factor * step @ step / width**2, rtol=20 / width + 1e-4)


def test_a_shift_is_learnt_by_gradient_descent():
    noise, data = normal(200, 2), 2 + normal(200, 2, seed=1)
    shift = tf.Variable([0.0, 0.0])
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = squared_mmd(noise + shift, data, RBF((1.0, 3.0)))
        shift.assign_sub(3.0 * tape.gradient(loss, shift))
    np.testing.assert_allclose(shift, data.mean(0) - noise.mean(0), atol=0.1)


def test_gradients_equal_differences():
    x, y, step = tf.Variable(normal(4, 2)), normal(5, 2, seed=1), 1e-2
    with tf.GradientTape() as tape:
        loss = squared_mmd(x, y, InverseMultiquadratic((1.0, 2.0)))
    slopes = tape.gradient(loss, x).numpy()
    direction = normal(4, 2, seed=2)
    ends = [
        squared_mmd(x + sign * step * direction, y, InverseMultiquadratic((1.0, 2.0)))
        for sign in (1, -1)
    ]
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), (slopes * direction).sum(), 1e-2)


def test_batches_of_a_size_that_the_graph_does_not_know():
    signature = [tf.TensorSpec([None, 2])] * 2
    compiled = tf.function(lambda x, y: squared_mmd(x, y, RBF()), input_signature=signature)
    x, y = normal(6, 2), normal(4, 2, seed=1)
    np.testing.assert_allclose(compiled(x, y), squared_mmd(x, y, RBF()), rtol=1e-5)
    assert np.isnan(compiled(x[:1], y))


def test_half_precision_is_computed_in_float32():
    x, y = normal(6, 2).astype(np.float16), normal(4, 2, seed=1).astype(np.float16)
    found = squared_mmd(x, y, RBF())
    assert found.dtype == tf.float32
    exact = squared_mmd(x.astype(np.float32), y.astype(np.float32), RBF())
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("kernel", [RBF, InverseMultiquadratic])
@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (float("nan"),), (float("inf"),)])
def test_scales_out_of_range(kernel, scales):
    with pytest.raises(ValueError, match=COMPLAINT):
        kernel(scales)


@pytest.mark.parametrize("kernel", [RBF, InverseMultiquadratic])
@pytest.mark.parametrize("scales", [1.0, "1", None])
def test_scales_that_are_no_sequence(kernel, scales):
    with pytest.raises(TypeError, match=COMPLAINT):
        kernel(scales)


def test_kernels_are_values():
    assert RBF([1.0, 2.0]) == RBF((1.0, 2.0)) != RBF((2.0, 1.0))
    assert hash(RBF([1.0])) == hash(RBF())


@pytest.mark.parametrize(
    ("x", "y"), [((1, 2), (5, 2)), ((5, 2), (1, 2)), ((0, 2), (5, 2)), ((5, 2), (5, 3)), ((), (5,))]
)
def test_samples_that_cannot_be_compared(x, y):
    with pytest.raises(ValueError, match=COMPLAINT):
        squared_mmd(tf.zeros(x), tf.zeros(y), RBF())


def test_one_row_a_side_is_enough_for_a_biased_estimate():
    found = squared_mmd(tf.zeros([1, 1]), tf.ones([1, 1]), RBF(), unbiased=False)
    np.testing.assert_allclose(found, 2 - 2 * math.exp(-0.5), rtol=1e-6)


def test_median_bandwidth_by_hand():
    # The distances are 1, 2 and 3, and that of the equal points does not count.
    assert median_bandwidth([[0.0], [1.0]], [[3.0]]) == 2.0
    assert median_bandwidth([[0.0], [1.0]], [[3.0], [3.0]]) == 2.0


def test_median_bandwidth_of_a_part_of_the_rows():
    x, y = normal(4000, 2), normal(3000, 2, seed=1)
    # |x - y|^2 / 2 is chi squared with two degrees of freedom, of median 2 log 2.
    for max_rows in (300, 1000):
        found = median_bandwidth(x, y, max_rows)
        np.testing.assert_allclose(found, 2 * math.sqrt(math.log(2)), rtol=0.05)


def test_median_bandwidth_of_equal_points():
    with pytest.raises(ValueError, match=COMPLAINT):
        median_bandwidth(np.ones((3, 2)), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([0.0, 1.0], "`x` of rank 2"),
        ([[[0.0, 1.0]]], "`x` of rank 2"),
        (np.zeros([0, 2]), "`x` with at least one row"),
        (np.zeros([2, 0]), "`x` with at least one row"),
        ([[0.0, np.nan]], "`x` to be finite"),
        ([[0.0, np.inf]], "`x` to be finite"),
        (np.zeros([2, 3]), "rows of one length"),
    ],
)
def test_median_bandwidth_of_what_is_no_sample(x, message):
    with pytest.raises(ValueError, match=f"Expected {message}.*Received: "):
        median_bandwidth(x, np.ones([2, 2]))
    with pytest.raises(ValueError, match=f"Expected {message.replace('x', 'y')}.*Received: "):
        median_bandwidth(np.ones([2, 2]), x)


@pytest.mark.parametrize(
    ("max_rows", "error"), [(1, ValueError), (-5, ValueError), (2.5, TypeError)]
)
def test_median_bandwidth_of_too_few_rows(max_rows, error):
    with pytest.raises(error, match="Expected `max_rows`.*Received: "):
        median_bandwidth(np.zeros([2, 2]), np.ones([2, 2]), max_rows)


@pytest.mark.parametrize("weighted", [(True, True), (True, False), (False, True)])
def test_rows_with_weights_are_the_distribution_itself(weighted):
    x, y = normal(3, 2), 1 + normal(4, 2, seed=1)
    weights = np.array([0.5, 0.25, 0.25]), np.array([0.125, 0.375, 0.25, 0.25])
    kernel = RBF((1.5,))

    def within(z, w, given):
        values = kernel(z, z).numpy().astype(np.float64)
        if given:
            return w @ values @ w
        return (values.sum() - np.trace(values)) / (len(z) * (len(z) - 1))

    given = [w if g else None for w, g in zip(weights, weighted, strict=True)]
    full = [w if g else np.full(len(w), 1 / len(w)) for w, g in zip(weights, weighted, strict=True)]
    expected = (
        sum(map(within, (x, y), full, weighted)) - 2 * full[0] @ kernel(x, y).numpy() @ full[1]
    )
    found = squared_mmd(x, y, kernel, True, *given)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_one_row_with_a_weight_is_enough():
    found = squared_mmd(tf.zeros([1, 1]), tf.ones([1, 1]), RBF(), True, [1.0], [1.0])
    np.testing.assert_allclose(found, 2 - 2 * math.exp(-0.5), rtol=1e-6)


def test_means_that_cancel_keep_their_digits():
    """In float32, sums of a million values near one would lose what tells the samples apart."""
    x, y = 1e-2 * normal(1000, 1), 1e-2 * normal(1000, 1, seed=1) + 1e-3
    found = squared_mmd(x, y, RBF((10.0,)))
    values = [RBF((10.0,))(a, b).numpy().astype(np.float64) for a, b in ((x, x), (y, y), (x, y))]
    within = [(v.sum() - np.trace(v)) / (1000 * 999) for v in values[:2]]
    np.testing.assert_allclose(found, sum(within) - 2 * values[2].mean(), rtol=1e-5)
