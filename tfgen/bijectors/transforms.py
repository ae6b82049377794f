"""Elementwise maps whose parameters are numbers that a network returns: values without weights.

A coupling or an autoregressive bijector makes the parameters. All zeros give the identity, or a map
near it, so that a projection that begins at zero does no harm.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import tensorflow as tf

from tfgen.core.checks import check_positive, expected
from tfgen.core.config import Configurable, register

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb


class Transform(Configurable, ABC):
    """An invertible map of each number by itself, given the parameters of that number."""

    @property
    @abstractmethod
    def num_params(self) -> int:
        """How many parameters a number takes."""

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the derivative is the same for all numbers and parameters."""
        return False

    @abstractmethod
    def bijector(self, params: tf.Tensor) -> "tfb.Bijector":
        """Returns the TFP bijector of numbers [...] with parameters [..., num_params]."""

    def forward_and_log_det(self, x: tf.Tensor, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns z and the logarithms of its derivatives, both of the shape of x."""
        bijector = self.bijector(params)
        z, log_det = bijector.forward(x), bijector.forward_log_det_jacobian(x, event_ndims=0)
        return z, log_det + tf.zeros_like(x)

    def inverse_and_log_det(self, z: tf.Tensor, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns x and the logarithms of its derivatives, both of the shape of z."""
        bijector = self.bijector(params)
        x, log_det = bijector.inverse(z), bijector.inverse_log_det_jacobian(z, event_ndims=0)
        return x, log_det + tf.zeros_like(z)


@register
@dataclass(frozen=True)
class Additive(Transform):
    """z = x + shift: volumes stay as they are.

    Reference: Dinh, Krueger and Bengio, "NICE: Non-linear Independent Components Estimation", 2015,
        https://arxiv.org/abs/1410.8516.
    """

    @property
    def num_params(self) -> int:
        """How many parameters a number takes: its shift."""
        return 1

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the derivative is the same for all numbers: it is 1."""
        return True

    def bijector(self, params: tf.Tensor) -> "tfb.Bijector":
        """Returns the TFP bijector of numbers [...] with parameters [..., 1]."""
        from tensorflow_probability import bijectors as tfb

        return tfb.Shift(params[..., 0])


class Scale(Configurable, ABC):
    """How an affine transform makes a positive scale of parameters."""

    @property
    @abstractmethod
    def num_params(self) -> int:
        """How many parameters a scale takes."""

    @abstractmethod
    def __call__(self, *params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scale and its logarithm, of the shape of each parameter."""


@register
@dataclass(frozen=True)
class SigmoidScale(Scale):
    """scale = minimum + (1 - minimum) sigmoid(h + offset).

    Args:
        offset: of the parameter h; the scale begins at about sigmoid(offset).
        minimum: of the scale, in [0, 1). A sample is divided by the scales of all steps: with the
            published 0 it may overflow. Data that want large scales, such as images with flat
            parts, are learned faster with `TanhScale()`.

    Raises:
        ValueError: when `minimum` is out of range.

    Reference: Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", 2018,
        https://arxiv.org/abs/1807.03039.
    """

    offset: float = 2.0
    minimum: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.minimum < 1:
            raise ValueError(expected("`minimum` of a scale in [0, 1)", self.minimum))

    @property
    def num_params(self) -> int:
        """How many parameters a scale takes: h."""
        return 1

    def __call__(self, *params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scale and its logarithm."""
        h = params[0] + self.offset
        scale = self.minimum + (1 - self.minimum) * tf.sigmoid(h)
        # Of a sigmoid alone, which underflows, the logarithm stays finite.
        return scale, tf.math.log(scale) if self.minimum else tf.math.log_sigmoid(h)


@register
@dataclass(frozen=True)
class TanhScale(Scale):
    """scale = exp(factor tanh(h)), factor = bound sigmoid(a): within exp(-bound) and exp(bound).

    The factor is learned, as published; here the network gives it, so that it is one more
    parameter of each number.

    Args:
        bound: of the logarithm of the scale, > 0.

    Raises:
        ValueError: when `bound` is not > 0.

    Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
        https://arxiv.org/abs/1605.08803.
    """

    bound: float = 2.0

    def __post_init__(self) -> None:
        check_positive("bound", self.bound)

    @property
    def num_params(self) -> int:
        """How many parameters a scale takes: h and a."""
        return 2

    def __call__(self, *params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scale and its logarithm."""
        log_scale = self.bound * tf.sigmoid(params[1]) * tf.tanh(params[0])
        return tf.exp(log_scale), log_scale


@register
@dataclass(frozen=True)
class SoftScale(Scale):
    """scale = exp(h / (1 + |h| / bound)): exp(h) near h = 0, between exp(-bound) and exp(bound).

    Args:
        bound: of the logarithm of the scale, > 0.

    Raises:
        ValueError: when `bound` is not > 0.
    """

    bound: float = 7.0

    def __post_init__(self) -> None:
        check_positive("bound", self.bound)

    @property
    def num_params(self) -> int:
        """How many parameters a scale takes: h."""
        return 1

    def __call__(self, *params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scale and its logarithm."""
        log_scale = self.bound * tf.nn.softsign(params[0] * (1 / self.bound))
        return tf.exp(log_scale), log_scale


@register
@dataclass(frozen=True)
class Affine(Transform):
    """z = (x + shift) scale, the scale bounded so that neither way overflows.

    Args:
        scale: how parameters make the scale: `TanhScale()`, as in RealNVP, `SigmoidScale()`, as in
            Glow, or `SoftScale()`.

    Raises:
        TypeError: when it is another thing.

    Reference: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017,
        https://arxiv.org/abs/1605.08803.
    """

    scale: Scale = field(default_factory=TanhScale)

    def __post_init__(self) -> None:
        if not isinstance(self.scale, Scale):
            raise TypeError(expected("`scale`, such as TanhScale()", repr(self.scale)))

    @property
    def num_params(self) -> int:
        """How many parameters a number takes: its shift, and those of the scale."""
        return 1 + self.scale.num_params

    def bijector(self, params: tf.Tensor) -> "tfb.Bijector":
        """Returns the TFP bijector of numbers [...] with parameters [..., num_params]."""
        from tensorflow_probability import bijectors as tfb

        shift, scale, _ = self._parts(params)
        return tfb.Chain([tfb.Scale(scale), tfb.Shift(shift)])

    def forward_and_log_det(self, x: tf.Tensor, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns z and log scale."""
        shift, scale, log_scale = self._parts(params)
        return (x + shift) * scale, log_scale

    def inverse_and_log_det(self, z: tf.Tensor, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns x and -log scale."""
        shift, scale, log_scale = self._parts(params)
        return z / scale - shift, -log_scale

    def _parts(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the shift, the scale, and its logarithm."""
        shift, *others = tf.unstack(params, self.num_params, axis=-1)
        return shift, *self.scale(*others)
