"""Wasserstein distances: values by hand, closed forms, and the ways to compute them agree."""

import math

import numpy as np
import pytest

from tests.metrics.helpers import draws, gaussian, gaussians, mixture, tfd
from tfgen.metrics import Discrete, sliced_wasserstein, wasserstein


def test_wasserstein_on_the_line_by_hand():
    assert wasserstein([0.0, 1.0], [5.0, 2.0]) == pytest.approx(3.0)
    assert wasserstein([0.0, 0.0, 3.0], [1.0]) == pytest.approx(4 / 3)
    p, q = Discrete([0.0, 4.0], [0.75, 0.25]), Discrete([0.0, 4.0], [0.5, 0.5])
    assert wasserstein(p, q) == pytest.approx(1.0)


@pytest.mark.parametrize("shift", [0.3, -2.0])
def test_wasserstein_of_shifted_gaussians(shift):
    p, q = gaussian(0.0, 1.0), gaussian(shift, 1.0)
    assert wasserstein(p, q) == pytest.approx(abs(shift), rel=1e-9)
    assert wasserstein(p, shift + draws(100_000)) == pytest.approx(abs(shift), abs=0.02)
    assert wasserstein(p, mixture([shift], [1.0])) == pytest.approx(abs(shift), abs=0.02)
    scaled = gaussian(0.0, 3.0)
    # |F^-1 - G^-1| = 2 |z|.
    assert wasserstein(p, scaled) == pytest.approx(2 * math.sqrt(2 / math.pi), rel=1e-3)


def test_distributions_on_the_line_are_their_quantiles():
    # At 1/4 and 3/4, of which one is 1/4 away from the point and the other 3/4.
    found = wasserstein(tfd().Uniform(0.0, 1.0), [0.0], num_samples=2)
    assert found == pytest.approx(0.5, rel=1e-6)
    found = wasserstein(tfd().Uniform(0.0, 1.0), [0.25], num_samples=2)
    assert found == pytest.approx(0.25, rel=1e-6)


def test_wasserstein_in_the_plane_by_hand():
    # Sides of 3-4-5 triangles: the crossed plan would cost 4 + 4.
    x, y = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 4.0]])
    assert wasserstein(x, y) == pytest.approx(4.0)
    # All of one point goes to two, 5 and 0 away.
    halves = Discrete([[0.0, 0.0], [3.0, 4.0]], [0.25, 0.75])
    assert wasserstein([[0.0, 0.0]], halves) == pytest.approx(3.75)
    # A half stays, a quarter moves by 1.
    p = Discrete([[0.0, 0.0], [1.0, 0.0]], [0.75, 0.25])
    q = Discrete([[0.0, 0.0], [1.0, 0.0]], [0.5, 0.5])
    assert wasserstein(p, q) == pytest.approx(0.25)


def test_the_linear_programme_equals_the_assignment():
    x, y = draws(30, 3), 0.5 + draws(30, 3, seed=1)
    # The same distribution, with one point as two of half its probability.
    split = Discrete(np.append(x, x[:1], axis=0), [1 / 60, *[1 / 30] * 29, 1 / 60])
    assert wasserstein(split, y) == pytest.approx(wasserstein(x, y), rel=1e-7)
    assert wasserstein(x, np.repeat(y, 2, axis=0)) == pytest.approx(wasserstein(x, y), rel=1e-7)


def test_the_linear_programme_equals_sorting_on_a_line_in_space():
    places, weights = draws(20), np.random.default_rng(2).dirichlet(np.ones(20))
    other_places, other_weights = draws(25, seed=1), np.random.default_rng(3).dirichlet(np.ones(25))
    direction = np.array([0.6, 0.0, -0.8])
    on_line = wasserstein(Discrete(places, weights), Discrete(other_places, other_weights))
    in_space = wasserstein(
        Discrete(np.outer(places, direction), weights),
        Discrete(np.outer(other_places, direction), other_weights),
    )
    assert in_space == pytest.approx(on_line, rel=1e-7)


def weights(number, seed, smallest=0.0):
    logs = np.random.default_rng(seed).uniform(smallest, 0, number)
    return 10**logs / np.sum(10**logs)


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1.0, 1e12])
@pytest.mark.parametrize("smallest", [0.0, -14.0])
def test_neither_units_nor_small_weights_matter(scale, smallest):
    direction = scale * np.array([0.6, 0.0, -0.8])
    numbers = [draws(20, seed=0), draws(25, seed=1)]
    masses = [weights(len(x), seed, smallest) for seed, x in enumerate(numbers)]
    expected = scale * wasserstein(*map(Discrete, numbers, masses))
    found = wasserstein(
        *(Discrete(np.outer(x, direction), w) for x, w in zip(numbers, masses, strict=True))
    )
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_assignment_has_no_unit(scale):
    x, y = draws(30, 3), 0.5 + draws(30, 3, seed=1)
    assert wasserstein(scale * x, scale * y) == pytest.approx(scale * wasserstein(x, y), rel=1e-9)


@pytest.mark.parametrize("weight", [1e-3, 1e-9, 1e-13])
def test_a_plan_that_moves_next_to_nothing(weight):
    places = [[0.0, 0.0], [3.0, 4.0], [1e3, 0.0]]
    p = Discrete(places, [0.5, 0.25, 0.25])
    q = Discrete(places, [0.5 - weight, 0.25 + weight, 0.25])
    moved = q.probabilities[1] - p.probabilities[1]
    assert wasserstein(p, q) == pytest.approx(5 * moved, rel=1e-3 if weight < 1e-12 else 1e-6)
    assert wasserstein(p, p) == 0.0


def test_wasserstein_of_distributions_of_vectors():
    p, q = gaussians([0.0, 0.0], [0.1, 0.1]), gaussians([3.0, 4.0], [0.1, 0.1])
    assert wasserstein(p, q, num_samples=200) == pytest.approx(5.0, abs=0.05)
    assert sliced_wasserstein(p, q) == pytest.approx(5 * 2 / math.pi, rel=0.2)


@pytest.mark.parametrize("num", [101, 500])
def test_a_distribution_has_as_many_draws_as_there_are_points_to_assign(num):
    x, q = draws(num, 2), gaussians([3.0, 4.0], [1.0, 1.0])
    found = wasserstein(x, q)
    assert found == wasserstein(x, q, num_samples=num) == pytest.approx(5.0, abs=0.3)
    assert wasserstein(q, Discrete(x, np.full(num, 1 / num))) == pytest.approx(found, abs=0.3)


def test_few_points_or_others_do_not_change_how_many_draws_there_are():
    # E of the length of a standard normal in the plane, far from the mean of one draw.
    q = gaussians([0.0, 0.0], [1.0, 1.0])
    assert wasserstein([[0.0, 0.0]], q) == pytest.approx(math.sqrt(math.pi / 2), abs=0.1)
    weighted = Discrete(draws(20, 2), [0.05 + 1e-3, 0.05 - 1e-3, *[0.05] * 18])
    assert wasserstein(weighted, q) == wasserstein(weighted, q, num_samples=1000)
    assert wasserstein(q, q) == wasserstein(q, q, num_samples=1000)


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_sliced_wasserstein_of_a_shift(dim):
    shift = np.arange(1.0, dim + 1)
    x = draws(50, dim)
    mean = math.gamma(dim / 2) / math.sqrt(math.pi) / math.gamma((dim + 1) / 2)
    expected, num = np.linalg.norm(shift) * mean, 4000
    found = sliced_wasserstein(x, x + shift, num_projections=num)
    # <u, shift>^2 has a mean of |shift|^2 / d.
    std = math.sqrt(shift @ shift / dim - expected**2)
    assert abs(found - expected) < 4 * std / math.sqrt(num)
    assert sliced_wasserstein(x, x) == 0.0


def test_sliced_wasserstein_is_at_most_wasserstein_and_the_same_on_the_line():
    x, y = draws(40, 2), 1.0 + 2 * draws(40, 2, seed=1)
    assert 0 < sliced_wasserstein(x, y) < wasserstein(x, y)
    one, other = x[:, 0], y[:, 0]
    assert sliced_wasserstein(one, other) == pytest.approx(wasserstein(one, other), rel=1e-9)
    weights = np.random.default_rng(2).dirichlet(np.ones(40))
    weighted = Discrete(one, weights), Discrete(other, weights[::-1])
    assert sliced_wasserstein(*weighted) == pytest.approx(wasserstein(*weighted), rel=1e-9)


@pytest.mark.parametrize("sizes", [(2001, 2001), (400, 300)])
def test_too_many_vectors_for_an_exact_distance(sizes):
    with pytest.raises(ValueError, match="sliced_wasserstein"):
        wasserstein(*(draws(size, 2) for size in sizes))


def test_more_vectors_than_can_be_assigned_to_draws():
    weighted = Discrete(draws(101, 2), [1 / 202, 3 / 202, *[1 / 101] * 99])
    for points in (draws(2001, 2), weighted):
        with pytest.raises(ValueError, match="sliced_wasserstein"):
            wasserstein(points, gaussians([0.0, 0.0], [1.0, 1.0]))
