"""A function of one variable, split into pieces on which it is monotone, and its roots."""

from typing import NamedTuple

import numpy as np

from tfgen.core.checks import expected
from tfgen.implicit.curve import Curve, resolution

BISECTIONS = 64
"""Of a cell of the grid, by which it shrinks to neighbouring float64."""

LEAST_REACH = 2.0**-50
"""Of a cell: what its bisection leaves uncertain where h itself is near 0."""

ROUNDING = 4.0
"""Times the precision: values nearer than this, relatively, may be one."""

WRONG_WAY = 100.0
"""Times the precision, relative to the largest value: sums that cancel may move by less."""

NEWTON_STEPS = 100
"""Enough to bisect to neighbouring float64, should no step be Newton's."""

FLAT = 0.4
"""Power of the precision: a slope falls to less than this of that beside it only if it nears 0.

The precision itself is too little to ask, as slopes that cancel are uncertain by its square root.
"""

BESIDE = 4
"""Cells to either side that a slope is compared with."""


class _Point(NamedTuple):
    """A point of a curve. An x within `slack` of `value` cannot be told from it."""

    h: float
    value: float
    slope: float
    slack: float


class _Piece(NamedTuple):
    """A stretch of h on which f is monotone, in the order in which f rises."""

    h: np.ndarray
    value: np.ndarray
    slack: tuple[float, float]
    """Of the first value and of the last."""


class MonotonePieces:
    """The pieces of an interval on which a continuous function is monotone.

    They end where the slope changes its sign between two points of a grid, found by bisection.

    Args:
        curve: the function.
        grid: [n], ascending, n >= 3. Turning points between the same two of them are missed.

    Attributes:
        pieces: on which f rises or falls.
        flats: (low, high, value) of those on which f' is 0 or f constant.
        inflections: (h, value, slope, slack) of points within pieces where f' comes down to 0.

    Raises:
        ValueError: when f is not finite, not continuous, has turning points that the grid does not
            resolve, or mixes its inputs.
    """

    def __init__(self, curve: Curve, grid: np.ndarray) -> None:
        self._curve = curve
        self._grid = grid
        self._value, self._slope = curve.checked(grid)
        self.pieces: list[_Piece] = []
        self.flats: list[tuple[float, float, float]] = []
        self._split()
        self.inflections = [point for point in self._slowest() if self._is_critical(point)]

    def roots(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Returns the roots of f(h) = x within pieces, not at their ends, for finite x [m].

        Returns:
            index: of x, int [num_roots].
            h: [num_roots].
            slope: f'(h), [num_roots].
            lowest: the h at which f is lowest on the root's piece, [num_roots].
        """
        found = [(np.zeros(0, int), *np.zeros((4, 0)))]
        for piece in self.pieces:
            index = np.flatnonzero((x > piece.value[0]) & (x < piece.value[-1]))
            cell = np.searchsorted(piece.value, x[index], side="right") - 1
            lowest = np.full(index.size, piece.h[0])
            found.append((index, x[index], piece.h[cell], piece.h[cell + 1], lowest))
        index, target, below, above, lowest = map(np.concatenate, zip(*found, strict=True))
        return index, *self._solve(target, below, above), lowest

    def _solve(
        self, x: np.ndarray, below: np.ndarray, above: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns h with f(h) = x, between points where f <= x and where f > x, and f'(h).

        By Newton's method, or bisection where that leaves the bracket or does not halve its step.
        """
        side = above - below
        h, slope, step = (below + above) / 2, np.zeros(x.shape), np.abs(side)
        active = np.arange(x.size)
        for _ in range(NEWTON_STEPS):
            if not active.size:
                break
            at, target = h[active], x[active]
            value, slope[active] = self._curve(at)
            low = np.where(value <= target, at, below[active])
            high = np.where(value <= target, above[active], at)
            with np.errstate(all="ignore"):
                newton = at - (value - target) / slope[active]
                good = (newton - low) * (newton - high) <= 0
                good &= np.abs(newton - at) <= step[active] / 2
            following = np.where(good, newton, (low + high) / 2)
            below[active], above[active], step[active] = low, high, np.abs(following - at)
            more = (value != target) & (step[active] > np.spacing(np.abs(at)))
            active = active[more]
            h[active] = following[more]
        # The slope of a corner's own may be 0: take that of the side where f > x.
        nudge = self._curve.eps * np.maximum(np.abs(h), np.abs(side))
        beside = self._curve(h + np.copysign(nudge, side))[1]
        return h, np.where(slope == 0, beside, slope)

    def _split(self) -> None:
        """Fills `pieces` and `flats`."""
        sign = np.sign(self._slope)
        turn = np.flatnonzero(sign[1:] != sign[:-1])
        left, right = self._grid[turn], self._grid[turn + 1]
        # From both sides, as what is between may be flat, or a corner with a slope of its own.
        last = self._last_of_sign(sign[turn], left, right)
        first = np.maximum(last, self._last_of_sign(sign[turn + 1], right, left))
        uncertain = self._resolution(last, first) + (right - left) * LEAST_REACH
        reach = np.minimum(first - last, uncertain)
        # What the two sides of one extremum differ by is f's rounding.
        noise = np.abs(self._curve(first)[0] - self._curve(last)[0])
        none = [0.0]
        starts = self._points(
            np.append(self._grid[0], first), np.append(none, reach), np.append(none, noise)
        )
        stops = self._points(
            np.append(last, self._grid[-1]), np.append(reach, none), np.append(noise, none)
        )
        for s, start, stop in zip(np.append(sign[0], sign[turn + 1]), starts, stops, strict=True):
            self._add(s, start, stop)
        for start, stop in zip(stops[:-1], starts[1:], strict=True):
            self._add(0.0, start, stop)

    def _last_of_sign(self, sign: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Returns where the slope's sign ceases to be `sign` on the way from `start` to `stop`."""
        for _ in range(BISECTIONS):
            middle = (start + stop) / 2
            same = np.sign(self._curve(middle)[1]) == sign
            start, stop = np.where(same, middle, start), np.where(same, stop, middle)
        return start

    def _add(self, sign: float, start: _Point, stop: _Point) -> None:
        """Keeps what is from `start` to `stop`, as a piece or, unless it is a point, as flat."""
        after, before = np.searchsorted(self._grid, [start.h, stop.h])
        inside = slice(after, max(after, before))
        h = np.concatenate([[start.h], self._grid[inside], [stop.h]])
        value = np.concatenate([[start.value], self._value[inside], [stop.value]])
        self._check_monotone(sign, h, value)
        if sign and start.value != stop.value:
            way = slice(None, None, int(sign))
            # Rounding may leave values out of order.
            rising = np.maximum.accumulate(value[way])
            self.pieces.append(_Piece(h[way], rising, (start.slack, stop.slack)[way]))
        elif stop.h - start.h > self._resolution(start.h, stop.h):
            inner = value[1:-1] if value.size > 2 else self._curve(h.mean(keepdims=True))[0]
            self.flats.append((start.h, stop.h, float(np.median(inner))))

    def _check_monotone(self, sign: float, h: np.ndarray, value: np.ndarray) -> None:
        wrong = -sign * np.diff(value) if sign else np.abs(np.diff(value))
        i = wrong.argmax()
        if wrong[i] > WRONG_WAY * self._curve.eps * np.abs(self._value).max():
            raise ValueError(
                expected(
                    "a continuous `f` whose turning points the grid resolves; more `num_points` or "
                    "another `interval` may do it",
                    f"f({h[i]:.9g}) = {value[i]:.9g} and f({h[i + 1]:.9g}) = {value[i + 1]:.9g}, "
                    f"where the sign of the slope is {sign:g}",
                )
            )

    def _slowest(self) -> list[_Point]:
        """Returns the points of least |f'| about those of the grid with less than both beside."""
        sign, size = np.sign(self._slope), np.abs(self._slope)
        least = (size[1:-1] < size[:-2]) & (size[1:-1] <= size[2:])
        least &= (sign[:-2] == sign[1:-1]) & (sign[1:-1] == sign[2:])
        left, right = self._grid[:-2][least], self._grid[2:][least]
        for _ in range(BISECTIONS):
            third = (right - left) / 3
            size = np.abs(self._curve(np.append(left + third, right - third))[1])
            leftmost = size[: left.size] < size[left.size :]
            left = np.where(leftmost, left, left + third)
            right = np.where(leftmost, right - third, right)
        return self._points((left + right) / 2, right - left, np.zeros(left.shape))

    def _is_critical(self, point: _Point) -> bool:
        """Tells a slope that comes down to 0 from one that ends at a corner."""
        i = np.searchsorted(self._grid, point.h)
        about = np.abs(self._slope[max(i - BESIDE, 0) : i + BESIDE]).max()
        return abs(point.slope) <= self._curve.eps**FLAT * about

    def _resolution(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Returns the distance within which f's dtype does not tell h apart."""
        return resolution(self._curve.eps, low, high)

    def _points(self, h: np.ndarray, reach: np.ndarray, noise: np.ndarray) -> list[_Point]:
        """Returns points of the curve, of which h is known to `reach` and f to `noise`."""
        value, slope = self._curve(h)
        slack = np.abs(slope) * reach + noise + ROUNDING * self._curve.eps * np.abs(value)
        return [_Point(*row) for row in np.stack([h, value, slope, slack], axis=1).tolist()]
