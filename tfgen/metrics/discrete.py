"""Distributions as the divergences see them: masses at points, draws, densities.

`tfgen.metrics.divergences` says what a user gives, and what becomes of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, check_seed, expected
from tfgen.distributions.arrays import ArrayDistribution, KnowsDensity

CHUNK = 2**16
"""Points at which a density is evaluated at a time: a mixture keeps numbers for each component."""

MAX_MASS_ERROR = 0.01
"""By how much the mass of a density in a grid may be off, put down to quadrature."""


@dataclass(frozen=True, eq=False)
class Discrete:
    """Finitely many points with their probabilities.

    Args:
        points: [n, d], or [n] for numbers; kept as float64 [n, d].
        probabilities: [n], >= 0, that sum to one within 1e-6; kept as float64, normalised.

    Raises:
        TypeError: when they are not numbers.
        ValueError: when there are none, one is not finite, a probability is negative, or they do
            not sum to one.

    Example:
        >>> coin = Discrete([0.0, 1.0], [0.5, 0.5])
        >>> coin.points.shape
        (2, 1)
    """

    points: np.ndarray
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        points = _checked_points(self.points)
        masses = _checked_masses("probabilities", self.probabilities, len(points))
        total = masses.sum()
        if abs(total - 1) > 1e-6:
            raise ValueError(expected("`probabilities` that sum to one", f"a sum of {total}"))
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "probabilities", masses / total)

    @classmethod
    def of_density(cls, grid: Any, density: Any) -> "Discrete":
        """Returns the points of a grid with the masses that the trapezoidal rule gives them.

        Args:
            grid: [n], rising, n >= 2.
            density: its values there, [n], >= 0. Their integral is one within 1 %, and the masses
                are normalised.

        Raises:
            TypeError: when they are not numbers.
            ValueError: when the grid does not rise, a value is not finite or negative, or the
                density does not integrate to one.
        """
        grid = checked_edges(grid)
        density = _checked_masses("density", density, len(grid))
        steps = np.diff(grid)
        masses = density * (np.append(steps, 0) + np.append(0, steps)) / 2
        total = masses.sum()
        if abs(total - 1) > MAX_MASS_ERROR:
            raise ValueError(expected("a density that integrates to one", f"one to {total}"))
        return cls(grid, masses / total)

    @property
    def dim(self) -> int:
        """The dimension of the points."""
        return self.points.shape[1]


class Samples(Discrete):
    """Draws from a distribution, of equal probability; not the distribution itself."""

    def __init__(self, points: Any) -> None:
        points = _checked_points(points)
        super().__init__(points, np.full(len(points), 1 / len(points)))


class Density:
    """A distribution with `log_prob`, as one over points float64 [n, dim].

    Args:
        distribution: as for `ArrayDistribution`.

    Raises:
        ValueError: when it is a batch of distributions, or not over numbers or vectors.
    """

    def __init__(self, distribution: KnowsDensity) -> None:
        self._arrays = ArrayDistribution(distribution)
        batch_shape, event_shape = self._arrays.batch_shape, self._arrays.event_shape
        if batch_shape or len(event_shape) > 1:
            what = "one distribution over numbers or vectors"
            received = f"batch shape {batch_shape}, event shape {event_shape}"
            raise ValueError(expected(what, received))

    @property
    def distribution(self) -> KnowsDensity:
        """The distribution, of TFP if it was of this library."""
        return self._arrays.distribution

    @property
    def dim(self) -> int:
        """The dimension of the points."""
        return (self._arrays.event_shape or (1,))[0]

    @property
    def dtype(self) -> tf.DType:
        """What the distribution takes."""
        return self._arrays.dtype

    @property
    def is_tfp(self) -> bool:
        """Whether it is a TFP distribution, from which one can draw."""
        return self._arrays.is_tfp

    def log_prob(self, points: np.ndarray) -> np.ndarray:
        """Returns log densities, float64 [n], of points [n, dim]."""
        events = self._events(points)
        chunks = [events[start : start + CHUNK] for start in range(0, len(events), CHUNK)]
        values = np.concatenate([self._arrays.log_prob(chunk) for chunk in chunks])
        values = values.astype(np.float64)
        if np.isnan(values).all():
            raise ValueError(expected("a density that is a number somewhere", "NaN everywhere"))
        # TFP says NaN at points outside of the support of some distributions.
        return np.where(np.isnan(values), -np.inf, values)

    def cdf(self, x: np.ndarray) -> np.ndarray | None:
        """Returns the cumulative probabilities, float [n], of rising numbers [n], if it has any."""
        values = self._arrays.cdf(self._events(x[:, np.newaxis]))
        if values is None:
            return None
        return np.maximum.accumulate(np.nan_to_num(values))  # NaN below the support.

    def quantiles(self, num: int) -> Samples | None:
        """Returns the quantiles at the middles of `num` equal parts of [0, 1], if it has any."""
        levels = (np.arange(num) + 0.5) / num
        values = None if self._arrays.event_shape else self._arrays.quantile(levels)
        return None if values is None else Samples(values)

    def draw(self, num: int, seed: tuple[int, int]) -> Samples:
        """Draws points, the same for the same seed."""
        if not self.is_tfp:
            what = "a TFP distribution to draw from; others need a `grid` or `Discrete.of_density`"
            raise TypeError(expected(what, type(self.distribution).__name__))
        return Samples(self._arrays.sample(num, seed))

    def _events(self, points: np.ndarray) -> np.ndarray:
        """Returns points [n, dim] in the shape that the distribution takes."""
        return points if self._arrays.event_shape else points[:, 0]


def normal_forms(
    p: Any, q: Any, num_samples: int, seed: int
) -> tuple[Discrete | Density, Discrete | Density]:
    """Returns what a user gives, each side as one of the three classes above.

    Raises:
        TypeError: when a side is neither numbers, nor a `Discrete`, nor a distribution, or one of
            the numbers is not an integer.
        ValueError: when dimensions differ, or a side or a number is out of range.
    """
    check_integer("num_samples", num_samples)
    check_seed("seed", seed)
    p, q = _normal_form("p", p), _normal_form("q", q)
    if p.dim != q.dim:
        raise ValueError(expected("`p` and `q` of the same dimension", f"{p.dim} and {q.dim}"))
    return p, q


def _normal_form(name: str, p: Any) -> Discrete | Density:
    if isinstance(p, Discrete):
        return p
    if isinstance(p, KnowsDensity):
        return Density(p)
    what = f"`{name}` to be samples, a `Discrete`, or a distribution with `log_prob`"
    return Samples(_numbers(what, p))


def _checked_points(points: Any) -> np.ndarray:
    """Returns points [n, d] or [n] as float64 [n, d]."""
    points = _numbers("points that are numbers", points)
    if points.ndim == 1:
        points = points[:, np.newaxis]
    check_rank("points", points.shape, 2, "[n, d], or [n] for numbers")
    if not points.size:
        raise ValueError(expected("at least one point", f"shape {points.shape}"))
    if not np.isfinite(points).all():
        raise ValueError(expected("points to be finite", "NaN or infinite values"))
    return points


def checked_number(value: float) -> float:
    """Returns what a comparison has found as a float; raises ValueError when it is NaN."""
    if np.isnan(value):
        what = "`p` and `q` with finite parameters, densities and distances"
        raise ValueError(expected(what, "NaN as the result"))
    return float(value)


def checked_edges(edges: Any) -> np.ndarray:
    """Returns the edges of cells as float64 [n], or raises unless they rise."""
    edges = _numbers("a grid of numbers", edges)
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all():
        raise ValueError(expected("a grid of at least two finite numbers", edges))
    if not (np.diff(edges) > 0).all():
        raise ValueError(expected("a grid whose numbers rise", edges))
    return edges


def _checked_masses(name: str, masses: Any, size: int) -> np.ndarray:
    masses = _numbers(f"`{name}` that are numbers", masses)
    if masses.shape != (size,):
        raise ValueError(expected(f"`{name}` of shape ({size},)", masses.shape))
    if not np.isfinite(masses).all() or (masses < 0).any():
        least = "a value that is not finite" if not np.isfinite(masses).all() else masses.min()
        raise ValueError(expected(f"`{name}` to be finite and >= 0", least))
    return masses


def _numbers(what: str, original: Any) -> np.ndarray:
    """Returns values as float64; raises TypeError unless they are real numbers."""
    values = np.asarray(original)
    if values.dtype.kind in "OSUMmc":
        given = (
            type(original).__name__
            if values.dtype == object
            else f"{values.dtype} of {values.shape}"
        )
        raise TypeError(expected(what, given))
    return values.astype(np.float64)
