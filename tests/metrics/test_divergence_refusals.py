"""What divergences refuse."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.metrics.helpers import DIVERGENCES, ByScipy, draws, gaussian, gaussians, tfd
from tests.small_models import COMPLAINT
from tfgen.losses import RBF
from tfgen.metrics import (
    cells,
    jensen_shannon,
    kl_divergence,
    maximum_mean_discrepancy,
    sliced_wasserstein,
    total_variation,
    wasserstein,
)

GRID = np.linspace(-15, 15, 3001)

EVERY = [*DIVERGENCES, wasserstein, sliced_wasserstein, maximum_mean_discrepancy]


@pytest.mark.parametrize("distance", EVERY, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "samples",
    [[], np.zeros((0, 2)), np.zeros((3, 0)), [1.0, np.nan], [np.inf], 1.0, np.zeros((2, 2, 2))],
)
def test_samples_that_are_none(distance, samples):
    for p, q in ((samples, [0.0, 1.0]), ([0.0, 1.0], samples)):
        with pytest.raises(ValueError, match=COMPLAINT):
            distance(p, q)


@pytest.mark.parametrize("distance", EVERY, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "samples",
    ["samples", ["a", "b"], None, object(), {0.0, 1.0}, [1j]],
    ids=lambda x: type(x).__name__,
)
def test_what_is_neither_samples_nor_a_distribution(distance, samples):
    with pytest.raises(TypeError, match=COMPLAINT):
        distance(samples, [0.0, 1.0])


@pytest.mark.parametrize("distance", EVERY, ids=lambda f: f.__name__)
def test_different_dimensions(distance):
    vectors = gaussians([0.0, 0.0], [1.0, 1.0])
    for p, q in (([[0.0, 1.0]], [0.0, 1.0]), (vectors, gaussian(0.0, 1.0)), (vectors, draws(5, 3))):
        with pytest.raises(ValueError, match=f"{COMPLAINT}\\d and \\d"):
            distance(p, q)


def test_distributions_that_do_not_fit():
    batch = tfd().Normal([0.0, 1.0], 1.0)
    matrices = tfd().Independent(tfd().Normal(np.zeros((2, 2)), 1.0), 2)
    for wrong in (batch, matrices):
        with pytest.raises(ValueError, match="one distribution"):
            kl_divergence(wrong, gaussian(0.0, 1.0), GRID)
    with pytest.raises(ValueError, match="continuous"):
        kl_divergence(tfd().Categorical(probs=[0.5, 0.5]), gaussian(0.0, 1.0), GRID)
    nowhere = gaussian(float("nan"), 1.0)
    with pytest.raises(ValueError, match=COMPLAINT):
        total_variation(nowhere, gaussian(0.0, 1.0))
    with pytest.raises(ValueError, match="NaN everywhere"):
        total_variation(nowhere, gaussian(0.0, 1.0), GRID)
    plane = gaussians([float("nan"), 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="NaN everywhere"):
        total_variation(plane, draws(5, 2), [GRID[::100]] * 2)


class Scaled:
    """The density of a distribution times a constant, as of an energy."""

    def __init__(self, distribution, log_scale, **attributes):
        self.log_prob = lambda x: np.asarray(distribution.log_prob(x)) + log_scale
        vars(self).update(attributes)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_densities_that_do_not_sum_to_one(divergence, monkeypatch):
    monkeypatch.setattr(cells, "MAX_NODES", 2**16)  # All of which are tried before a refusal.
    p = gaussian(0.0, 1.0)
    unnormalised = "Expected a density that sums to 1 over the `grid`.* Received: a sum of "
    with pytest.raises(ValueError, match=unnormalised + "0.250"):
        divergence(Scaled(p, math.log(0.25)), p, GRID)
    with pytest.raises(ValueError, match=unnormalised + "2.000"):
        divergence(p, Scaled(p, math.log(2.0)), GRID)
    with pytest.raises(ValueError, match=unnormalised + "0.841"):
        divergence(Scaled(p, 0.0), p, np.linspace(-15, 1, 1601))
    assert divergence(Scaled(p, math.log(0.995)), p, GRID) == pytest.approx(0.0, abs=1e-4)
    plane, grid = gaussians([0.0, 0.0], [1.0, 1.0]), [np.linspace(-6, 6, 61)] * 2
    assert divergence(Scaled(plane, 0.0, event_shape=(2,)), plane, grid) < 1e-6
    with pytest.raises(ValueError, match=unnormalised + "0.500"):
        divergence(Scaled(plane, math.log(0.5), event_shape=(2,)), plane, grid)


NAN = "Expected .* finite parameters, densities and distances. Received: NaN"


def test_results_that_are_no_numbers():
    with pytest.raises(ValueError, match=NAN):
        kl_divergence(gaussian(float("nan"), 1.0), gaussian(0.0, 1.0))
    # Draws round to the ends, where both densities are infinite.
    p, q = (tfd().Beta(tf.constant(a, tf.float64), 0.05) for a in (0.05, 0.06))
    for divergence in (jensen_shannon, total_variation):
        with pytest.raises(ValueError, match=NAN):
            divergence(p, q)
    # The squares of these overflow.
    with pytest.raises(ValueError, match=COMPLAINT):
        maximum_mean_discrepancy(1e200 * draws(5, 2), 1e200 * draws(5, 2, seed=1), RBF())


def test_mmd_of_too_many_points():
    points = np.zeros(10_001)
    for p, q in ((points, [0.0, 1.0]), (gaussian(0.0, 1.0), points)):
        with pytest.raises(ValueError, match="Expected at most 10000 points. Received: 10001"):
            maximum_mean_discrepancy(p, q, RBF())
    with pytest.raises(ValueError, match="at most 10000 points"):
        maximum_mean_discrepancy([0.0, 1.0], gaussian(0.0, 1.0), num_samples=10_001)


def test_what_only_tfp_can_do():
    other = ByScipy(stats.norm(0.0, 1.0))
    with pytest.raises(TypeError, match="of_density"):
        wasserstein(other, [0.0, 1.0])
    with pytest.raises(ValueError, match="Expected a `grid`"):
        kl_divergence(other, other)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"num_samples": 0}, ValueError),
        ({"num_samples": 1.5}, TypeError),
        ({"seed": -1}, ValueError),
        ({"seed": 0.5}, TypeError),
    ],
    ids=str,
)
@pytest.mark.parametrize("distance", EVERY, ids=lambda f: f.__name__)
def test_numbers_out_of_range(distance, wrong, error):
    with pytest.raises(error, match=COMPLAINT):
        distance(gaussian(0.0, 1.0), gaussian(1.0, 1.0), **wrong)


def test_other_arguments_out_of_range():
    with pytest.raises(ValueError, match=COMPLAINT):
        sliced_wasserstein([0.0], [1.0], num_projections=0)
    with pytest.raises(TypeError, match="a kernel"):
        maximum_mean_discrepancy([0.0, 1.0], [1.0, 2.0], kernel="rbf")
    with pytest.raises(ValueError, match=COMPLAINT):
        maximum_mean_discrepancy([0.0, 1.0], [1.0, 2.0], RBF((-1.0,)))
    with pytest.raises(ValueError, match="two samples"):
        maximum_mean_discrepancy([0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="points that differ"):
        maximum_mean_discrepancy([1.0, 1.0], [1.0, 1.0])
