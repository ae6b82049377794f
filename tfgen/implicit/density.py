"""The density of the output of a function of one random variable."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, expected
from tfgen.implicit.monotone import FLOATS, Curve, MonotonePieces

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd


TAIL = 1e-12
"""Prior mass that is too small to matter."""


class OutputDensity:
    """The density of x = f(h), h ~ prior: the pushforward of a prior by a function of one variable.

        p(x) = d/dx ∫_{f(h) <= x} p(h) dh = Σ_k p(h_k) / |f'(h_k)|   over the roots h_k of f(h) = x

    The line of h is split where f' changes its sign, so that f is monotone on each piece and has at
    most one root there. Roots are found to the precision of float64: the density is as smooth as
    it should be, unlike a histogram or differences of an empirical distribution function.

    f must be continuous; its slope may jump, as a ReLU's does. Its turning points are looked for on
    a grid, and two of them between neighbours of the grid are missed. The answers are no more
    accurate than the prior's density and cdf: give it float64 parameters for more than six digits.

    Args:
        f: takes h, float64 [n], and returns x, float [n], each from its own h, by operations with
            a gradient. For a Keras network of one input and one output:
            `lambda h: net(h[:, None])[:, 0]`.
        prior: a continuous TFP distribution of one number, with `log_prob` and `cdf`.
        interval: (low, high), the part of the line of h that counts; the prior's mass outside is
            left out. By default the prior's support, less a mass of 1e-12 (of 1e-7 for a float32
            prior) at an end that is infinite or where f is, which only the cdf counts. Must be
            given when the prior's cdf does not show where its mass is.
        num_points: of the grid, >= 100.

    Attributes:
        poles: float64 [num_poles], ascending: values of x at which the density is infinite though
            they have no mass: f at its critical points, where the prior has density.
        atoms: pairs (value, mass), ascending: values that f keeps over an interval of that prior
            mass, as a ReLU does at 0. f is taken as computed: a sigmoid that rounds to 1 is flat.

    Raises:
        TypeError: when `f` is not callable, `prior` no distribution with a density and a cdf, or
            `num_points` no integer.
        ValueError: when `f` does not give one number per h, mixes its inputs, has no gradient, or
            is not finite or not continuous on the grid; when `prior` is not scalar, or `interval`
            not two ascending numbers with mass between, or `num_points` is too small.

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
        curve = Curve(f)
        self._prior = _Prior(prior)
        if interval is None:
            interval = self._prior.support(curve.is_finite)
        self._prior.check_interval(interval)
        self._pieces = MonotonePieces(curve, self._prior.grid(*interval, num_points))
        self.poles, pole_slack = self._find_poles()
        self.atoms = self._find_atoms(curve.eps)
        values = np.array([value for value, _ in self.atoms])
        self._infinite = np.append(self.poles, values)
        self._slack = np.append(pole_slack, 4 * curve.eps * np.abs(values))

    def prob(self, x: np.ndarray) -> np.ndarray:
        """Returns the density at x.

        It is infinite at poles and atoms, 0 where f has no root, and its limit from one of the two
        sides where it jumps.

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
        index, h, slope, _ = self._pieces.roots(x)
        log_prob = np.full(x.shape, -np.inf)
        with np.errstate(divide="ignore"):
            terms = self._prior.log_prob(h) - np.log(np.abs(slope))
        np.logaddexp.at(log_prob, index, terms)
        infinite = np.abs(x[:, None] - self._infinite) <= self._slack
        log_prob[infinite.any(axis=1)] = np.inf
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

    def _find_poles(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the poles, and how near to each x is taken for it."""
        h, value, _, slack = np.reshape(self._pieces.critical, (-1, 4)).T
        there = self._prior.log_prob(h) > -np.inf
        value, slack = value[there], slack[there]
        value = np.where(np.abs(value) <= slack, 0.0, value)
        groups = _alike(value, slack)
        poles = np.array([value[group[0]] for group in groups])
        return poles, np.array([slack[group].max() for group in groups])

    def _find_atoms(self, eps: float) -> list[tuple[float, float]]:
        """Returns the values of flat stretches, and the mass of all that have that value."""
        low, high, value = np.reshape(self._pieces.flats, (-1, 3)).T
        mass = self._prior.mass(low, high)
        groups = _alike(value, 4 * eps * np.abs(value))
        atoms = [(value[group[mass[group].argmax()]], mass[group].sum()) for group in groups]
        return [(float(v), float(m)) for v, m in atoms if m > self._prior.tail]


class _Prior:
    """A TFP distribution of one number, NumPy float64 [n] in and out.

    The cdf is 0 and 1 at the ends of `support()`: the tails beyond count as being there.
    """

    def __init__(self, prior: "tfd.Distribution") -> None:
        needed = ("dtype", "batch_shape", "event_shape", "log_prob", "cdf")
        if isinstance(prior, type) or not all(hasattr(prior, name) for name in needed):
            raise TypeError(expected("`prior` to be a TFP distribution", repr(prior)))
        shape = (*prior.batch_shape, *prior.event_shape)
        if shape or prior.dtype not in FLOATS:
            received = f"{prior.dtype}, shape {shape}"
            raise ValueError(expected("`prior` to be of one float, shape ()", received))
        self._prior = prior
        self._support = (-np.inf, np.inf)
        self.tail = max(TAIL, float(np.finfo(prior.dtype.as_numpy_dtype).eps))

    def _call(self, method: str, h: np.ndarray | float) -> np.ndarray:
        h = tf.cast(tf.constant(h, tf.float64), self._prior.dtype)
        return getattr(self._prior, method)(h).numpy().astype(np.float64)

    def log_prob(self, h: np.ndarray) -> np.ndarray:
        return self._call("log_prob", h)

    def cdf(self, h: np.ndarray | float) -> np.ndarray:
        try:
            cdf = self._call("cdf", h)
        except NotImplementedError:
            raise TypeError(expected("`prior` to have a cdf", self._prior)) from None
        low, high = self._support
        return np.where(h <= low, 0.0, np.where(h >= high, 1.0, cdf))

    def mass(self, start: np.ndarray | float, stop: np.ndarray | float) -> np.ndarray:
        """Returns the mass between two points, whichever is the higher."""
        return np.abs(self.cdf(stop) - self.cdf(start))

    def support(self, usable: Callable[[float], bool]) -> tuple[float, float]:
        """Returns where the mass is, without a tail at an end that is infinite or not usable."""
        levels = np.array([0.0, self.tail, 1.0 - self.tail, 1.0])
        try:
            first, low, high, last = self._call("quantile", levels)
        except NotImplementedError:
            first, last = -np.inf, np.inf
            low, high = self._quantiles(levels[1:3], *self._wide())
        # The end of a bounded support is near; that of another is infinite, or has overflowed.
        if 0 <= low - first <= high - low and usable(first):
            low = first
        if 0 <= last - high <= high - low and usable(last):
            high = last
        self._support = (low, high)
        return low, high

    def _wide(self) -> tuple[float, float]:
        """Returns an interval of all but the tails, by the cdf."""
        for wide in 4.0 ** np.arange(60):
            below, above = self.cdf(np.array([-wide, wide]))
            if below <= self.tail and above >= 1 - self.tail:
                return -wide, wide
        raise ValueError(expected("an `interval`, as the prior's cdf shows none", None))

    def check_interval(self, interval: tuple[float, float]) -> None:
        """Raises ValueError unless the interval is two ascending numbers with mass between."""
        ends = np.asarray(interval, np.float64)
        good = ends.shape == (2,) and np.isfinite(ends).all() and ends[0] < ends[1]
        if not good or not self.mass(*ends) > self.tail:
            what = "`interval` to be two ascending numbers with mass of the prior between them"
            raise ValueError(expected(what, interval))

    def grid(self, low: float, high: float, num_points: int) -> np.ndarray:
        """Returns an ascending grid from `low` to `high`.

        A third of it is evenly spaced, a third at evenly spaced quantiles, and a third at quantiles
        of evenly spaced log-odds, which resolve the tails.
        """
        n = num_points // 3
        p = np.clip(self.cdf(np.array([low, high])), self.tail, 1 - self.tail)
        odds = np.linspace(*(np.log(p) - np.log1p(-p)), n)
        levels = np.append(np.linspace(*p, n), 1 / (1 + np.exp(-odds)))
        quantiles = self._quantiles(levels, low, high)
        even = np.linspace(low, high, num_points - 2 * n)
        grid = np.unique(np.append(even, quantiles))
        # Evenly spaced log-odds crowd at the end of a bounded support.
        apart = np.diff(grid[:-1]) > 1e-3 * np.median(np.diff(quantiles[:n]))
        return np.concatenate([[low], grid[1:-1][apart], [high]])

    def _quantiles(self, levels: np.ndarray, low: float, high: float) -> np.ndarray:
        """Returns the quantiles that lie in an interval, by bisection, as not all priors do."""
        lows, highs = np.full(levels.shape, low), np.full(levels.shape, high)
        for _ in range(60):
            middle = (lows + highs) / 2
            under = self.cdf(middle) < levels
            lows, highs = np.where(under, middle, lows), np.where(under, highs, middle)
        return highs


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
