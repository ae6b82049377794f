"""Masses of distributions in the cells of a grid."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfgen.core.checks import expected
from tfgen.metrics.discrete import MAX_MASS_ERROR, Density, Discrete, checked_edges

MAX_CELLS = 10**7

MAX_NODES = 2**21
"""Of quadrature, in all, unless there are more cells."""

MAX_CELL_NODES = 2**9
"""In a cell, along each axis."""

CHANGE = 1e-4
"""Masses have settled when twice the nodes along each axis change them by less, in sum."""

NUM_DRAWS = 100_000
"""Which tell the mass of a distribution in a grid, to a third of `MAX_MASS_ERROR`."""


def checked_grid(grid: Any, dim: int) -> list[np.ndarray]:
    """Returns the edges of cells along each of `dim` axes; raises unless they are such."""
    if not hasattr(grid, "__len__"):
        what = "`grid` to be the edges of cells, or a sequence of as many as there are dimensions"
        raise TypeError(expected(what, repr(grid)))
    is_one_axis = all(np.ndim(edge) == 0 for edge in grid)
    axes = [checked_edges(edges) for edges in ([grid] if is_one_axis else grid)]
    if len(axes) != dim:
        raise ValueError(expected(f"a `grid` of {dim} dimensions", len(axes)))
    num_cells = np.prod([len(edges) - 1.0 for edges in axes])
    if num_cells > MAX_CELLS:
        raise ValueError(expected(f"a `grid` of at most {MAX_CELLS} cells", f"{num_cells:.0f}"))
    return axes


def cell_masses(p: Discrete | Density, axes: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the masses of all cells of a grid and, last, of what lies outside of it."""
    if isinstance(p, Density):
        return _integrated(p, axes)
    lowest, highest = [edges[0] for edges in axes], [edges[-1] for edges in axes]
    is_outside = ((p.points < lowest) | (p.points > highest)).any(axis=1)
    masses, _ = np.histogramdd(p.points, bins=list(axes), weights=p.probabilities)
    return np.append(masses, p.probabilities[is_outside].sum())


def _integrated(p: Density, axes: Sequence[np.ndarray]) -> np.ndarray:
    if p.dtype.is_integer:
        what = "a continuous distribution with a `grid`; make others a `Discrete`"
        raise ValueError(expected(what, type(p.distribution).__name__))
    # One more cell at each end, to see how a density goes on outside of the grid.
    wider = [np.concatenate([[2 * e[0] - e[1]], e, [2 * e[-1] - e[-2]]]) for e in axes]
    cdf = p.cdf(wider[0]) if len(axes) == 1 else None
    masses = _masses_by_nodes(p, wider, 1)
    is_inside = np.pad(np.ones(np.subtract(masses.shape, 2), bool), 1)
    if cdf is None:
        masses = _settled(masses, p, wider, is_inside, _mass_inside(p, axes))
        missing = 1 - masses[is_inside].sum()
        missing = missing if missing > MAX_MASS_ERROR else 0.0
    else:
        masses = _rises(cdf, masses)
        missing = float(cdf[1]) + 1 - float(cdf[-2])
    inside, outside = masses[is_inside], max(masses[~is_inside].sum(), missing)
    return np.append(inside, outside) / (inside.sum() + outside)


def _settled(
    masses: np.ndarray,
    p: Density,
    axes: Sequence[np.ndarray],
    is_inside: np.ndarray,
    mass_inside: float,
) -> np.ndarray:
    """Returns masses of cells by ever more nodes, until they settle.

    They must have the mass that is known to be inside besides: masses seem to have settled also
    while the nodes see nothing of a narrow mode.
    """
    change, error = np.inf, masses[is_inside].sum() - mass_inside
    most = min(MAX_CELL_NODES, (MAX_NODES / masses.size) ** (1 / masses.ndim))
    for num_nodes in 2 ** np.arange(1, 1 + int(np.log2(max(most, 1)))):
        before, masses = masses, _masses_by_nodes(p, axes, num_nodes)
        change, error = np.abs(masses - before).sum(), masses[is_inside].sum() - mass_inside
        if change <= CHANGE and abs(error) <= MAX_MASS_ERROR:
            break
    # Cells too many for a second node are taken as they are.
    if not abs(error) <= MAX_MASS_ERROR or MAX_MASS_ERROR < change < np.inf:
        what = f"a density that sums to {mass_inside:.3g} in a `grid` fine enough to see it"
        raise ValueError(expected(what, f"a sum of {mass_inside + error:.3f}"))
    return masses


def _mass_inside(p: Density, axes: Sequence[np.ndarray]) -> float:
    """Returns the mass in a grid, by draws of TFP's distributions; of others it is all.

    Nothing would tell a density that lacks mass from one that is not normalised.
    """
    if not p.is_tfp:
        return 1.0
    return 1.0 - float(cell_masses(p.draw(NUM_DRAWS, (0, 0)), axes)[-1])


def _masses_by_nodes(p: Density, axes: Sequence[np.ndarray], num_nodes: int) -> np.ndarray:
    """Returns the masses of cells by Gauss-Legendre quadrature, of so many nodes an axis."""
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    halves = [np.diff(edges)[:, np.newaxis] / 2 for edges in axes]
    places = [
        (edges[:-1, np.newaxis] + half * (1 + nodes)).reshape(-1)
        for edges, half in zip(axes, halves, strict=True)
    ]
    points = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1).reshape(-1, len(axes))
    volumes = functools.reduce(np.multiply.outer, [(half * weights).reshape(-1) for half in halves])
    masses = volumes * np.exp(p.log_prob(points)).reshape(volumes.shape)
    shape = [size for half in halves for size in (len(half), num_nodes)]
    return masses.reshape(shape).sum(axis=tuple(range(1, len(shape), 2)))


def _rises(cdf: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Returns the rises of a cdf, but the masses by the density where it rises within rounding.

    Differences round to zero where a cdf is nearly one or flat, and zeros make KL infinite.
    """
    rises = np.diff(cdf.astype(np.float64))
    noise = 1e3 * np.maximum(np.spacing(cdf[1:]), np.finfo(cdf.dtype).tiny)
    # Both must be small: TFP's densities outside of the support are not all zero.
    return np.where(np.maximum(rises, masses) < noise, masses, rises)
