"""The maximum mean discrepancy of two samples, and the kernels that it compares them with.

MMD^2(P, Q) = E k(x, x') + E k(y, y') - 2 E k(x, y), where x, x' follow P and y, y' follow Q. It is
zero for equal distributions alone, when the kernel is characteristic, as those here are.

Reference: Gretton et al., "A Kernel Two-Sample Test", 2012,
    https://jmlr.org/papers/v13/gretton12a.html.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_positive, check_rank, expected
from tfgen.core.config import Configurable, register


class Kernel(Configurable, ABC):
    """A kernel of the Euclidean distance between two vectors."""

    @abstractmethod
    def of_squared_distances(self, squared: tf.Tensor) -> tf.Tensor:
        """Returns the kernel's values, elementwise, of ||x - y||^2, float of any shape."""

    def __call__(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Returns k of every row of `x` with every row of `y`.

        Args:
            x: float [n, d].
            y: float [m, d].

        Returns:
            float64 [n, m], as values near one differ by little where a kernel is wide.

        Raises:
            ValueError: when they are not matrices with rows of one length.
        """
        return self.of_squared_distances(_squared_distances(x, y))


@register
@dataclass(frozen=True)
class RBF(Kernel):
    """k(x, y) = sum over bandwidths s of exp(-||x - y||^2 / (2 s^2)).

    Args:
        bandwidths: finite numbers > 0, at least one. Several, of different sizes, serve where the
            scale of the differences is not known.

    Raises:
        TypeError: when `bandwidths` is not a sequence.
        ValueError: when it is empty, or a number is not > 0.

    Reference: Li, Swersky and Zemel, "Generative Moment Matching Networks", 2015,
        https://arxiv.org/abs/1502.02761.
    """

    bandwidths: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bandwidths", _checked_scales("bandwidths", self.bandwidths))

    def of_squared_distances(self, squared: tf.Tensor) -> tf.Tensor:
        """Returns sum over bandwidths s of exp(-squared / (2 s^2))."""
        return tf.add_n([tf.exp(-squared / (2 * s**2)) for s in self.bandwidths])


@register
@dataclass(frozen=True)
class InverseMultiquadratic(Kernel):
    """k(x, y) = sum over scales C of C / (C + ||x - y||^2), whose tails are heavier than `RBF`'s.

    Args:
        scales: finite numbers > 0, at least one, in units of squared distances. For codes of
            N(0, I) in d dimensions, 2 d is the expected squared distance.

    Raises:
        TypeError: when `scales` is not a sequence.
        ValueError: when it is empty, or a number is not > 0.

    Reference: Tolstikhin et al., "Wasserstein Auto-Encoders", 2018,
        https://arxiv.org/abs/1711.01558, section 4.
    """

    scales: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", _checked_scales("scales", self.scales))

    def of_squared_distances(self, squared: tf.Tensor) -> tf.Tensor:
        """Returns sum over scales C of C / (C + squared)."""
        return tf.add_n([scale / (scale + squared) for scale in self.scales])


def squared_mmd(
    x: tf.Tensor,
    y: tf.Tensor,
    kernel: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    unbiased: bool = True,
    x_weights: tf.Tensor | None = None,
    y_weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns the squared MMD of two samples, which estimates that of their distributions.

    Args:
        x: float [n, *event], flattened to vectors.
        y: float [m, *event]; n and m may differ.
        kernel: `kernel(x [n, d], y [m, d]) -> [n, m]`, e.g. `RBF()`.
        unbiased: whether pairs of an example with itself are left out, the U-statistic, which is
            negative now and then; otherwise the V-statistic, >= 0 but for rounding.
        x_weights: float [n] with a sum of 1, when the rows are no draws but all that there is: the
            distribution of `x` itself, of which no pair is left out.
        y_weights: float [m], likewise.

    Returns:
        A scalar, float64 when `x` is, otherwise float32. The values of the kernels here and their
        means, which nearly cancel when a kernel is wide, are float64. NaN when it is unbiased and
        the number of rows, not known until the graph runs, turns out to be one.

    Raises:
        ValueError: when events differ in size, or an unbiased estimate has one row on a side.

    Reference: Gretton et al., "A Kernel Two-Sample Test", 2012,
        https://jmlr.org/papers/v13/gretton12a.html, equations 3 and 5.
    """
    x, y = _flattened("x", x), _flattened("y", y)
    sides = (x, x_weights), (y, y_weights)
    if unbiased and any(side.shape[0] == 1 and weights is None for side, weights in sides):
        what = "at least 2 rows a side for an unbiased estimate"
        raise ValueError(expected(what, f"{x.shape[0]} and {y.shape[0]}"))
    values = kernel(x, y)
    between = _mean(values, _weights(x, x_weights), _weights(y, y_weights))
    within = [_mean_within(kernel(side, side), side, given, unbiased) for side, given in sides]
    dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
    return tf.cast(tf.add_n(within) - 2 * between, dtype)


def median_bandwidth(x: Any, y: Any, max_rows: int = 1000) -> float:
    """Returns the median distance between different points of two samples, a usual RBF bandwidth.

    Args:
        x: [n, d], NumPy or convertible.
        y: [m, d].
        max_rows: at most so many rows, evenly spread over both samples, are looked at; >= 2.

    Returns:
        A float > 0.

    Raises:
        TypeError: when `max_rows` is not an integer.
        ValueError: when it is below 2, a sample is not a matrix, empty or not finite, rows differ
            in length, or all points are the same.

    Reference: Gretton et al., "A Kernel Two-Sample Test", 2012,
        https://jmlr.org/papers/v13/gretton12a.html, section 8.
    """
    from scipy.spatial.distance import pdist

    check_integer("max_rows", max_rows, minimum=2)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    for name, points in (("x", x), ("y", y)):
        check_rank(name, points.shape, 2, "[n, d]")
        if not points.size:
            raise ValueError(expected(f"`{name}` with at least one row", f"shape {points.shape}"))
        if not np.isfinite(points).all():
            raise ValueError(expected(f"`{name}` to be finite", "NaN or infinite values"))
    if x.shape[1] != y.shape[1]:
        raise ValueError(expected("rows of one length", f"{x.shape[1]} and {y.shape[1]}"))
    pooled = np.concatenate([x, y])
    distances = pdist(pooled[:: -(-len(pooled) // max_rows)])
    distances = distances[distances > 0]
    if not distances.size:
        raise ValueError(expected("points that differ, or a kernel of your own", "equal points"))
    return float(np.median(distances))


def _mean_within(
    values: tf.Tensor, x: tf.Tensor, weights: tf.Tensor | None, unbiased: bool
) -> tf.Tensor:
    """Returns the mean of a kernel's values [n, n] in one sample, or of those off the diagonal."""
    each = _weights(x, weights)
    if not unbiased or weights is not None:
        return _mean(values, each, each)
    off_diagonal = tf.linalg.set_diag(values, tf.zeros_like(values[0]))
    return _mean(off_diagonal, each, each) / (1 - tf.reduce_sum(tf.square(each)))


def _mean(values: tf.Tensor, x_weights: tf.Tensor, y_weights: tf.Tensor) -> tf.Tensor:
    """Returns the weighted sum of values [n, m], float64."""
    means = tf.linalg.matvec(tf.cast(values, tf.float64), y_weights)
    return tf.reduce_sum(x_weights * means)


def _weights(x: tf.Tensor, given: tf.Tensor | None) -> tf.Tensor:
    """Returns the weights of the rows of a sample, float64 [n]."""
    if given is not None:
        return tf.cast(given, tf.float64)
    num_rows = tf.shape(x)[0]
    return tf.fill([num_rows], 1 / tf.cast(num_rows, tf.float64))


def _squared_distances(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns ||x_i - y_j||^2, float64 [n, m].

    About the mean of x, where the terms that cancel are small. The squares of float32 numbers fit
    float64, so that little is lost: less than float32 itself leaves of points that are close to
    each other and far from zero.
    """
    x, y = tf.cast(x, tf.float64), tf.cast(y, tf.float64)
    check_rank("x", x.shape, 2, "[n, d]")
    check_rank("y", y.shape, 2, "[m, d]")
    if not x.shape[1:].is_compatible_with(y.shape[1:]):
        raise ValueError(expected("rows of one length", f"{x.shape[1]} and {y.shape[1]}"))
    center = tf.stop_gradient(tf.reduce_mean(x, axis=0))
    x, y = x - center, y - center
    x_norms = tf.reduce_sum(tf.square(x), axis=1)[:, tf.newaxis]
    y_norms = tf.reduce_sum(tf.square(y), axis=1)
    squared = x_norms + y_norms - 2 * tf.matmul(x, y, transpose_b=True)
    return tf.maximum(squared, 0)


def _flattened(name: str, x: tf.Tensor) -> tf.Tensor:
    x = tf.convert_to_tensor(x)
    if x.shape.rank in (None, 0) or x.shape[0] == 0:
        raise ValueError(expected(f"`{name}` with at least one row, [n, *event]", x.shape))
    return tf.reshape(x, [-1, x.shape[1:].num_elements()])


def _checked_scales(name: str, scales: Sequence[float]) -> tuple[float, ...]:
    """Returns the numbers as a tuple, which a file gives back as a list."""
    if isinstance(scales, str) or not isinstance(scales, Sequence):
        raise TypeError(expected(f"`{name}` to be a sequence of numbers", repr(scales)))
    if not scales:
        raise ValueError(expected(f"at least one number in `{name}`", scales))
    for scale in scales:
        check_positive(name, scale)
    return tuple(scales)
