"""The density of the output of a function of one random variable."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.implicit.curve import Curve
from tfgen.implicit.monotone import ROUNDING, MonotonePieces
from tfgen.implicit.prior import Prior

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd

APPROACH = (0.4, 0.6)
"""Powers of the precision: the two distances at which a limit is looked at, relative to the prior's
spread. 1e-6 and 1e-9 in float64; where h is nearer still, slopes that cancel are noise."""

RISE = 0.2
"""Of the log density between the two, when it is infinite: half of what a logarithm, the slowest of
common poles, rises by. A finite limit is reached to within the first distance."""


class OutputDensity:
    """The density of x = f(h), h ~ prior: the pushforward of a prior by a function of one variable.

        p(x) = d/dx ∫_{f(h) <= x} p(h) dh = Σ_k p(h_k) / |f'(h_k)|   over the roots h_k of f(h) = x

    The line of h is split where f' changes its sign, so that f is monotone on each piece and has at
    most one root there. Roots are found to the precision of float64: the density is as smooth as
    it should be, unlike a histogram or differences of an empirical distribution function.

    f must be continuous; its slope may jump, as a ReLU's does. Its turning points are looked for on
    a grid, and two of them between neighbours of the grid are missed; so may be a jump that is
    smaller than what f varies by between these neighbours. The answers are no more accurate than
    the prior's density and cdf: give it float64 parameters for more than six digits.

    Args:
        f: takes h, float64 [n], and returns x, float [n], each from its own h, by operations with
            a gradient. For a Keras network of one input and one output:
            `lambda h: net(h[:, None])[:, 0]`.
        prior: a continuous TFP distribution of one number, with `log_prob` and `cdf`. One whose cdf
            jumps is refused, but not a discrete one whose cdf TFP interpolates, as that of a
            Poisson of so large a mean that 0 has no mass.
        interval: (low, high), the part of the line of h that counts; the prior's mass outside is
            left out. By default the prior's support, less a mass of 1e-12 (of 1e-7 for a float32
            prior) at an end that is infinite or where f is, which only the cdf counts. Must be
            given when the prior's cdf does not show where its mass is.
        num_points: of the grid, >= 100.

    Attributes:
        poles: float64 [num_poles], ascending: values of x to which the density rises without bound
            though they have no mass: f at its critical points, or where the prior's density is
            infinite, unless the one makes up for the other. Ends of pieces and inflections of f are
            looked at, not singularities of the prior within its support.
        atoms: pairs (value, mass), ascending: values that f keeps over an interval of that prior
            mass, as a ReLU does at 0. f is taken as computed: a sigmoid that rounds to 1 is flat.

    Raises:
        TypeError: when `f` is not callable, `prior` no distribution with a density and a cdf, or
            `num_points` no integer.
        ValueError: when `f` cannot take n numbers at once or does not give one per h, mixes its
            inputs, has no gradient, is not finite on the grid, or jumps; when `prior` is not scalar
            or its cdf jumps, or `interval` is not two ascending numbers with mass between, or
            `num_points` is too small.

    Example:
        normal = tfd.Normal(tf.constant(0.0, tf.float64), 1.0)
        chi_squared = OutputDensity(tf.square, normal)
        chi_squared.prob([-1.0, 0.0, 1.0])  # [0, inf, 0.24197072]

    Reference: Devroye, "Non-Uniform Random Variate Generation", 1986, section I.4,
        https://doi.org/10.1007/978-1-4613-8643-8.
    """

    def __init__(
        self,
        f: Callable[[tf.Tensor], tf.Tensor],
        prior: "tfd.Distribution",
        interval: tuple[float, float] | None = None,
        num_points: int = 6000,
    ) -> None:
        check_integer("num_points", num_points, minimum=100)
        self._prior = Prior(prior)
        centre = self._prior.centre() if interval is None else interval
        self._prior.check_interval(centre)
        self._curve = Curve(f, np.linspace(*centre, 4)[1:3])
        if interval is None:
            interval = self._prior.support(self._curve.is_finite)
        low, high = map(float, interval)
        self._pieces = MonotonePieces(self._curve, self._prior.grid(low, high, num_points))
        self._spread = self._prior.spread(low, high)
        ends = self._limits_at_ends()
        self.poles, slack = _find_poles(np.append(ends, self._limits_within(low, high), axis=1))
        self.atoms = self._find_atoms()
        self._limits = self._find_limits(ends, slack)

    def prob(self, x: np.ndarray) -> np.ndarray:
        """Returns the density at x.

        It is infinite at poles and atoms, 0 where f has no root in the `interval`, and its limit
        from one of the two sides where it jumps: at the least and the greatest output, from within.

        Args:
            x: [m], finite; taken as float64.

        Returns:
            float64 [m], >= 0.

        Raises:
            ValueError: when `x` is not of rank 1, or not finite.
        """
        return np.exp(self.log_prob(x))

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Returns the logarithm of `prob`, in nats, for the same x."""
        x = _checked_values(x)
        low, high, limit = self._limits
        at_limit = (x[:, None] >= low) & (x[:, None] <= high)
        log_prob = np.logaddexp.reduce(np.where(at_limit, limit, -np.inf), axis=1)
        index, h, slope, _ = self._pieces.roots(x)
        np.logaddexp.at(log_prob, index, self._log_ratio(h, slope))
        return log_prob

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Returns the probability of an output <= x, finite also at poles; it jumps at atoms.

        Args:
            x: [m], finite; taken as float64.

        Returns:
            float64 [m], in [0, 1]; it rises to the mass of the interval.

        Raises:
            ValueError: when `x` is not of rank 1, or not finite.
        """
        x = _checked_values(x)
        index, h, _, lowest = self._pieces.roots(x)
        cdf = np.zeros(x.shape)
        np.add.at(cdf, index, self._prior.mass(lowest, h))
        for piece in self._pieces.pieces:
            cdf[x >= piece.value[-1]] += self._prior.mass(piece.h[0], piece.h[-1])
        for value, mass in self.atoms:
            cdf[x >= value] += mass
        return np.clip(cdf, 0.0, 1.0)

    def _log_ratio(self, h: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Returns log p(h) - log|f'(h)|: what a root adds to the density."""
        log_prob = self._prior.log_prob(h)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(log_prob == -np.inf, -np.inf, log_prob - np.log(np.abs(slope)))

    def _limit(self, h: np.ndarray, toward: np.ndarray | float) -> np.ndarray:
        """Returns the limit at h of what a root adds, from the side of `toward`."""
        eps = max(self._curve.eps, self._prior.eps)
        step = np.copysign(np.minimum(self._spread, np.abs(toward - h)), toward - h)
        far, near, there = (
            self._log_ratio(at, self._curve(at)[1])
            for at in (h + eps ** APPROACH[0] * step, h + eps ** APPROACH[1] * step, h)
        )
        with np.errstate(invalid="ignore"):
            # At h itself f' may be 0, or that of a corner: it counts if it agrees with the others.
            limit = np.where(np.abs(there - near) < RISE, there, near)
            limit = np.where(near - far < -RISE, -np.inf, limit)
            return np.where(near - far > RISE, np.inf, limit)

    def _limits_at_ends(self) -> np.ndarray:
        """Returns value, slack and log density at the bottom of every piece, then at the tops."""
        pieces = self._pieces.pieces
        ends = [(p.h[0], p.h[-1], p.value[0], p.slack[0]) for p in pieces]
        ends += [(p.h[-1], p.h[0], p.value[-1], p.slack[-1]) for p in pieces]
        h, other, value, slack = np.reshape(ends, (-1, 4)).T
        return np.stack([value, slack, self._limit(h, other)])

    def _limits_within(self, low: float, high: float) -> np.ndarray:
        """Returns value, slack and log density at inflections."""
        h, value, _, slack = np.reshape(self._pieces.inflections, (-1, 4)).T
        return np.stack([value, slack, np.maximum(self._limit(h, low), self._limit(h, high))])

    def _find_atoms(self) -> list[tuple[float, float]]:
        """Returns the values of flat stretches, and the mass of all that have that value."""
        low, high, value = np.reshape(self._pieces.flats, (-1, 3)).T
        mass = self._prior.mass(low, high)
        groups = _alike(value, ROUNDING * self._curve.eps * np.abs(value))
        atoms = [(value[group[mass[group].argmax()]], mass[group].sum()) for group in groups]
        return [(float(v), float(m)) for v, m in atoms if m > self._prior.tail]

    def _find_limits(self, ends: np.ndarray, pole_slack: np.ndarray) -> np.ndarray:
        """Returns the first x, the last x and the log density of where it is not by roots.

        These are pieces' bottoms, their tops where no x is higher, poles and atoms.
        """
        bottoms, tops = np.split(ends, 2, axis=1)
        tops = tops[:, tops[0] + tops[1] >= tops[0].max(initial=-np.inf)]
        atoms = np.array([value for value, _ in self.atoms])
        infinite = np.append(self.poles, atoms)
        slack = np.append(pole_slack, ROUNDING * self._curve.eps * np.abs(atoms))
        limits = [
            (bottoms[0] - bottoms[1], bottoms[0], bottoms[2]),
            (tops[0], tops[0] + tops[1], tops[2]),
            (infinite - slack, infinite + slack, np.full(infinite.shape, np.inf)),
        ]
        return np.concatenate(limits, axis=1)


def _find_poles(limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the poles among limits, and how near to each x is taken for it."""
    value, slack, _ = limits[:, limits[2] == np.inf]
    value = np.where(np.abs(value) <= slack, 0.0, value)
    groups = _alike(value, slack)
    poles = np.array([value[group[0]] for group in groups])
    return poles, np.array([slack[group].max() for group in groups])


def _alike(values: np.ndarray, slack: np.ndarray) -> list[np.ndarray]:
    """Returns the indices of values in ascending groups, of neighbours within their slack."""
    order = np.argsort(values)
    apart = np.diff(values[order]) > slack[order][:-1] + slack[order][1:]
    groups = np.split(order, 1 + np.flatnonzero(apart))
    return [group for group in groups if group.size]


def _checked_values(x: np.ndarray) -> np.ndarray:
    """Returns x as float64."""
    x = np.asarray(x, np.float64)
    check_rank("x", x.shape, 1, "[m]")
    if not np.isfinite(x).all():
        raise ValueError(expected("`x` to be finite", x[~np.isfinite(x)][0]))
    return x
