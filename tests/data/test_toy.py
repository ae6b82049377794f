"""Mixtures whose modes, weights and density are known."""

import numpy as np
import pytest

from tfgen.data import toy

MIXTURES = {"ring": toy.ring(), "grid": toy.grid(), "line": toy.line()}


@pytest.mark.parametrize(("name", "num_modes"), [("ring", 8), ("grid", 25), ("line", 5)])
def test_modes_are_as_many_as_the_name_says_and_apart(name, num_modes):
    mixture = MIXTURES[name]
    assert mixture.means.shape == (num_modes, 2) and mixture.num_modes == num_modes
    distances = np.linalg.norm(mixture.means[:, None] - mixture.means, axis=-1)
    assert distances[~np.eye(num_modes, dtype=bool)].min() > 20 * mixture.std
    np.testing.assert_allclose(mixture.means.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(mixture.weights, 1 / num_modes)


def test_places_of_the_modes():
    np.testing.assert_allclose(np.linalg.norm(toy.ring(6, radius=3.0).means, axis=1), 3.0)
    assert sorted(map(tuple, toy.grid(2, spacing=3.0).means)) == [
        (-1.5, -1.5),
        (-1.5, 1.5),
        (1.5, -1.5),
        (1.5, 1.5),
    ]
    np.testing.assert_allclose(toy.line(3, spacing=0.5).means, [[-0.5, 0], [0, 0], [0.5, 0]])


def test_samples_follow_means_weights_and_std():
    mixture = toy.Mixture([[-1.0, 2.0, 0.0], [3.0, 0.0, 1.0]], 0.1, [0.3, 0.7])
    x = mixture.sample(20_000, seed=1)
    assert x.shape == (20_000, 3) and x.dtype == np.float32
    first = x[:, 0] < 1
    assert first.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(x[first].mean(axis=0), [-1, 2, 0], atol=0.005)
    np.testing.assert_allclose(np.cov(x[~first].T), 0.01 * np.eye(3), atol=4e-4)


def test_a_seed_gives_the_same_samples():
    mixture = MIXTURES["ring"]
    np.testing.assert_array_equal(mixture.sample(5, seed=3), mixture.sample(5, seed=3))
    assert not np.isclose(mixture.sample(5, seed=3), mixture.sample(5, seed=4)).all()


def test_mixtures_are_equal_to_themselves_alone():
    one, other = toy.ring(), toy.ring()
    assert one == one and one != other
    assert len({one, one, other}) == 2


def test_density_is_that_of_the_formula():
    mixture = toy.Mixture([[0.0, 0.0], [1.0, 1.0]], 0.5, [0.25, 0.75])
    x = np.array([[0.2, -0.3], [1.0, 0.5]])
    squared = ((x[:, None] - mixture.means) ** 2).sum(axis=-1)
    density = np.exp(-squared / (2 * 0.25)) / (2 * np.pi * 0.25) @ mixture.weights
    np.testing.assert_allclose(mixture.distribution().prob(x), density, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 0.1), "`means`"),
        (([1.0, 2.0], 0.1), "`means` of rank 2"),
        (([[np.nan, 0.0]], 0.1), "`means` of finite numbers"),
        (([[0.0, 0.0]], 0.0), "`std`"),
        (([[0.0, 0.0]], 0.1, [0.5, 0.5]), "1 `weights` > 0"),
        (([[0.0], [1.0]], 0.1, [1.5, -0.5]), "2 `weights` > 0"),
        (([[0.0], [1.0]], 0.1, [0.5, 0.4]), "`weights` that sum to one"),
    ],
)
def test_mixtures_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=f"Expected {message}.* Received: "):
        toy.Mixture(*arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: toy.ring(0),
        lambda: toy.ring(radius=-1.0),
        lambda: toy.grid(0),
        lambda: toy.grid(spacing=0.0),
        lambda: toy.line(0),
        lambda: toy.line(std=-0.1),
        lambda: toy.ring().sample(0),
        lambda: toy.ring().sample(5, seed=-1),
    ],
)
def test_numbers_out_of_range(make):
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        make()


@pytest.mark.parametrize("make", [lambda: toy.ring(2.5), lambda: toy.line().sample(1.5)])
def test_numbers_that_are_not_integers(make):
    with pytest.raises(TypeError, match=r"to be an integer\. Received: "):
        make()
