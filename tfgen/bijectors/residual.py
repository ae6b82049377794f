"""Invertible residual blocks: identity plus a network that contracts."""

import functools

import keras
import tensorflow as tf

from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.bijectors.fixed_point import inverse_of_residual
from tfgen.bijectors.trace import ExactLogDet, LogDet, PowerSeries, RussianRoulette
from tfgen.core.checks import check_integer, check_not_negative, expected
from tfgen.core.config import output_shape, register
from tfgen.layers.contraction import Contraction, check_contracts
from tfgen.layers.linearised import SmoothMap, by_tape, cast_to, composed


@register
class InvertibleResidual(Bijector):
    """z = x + g(x), or z = x + g(x + a) with a = A condition, of a network g that contracts.

    It is invertible as |g(x) - g(y)| < |x - y|, by iterating x <- z - g(x). A condition moves the
    input of the network, in all positions alike, so that it may have any size without stretching x.

    In training, given a seed, log-determinants are estimated by `log_det`, whose gradient keeps
    one evaluation of g. Otherwise they are functions of each row alone, by `evaluation`.

    Args:
        network: g, a Keras layer that keeps the shape of its inputs, made of `Lipschitz` layers, of
            `LipSwish` and of what has no weights and does not stretch: `lipschitz_dense`,
            `lipschitz_conv`.
        log_det: in training, `RussianRoulette()` by default.
        evaluation: outside of it; `ExactLogDet()` of vectors and `PowerSeries()` of other events by
            default.
        tolerance: of the inverse, |z - x - g(x)| relative to sqrt(D) + |z|, >= 0; 0 goes as far
            as the precision of the dtype.
        max_iterations: of the inverse, > 0.

    Raises:
        TypeError: when an argument is of another kind.
        ValueError: when a number is out of range; when built, where the network changes the shape
            of its inputs, or has weights in other layers.
        tf.errors.InvalidArgumentError: by the inverse, when it does not converge.

    Reference: Behrmann, Grathwohl, Chen, Duvenaud and Jacobsen, "Invertible Residual Networks",
        2019, https://arxiv.org/abs/1811.00995; Chen, Behrmann, Duvenaud and Jacobsen, "Residual
        Flows for Invertible Generative Modeling", 2019, https://arxiv.org/abs/1906.02735.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        log_det: LogDet | None = None,
        evaluation: LogDet | None = None,
        tolerance: float = 0.0,
        max_iterations: int = 1000,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(network, keras.layers.Layer):
            raise TypeError(expected("`network`, a Keras layer", repr(network)))
        for name, value in (("log_det", log_det), ("evaluation", evaluation)):
            if not isinstance(value, LogDet | None):
                raise TypeError(expected(f"`{name}`, such as ExactLogDet()", repr(value)))
        if isinstance(evaluation, RussianRoulette):
            raise ValueError(expected("`evaluation` that draws no number of terms", evaluation))
        check_not_negative("tolerance", tolerance)
        check_integer("max_iterations", max_iterations)
        self.network = network
        self.log_det = log_det
        self.evaluation = evaluation
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        features = output_shape(self.network, (None, *event_shape))
        if features[1:] != event_shape:
            what = f"a network that keeps the shape of events {event_shape}"
            raise ValueError(expected(what, features[1:]))
        check_contracts(self.network)
        self._kernel = None
        if condition_dim:
            shape = (condition_dim, event_shape[-1])
            self._kernel = self.add_weight(shape, name="condition_kernel", initializer="zeros")
        self._training = self.log_det or RussianRoulette()
        exact = len(event_shape) == 1
        self._evaluation = self.evaluation or (ExactLogDet() if exact else PowerSeries())

    @property
    def draws(self) -> bool:
        """Whether it makes draws from the seed that it is given in training."""
        return (self.log_det or RussianRoulette()).draws

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        g = self._residual(training=seed is not None)
        inputs = x + self._shift(condition, x)
        residual, log_det = self._way(seed).value_and_log_det(g, inputs, seed)
        return x + residual, log_det

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        shift, g = self._shift(condition, z), self._residual(training=seed is not None)
        inputs = self._inputs(g, z + shift)
        return inputs - shift, -self._way(seed).value_and_log_det(g, inputs, seed)[1]

    def forward(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns z = f(x)."""
        return x + self._residual(training=False).call(x + self._shift(condition, x))

    def inverse(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns x, of which z = f(x)."""
        shift = self._shift(condition, z)
        return self._inputs(self._residual(training=False), z + shift) - shift

    def _inputs(self, g: SmoothMap, target: tf.Tensor) -> tf.Tensor:
        """Returns the inputs y = x + shift of which y + g(y) = z + shift."""
        return inverse_of_residual(g, target, self.tolerance, self.max_iterations, self.name)

    def _way(self, seed: tf.Tensor | None) -> LogDet:
        """Returns the way to find log-determinants, in training or out of it."""
        return self._evaluation if seed is None else self._training

    def _residual(self, training: bool) -> SmoothMap:
        """Returns g, for any number of calls with the same kernels."""
        if isinstance(self.network, Contraction):
            network = self.network.with_kernels(training)
        else:
            network = by_tape(functools.partial(self.network, training=training))
        return composed([network, cast_to(self.compute_dtype)])

    def _shift(self, condition: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
        """Returns what the condition adds to the inputs of the network, [batch, 1, ..., c]."""
        if self._kernel is None:
            return tf.zeros([], like.dtype)
        shift = tf.matmul(tf.cast(condition, like.dtype), tf.cast(self._kernel.value, like.dtype))
        return tf.reshape(shift, [-1, *[1] * (like.shape.rank - 2), shift.shape[-1]])
