"""Output densities of random networks equal their cdfs' slopes and histograms of samples."""

import functools

import numpy as np
import pytest

from tests.implicit.helpers import NORMAL, bin_masses, network
from tfgen.implicit import OutputDensity

SEEDS = [3, 4, 5, 10]


@functools.cache
def density_of(seed: int) -> OutputDensity:
    return OutputDensity(network(seed)[1], NORMAL)


@pytest.mark.parametrize("seed", SEEDS)
def test_network_density_equals_the_slope_of_its_cdf(seed):
    density = density_of(seed)
    assert density.poles.size >= 1
    low, high = density.poles[0] - 0.5, density.poles[-1] + 0.5
    x = np.linspace(low, high, 501)
    x = x[np.abs(x[:, None] - density.poles).min(axis=1) > 0.02]
    step = 1e-5
    slope = (density.cdf(x + step) - density.cdf(x - step)) / (2 * step)
    np.testing.assert_allclose(density.prob(x), slope, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_network_masses_equal_those_of_samples(seed):
    by_numpy, density = network(seed)[0], density_of(seed)
    samples = by_numpy(np.random.default_rng(10 + seed).normal(size=200_000))
    edges = np.quantile(samples, np.linspace(0.001, 0.999, 101))
    counts, _ = np.histogram(samples, edges)
    masses = {"cdf": np.diff(density.cdf(edges)), "density": bin_masses(density, edges)}
    for name, mass in masses.items():
        noise = np.sqrt(mass * samples.size)
        assert np.abs((counts - mass * samples.size) / noise).max() < 5, name


@pytest.mark.parametrize("seed", SEEDS)
def test_network_density_and_atoms_sum_to_one(seed):
    by_numpy, density = network(seed)[0], density_of(seed)
    outputs = by_numpy(np.linspace(-7, 7, 101))
    ends = np.unique(np.append(outputs, density.poles))
    total = bin_masses(density, ends).sum() + sum(mass for _, mass in density.atoms)
    assert total == pytest.approx(1, abs=1e-8)
