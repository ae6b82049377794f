"""Divergences between distributions, for few dimensions.

They are computed in float64.

Each side, `p` and `q`, is one of

    samples: an array [n, d], or [n] for numbers;
    a `Discrete`: points with probabilities, or a density on a grid with `Discrete.of_density`;
    a TFP distribution over numbers or vectors [d], without a batch shape, or a density of
        `tfgen.distributions` over vectors;
    another object over numbers with `log_prob(x)`, and perhaps `cdf(x)` and `quantile(u)`, of
        float64 [n].

Total variation, Kullback-Leibler and Jensen-Shannon compare masses at the same places.

    With a `grid`, the rising edges of cells (for vectors a sequence of d such arrays), both sides
    become masses of cells, and what lies outside of the grid is one more cell. Points are counted:
    cells hold their lower edges, and the last ones both. Continuous distributions are integrated:
    over numbers by differences of the `cdf`, where there is one and they are not mere rounding;
    otherwise by quadrature of the density with ever more nodes to a cell, until masses settle to
    1e-4, or as nearly as four million nodes bring them, up to 1 %. What a TFP distribution then
    has in the grid must agree with 100,000 draws, also up to 1 %; any other density has all of its
    mass there, as nothing would tell one that lacks some from one that is not normalised. The
    divergence of masses in cells is at most that of the distributions, which it reaches as cells
    get smaller; samples need many points to a cell.

    Without a grid, two `Discrete` are compared point by point, and two TFP distributions by their
    densities at points that are drawn from them (KL in closed form where TFP has one). Samples have
    no densities, and need a grid.

MMD, and the distances of `tfgen.metrics.wasserstein`, compare places and take no grid. Of TFP
distributions they see draws, Wasserstein distances quantiles where there are any.

A mass of zero is taken as such, and so is one that is too small for float64: KL is infinite where
only q has none.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.losses.mmd import RBF, median_bandwidth, squared_mmd
from tfgen.metrics.cells import cell_masses, checked_grid
from tfgen.metrics.discrete import (
    MAX_MASS_ERROR,
    Density,
    Discrete,
    Samples,
    checked_number,
    normal_forms,
)

MAX_KERNEL_POINTS = 10_000
"""Points a side whose kernel is evaluated at all pairs, which takes some five gigabytes."""


def total_variation(
    p: Any, q: Any, grid: Any = None, num_samples: int = 100_000, seed: int = 0
) -> float:
    """Returns the total variation distance, sup over events A of |P(A) - Q(A)|.

    It is half the sum of |p - q| over points or cells; of two TFP distributions without a grid, an
    average of |p(x) - q(x)| / (p(x) + q(x)) over draws x from both.

    Args:
        p, q, grid: as `tfgen.metrics.divergences` says.
        num_samples: draws from each of two TFP distributions, when there is no grid.
        seed: of the draws.

    Returns:
        The distance, in [0, 1].

    Raises:
        TypeError: when a side is not of a kind that the module lists.
        ValueError: when dimensions differ, a value is not finite, a grid does not rise, is too
            coarse for a density or holds less than 1 % of both sides, there is no grid for samples,
            a density does not sum to one, or the result is NaN.

    Reference: Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017,
        https://arxiv.org/abs/1701.07875, section 2.
    """
    p, q = normal_forms(p, q, num_samples, seed)
    if _is_drawn(p, q, grid):
        ratios = np.concatenate(_log_ratios_at_both(p, q, num_samples, seed))
        return checked_number(np.abs(np.tanh(ratios / 2)).mean())
    p_masses, q_masses = _masses(p, q, grid)
    return checked_number(np.abs(p_masses - q_masses).sum() / 2)


def kl_divergence(
    p: Any, q: Any, grid: Any = None, num_samples: int = 100_000, seed: int = 0
) -> float:
    """Returns the Kullback-Leibler divergence KL(P || Q) = E_P[log p(x) - log q(x)].

    Args:
        p, q, grid: as `tfgen.metrics.divergences` says.
        num_samples: draws from p, when both are TFP distributions, TFP has no closed form, and
            there is no grid. Their average may be a little below zero.
        seed: of the draws.

    Returns:
        The divergence in nats, infinite where p has mass and q has none.

    Raises:
        TypeError, ValueError: as `total_variation`.

    Reference: Nowozin, Cseke and Tomioka, "f-GAN: Training Generative Neural Samplers using
        Variational Divergence Minimization", 2016, https://arxiv.org/abs/1606.00709, table 1.
    """
    p, q = normal_forms(p, q, num_samples, seed)
    if _is_drawn(p, q, grid):
        from tensorflow_probability import distributions as tfd

        try:
            found = tfd.kl_divergence(p.distribution, q.distribution)
        except NotImplementedError:
            found = _log_ratios(p, q, p.draw(num_samples, (seed, 0))).mean()
        return checked_number(found)
    p_masses, q_masses = _masses(p, q, grid)
    return checked_number(max(_relative_entropy(p_masses, q_masses), 0.0))


def jensen_shannon(
    p: Any, q: Any, grid: Any = None, num_samples: int = 100_000, seed: int = 0
) -> float:
    """Returns the Jensen-Shannon divergence, (KL(P || M) + KL(Q || M)) / 2 with M = (P + Q) / 2.

    It is E_M[log 2 - H(p / (p + q))], H the entropy of a coin; of two TFP distributions without a
    grid, the average of that over draws from both, which has no bias and lies within the bounds.
    Some papers leave the half out.

    Args:
        p, q, grid: as `tfgen.metrics.divergences` says.
        num_samples: draws from each of two TFP distributions, when there is no grid.
        seed: of the draws.

    Returns:
        The divergence in nats, in [0, log 2].

    Raises:
        TypeError, ValueError: as `total_variation`.

    Reference: Nowozin, Cseke and Tomioka, 2016, https://arxiv.org/abs/1606.00709, table 1.
    """
    p, q = normal_forms(p, q, num_samples, seed)
    if _is_drawn(p, q, grid):
        ratios = np.concatenate(_log_ratios_at_both(p, q, num_samples, seed))
        return checked_number(np.minimum(_entropy_below_log_2(ratios).mean(), np.log(2)))
    p_masses, q_masses = _masses(p, q, grid)
    some = p_masses + q_masses > 0
    p_masses, q_masses = p_masses[some], q_masses[some]
    with np.errstate(divide="ignore"):
        ratios = np.log(p_masses) - np.log(q_masses)
    below = _entropy_below_log_2(ratios)
    # Each by itself, as half of the smallest masses would be zero.
    return checked_number(np.minimum((p_masses @ below + q_masses @ below) / 2, np.log(2)))


def maximum_mean_discrepancy(
    p: Any, q: Any, kernel: Callable | None = None, num_samples: int = 1000, seed: int = 0
) -> float:
    """Returns the squared maximum mean discrepancy, MMD^2 and not its root.

    Of samples it is the unbiased estimate. Memory grows with the square of the number of points.

    Args:
        p, q: as `tfgen.metrics.divergences` says. Samples and TFP distributions, of which samples
            are drawn, have at least two points; those of a `Discrete` are the distribution itself.
            No side has more than 10 000.
        kernel: of `tfgen.losses`, or another with their arguments; unless given, an `RBF` of the
            median distance between the points.
        num_samples: draws from a TFP distribution.
        seed: of the draws.

    Returns:
        MMD^2; below zero now and then where it is estimated.

    Raises:
        TypeError: when a side is not of a kind that the module lists, or `kernel` is not a
            function.
        ValueError: when dimensions differ, a value is not finite, there is but one sample or there
            are too many points, or the result is NaN.

    Reference: Gretton et al., "A Kernel Two-Sample Test", 2012,
        https://jmlr.org/papers/v13/gretton12a.html.
    """
    if kernel is not None and not callable(kernel):
        raise TypeError(expected("a kernel, e.g. RBF()", repr(kernel)))
    p, q = normal_forms(p, q, num_samples, seed)
    p, q = (
        side.draw(num_samples, (seed, i)) if isinstance(side, Density) else side
        for i, side in enumerate((p, q))
    )
    for side in (p, q):
        if isinstance(side, Samples) and len(side.points) < 2:
            raise ValueError(expected("at least two samples", len(side.points)))
        if len(side.points) > MAX_KERNEL_POINTS:
            raise ValueError(expected(f"at most {MAX_KERNEL_POINTS} points", len(side.points)))
    kernel = kernel or RBF((median_bandwidth(p.points, q.points),))
    weights = [None if isinstance(side, Samples) else side.probabilities for side in (p, q)]

    def on_arrays(x: tf.Tensor, y: tf.Tensor) -> np.ndarray:
        return np.asarray(kernel(x.numpy(), y.numpy()), np.float64)

    return checked_number(squared_mmd(p.points, q.points, on_arrays, True, *weights).numpy())


def _is_drawn(p: Discrete | Density, q: Discrete | Density, grid: Any) -> bool:
    """Tells whether densities are to be compared at points that are drawn."""
    return grid is None and all(isinstance(side, Density) and side.is_tfp for side in (p, q))


def _log_ratios(p: Density, q: Density, draws: Samples) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # `checked_number` refuses NaN in the end.
        return p.log_prob(draws.points) - q.log_prob(draws.points)


def _log_ratios_at_both(
    p: Density, q: Density, num_samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns log p(x) - log q(x) at draws from p, and at draws from q."""
    at_p, at_q = (
        _log_ratios(p, q, side.draw(num_samples, (seed, i))) for i, side in enumerate((p, q))
    )
    return at_p, at_q


def _entropy_below_log_2(log_ratios: np.ndarray) -> np.ndarray:
    """Returns log 2 - H(sigmoid(r)), in [0, log 2], to full precision also of small r."""
    r = np.minimum(np.abs(log_ratios), 700.0)  # Where nothing is left to come; NaN stays.
    tanh = np.tanh(r / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = (r * tanh + np.log1p(-tanh * tanh)) / 2
    far = np.log(2) - np.log1p(np.exp(-r)) - r * np.exp(-r) / (1 + np.exp(-r))
    return np.where(r < 1, near, far)


def _masses(
    p: Discrete | Density, q: Discrete | Density, grid: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the masses of both at the same points, or in the same cells."""
    if grid is not None:
        axes = checked_grid(grid, p.dim)
        masses = cell_masses(p, axes), cell_masses(q, axes)
        inside = [1 - side[-1] for side in masses]
        if max(inside) < MAX_MASS_ERROR:
            what = "a `grid` that holds at least 1 % of `p` or of `q`"
            raise ValueError(expected(what, "masses of {:.3g} and {:.3g}".format(*inside)))
        return masses
    if any(isinstance(side, Density | Samples) for side in (p, q)):
        what = "a `grid`, without which two `Discrete` or two TFP distributions can be compared"
        raise ValueError(expected(what, None))
    both = np.concatenate([p.points, q.points])
    places, which = np.unique(both, axis=0, return_inverse=True)
    parts = np.split(which.reshape(-1), [len(p.points)])
    p_masses, q_masses = (
        np.bincount(part, side.probabilities, len(places))
        for part, side in zip(parts, (p, q), strict=True)
    )
    return p_masses, q_masses


def _relative_entropy(a: np.ndarray, b: np.ndarray) -> float:
    """Returns sum a log(a / b), where 0 log 0 is 0 and a log(a / 0) infinite."""
    a, b = a[a > 0], b[a > 0]
    with np.errstate(divide="ignore"):
        return float(np.sum(a * (np.log(a) - np.log(b))))
