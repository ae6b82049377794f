"""Fixed maps of each number by itself: of intervals to all numbers and back, and affine ones."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.core import specs
from tfgen.core.checks import expected
from tfgen.core.config import register

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb

_ROUNDING = 1e-5  # By which a number that was mapped back may lie outside its interval.


@register
class Logit(Bijector):
    """z = logit(alpha + (1 - 2 alpha) x), for x in [0, 1], such as dequantised pixels.

    Args:
        alpha: keeps z finite at 0 and 1; in (0, 0.5). Published are 0.05 and, for MNIST, 1e-6.

    Raises:
        ValueError: when `alpha` is out of range, or x is outside [0, 1].
        tf.errors.InvalidArgumentError: in a graph, when x is outside [0, 1].

    Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
        https://arxiv.org/abs/1605.08803.
    """

    def __init__(self, alpha: float = 0.05, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if not 0 < alpha < 0.5:
            raise ValueError(expected("`alpha` in (0, 0.5)", alpha))
        self.alpha = alpha

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        inside = (x >= -_ROUNDING) & (x <= 1 + _ROUNDING)
        x = specs.with_all(x, inside, f"`x` of {self.name} in [0, 1]")
        # Of p and 1 - p; 1 - x keeps the digits near 1 that (1 + a small alpha) - x would lose.
        log_p, log_q = (tf.math.log(self._inside(y)) for y in (x, 1 - x))
        return log_p - log_q, _total(math.log(1 - 2 * self.alpha) - log_p - log_q)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        from tensorflow_probability import bijectors as tfb

        p = tfb.Sigmoid()
        log_det = p.forward_log_det_jacobian(z, event_ndims=0) - math.log(1 - 2 * self.alpha)
        return (p.forward(z) - self.alpha) / (1 - 2 * self.alpha), _total(log_det)

    def _inside(self, x: tf.Tensor) -> tf.Tensor:
        return self.alpha + (1 - 2 * self.alpha) * x


@register
class Sigmoid(Bijector):
    """z = 1 / (1 + exp(-x)), in (0, 1)."""

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        from tensorflow_probability import bijectors as tfb

        bijector = tfb.Sigmoid()
        return bijector.forward(x), _total(bijector.forward_log_det_jacobian(x, event_ndims=0))

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        from tensorflow_probability import bijectors as tfb

        bijector = tfb.Sigmoid()
        return bijector.inverse(z), _total(bijector.inverse_log_det_jacobian(z, event_ndims=0))


@register
class AffineMap(Bijector):
    """z = scale x + shift, both fixed: `AffineMap(-mean / std, 1 / std)` standardises.

    Args:
        shift: a number for all, or numbers that broadcast to an event, such as one for each
            dimension or channel.
        scale: likewise; not zero.

    Raises:
        ValueError: when a number is not finite, or a scale is zero; when built, where the numbers
            do not broadcast to events.
    """

    def __init__(self, shift: Any = 0.0, scale: Any = 1.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shift = _numbers("shift", shift)
        self.scale = _numbers("scale", scale)
        if not np.all(self.scale):
            raise ValueError(expected("`scale`, not zero", self.scale))

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        for name in ("shift", "scale"):
            shape = np.shape(getattr(self, name))
            try:
                fits = np.broadcast_shapes(shape, event_shape) == event_shape
            except ValueError:
                fits = False
            if not fits:
                what = f"`{name}` that broadcasts to events {event_shape}"
                raise ValueError(expected(what, f"shape {shape}"))
        log_scale = np.log(np.abs(self.scale))
        self._log_det = float(np.sum(np.broadcast_to(log_scale, event_shape)))

    def _map(self) -> "tfb.Bijector":
        from tensorflow_probability import bijectors as tfb

        scale, shift = (tf.constant(n, self.compute_dtype) for n in (self.scale, self.shift))
        return tfb.Chain([tfb.Shift(shift), tfb.Scale(scale)])

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        return self._map().forward(x), tf.fill(tf.shape(x)[:1], tf.cast(self._log_det, x.dtype))

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        return self._map().inverse(z), tf.fill(tf.shape(z)[:1], tf.cast(-self._log_det, z.dtype))

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x."""
        return True


def _total(log_det: tf.Tensor) -> tf.Tensor:
    """Returns the sum over events, [batch], of [batch, *event]."""
    return tf.reduce_sum(log_det, axis=range(1, log_det.shape.rank))


def _numbers(name: str, value: Any) -> Any:
    """Returns a number or nested lists of them; raises ValueError unless all are finite."""
    numbers = np.asarray(value, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(expected(f"`{name}` of finite numbers", value))
    return numbers.tolist()
