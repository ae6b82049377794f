"""Monotone rational-quadratic splines as a transform of single numbers."""

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import tensorflow as tf

from tfgen.bijectors.transforms import Transform
from tfgen.core.checks import check_integer, check_positive, expected
from tfgen.core.config import register

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb


@register
@dataclass(frozen=True)
class RationalQuadraticSpline(Transform):
    """A monotone spline of [-bound, bound], a ratio of quadratics in each bin; identity outside.

    Args:
        num_bins: > 1.
        bound: of the interval, > 0.
        min_size: of a bin's width and height, relative to the interval, > 0, below 1 / num_bins.
        min_slope: at the knots, > 0, below 1.

    Raises:
        TypeError: when `num_bins` is not an integer.
        ValueError: when a number is out of range.

    Reference: Durkan, Bekasov, Murray and Papamakarios, "Neural Spline Flows", 2019,
        https://arxiv.org/abs/1906.04032.
    """

    num_bins: int = 8
    bound: float = 3.0
    min_size: float = 1e-3
    min_slope: float = 1e-3

    def __post_init__(self) -> None:
        check_integer("num_bins", self.num_bins, minimum=2)
        check_positive("bound", self.bound)
        check_positive("min_size", self.min_size)
        check_positive("min_slope", self.min_slope)
        if self.min_size * self.num_bins >= 1:
            what = f"`min_size` < 1 / {self.num_bins}, the number of bins"
            raise ValueError(expected(what, self.min_size))
        if self.min_slope >= 1:
            raise ValueError(expected("`min_slope` < 1", self.min_slope))

    @property
    def num_params(self) -> int:
        """How many parameters a number takes: widths, heights, and slopes between the bins."""
        return 3 * self.num_bins - 1

    def bijector(self, params: tf.Tensor) -> "tfb.Bijector":
        """Returns the TFP bijector of numbers [...] with parameters [..., num_params]."""
        from tensorflow_probability import bijectors as tfb

        widths, heights, slopes = self._parts(params)
        return tfb.RationalQuadraticSpline(
            widths, heights, self._slope(slopes), range_min=-self.bound
        )

    def forward_and_log_det(self, x: tf.Tensor, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns z and the logarithms of its derivatives, both of the shape of x."""
        widths, heights, slopes = self._parts(params)
        inside, x_inside = self._inside(x)
        bin_ = self._bin(x_inside, widths, heights, slopes, searched=widths)
        t = (x_inside - bin_.x) / bin_.width
        z = bin_.y + bin_.height * bin_.value(t)
        return tf.where(inside, z, x), tf.where(inside, bin_.log_slope(t), tf.zeros_like(x))

    def inverse_and_log_det(self, z: tf.Tensor, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns x and the logarithms of its derivatives, both of the shape of z."""
        widths, heights, slopes = self._parts(params)
        inside, z_inside = self._inside(z)
        bin_ = self._bin(z_inside, widths, heights, slopes, searched=heights)
        t = bin_.solve((z_inside - bin_.y) / bin_.height)
        x = bin_.x + bin_.width * t
        return tf.where(inside, x, z), tf.where(inside, -bin_.log_slope(t), tf.zeros_like(z))

    def _parts(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns widths and heights of bins that fill the interval, and parameters of slopes."""
        sizes = [self.num_bins, self.num_bins, self.num_bins - 1]
        widths, heights, slopes = tf.split(params, sizes, axis=-1)
        free, least = (1 - self.num_bins * self.min_size), self.min_size
        widths, heights = (
            2 * self.bound * least + 2 * self.bound * free * tf.nn.softmax(logits)
            for logits in (widths, heights)
        )
        return widths, heights, slopes

    def _slope(self, param: tf.Tensor) -> tf.Tensor:
        """Returns the slope at a knot, 1 where the parameter is zero."""
        one = math.log(math.expm1(1 - self.min_slope))
        return self.min_slope + tf.math.softplus(param + one)

    def _inside(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what lies within the interval, and x with zeros elsewhere."""
        inside = tf.abs(x) < self.bound
        return inside, tf.where(inside, x, tf.zeros_like(x))

    def _bin(
        self,
        x: tf.Tensor,
        widths: tf.Tensor,
        heights: tf.Tensor,
        slopes: tf.Tensor,
        searched: tf.Tensor,
    ) -> "_Bin":
        """Returns the bin of each number, found among the widths or the heights.

        Sums over masks, of which the gradients are products: gathering takes several times as long.
        """
        sums = accumulate(tf.unstack(searched, self.num_bins, axis=-1)[:-1])  # Faster than cumsum.
        knots = tf.stack(list(sums), axis=-1) - self.bound
        above = tf.cast(x[..., tf.newaxis] >= tf.stop_gradient(knots), x.dtype)
        one, none = tf.ones_like(above[..., :1]), tf.zeros_like(above[..., :1])
        below = tf.concat([above, none], axis=-1)
        at = tf.concat([one, above], axis=-1) - below

        def total(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(values * mask, axis=-1)

        return _Bin(
            x=total(widths, below) - self.bound,
            y=total(heights, below) - self.bound,
            width=total(widths, at),
            height=total(heights, at),
            left=self._slope(total(slopes, at[..., 1:])),
            right=self._slope(total(slopes, at[..., :-1])),
        )


@dataclass(frozen=True)
class _Bin:
    """A bin of a spline: its lower left corner, its size, and the slopes at its ends."""

    x: tf.Tensor
    y: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor

    @property
    def slope(self) -> tf.Tensor:
        """The mean slope."""
        return self.height / self.width

    @property
    def excess(self) -> tf.Tensor:
        """How far the slopes at the ends exceed the mean, together."""
        return self.left + self.right - 2 * self.slope

    def value(self, t: tf.Tensor) -> tf.Tensor:
        """Returns the height in [0, 1] at t in [0, 1], relative to the bin."""
        mixed = t * (1 - t)
        return (self.slope * t**2 + self.left * mixed) / (self.slope + self.excess * mixed)

    def solve(self, value: tf.Tensor) -> tf.Tensor:
        """Returns t, of which the value is known."""
        a = self.slope - self.left + self.excess * value
        b = self.left - self.excess * value
        c = -self.slope * value
        root = tf.sqrt(tf.maximum(b**2 - 4 * a * c, 1e-30))
        return -2 * c / (b + root)  # Of the two ways to write it, the one that does not cancel.

    def log_slope(self, t: tf.Tensor) -> tf.Tensor:
        """Returns the logarithm of the slope at t."""
        mixed = t * (1 - t)
        above = self.right * t**2 + 2 * self.slope * mixed + self.left * (1 - t) ** 2
        return tf.math.log(above * (self.slope / (self.slope + self.excess * mixed)) ** 2)
