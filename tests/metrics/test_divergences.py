"""Divergences: closed forms, and agreement between the ways to compute them."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from tests.metrics.helpers import DIVERGENCES, ByScipy, draws, gaussian, gaussians, mixture, tfd
from tfgen.distributions import StandardNormal, Uniform
from tfgen.losses import RBF, InverseMultiquadratic, squared_mmd
from tfgen.metrics import (
    Discrete,
    jensen_shannon,
    kl_divergence,
    maximum_mean_discrepancy,
    sliced_wasserstein,
    total_variation,
    wasserstein,
)

GRID = np.linspace(-15, 15, 3001)
DISTANCES = [wasserstein, sliced_wasserstein, maximum_mean_discrepancy]


class DensityAlone:
    def __init__(self, frozen):
        self.log_prob = frozen.logpdf


def kl_of_gaussians(mean, std, other_mean, other_std):
    ratio = std / other_std
    return -math.log(ratio) + (ratio**2 + ((mean - other_mean) / other_std) ** 2 - 1) / 2


def js_by_quadrature(p, q):
    def integrand(x):
        a, b = p.pdf(x), q.pdf(x)
        return (a * np.log(2 * a / (a + b)) + b * np.log(2 * b / (a + b))) / 2

    return integrate.quad(integrand, -15, 15, limit=500, points=[0, 1])[0]


# Divergences of distributions on the line.

PAIRS = [(0.0, 1.0, 1.5, 1.0), (0.0, 1.0, -1.0, 2.0), (1.0, 2.0, 0.5, 0.75)]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_kl_of_gaussians(pair):
    p, q = gaussian(*pair[:2]), gaussian(*pair[2:])
    forward, reverse = kl_of_gaussians(*pair), kl_of_gaussians(*pair[2:], *pair[:2])
    assert kl_divergence(p, q) == pytest.approx(forward, rel=1e-12)
    assert kl_divergence(q, p) == pytest.approx(reverse, rel=1e-12)
    assert kl_divergence(p, q, GRID) == pytest.approx(forward, rel=1e-4)
    assert kl_divergence(q, p, GRID) == pytest.approx(reverse, rel=1e-4)
    drawn = mixture([pair[0]], [pair[1]])
    assert kl_divergence(drawn, q) == pytest.approx(forward, rel=0.02)


@pytest.mark.parametrize("shift", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("std", [1.0, 2.5])
def test_total_variation_of_shifted_gaussians(shift, std):
    p, q = gaussian(0.5, std), gaussian(0.5 + shift, std)
    expected = 2 * stats.norm.cdf(shift / (2 * std)) - 1
    assert total_variation(p, q, np.linspace(-15, 20, 3001)) == pytest.approx(expected, abs=1e-5)
    assert total_variation(p, q) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_jensen_shannon_of_gaussians(pair):
    p, q = gaussian(*pair[:2]), gaussian(*pair[2:])
    expected = js_by_quadrature(stats.norm(*pair[:2]), stats.norm(*pair[2:]))
    assert jensen_shannon(p, q, GRID) == pytest.approx(expected, rel=1e-4)
    assert jensen_shannon(p, q) == pytest.approx(expected, abs=0.003)


def test_samples_agree_with_their_distributions():
    x, y = draws(200_000), 1.5 + draws(200_000, seed=1)
    p, q, grid = gaussian(0.0, 1.0), gaussian(1.5, 1.0), np.linspace(-2, 3.5, 56)
    for divergence in DIVERGENCES:
        expected = divergence(p, q, grid)
        assert divergence(x, y, grid) == pytest.approx(expected, rel=0.02)
        assert divergence(x, q, grid) == pytest.approx(expected, rel=0.02)
        assert divergence(p, y, grid) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("kind", [ByScipy, DensityAlone])
def test_other_distributions_agree_with_tfp(kind):
    p, q = kind(stats.norm(0.0, 1.0)), gaussian(1.5, 1.0)
    for divergence in DIVERGENCES:
        expected = divergence(gaussian(0.0, 1.0), q, GRID)
        assert divergence(p, q, GRID) == pytest.approx(expected, rel=1e-4)


def test_densities_of_the_library_are_their_tfp_distributions():
    p, q = StandardNormal(2), Uniform(2, -1.0, 1.0)
    grid = [np.linspace(-4, 4, 33)] * 2
    for divergence in DIVERGENCES:
        expected = divergence(p.distribution(), q.distribution(), grid)
        assert divergence(p, q, grid) == pytest.approx(expected, rel=1e-6)
    found = maximum_mean_discrepancy(p, q, RBF())
    assert found == maximum_mean_discrepancy(p.distribution(), q.distribution(), RBF())


def test_a_density_on_a_grid_agrees_with_its_distribution():
    p, q = (Discrete.of_density(GRID, stats.norm(mean, 1.0).pdf(GRID)) for mean in (0.0, 1.5))
    assert kl_divergence(p, q) == pytest.approx(1.125, rel=1e-6)
    assert total_variation(p, q) == pytest.approx(2 * stats.norm.cdf(0.75) - 1, rel=1e-4)
    assert wasserstein(p, q) == pytest.approx(1.5, rel=1e-6)


def test_coarser_cells_tell_distributions_apart_less():
    p, q = gaussian(0.0, 1.0), gaussian(1.0, 1.5)
    for divergence in DIVERGENCES:
        found = [divergence(p, q, np.linspace(-9, 9, 3**k + 1)) for k in range(1, 6)]
        assert found == sorted(found)
        assert found[0] < 0.9 * found[-1]


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_tails_that_round_to_zero_do_not_make_kl_infinite(dtype):
    # The one cdf is flat at 0, 1/2 and 1 in float32 where the other rises.
    valley, broad = mixture([-5.0, 5.0], [0.25, 0.25], dtype), gaussian(0.0, 1.0, dtype)
    found = kl_divergence(broad, valley, np.linspace(-7, 7, 2801))

    def log_ratio(x):
        return stats.norm.logpdf(x) + math.log(2) - stats.norm.logpdf(abs(x), 5, 0.25)

    expected = integrate.quad(lambda x: stats.norm.pdf(x) * log_ratio(x), -7, 7, points=[0])[0]
    assert found == pytest.approx(expected, rel=1e-3)
    p, q = gaussian(0.0, 1.0, dtype), gaussian(6.0, 1.0, dtype)
    assert kl_divergence(p, q, GRID) == pytest.approx(18.0, rel=1e-3)
    assert kl_divergence(q, p, GRID) == pytest.approx(18.0, rel=1e-3)


def test_supports_that_end():
    # TFP says NaN outside of the support of some, and a density for the exponential one.
    grid = np.linspace(-2, 30, 3201)
    uniform, beta = tfd().Uniform(0.0, 1.0), tfd().Beta(2.0, 3.0)
    expected = 0.234907  # The negative entropy of Beta(2, 3).
    assert kl_divergence(beta, uniform, grid) == pytest.approx(expected, abs=1e-3)
    wide = tfd().Uniform(0.0, 2.0)
    assert kl_divergence(uniform, wide, grid) == pytest.approx(math.log(2), rel=1e-5)
    assert kl_divergence(wide, uniform, grid) == math.inf
    assert kl_divergence(wide, uniform, np.linspace(0, 1, 11)) == math.inf
    assert total_variation(wide, uniform, grid) == pytest.approx(0.5, abs=1e-6)
    exponential, other = tfd().Exponential(1.0), tfd().Exponential(2.0)
    expected = math.log(1 / 2) + 2 - 1
    assert kl_divergence(exponential, other, grid) == pytest.approx(expected, rel=1e-3)
    assert kl_divergence(gaussian(0.0, 1.0), exponential, grid) == math.inf
    log_normal, shifted = tfd().LogNormal(0.0, 0.5), tfd().LogNormal(0.25, 0.5)
    assert kl_divergence(log_normal, shifted, grid) == pytest.approx(0.125, rel=1e-3)


# Divergences of vectors.


def test_gaussians_in_the_plane():
    p, q = gaussians([0.0, 0.0], [1.0, 1.0]), gaussians([0.6, -0.8], [1.0, 1.0])
    expected = {
        total_variation: 2 * stats.norm.cdf(0.5) - 1,
        kl_divergence: 0.5,
        jensen_shannon: js_by_quadrature(stats.norm(0, 1), stats.norm(1, 1)),
    }
    grid = [np.linspace(-6, 6, 121), np.linspace(-7, 6, 131)]
    x, y = draws(300_000, 2), draws(300_000, 2, seed=1) + [0.6, -0.8]
    coarse = [np.linspace(-2, 2.5, 16), np.linspace(-2.5, 2, 16)]
    for divergence in DIVERGENCES:
        assert divergence(p, q, grid) == pytest.approx(expected[divergence], rel=2e-3)
        assert divergence(p, q) == pytest.approx(expected[divergence], rel=0.02)
        assert divergence(x, y, coarse) == pytest.approx(divergence(p, q, coarse), rel=0.02)


def test_a_uniform_square_that_the_grid_fits():
    square = tfd().Independent(tfd().Uniform([0.0, 0.0], [1.0, 1.0]), 1)
    grid = [np.linspace(0, 1, 11)] * 2
    centre = np.full([10, 2], 0.55)
    assert kl_divergence(centre, square, grid) == pytest.approx(math.log(100), rel=1e-5)
    assert kl_divergence(gaussians([0.0, 0.0], [1.0, 1.0]), square, grid) == math.inf
    filled = np.stack(np.meshgrid(*[np.arange(0.05, 1, 0.1)] * 2), axis=-1).reshape(-1, 2)
    assert kl_divergence(square, filled, grid) == pytest.approx(0.0, abs=1e-5)


def test_a_vector_of_one_number_is_a_number():
    p, q = gaussians([0.0], [1.0]), gaussians([1.5], [1.0])
    assert kl_divergence(p, q, GRID) == pytest.approx(1.125, rel=1e-4)
    assert kl_divergence(p, gaussian(1.5, 1.0), [GRID]) == pytest.approx(1.125, rel=1e-4)
    assert kl_divergence(draws(10)[:, np.newaxis], p, GRID) > 0


@pytest.mark.parametrize("shift", [1e-6, 1e-4, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_jensen_shannon_of_draws_scatters_by_its_own_size(shift, seed):
    # No closed form and no grid. For little shifts, shift^2 / 8 times Fisher's information.
    p, q = mixture([0.0, 3.0], [1.0, 1.0]), mixture([shift, 3.0 + shift], [1.0, 1.0])

    def integrand(x):
        a, b = ((stats.norm(m, 1).pdf(x) + stats.norm(3 + m, 1).pdf(x)) / 2 for m in (0, shift))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.nan_to_num((a - b) / (a + b))
        t = np.clip(t, -1 + 1e-15, 1 - 1e-15)
        return (a + b) / 4 * ((1 + t) * np.log1p(t) + (1 - t) * np.log1p(-t))

    grid = np.linspace(-10, 13 + shift, 200_001)
    expected = np.trapezoid(integrand(grid), grid)
    found = jensen_shannon(p, q, num_samples=20_000, seed=seed)
    assert found == pytest.approx(expected, rel=0.05 if shift > 1e-5 else 0.2)
    assert 0 < found <= math.log(2)


def test_jensen_shannon_of_masses_that_nearly_agree():
    # Of masses (1 +- delta) / 2 and halves, delta^2 / 8 and higher powers.
    for delta in (1e-3, 1e-6, 1e-9):
        p, q = (
            Discrete([0.0, 1.0], [0.5 + delta / 2, 0.5 - delta / 2]),
            Discrete([0.0, 1.0], [0.5] * 2),
        )
        assert jensen_shannon(p, q) == pytest.approx(delta**2 / 8, rel=1e-5)


# MMD.


def test_mmd_of_samples_is_the_unbiased_estimate():
    x, y = draws(30, 2), 0.5 + draws(40, 2, seed=1)
    kernel = InverseMultiquadratic((0.5, 2.0))
    expected = float(squared_mmd(x, y, kernel))
    assert maximum_mean_discrepancy(x, y, kernel) == pytest.approx(expected, rel=1e-4)


def test_mmd_of_a_discrete_is_exact():
    # k = 1 at equal points, exp(-1/2) at others.
    p, q = Discrete([0.0, 1.0], [0.75, 0.25]), Discrete([0.0, 1.0], [0.25, 0.75])
    expected = 2 * 0.5**2 * (1 - math.exp(-0.5))
    assert maximum_mean_discrepancy(p, q, RBF()) == pytest.approx(expected, rel=1e-5)
    assert maximum_mean_discrepancy(p, p, RBF()) == 0.0


def test_mmd_of_gaussians_has_a_closed_form():
    # E k = 1 / sqrt(1 + v) exp(-shift^2 / (2 (1 + v))), v the sum of the variances.
    expected = 2 / math.sqrt(3) * (1 - math.exp(-(1.5**2) / 6))
    p, q = gaussian(0.0, 1.0), gaussian(1.5, 1.0)
    found = maximum_mean_discrepancy(p, q, RBF(), num_samples=2000)
    assert found == pytest.approx(expected, abs=0.05)
    found = maximum_mean_discrepancy(draws(2000), q, RBF(), num_samples=2000)
    assert found == pytest.approx(expected, abs=0.05)
    exact = Discrete.of_density(GRID, stats.norm(0, 1).pdf(GRID))
    other = Discrete.of_density(GRID, stats.norm(1.5, 1).pdf(GRID))
    assert maximum_mean_discrepancy(exact, other, RBF()) == pytest.approx(expected, rel=1e-4)


def test_the_median_distance_is_the_bandwidth_unless_given():
    x, y = np.array([[0.0], [1.0]]), np.array([[3.0], [3.0]])
    expected = maximum_mean_discrepancy(x, y, RBF((2.0,)))
    assert maximum_mean_discrepancy(x, y) == expected
    # Units make no difference then.
    assert maximum_mean_discrepancy(1e3 * x, 1e3 * y) == pytest.approx(expected, rel=1e-5)


# What they have in common.


def test_symmetry():
    p, q = Discrete(draws(8, 2), np.full(8, 1 / 8)), Discrete(draws(8, 2), [0.3, *[0.1] * 7])
    x, y = draws(20, 2), 1 + draws(20, 2, seed=1)
    for distance in (total_variation, jensen_shannon, *DISTANCES):
        assert distance(p, q) == pytest.approx(distance(q, p), rel=1e-6)
        assert distance(p, q) > 0
    for distance in DISTANCES:
        assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-6)
    assert kl_divergence(p, q) != pytest.approx(kl_divergence(q, p), rel=1e-3)


def test_bounds():
    near, far = Discrete([0.0, 1.0], [0.5, 0.5]), Discrete([7.0, 8.0], [0.5, 0.5])
    assert jensen_shannon(near, far) == pytest.approx(math.log(2), rel=1e-12)
    assert total_variation(near, far) == 1.0
    for p, q in (
        (gaussian(0.0, 1.0), gaussian(90.0, 1.0)),
        (gaussian(0.0, 0.01), mixture([3.0], [1.0])),
    ):
        assert math.log(2) - 0.01 < jensen_shannon(p, q) <= math.log(2)
        assert 0.98 < total_variation(p, q) <= 1
    for divergence in DIVERGENCES:
        for p in (near, gaussian(0.0, 1.0), mixture([0.0], [1.0])):
            assert divergence(p, p) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("theta", [-1.0, -0.25, 1e-6, 0.5, 2.0])
def test_parallel_lines(theta):
    heights = np.linspace(0, 1, 21)
    p = np.stack([np.zeros(21), heights], axis=1)
    q = np.stack([np.full(21, theta), heights], axis=1)
    assert wasserstein(p, q) == pytest.approx(abs(theta), rel=1e-9)
    p, q = (Discrete(points, np.full(21, 1 / 21)) for points in (p, q))
    assert wasserstein(p, q) == pytest.approx(abs(theta), rel=1e-9)
    assert jensen_shannon(p, q) == pytest.approx(math.log(2), rel=1e-12)
    assert kl_divergence(p, q) == kl_divergence(q, p) == math.inf
    assert total_variation(p, q) == pytest.approx(1.0, rel=1e-12)


def test_parallel_lines_that_are_one():
    points = np.stack([np.zeros(21), np.linspace(0, 1, 21)], axis=1)
    line = Discrete(points, np.full(21, 1 / 21))
    for distance in (*DIVERGENCES, *DISTANCES):
        assert distance(line, line) == pytest.approx(0.0, abs=1e-12)
    assert wasserstein(points, points) == 0.0


def test_draws_follow_the_seed():
    p, q = mixture([0.0, 2.0], [1.0, 0.5]), gaussian(1.0, 1.0)
    for distance in (*DIVERGENCES, wasserstein, maximum_mean_discrepancy):
        found = distance(p, q, num_samples=500, seed=1)
        tf.random.set_seed(7)
        assert distance(p, q, num_samples=500, seed=1) == found
        assert distance(p, q, num_samples=500, seed=2) != found
    x, y = draws(20, 3), draws(20, 3, seed=1)
    assert sliced_wasserstein(x, y, seed=1) == sliced_wasserstein(x, y, seed=1)
    assert sliced_wasserstein(x, y, seed=1) != sliced_wasserstein(x, y, seed=2)
