"""Masses at points and in the cells of grids, by hand, and what is neither masses nor a grid."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.metrics.helpers import DIVERGENCES, draws, gaussian, gaussians, tfd
from tests.small_models import COMPLAINT
from tfgen.data import toy
from tfgen.metrics import (
    Discrete,
    cells,
    jensen_shannon,
    kl_divergence,
    total_variation,
    wasserstein,
)


def test_discrete_by_hand():
    p = Discrete([0.0, 1.0, 2.0], [0.5, 0.25, 0.25])
    q = Discrete([2.0, 1.0, 0.0], [0.5, 0.25, 0.25])
    assert total_variation(p, q) == pytest.approx(0.25, rel=1e-12)
    assert kl_divergence(p, q) == pytest.approx(0.25 * math.log(2), rel=1e-12)
    expected = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3)
    assert jensen_shannon(p, q) == pytest.approx(expected, rel=1e-12)
    assert wasserstein(p, q) == pytest.approx(0.5, rel=1e-12)


def test_points_are_matched_over_both_supports():
    p = Discrete([[0.0, 0.0], [1.0, 0.0], [0.0, -0.0]], [0.25, 0.5, 0.25])
    q = Discrete([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]], [0.25, 0.25, 0.5])
    assert total_variation(p, q) == pytest.approx(0.5, rel=1e-12)
    assert kl_divergence(q, p) == math.inf
    expected = 0.5 * math.log(2) + 0.5 * math.log(2)
    assert kl_divergence(p, q) == pytest.approx(expected, rel=1e-12)


def test_zero_probabilities():
    p, q = Discrete([0.0, 1.0], [1.0, 0.0]), Discrete([0.0, 1.0], [0.5, 0.5])
    assert kl_divergence(p, q) == pytest.approx(math.log(2), rel=1e-12)
    assert kl_divergence(q, p) == math.inf
    smallest = Discrete([0.0, 1.0], [1.0, 5e-324])
    assert jensen_shannon(smallest, p) == pytest.approx(0.0, abs=1e-12)


def test_a_density_on_a_grid_by_hand():
    # The trapezoidal rule on [0, 1] and [1, 3].
    p = Discrete.of_density([0.0, 1.0, 3.0], [0.2, 0.4, 0.3])
    np.testing.assert_allclose(p.probabilities, [0.1, 0.6, 0.3], rtol=1e-12)
    np.testing.assert_array_equal(p.points, [[0.0], [1.0], [3.0]])


def test_points_are_counted_in_cells():
    # In [0, 1), [1, 3] and outside: 1/2, 1/4, 1/4 and 1/4, 1/2, 1/4.
    p, q = np.array([0.0, 0.5, 1.0, 7.0]), np.array([0.9, 1.0, 3.0, -0.1])
    assert total_variation(p, q, [0.0, 1.0, 3.0]) == pytest.approx(0.25, rel=1e-12)
    weighted = Discrete([0.2, 2.0, 9.0], [0.25, 0.5, 0.25])
    assert total_variation(weighted, q, [0.0, 1.0, 3.0]) == 0.0
    assert kl_divergence(p, p[:3], [0.0, 1.0, 3.0]) == math.inf
    assert kl_divergence(p[:3], p, [0.0, 1.0, 3.0]) == pytest.approx(math.log(4 / 3), rel=1e-12)


def test_what_lies_outside_of_a_grid_is_one_cell():
    grid = [-1.0, 0.0, 1.0]
    assert total_variation([-5.0, 0.5], [0.5, 5.0], grid) == 0.0
    # A normal has half of its mass within one standard deviation in each cell.
    inside = 1 - 2 * stats.norm.cdf(-1)
    normal = gaussian(0.0, 1.0)
    assert total_variation(normal, [5.0], grid) == pytest.approx(inside, rel=1e-9)
    assert total_variation(normal, [-0.5, 0.5], grid) == pytest.approx(1 - inside, rel=1e-9)
    assert kl_divergence([5.0], normal, grid) == pytest.approx(-math.log(1 - inside), rel=1e-9)


def test_quadrature_does_not_put_mass_outside_of_a_grid():
    # At the middles of the cells, the convex density lacks 0.5 % of its mass.
    low, high = np.zeros(2), np.ones(2)
    p = tfd().Independent(tfd().TruncatedNormal(low - 0.5, 0.5, low, high), 1)
    q = tfd().Independent(tfd().Uniform(low, high), 1)
    expected = -2 * stats.truncnorm(1, 3, loc=-0.5, scale=0.5).entropy()
    assert kl_divergence(p, q, [np.linspace(0, 1, 11)] * 2) == pytest.approx(expected, rel=0.02)


# Bad input.


@pytest.mark.parametrize(
    ("points", "probabilities", "message"),
    [
        ([0.0, 1.0], [0.5, 0.6], "sum to one.*1.1"),
        ([0.0, 1.0], [1.5, -0.5], ">= 0.*-0.5"),
        ([0.0, 1.0], [np.nan, 1.0], "finite"),
        ([0.0, 1.0], [1.0], "shape"),
        ([], [], "at least one"),
        ([np.inf, 0.0], [0.5, 0.5], "finite"),
    ],
)
def test_points_and_probabilities_that_are_no_distribution(points, probabilities, message):
    with pytest.raises(ValueError, match=f"Expected .*{message}"):
        Discrete(points, probabilities)


@pytest.mark.parametrize(
    ("grid", "density", "message"),
    [
        ([0.0, 1.0], [0.5, 0.5], "one to 0.5"),
        ([0.0, 2.0, 1.0], [0.5, 0.5, 0.5], "rise"),
        ([0.0, 1.0], [2.0, -0.1], ">= 0"),
        ([0.0, 1.0], [1.0, 1.0, 1.0], "shape"),
        ([0.0, np.nan], [1.0, 1.0], "finite"),
    ],
)
def test_densities_on_a_grid_that_are_no_distribution(grid, density, message):
    with pytest.raises(ValueError, match=f"Expected .*{message}"):
        Discrete.of_density(grid, density)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_samples_without_a_grid(divergence):
    for other in ([0.0, 1.0], gaussian(0.0, 1.0), Discrete([0.0], [1.0])):
        with pytest.raises(ValueError, match="Expected a `grid`"):
            divergence([0.0, 1.0], other)
    with pytest.raises(ValueError, match="Expected a `grid`"):
        divergence(Discrete([0.0], [1.0]), gaussian(0.0, 1.0))


@pytest.mark.parametrize(
    "grid",
    [
        [1.0, 0.0],
        [0.0, 0.0, 1.0],
        [0.0],
        [],
        [0.0, np.nan],
        [0.0, np.inf],
        [[0.0, 1.0]] * 2,
        [[[0.0]]],
    ],
    ids=str,
)
def test_grids_that_are_none(grid):
    for divergence in DIVERGENCES:
        with pytest.raises(ValueError, match=COMPLAINT):
            divergence([0.0], gaussian(0.0, 1.0), grid)


@pytest.mark.parametrize("grid", [1.0, "grid", ["a", "b"]])
def test_grids_of_another_type(grid):
    with pytest.raises(TypeError, match=COMPLAINT):
        total_variation([0.0], [1.0], grid)


def test_a_grid_of_too_many_cells():
    edges = np.linspace(0, 1, 1001)
    with pytest.raises(ValueError, match="cells"):
        total_variation(draws(5, 3), draws(5, 3), [edges] * 3)


def test_a_grid_too_coarse_for_a_density(monkeypatch):
    monkeypatch.setattr(cells, "MAX_NODES", 2**16)  # All of which are tried before a refusal.
    narrow = gaussians([0.5, 0.5], [1e-5, 1e-5])
    with pytest.raises(ValueError, match="fine enough to see a mass of 1.000.* Received: a sum of"):
        total_variation(narrow, narrow, [np.linspace(-2, 3, 6)] * 2)


@pytest.mark.ci
@pytest.mark.parametrize("num_edges", [5, 20, 30, 60, 200])
def test_modes_narrower_than_cells(num_edges):
    ring, edges = toy.ring(), np.linspace(-3, 3, num_edges)
    x = ring.sample(20_000)
    at_edges = stats.norm.cdf(edges[:, np.newaxis, np.newaxis], ring.means, ring.std)
    of_modes = np.diff(at_edges, axis=0)  # [cells, modes, axes]
    exact = np.einsum("am,bm,m->ab", of_modes[..., 0], of_modes[..., 1], ring.weights)
    counts = np.histogram2d(*x.T, bins=[edges] * 2)[0] / len(x)
    expected = np.abs(exact - counts).sum() / 2
    found = total_variation(ring.distribution(), x, [edges] * 2)
    assert found == pytest.approx(expected, abs=5e-4)


def test_a_grid_that_holds_neither():
    grid = np.linspace(100, 101, 3)
    for divergence in DIVERGENCES:
        with pytest.raises(ValueError, match="at least 1 % of `p` or of `q`.*0 and 0"):
            divergence(gaussian(0.0, 1.0), np.zeros(5), grid)


@pytest.mark.parametrize(("dim", "num_edges"), [(3, 13), (4, 11), (5, 7)])
def test_gaussians_of_several_dimensions(dim, num_edges):
    edges = np.linspace(-5, 5, num_edges)
    means = np.array([0.0, 0.25])
    along = np.diff(stats.norm.cdf(edges[:, np.newaxis], means), axis=0)  # [cells, side]
    masses = along
    for _ in range(dim - 1):
        masses = (masses[:, np.newaxis] * along).reshape(-1, 2)
    expected = np.abs(masses[:, 0] - masses[:, 1]).sum() / 2
    p, q = (gaussians([mean] * dim, [1.0] * dim) for mean in means)
    assert total_variation(p, q, [edges] * dim) == pytest.approx(expected, rel=0.02)


def test_little_mass_outside_of_a_grid():
    normal = tfd().MultivariateNormalDiag([[0.0, 0.0], [100.0, 100.0]], [[1.0, 1.0]] * 2)
    p = tfd().MixtureSameFamily(tfd().Categorical(probs=[0.995, 0.005]), normal)
    inside, outside = Discrete([[0.0, 0.0]], [1.0]), Discrete([[50.0, 50.0]], [1.0])
    grid = [np.linspace(-8, 8, 2)] * 2
    assert total_variation(p, inside, grid) == pytest.approx(0.005, rel=1e-3)
    assert total_variation(p, outside, grid) == pytest.approx(0.995, rel=1e-3)


def test_a_distribution_that_cannot_be_drawn_from():
    class Quiet(tfd().MultivariateNormalDiag):
        def _sample_n(self, *args, **kwargs):
            raise NotImplementedError

        def _call_sample_n(self, *args, **kwargs):
            raise NotImplementedError

    quiet = Quiet([0.0, 0.0], [1.0, 1.0])
    grid = [np.linspace(-6, 6, 13)] * 2
    assert total_variation(quiet, gaussians([0.0, 0.0], [1.0, 1.0]), grid) < 1e-4


def test_a_support_that_is_a_small_part_of_a_grid():
    """TFP says NaN outside of this one's, and so everywhere on many a part of the grid."""
    p = tfd().Independent(tfd().Beta([2.0, 2.0], [3.0, 3.0]), 1)
    uniform = tfd().Independent(tfd().Uniform([0.0, 0.0], [1.0, 1.0]), 1)
    along = np.diff(stats.beta.cdf(np.linspace(0, 1, 11), 2, 3))
    expected = 2 * np.sum(along * np.log(along / 0.1))
    grid = [np.linspace(-20, 20, 401)] * 2
    assert kl_divergence(p, uniform, grid) == pytest.approx(expected, rel=5e-3)
