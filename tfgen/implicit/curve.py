"""A function of one variable with its slope, and where such a function jumps."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected

FLOATS = (tf.float16, tf.float32, tf.float64)

MIXING = 1e3
"""Times the precision: operations on another batch may sum in another order, by less than this."""

JUMP = 100.0
"""Times what rounding and the slope explain: f moves by less, even where its slope is infinite.

That of the cube root at 0 explains a third of its move.
"""

RESOLUTION = 16.0
"""Times the precision, relative to h: nearer points may be one to an f of several operations."""

HALVINGS = 32
"""Of a cell of the grid, which is then so narrow that a smooth f hardly moves in it."""

Evaluation = tuple[np.ndarray, np.ndarray]


class Curve:
    """A function f of one variable with its slope f', NumPy float64 [n] in and out.

    Args:
        f: takes float64 [n], returns floats [n], by TensorFlow operations with a gradient.
        trial: float64 [n], n >= 2, at which f is tried.

    Attributes:
        eps: the relative precision of f's dtype.

    Raises:
        TypeError: when `f` is not callable.
        ValueError: when `f` cannot take n numbers, or does not return n floats.
    """

    def __init__(self, f: Callable[[tf.Tensor], tf.Tensor], trial: np.ndarray) -> None:
        if not callable(f):
            raise TypeError(expected("`f` to be a function of a tensor", repr(f)))
        self._f = f
        points = tf.constant(trial, tf.float64)
        try:
            value = tf.convert_to_tensor(f(points))
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            what = "`f` to take [n] numbers at once, by TensorFlow operations on each"
            raise ValueError(expected(what, error)) from error
        _check_values(value, points)
        self.eps = float(np.finfo(value.dtype.as_numpy_dtype).eps)

    def __call__(self, h: np.ndarray) -> Evaluation:
        """Returns f(h) and f'(h), each [n].

        Raises:
            ValueError: when f does not return n floats, or has no gradient.
        """
        if h.size == 0:
            return h, h
        points = tf.constant(h, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(points)
            value = tf.convert_to_tensor(self._f(points))
        _check_values(value, points)
        slope = tape.gradient(value, points)
        if slope is None:
            raise ValueError(expected("`f` of TensorFlow operations with a gradient", "none"))
        return value.numpy().astype(np.float64), slope.numpy()

    def is_finite(self, h: float) -> bool:
        """Tells whether f and its slope are finite at h."""
        return bool(np.isfinite(self(np.array([h]))).all())

    def checked(self, h: np.ndarray) -> Evaluation:
        """Returns f(h) and f'(h), for an ascending grid of h.

        Raises:
            ValueError: when one is not finite, f(h) changes with what else is in the batch, or f
                jumps.
        """
        value, slope = self(h)
        bad = np.flatnonzero(~np.isfinite(value) | ~np.isfinite(slope))
        if bad.size:
            i = bad[0]
            what = "`f` and its slope finite on the interval, which may be given"
            raise ValueError(expected(what, f"f({h[i]:.9g}) = {value[i]}, slope {slope[i]}"))
        part = slice(0, h.size // 2)
        gap = np.abs(self(h[part])[0] - value[part])
        if gap.max() > MIXING * self.eps * np.abs(value).max():
            received = f"a difference of {gap.max():g} at h = {h[gap.argmax()]:.9g}"
            raise ValueError(expected("`f` to give each h the same in any batch", received))
        jump = find_jump(self, h, self.eps)
        if jump:
            raise ValueError(expected("a continuous `f`", f"a jump {jump}"))
        return value, slope


def find_jump(f: Callable[[np.ndarray], Evaluation], grid: np.ndarray, eps: float) -> str | None:
    """Returns what the first jump of a function is and where, or None.

    Each cell of the grid is halved again and again, and the half kept in which f moves more. A
    jump is left over when the slopes do not explain the move.

    Args:
        f: returns its values and slopes at h.
        grid: [n], ascending.
        eps: the relative precision of f and of h.
    """
    with np.errstate(all="ignore"):
        value = f(grid)[0]
        size = np.abs(value).max()
        low, high, below, above = grid[:-1], grid[1:], value[:-1], value[1:]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            value = f(middle)[0]
            first = np.abs(value - below) > np.abs(above - value)
            low, high = np.where(first, low, middle), np.where(first, middle, high)
            below, above = np.where(first, below, value), np.where(first, value, above)
        slope = np.fmax(np.abs(f(low)[1]), np.abs(f(high)[1]))
        width = high - low + resolution(eps, low, high)
        jump = np.abs(above - below) > JUMP * (eps * size + slope * width)
    if not jump.any():
        return None
    i = np.flatnonzero(jump)[0]
    return f"from {below[i]:.9g} to {above[i]:.9g} at {low[i]:.9g}"


def resolution(eps: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Returns the distance within which a function of precision `eps` does not tell h apart."""
    return RESOLUTION * eps * np.maximum(np.abs(low), np.abs(high))


def _check_values(value: tf.Tensor, points: tf.Tensor) -> None:
    """Raises ValueError unless there is one float per point."""
    if value.shape != points.shape or value.dtype not in FLOATS:
        received = f"{value.dtype.name} of shape {tuple(value.shape)} for {tuple(points.shape)}"
        raise ValueError(
            expected("`f` to return a float16, 32 or 64 for each of [n] numbers", received)
        )
