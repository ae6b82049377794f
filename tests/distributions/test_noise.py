"""Noises side by side."""

import numpy as np
import pytest

from tfgen.core import random
from tfgen.distributions import Blockwise, Gaussian, StandardNormal, Uniform


@pytest.fixture
def noise():
    """A number in [0, 1), two normal ones, and one in [-3, -2)."""
    return Blockwise([Uniform(1, 0.0, 1.0), StandardNormal(2), Uniform(1, -3.0, -2.0)])


def draws(noise, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns many draws of training and as many of sampling."""
    return (
        noise.draw(4000, [seed, 7]).numpy(),
        noise.sample_rows(random.row_seeds(4000, seed)).numpy(),
    )


def test_parts_are_side_by_side(noise):
    assert noise.dim == 4
    for x in draws(noise):
        assert x.shape == (4000, 4)
        assert 0 <= x[:, 0].min() and x[:, 0].max() < 1
        assert -3 <= x[:, 3].min() and x[:, 3].max() < -2
        np.testing.assert_allclose(x[:, 1:3].mean(axis=0), 0, atol=0.06)
        np.testing.assert_allclose(x[:, 1:3].std(axis=0), 1, atol=0.04)


def test_parts_are_independent(noise):
    for x in draws(noise):
        np.testing.assert_allclose(np.corrcoef(x.T), np.eye(4), atol=0.06)


def test_parts_of_one_kind_draw_other_numbers():
    for x in draws(Blockwise([StandardNormal(1), StandardNormal(1)])):
        assert abs(np.corrcoef(x.T)[0, 1]) < 0.06


def test_the_distribution_is_that_of_the_draws(noise):
    distribution = noise.distribution()
    assert distribution.event_shape == [4]
    density = distribution.prob([0.5, 0.0, 0.0, -2.5]).numpy()
    assert density == pytest.approx(1 / (2 * np.pi), rel=1e-5)
    assert distribution.prob([1.5, 0.0, 0.0, -2.5]).numpy() == 0


@pytest.mark.parametrize("parts", [[], [Gaussian(2)], [StandardNormal(1), "normal"]])
def test_parts_are_noises(parts):
    with pytest.raises(ValueError, match=r"Expected `parts`, at least one noise\. Received: "):
        Blockwise(parts)
