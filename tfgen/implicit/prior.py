"""A distribution of one number: its density, cdf and quantiles as NumPy arrays."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tfgen.core.checks import expected
from tfgen.distributions.arrays import ArrayDistribution
from tfgen.implicit.curve import FLOATS, find_jump

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd


TAIL = 1e-12
"""Prior mass that is too small to matter."""

BISECTIONS = 60
"""Of an interval, by which it shrinks to a float64's precision."""

CROWDED = 1e-3
"""Of the median cell: points nearer than this bring evaluations, but no new shape to see."""


class Prior:
    """A TFP distribution of one number, NumPy float64 [n] in and out.

    The cdf is 0 and 1 at the ends of `support()`: the tails beyond count as being there.

    Args:
        prior: with `log_prob` and `cdf`.

    Attributes:
        eps: the relative precision of the prior's dtype.
        tail: mass that is too small to matter, or to be seen in the prior's dtype.

    Raises:
        TypeError: when `prior` is no distribution.
        ValueError: when it is not of one float.
    """

    def __init__(self, prior: "tfd.Distribution") -> None:
        self._prior = ArrayDistribution(prior)
        if not self._prior.is_tfp:
            raise TypeError(expected("`prior` to be a TFP distribution", repr(prior)))
        shape, dtype = self._prior.batch_shape + self._prior.event_shape, self._prior.dtype
        if shape or dtype not in FLOATS:
            received = f"{dtype}, shape {shape}"
            raise ValueError(expected("`prior` to be of one float, shape ()", received))
        self._support = (-np.inf, np.inf)
        self.eps = float(np.finfo(dtype.as_numpy_dtype).eps)
        self.tail = max(TAIL, self.eps)

    def log_prob(self, h: np.ndarray) -> np.ndarray:
        """Returns the logarithm of the density."""
        return self._prior.log_prob(h).astype(np.float64)

    def cdf(self, h: np.ndarray | float) -> np.ndarray:
        """Returns the mass up to h."""
        cdf = self._prior.cdf(h)
        if cdf is None:
            raise TypeError(expected("`prior` to have a cdf", self._prior.distribution))
        low, high = self._support
        return np.where(h <= low, 0.0, np.where(h >= high, 1.0, cdf.astype(np.float64)))

    def mass(self, start: np.ndarray | float, stop: np.ndarray | float) -> np.ndarray:
        """Returns the mass between two points, whichever is the higher."""
        return np.abs(self.cdf(stop) - self.cdf(start))

    def centre(self) -> tuple[float, float]:
        """Returns an interval of all the mass but a tail at either end."""
        levels = np.array([self.tail, 1.0 - self.tail])
        found = self._prior.quantile(levels)
        if found is None:
            found = self.quantiles(levels, *self._wide())
        low, high = found.astype(np.float64)
        return low, high

    def support(self, usable: Callable[[float], bool]) -> tuple[float, float]:
        """Returns where the mass is, without a tail at an end that is infinite or not usable."""
        low, high = self.centre()
        ends = self._prior.quantile(np.array([0.0, 1.0]))
        first, last = (-np.inf, np.inf) if ends is None else ends.astype(np.float64)
        # The end of a bounded support is near; that of another is infinite, or has overflowed.
        width = high - low
        if 0 <= low - first <= width and usable(first):
            low = first
        if 0 <= last - high <= width and usable(last):
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

        Raises:
            ValueError: when the cdf jumps: the prior is discrete, at least in part.
        """
        n = num_points // 3
        p = np.clip(self.cdf(np.array([low, high])), self.tail, 1 - self.tail)
        odds = np.linspace(*(np.log(p) - np.log1p(-p)), n)
        levels = np.append(np.linspace(*p, n), 1 / (1 + np.exp(-odds)))
        quantiles = self.quantiles(levels, low, high)
        even = np.linspace(low, high, num_points - 2 * n)
        grid = np.unique(np.append(even, quantiles))
        # Evenly spaced log-odds crowd at the end of a bounded support.
        apart = np.diff(grid[:-1]) > CROWDED * np.median(np.diff(quantiles[:n]))
        grid = np.concatenate([[low], grid[1:-1][apart], [high]])
        jump = find_jump(lambda h: (self.cdf(h), np.exp(self.log_prob(h))), grid, self.tail)
        if jump:
            raise ValueError(expected("a continuous `prior`", f"a jump of its cdf {jump}"))
        return grid

    def spread(self, low: float, high: float) -> float:
        """Returns the distance between the quartiles of the mass in an interval."""
        start, stop = self.cdf(np.array([low, high]))
        quartiles = self.quantiles(start + (stop - start) * np.array([0.25, 0.75]), low, high)
        return float(quartiles[1] - quartiles[0])

    def quantiles(self, levels: np.ndarray, low: float, high: float) -> np.ndarray:
        """Returns the quantiles that lie in an interval, by bisection, as not all priors do."""
        lows, highs = np.full(levels.shape, low), np.full(levels.shape, high)
        for _ in range(BISECTIONS):
            middle = (lows + highs) / 2
            under = self.cdf(middle) < levels
            lows, highs = np.where(under, middle, lows), np.where(under, highs, middle)
        return highs
