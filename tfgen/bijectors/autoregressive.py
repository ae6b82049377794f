"""Autoregressive bijectors: each number moves by an amount that the numbers before it decide."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.bijectors.transforms import Affine, SoftScale, Transform
from tfgen.core.checks import expected
from tfgen.core.config import register
from tfgen.layers import MADE

_LARGE = 1e3  # What is beyond, before its turn has come, could overflow in the network.


@register
class MaskedAutoregressive(Bijector):
    """z_i = T(x_i; params_i), params_i = MADE_i(x_1 .. x_i-1), over the numbers of an event.

    This is MAF: `forward`, from data to noise, takes one pass of the network, and `inverse`, which
    samples, at most as many as an event has numbers; it stops once a pass changes nothing. IAF,
    which samples in one pass, is `Invert(MaskedAutoregressive(...))`. The gradient of the inverse
    follows the implicit function theorem, so that its memory does not grow with the passes.

    The order is that of the flat event, its last axis fastest; `Permute` and `Reverse` between such
    bijectors give others.

    Args:
        hidden_units: the width of each hidden layer of the network.
        transform: T, of each number by itself; `Affine(SoftScale())` where it is None.
        activation, residual, mask_seed, kernel_initializer: of the network, as for
            `tfgen.layers.MADE`.

    Raises:
        TypeError: when the transform is no transform, or the initializer of another kind.
        ValueError: when the network is not as described there.

    Reference: Papamakarios, Pavlakou and Murray, "Masked Autoregressive Flow for Density
        Estimation", 2017, https://arxiv.org/abs/1705.07057; Kingma, Salimans, Jozefowicz, Chen,
        Sutskever and Welling, "Improving Variational Inference with Inverse Autoregressive Flow",
        2016, https://arxiv.org/abs/1606.04934.
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        transform: Transform | None = None,
        activation: Any = "relu",
        residual: bool = False,
        mask_seed: int | None = None,
        kernel_initializer: str | keras.initializers.Initializer = "he_uniform",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.transform = transform or Affine(SoftScale())
        if not isinstance(self.transform, Transform):
            raise TypeError(expected("`transform`, such as Affine()", repr(transform)))
        self.network = MADE(
            hidden_units,
            self.transform.num_params,
            activation,
            residual,
            mask_seed,
            kernel_initializer,
            dtype=self.dtype_policy,
            name="network",
        )
        self.hidden_units = self.network.hidden_units
        self.activation = self.network.activation
        self.residual = residual
        self.mask_seed = mask_seed
        self.kernel_initializer = kernel_initializer

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        self._dim = math.prod(event_shape)
        self.network.build((None, self._dim), condition_dim and (None, condition_dim))

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x."""
        return self.transform.log_det_is_constant

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        x = tf.reshape(x, [-1, self._dim])
        z, log_det = self.transform.forward_and_log_det(x, self.network(x, condition))
        return tf.reshape(z, [-1, *self.event_shape]), tf.reduce_sum(log_det, axis=1)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        z = tf.reshape(z, [-1, self._dim])
        x = self._with_gradient(self._inverted(z, condition), z, condition)
        log_det = self.transform.forward_and_log_det(x, self.network(x, condition))[1]
        return tf.reshape(x, [-1, *self.event_shape]), -tf.reduce_sum(log_det, axis=1)

    def _inverted(self, z: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
        """Returns x, [batch, dim], without a gradient."""
        z = tf.stop_gradient(z)

        def step(x: tf.Tensor) -> tf.Tensor:
            return self.transform.inverse_and_log_det(z, self.network(x, condition))[0]

        return tf.stop_gradient(_one_by_one(step, z, tf.range(self._dim)))

    def _with_gradient(self, x: tf.Tensor, z: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
        """Returns x with the gradient of x = f^-1(z) by z, the condition and the weights.

        With J = df/dx at x, it is dx = J^-1 (dz - df), where df is what weights and condition do to
        f. J^T w = g is solved for w number by number too, from the last, as J is triangular.
        """
        remainder = z - self.transform.forward_and_log_det(x, self.network(x, condition))[0]

        @tf.custom_gradient
        def attached(remainder: tf.Tensor) -> tuple[tf.Tensor, Callable]:
            del remainder  # It is zero: only its gradient counts.
            return tf.identity(x), lambda upstream: self._solved(upstream, x, condition)

        return attached(remainder)

    def _solved(self, upstream: tf.Tensor, x: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
        """Returns w, [batch, dim], of which J^T w is the upstream gradient."""
        _, log_slope = self.transform.forward_and_log_det(x, self.network(x, condition))
        slope = tf.exp(log_slope)

        def step(w: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                params = self.network(x, condition)
                z, _ = self.transform.forward_and_log_det(tf.stop_gradient(x), params)
            return (upstream - tape.gradient(z, x, w, tf.UnconnectedGradients.ZERO)) / slope

        return _one_by_one(step, upstream, tf.range(self._dim)[::-1])


def _one_by_one(
    step: Callable[[tf.Tensor], tf.Tensor], like: tf.Tensor, turns: tf.Tensor
) -> tf.Tensor:
    """Returns the y, [batch, dim], of which step(y) = y, where y_i depends on those before it.

    After pass k the numbers with turns 0 to k are exact. Those to come are kept where they are
    moderate: most are near what they will be, and the loop ends when a pass changes no bit.

    Args:
        step: returns the next y.
        like: [batch, dim].
        turns: the place of each number in the order, [dim].
    """

    def body(turn: tf.Tensor, y: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, ...]:
        new = step(y)
        kept = (turns <= turn) | (tf.abs(new) < _LARGE)
        return turn + 1, tf.where(kept, new, tf.zeros_like(new)), tf.reduce_any(new != y)

    initial = (tf.constant(0), tf.zeros_like(like), tf.constant(True))
    dim = like.shape[1]
    return tf.while_loop(lambda _, __, changed: changed, body, initial, maximum_iterations=dim)[1]
