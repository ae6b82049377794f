"""Wasserstein distances between points, weighted or not, and distributions made points."""

from typing import Any

import numpy as np

from tfgen.core.checks import check_integer, expected
from tfgen.metrics.discrete import Density, Discrete, checked_number, normal_forms

MAX_ASSIGNED = 2000
"""Points a side in an assignment, which takes some ten seconds; the time grows with the cube."""

MAX_TRANSPORTED = 10**5
"""Pairs of points in a linear programme, which takes some seconds."""

MAX_REFINEMENTS = 4
"""Linear programmes solved for one plan; nearly always one is enough."""

ACCURACY = 1e-9
"""Of a plan's cost, relative, at which it counts as found."""

NUM_VECTORS = 1000
"""Draws that stand for a distribution over vectors, unless the other side asks for others."""


def wasserstein(p: Any, q: Any, num_samples: int | None = None, seed: int = 0) -> float:
    """Returns the Wasserstein-1 or earth mover's distance, min E||x - y|| over couplings.

    It is exact for points: for numbers by sorting; for vectors as an assignment, when both sides
    have as many points of equal probability, otherwise as a linear programme, to 1e-9 of its value
    or the precision of float64 masses. The unit of the points does not matter.

    Args:
        p, q: as `tfgen.metrics.divergences` says.
        num_samples: points that stand for a distribution; 100 000 numbers or 1000 vectors unless
            given, or as many vectors as the other side has, when those are more than 100, at most
            2000, and of equal probability. The distance between draws from the same distribution
            is not zero.
        seed: of the draws.

    Returns:
        The distance, >= 0, in the units of the points.

    Raises:
        TypeError: when a side is not of a kind that the module lists.
        ValueError: when dimensions differ, a value is not finite, or there are too many vectors:
            more than 2000 a side in an assignment, 100 000 pairs in a linear programme; or when
            the result is NaN.

    Reference: Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017,
        https://arxiv.org/abs/1701.07875, section 2.
    """
    p, q = normal_forms(p, q, 1 if num_samples is None else num_samples, seed)
    p, q = _points(p, q, num_samples, seed, _num_vectors(p, q))
    return checked_number(_cost_along(np.ones(1), p, q) if p.dim == 1 else _transport_cost(p, q))


def sliced_wasserstein(
    p: Any, q: Any, num_projections: int = 100, num_samples: int | None = None, seed: int = 0
) -> float:
    """Returns the mean Wasserstein-1 distance of projections on random directions.

    Args:
        p, q: as `tfgen.metrics.divergences` says.
        num_projections: directions, drawn uniformly from the unit sphere.
        num_samples: points that stand for a distribution; 100 000 numbers or 10 000 vectors unless
            given.
        seed: of directions and draws.

    Returns:
        The distance, >= 0 and at most `wasserstein`, in the units of the points.

    Raises:
        TypeError: when a side is not of a kind that the module lists, or a number is not an
            integer.
        ValueError: when dimensions differ, a value is not finite, or the result is NaN.

    Reference: Bonneel, Rabin, Peyré and Pfister, "Sliced and Radon Wasserstein Barycenters of
        Measures", 2015, https://doi.org/10.1007/s10851-014-0506-3.
    """
    check_integer("num_projections", num_projections)
    p, q = normal_forms(p, q, 1 if num_samples is None else num_samples, seed)
    p, q = _points(p, q, num_samples, seed, default_vectors=10_000)
    directions = np.random.default_rng(seed).standard_normal((num_projections, p.dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return checked_number(np.mean([_cost_along(direction, p, q) for direction in directions]))


def _num_vectors(p: Discrete | Density, q: Discrete | Density) -> int:
    """Returns how many vectors to draw by default, with which a programme can be solved."""
    for side in (p, q):
        if isinstance(side, Discrete) and _are_equal(side.probabilities):
            num = len(side.points)
            if num * NUM_VECTORS > MAX_TRANSPORTED and num <= MAX_ASSIGNED:
                return num
    return NUM_VECTORS


def _points(
    p: Discrete | Density,
    q: Discrete | Density,
    num_samples: int | None,
    seed: int,
    default_vectors: int,
) -> tuple[Discrete, Discrete]:
    """Returns both sides as points, of distributions so many quantiles or draws."""
    num = num_samples or (100_000 if p.dim == 1 else default_vectors)
    p, q = (
        side.quantiles(num) or side.draw(num, (seed, i)) if isinstance(side, Density) else side
        for i, side in enumerate((p, q))
    )
    return p, q


def _cost_along(direction: np.ndarray, p: Discrete, q: Discrete) -> float:
    """Returns the distance between projections on a direction [d]."""
    from scipy.stats import wasserstein_distance

    numbers = p.points @ direction, q.points @ direction
    return float(wasserstein_distance(*numbers, p.probabilities, q.probabilities))


def _transport_cost(p: Discrete, q: Discrete) -> float:
    """Returns the cost of moving p to q, when a way costs its length."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    sizes = len(p.points), len(q.points)
    masses = np.concatenate([p.probabilities, q.probabilities])
    is_assignment = sizes[0] == sizes[1] and _are_equal(masses)
    too_many = max(sizes) > MAX_ASSIGNED if is_assignment else np.prod(sizes) > MAX_TRANSPORTED
    if too_many:
        what = (
            f"at most {MAX_ASSIGNED} points a side that are equally many and of equal probability, "
            f"or {MAX_TRANSPORTED} pairs of others, or `sliced_wasserstein`"
        )
        raise ValueError(expected(what, f"{sizes[0]} and {sizes[1]} points"))
    distances = cdist(p.points, q.points)
    if is_assignment:
        return float(distances[linear_sum_assignment(distances)].mean())
    return _cheapest_plan(distances, p.probabilities, q.probabilities)


def _are_equal(masses: np.ndarray) -> bool:
    return bool(np.ptp(masses) < 1e-12 * masses[0])


def _cheapest_plan(distances: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> float:
    """Returns min <distances, plan> over plans >= 0 with rows' sums `supply`, columns' `demand`.

    The solver's tolerances are absolute. What its plan and its prices of supply and demand lack is
    therefore magnified and solved for in turn, until they agree on the cost.

    Reference: Gleixner, Steffy and Wolter, "Iterative Refinement for Linear Programming", 2016,
        https://doi.org/10.1287/ijoc.2016.0692.
    """
    unit = distances.max() or 1.0
    costs, matrix = distances.ravel() / unit, _sums_of_plan(*distances.shape)
    # The last sum follows from the others.
    sums = np.concatenate([supply / supply.sum(), (demand / demand.sum())[:-1]])
    plan, prices = np.zeros_like(costs), np.zeros_like(sums)
    plan_scale = price_scale = 1.0
    for _ in range(MAX_REFINEMENTS):
        lacking, reduced = sums - matrix @ plan, costs - matrix.T @ prices
        plan_scale = _magnified(plan_scale, max(np.abs(lacking).max(), -plan.min()))
        if prices.any():
            price_scale = _magnified(price_scale, -reduced.min())
        step, price_step = _solved(
            price_scale * reduced, matrix, plan_scale * lacking, -plan_scale * plan
        )
        plan, prices = plan + step / plan_scale, prices + price_step / price_scale
        lacking, reduced = sums - matrix @ plan, costs - matrix.T @ prices
        cost = costs @ np.maximum(plan, 0)
        most = cost + np.abs(lacking).sum() - np.minimum(plan, 0).sum()
        least = sums @ prices + min(reduced.min(), 0.0)
        if most - least <= ACCURACY * most:
            break
    return float(unit * cost)


def _magnified(scale: float, error: float) -> float:
    """Returns the scale that makes an error one, but for some digits at a time."""
    return min(1.0 / error if error > 0 else np.inf, 1e8 * scale)


def _sums_of_plan(rows: int, columns: int) -> Any:
    """Returns the sparse matrix that sums a raveled plan's rows and columns, but for the last."""
    from scipy import sparse

    of_rows = sparse.kron(sparse.eye(rows), np.ones((1, columns)))
    of_columns = sparse.kron(np.ones((1, rows)), sparse.eye(columns))
    return sparse.vstack([of_rows, of_columns], format="csr")[:-1]


def _solved(
    costs: np.ndarray, matrix: Any, sums: np.ndarray, lowest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the x >= `lowest` with matrix x = sums and the least costs, and the sums' prices."""
    from scipy.optimize import linprog

    bounds = np.stack([lowest, np.full_like(lowest, np.inf)], axis=1)
    tolerances = dict.fromkeys(
        ("primal_feasibility_tolerance", "dual_feasibility_tolerance"), 1e-10
    )
    solution = linprog(
        costs, A_eq=matrix, b_eq=sums, bounds=bounds, method="highs", options=tolerances
    )
    if not solution.success:
        raise RuntimeError(f"The transport programme was not solved: {solution.message}")
    return solution.x, solution.eqlin.marginals
