"""Planar and radial flows: every point moves along one direction, or to or from one point."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.bijectors.root import increasing_root
from tfgen.core.config import register

_ONE = math.log(math.expm1(1.0))  # Of which the softplus is 1.
_LEAST = 1e-4  # Of the factor by which a map stretches; below it, single precision loses it.


class _Amortised(Bijector):
    """Base of the maps that have a vector of parameters: weights, and what a condition adds."""

    @abstractmethod
    def _parts(self, dim: int) -> dict[str, tuple[int, Any]]:
        """Returns the size and the initializer of each part of the parameters, by name."""

    @abstractmethod
    def _forward(self, x: tf.Tensor, *parts: tf.Tensor) -> Result:
        """Returns z [batch, dim] and log |det dz/dx|; parts are [1 or batch, size]."""

    @abstractmethod
    def _inverse(self, z: tf.Tensor, *parts: tf.Tensor) -> Result:
        """Returns x [batch, dim] and log |det dx/dz|; parts are [1 or batch, size]."""

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        self._dim = math.prod(event_shape)
        parts = self._parts(self._dim)
        self._sizes = [size for size, _ in parts.values()]
        self._weights_of_parts = [
            self.add_weight((size,), name=name, initializer=initializer)
            for name, (size, initializer) in parts.items()
        ]
        self._kernel = None
        if condition_dim:
            shape = (condition_dim, sum(self._sizes))
            self._kernel = self.add_weight(shape, name="condition_kernel", initializer="zeros")

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        flat = tf.reshape(x, [-1, self._dim])
        z, log_det = self._forward(flat, *self._parameters(condition))
        return tf.reshape(z, [-1, *self.event_shape]), log_det

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        flat = tf.reshape(z, [-1, self._dim])
        x, log_det = self._inverse(flat, *self._parameters(condition))
        return tf.reshape(x, [-1, *self.event_shape]), log_det

    def _parameters(self, condition: tf.Tensor | None) -> Sequence[tf.Tensor]:
        """Returns the parts of the parameters, [1, size], or [batch, size] given a condition."""
        weights = [tf.convert_to_tensor(weight)[tf.newaxis] for weight in self._weights_of_parts]
        if self._kernel is None:
            return weights
        added = tf.matmul(tf.cast(condition, self.compute_dtype), self._kernel)
        parts = tf.split(added, self._sizes, axis=1)
        return [weight + part for weight, part in zip(weights, parts, strict=True)]


@register
class Planar(_Amortised):
    """z = x + u' tanh(w x + b), whose w u' > -1 makes it invertible.

    u' = u + (m(w u) - w u) w / |w|^2, m(a) = softplus(a + c) - 1. As published but for c, of which
    the softplus is 1: so that u = 0, as at the beginning, is the identity; and w u' stays above -1
    by a little, 1e-4. The inverse finds s, the root of s + w u' tanh(s) = w z + b, to the precision
    of the numbers, or raises an error; its gradient follows the implicit function theorem.

    A condition, such as features of a posterior, adds a linear function of itself to u, w and b.

    Raises:
        tf.errors.InvalidArgumentError: by the inverse, when a root does not converge.

    Reference: Rezende and Mohamed, "Variational Inference with Normalizing Flows", 2015,
        https://arxiv.org/abs/1505.05770.
    """

    def _parts(self, dim: int) -> dict[str, tuple[int, Any]]:
        return {"u": (dim, "zeros"), "w": (dim, _normal(dim**-0.5)), "b": (1, "zeros")}

    def _forward(self, x: tf.Tensor, *parts: tf.Tensor) -> Result:
        u, w, b = parts
        u, gain = _invertible(u, w)
        move = tf.tanh(_dot(w, x) + b)
        return x + u * move, tf.math.log1p(gain * (1 - move**2))[:, 0]

    def _inverse(self, z: tf.Tensor, *parts: tf.Tensor) -> Result:
        u, w, b = parts
        u, gain = _invertible(u, w)
        move = tf.tanh(self._root(gain, _dot(w, z) + b))
        return z - u * move, -tf.math.log1p(gain * (1 - move**2))[:, 0]

    def _root(self, gain: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Returns s of which s + gain tanh(s) = y, [batch, 1]."""
        fixed_gain, fixed_y = tf.stop_gradient(gain), tf.stop_gradient(y)

        def value_and_slope(s: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            move = tf.tanh(s)
            return s + fixed_gain * move - fixed_y, 1 + fixed_gain * (1 - move**2)

        reach = tf.abs(fixed_gain)
        tolerance = 8 * np.finfo(y.dtype.as_numpy_dtype).eps * (1 + reach + tf.abs(fixed_y))
        s = increasing_root(value_and_slope, fixed_y - reach, fixed_y + reach, tolerance, self.name)
        slope = value_and_slope(s)[1]
        return s - (s + gain * tf.tanh(s) - y) / tf.stop_gradient(slope)


@register
class Radial(_Amortised):
    """z = x + beta' (x - x_0) / (alpha + r), r = |x - x_0|; beta' > -alpha makes it invertible.

    alpha = softplus(a) and beta' = alpha (softplus(beta + c) - 1), where the softplus of c is 1: so
    that beta = 0, as at the beginning, is the identity; beta' stays above -alpha by a little, 1e-4
    of alpha. The inverse is closed: r is the positive root of a quadratic equation.

    A condition adds a linear function of itself to x_0, a and beta.

    Reference: Rezende and Mohamed, "Variational Inference with Normalizing Flows", 2015,
        https://arxiv.org/abs/1505.05770.
    """

    def _parts(self, dim: int) -> dict[str, tuple[int, Any]]:
        return {"centre": (dim, _normal(0.5)), "a": (1, "zeros"), "beta": (1, "zeros")}

    def _forward(self, x: tf.Tensor, *parts: tf.Tensor) -> Result:
        centre, alpha, beta = _bounded(*parts)
        radius = _norm(x - centre)
        return x + (x - centre) * beta / (alpha + radius), self._log_det(radius, alpha, beta)

    def _inverse(self, z: tf.Tensor, *parts: tf.Tensor) -> Result:
        centre, alpha, beta = _bounded(*parts)
        radius = _inner_radius(_norm(z - centre), alpha, beta)
        x = centre + (z - centre) / (1 + beta / (alpha + radius))
        return x, -self._log_det(radius, alpha, beta)

    def _log_det(self, radius: tf.Tensor, alpha: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        """Returns log |det dz/dx|: of one direction along the radius, and dim - 1 across it."""
        across = tf.math.log1p(beta / (alpha + radius))
        along = tf.math.log1p(beta * alpha / (alpha + radius) ** 2)
        return ((self._dim - 1) * across + along)[:, 0]


def _normal(stddev: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=stddev)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, axis=1, keepdims=True)


def _norm(x: tf.Tensor) -> tf.Tensor:
    """Returns |x|, [batch, 1], whose gradient is finite at zero."""
    return tf.sqrt(tf.maximum(_dot(x, x), np.finfo(x.dtype.as_numpy_dtype).tiny))


def _above_minus_one(a: tf.Tensor) -> tf.Tensor:
    """Returns m(a) > -1, increasing, of which m(0) = 0."""
    return (1 - _LEAST) * tf.math.softplus(a + _ONE) + (_LEAST - 1)


def _invertible(u: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns u', and the gain w u' > -1, of a planar map."""
    gain, square = _dot(w, u), _dot(w, w)
    wanted = _above_minus_one(gain)
    share = square / (square + 1e-12)  # 1, unless w is zero, as a condition may make it.
    moved = u + (wanted - gain) * w / (square + 1e-12)
    return moved, wanted * share + gain * (1 - share)


def _bounded(
    centre: tf.Tensor, a: tf.Tensor, beta: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns x_0, alpha > 0 and beta' > -alpha of a radial map."""
    alpha = tf.math.softplus(a)
    return centre, alpha, alpha * _above_minus_one(beta)


def _inner_radius(outer: tf.Tensor, alpha: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """Returns r >= 0 of which r + beta r / (alpha + r) = outer, without cancellation."""
    half = outer - alpha - beta
    both = tf.abs(half) + tf.sqrt(half**2 + 4 * alpha * outer)
    return tf.where(half > 0, both / 2, 2 * alpha * outer / both)
