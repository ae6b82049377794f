"""Layers whose outputs never move further than their inputs do, times a coefficient below one."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_positive, expected
from tfgen.core.config import Configurable, register
from tfgen.layers.kernels import call_with_kernel, exact_dtype, leading_right_vector, unit
from tfgen.layers.linearised import Linearised, Map, SmoothMap, by_tape

Shape = Sequence[int | None]

_LEAST_STEPS = 3  # In training: a direction that overtakes another is found by steps alone.
_MOST_STEPS = 1000  # When a layer is built.


@register
class Lipschitz(Configurable, keras.layers.Wrapper):
    """Calls a layer with kernel * min(1, coefficient / sigma); sigma is its linear map's norm.

    |y(a) - y(b)| <= coefficient |a - b| in the Euclidean norm, over whole images where the layer is
    a convolution: sigma is that of the map from images to images, found by the convolution and its
    transpose, which the norm of the kernel as a matrix is not. It holds for images of the size that
    the layer is built for, or smaller.

    The leading right-singular vector is a weight that is saved but not trained. It has converged
    when the layer is built. Each call goes on from it by the power method until
    |A'A u - sigma^2 u| <= 2 tolerance sigma^2. Then sigma is off by a share of `tolerance` at most,
    if no other singular value has overtaken the one that is followed in the last few steps of
    training. With `training=True` the vector is kept. Other calls keep nothing, and always give
    the same. The gradient flows through sigma with u held constant.

    Args:
        layer: a `Dense`, or a `Conv2D` of stride 1 with same padding, without groups or dilation.
            An activation of its own must not stretch.
        coefficient: in (0, 1).
        tolerance: the relative error of sigma, > 0.
        max_iterations: of the power method in a call, > 0.
        name: of the layer.
        trainable: whether the wrapped layer's weights are trained.

    Raises:
        TypeError: if the layer is of another kind, or `max_iterations` not an integer.
        ValueError: if a convolution has other settings, or a number is out of range; when built,
            where images have no known size.

    Reference: Behrmann, Grathwohl, Chen, Duvenaud and Jacobsen, "Invertible Residual Networks",
        2019, https://arxiv.org/abs/1811.00995; Chen, Behrmann, Duvenaud and Jacobsen, "Residual
        Flows for Invertible Generative Modeling", 2019, https://arxiv.org/abs/1906.02735.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        coefficient: float = 0.98,
        tolerance: float = 5e-3,
        max_iterations: int = 200,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        _check_layer(layer)
        if not 0 < coefficient < 1:
            raise ValueError(expected("`coefficient` in (0, 1)", coefficient))
        check_positive("tolerance", tolerance)
        check_integer("max_iterations", max_iterations)
        # Without autocast, and with a policy that is not mixed, kernels are read in full precision.
        dtype = exact_dtype(layer)
        super().__init__(layer, name=name, trainable=trainable, dtype=dtype, autocast=False)
        self.coefficient = coefficient
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    def build(self, input_shape: Shape) -> None:
        """Makes the layer's weights, and the singular vector from its kernel."""
        super().build(input_shape)
        *sizes, channels = input_shape[1:]
        self._is_matrix = _kernel_size(self.layer) == (1, 1)
        if not self._is_matrix and None in sizes:
            raise ValueError(expected("images of a known size", tuple(input_shape)))
        self._image_shape = (1, *sizes, channels)
        # As for SpectralNormalization, replicas have copies of their own, which are the same.
        self.u = self.add_weight(
            name="u",
            shape=(channels,) if self._is_matrix else self._image_shape,
            initializer=lambda shape, dtype: self._first_vector(shape),
            trainable=False,
            autocast=False,
        )
        self.built = True

    def normalized_kernel(self, training: bool = False) -> tf.Tensor:
        """Returns kernel * min(1, coefficient / sigma), in the kernel's shape.

        Args:
            training: whether the singular vector is kept for the next call.
        """
        kernel = self._kernel()
        constant, steps = tf.stop_gradient(kernel), _LEAST_STEPS if training else 1
        u = _power_method(constant, self.u.value, self.tolerance, steps, self.max_iterations)
        if training:
            self.u.assign(u)
        image = _maps(kernel, u)[0](tf.stop_gradient(u))
        sigma = tf.reduce_sum(image * tf.stop_gradient(unit(image)))
        return tf.reshape(kernel / tf.maximum(1.0, sigma / self.coefficient), self._kernel_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the layer's outputs with its kernel made small enough."""
        return self._call(inputs, self.normalized_kernel(training))

    def with_kernel(self, training: bool = False) -> SmoothMap:
        """Returns the layer as a map whose kernel is made once for any number of calls."""
        kernel = self.normalized_kernel(training)
        is_linear = self.layer.activation is keras.activations.linear

        def linearised(x: tf.Tensor) -> Linearised:
            if not is_linear or self.layer.compute_dtype != x.dtype.name:
                return by_tape(call).linearised(x)
            return call(x), _transposed(tf.cast(kernel, x.dtype))

        def call(x: tf.Tensor) -> tf.Tensor:
            return self._call(x, kernel)

        return SmoothMap(call, linearised)

    def _call(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return call_with_kernel(self, self.layer.kernel, kernel, inputs)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Returns the layer's."""
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        """Returns the layer's, whose dtype may differ from that of sigma."""
        kwargs.pop("training", None)
        return self.layer.compute_output_spec(*args, **kwargs)

    @property
    def _kernel_shape(self) -> tuple[int, ...]:
        return tuple(self.layer.kernel.shape)

    def _kernel(self) -> tf.Tensor:
        """Returns the kernel in full precision, a matrix where it acts on each position alone."""
        kernel = tf.cast(self.layer.kernel.value, self.compute_dtype)
        return tf.reshape(kernel, kernel.shape[-2:]) if self._is_matrix else kernel

    def _first_vector(self, shape: Shape) -> tf.Tensor:
        """Returns the vector for the kernel as it is."""
        kernel = self._kernel()
        if self._is_matrix:
            return leading_right_vector(tf.transpose(kernel))
        start = random.draw_normal(shape, [0, 0], dtype=self.compute_dtype)
        return _traced_power_method(kernel, unit(start), self.tolerance, 1, _MOST_STEPS)


def _maps(kernel: tf.Tensor, u: tf.Tensor) -> tuple[Map, Map]:
    """Returns a linear map A, by a matrix or a convolution, of vectors like u, and A'."""
    if kernel.shape.rank == 2:
        return (
            lambda u: tf.linalg.matvec(kernel, u, transpose_a=True),
            lambda v: tf.linalg.matvec(kernel, v),
        )
    return (
        lambda u: tf.nn.conv2d(u, kernel, 1, "SAME"),
        lambda v: tf.nn.conv2d_transpose(v, kernel, tf.shape(u), 1, "SAME"),
    )


def _transposed(kernel: tf.Tensor) -> Map:
    """Returns A' of a layer with a kernel, for batches."""
    if kernel.shape.rank == 2:
        return lambda w: tf.tensordot(w, kernel, [[-1], [1]])
    if any(size % 2 == 0 for size in kernel.shape[:2]):
        return lambda w: tf.nn.conv2d_transpose(
            w, kernel, [*tf.unstack(tf.shape(w)[:-1]), kernel.shape[2]], 1, "SAME"
        )
    # On CPUs a convolution is up to three times as fast as a transposed one.
    turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return lambda w: tf.nn.conv2d(w, turned, 1, "SAME")


def _power_method(
    kernel: tf.Tensor, u: tf.Tensor, tolerance: float, least_steps: int, most_steps: int
) -> tf.Tensor:
    """Returns what becomes of u in as many steps as the tolerance asks for."""
    forth, back = _maps(kernel, u)

    def unfinished(step: tf.Tensor, u: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
        return (step < least_steps) | (error > tolerance)

    def body(step: tf.Tensor, u: tf.Tensor, error: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image = forth(u)
        square, new = tf.reduce_sum(image**2), back(image)
        # An eigenvalue of A'A is within the residual of sigma^2, which has twice the error.
        error = tf.norm(new - square * u) / (2 * square)
        return step + 1, tf.ensure_shape(unit(new), u.shape), error

    initial = (tf.constant(0), u, tf.constant(float("inf"), u.dtype))
    return tf.while_loop(unfinished, body, initial, maximum_iterations=most_steps)[1]


# Built layers of one shape share a trace, and it is many times as fast as single operations.
_traced_power_method = tf.function(_power_method, autograph=False)


@register
class LipSwish(Configurable, keras.layers.Layer):
    """y = x sigmoid(softplus(beta) x) / 1.1, whose slope is in (-1, 1) whatever beta, trained.

    It is smooth, and does not lose its slope where a composition of many stretches least.

    Reference: Chen, Behrmann, Duvenaud and Jacobsen, "Residual Flows for Invertible Generative
        Modeling", 2019, https://arxiv.org/abs/1906.02735.
    """

    def build(self, input_shape: Shape) -> None:
        """Makes beta, which begins at 0.5."""
        self.beta = self.add_weight((), name="beta", initializer=keras.initializers.Constant(0.5))
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns y."""
        return x * self._gate(x)[1]

    def linearised(self, x: tf.Tensor) -> Linearised:
        """Returns y, and the products with its Jacobian, of which one is one operation."""
        if self.compute_dtype != x.dtype.name:
            return by_tape(self).linearised(x)
        steepness, gate = self._gate(x)
        y = x * gate
        slope = gate + steepness * y * (1 - 1.1 * gate)
        return y, lambda w: w * slope

    def _gate(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns softplus(beta), and y / x."""
        steepness = tf.cast(tf.nn.softplus(self.beta.value), x.dtype)
        return steepness, tf.sigmoid(steepness * x) * (1 / 1.1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns that of x."""
        return input_shape


def _kernel_size(layer: keras.layers.Layer) -> tuple[int, ...]:
    return (1, 1) if isinstance(layer, keras.layers.Dense) else layer.kernel_size


def _check_layer(layer: keras.layers.Layer) -> None:
    """Raises TypeError or ValueError for a layer whose norm is not known how to find."""
    if isinstance(layer, keras.layers.Dense):
        return
    if type(layer) is not keras.layers.Conv2D:
        raise TypeError(expected("`layer` to be a Dense or a Conv2D", repr(layer)))
    settings = (layer.strides, layer.dilation_rate, layer.groups, layer.padding)
    if settings != ((1, 1), (1, 1), 1, "same"):
        what = "a convolution of stride 1 with same padding, without dilation or groups"
        received = "strides {}, dilation {}, groups {}, padding {!r}".format(*settings)
        raise ValueError(expected(what, received))
