"""Dense networks whose masks let each output see only the inputs before it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_rank, check_seed, expected
from tfgen.core.config import Configurable, register
from tfgen.layers.initial import spread


@register
class MADE(Configurable, keras.layers.Layer):
    """A masked dense network: [batch, dim] -> [batch, dim, num_params], out_i = g_i(x_1 .. x_i-1).

    h_1 = a((W_1 * M_1) x + C c + b_1), h_k = a((W_k * M_k) h_k-1 + b_k), and the last layer is
    linear and begins at zero. Every unit has a degree d, input i the degree i: M connects hidden
    units to units with degree <= d, and output i to those with degree < i. Units of degree 0, which
    see the condition c alone, are there when there is one, so that the first output depends on it.

    Args:
        hidden_units: the width of each hidden layer, at least one. Where a width is less than dim,
            the degrees that it has are spread evenly, and outputs see fewer of their inputs.
        num_params: how many numbers each output has, > 0.
        activation: of the hidden layers, as Keras knows it.
        residual: whether each hidden layer after the first adds its input to its output.
        mask_seed: of degrees that are drawn uniformly, >= 0; None for all degrees in equal shares.
        kernel_initializer: of the kernels of hidden layers, as Keras knows it; small tables are
            fitted better with `VarianceScaling(1 / 3, "fan_in", "uniform")`, 2.4 times as small.

    Raises:
        TypeError: when the initializer is of another kind.
        ValueError: when there is no hidden layer, a number is out of range, or the hidden layers of
            a residual network differ in width.

    Reference: Germain, Gregor, Murray and Larochelle, "MADE: Masked Autoencoder for Distribution
        Estimation", 2015, https://arxiv.org/abs/1502.03509.
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        num_params: int = 1,
        activation: Any = "relu",
        residual: bool = False,
        mask_seed: int | None = None,
        kernel_initializer: str | keras.initializers.Initializer = "he_uniform",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_units = check_hidden_units(hidden_units)
        check_integer("num_params", num_params)
        if residual and len(set(self.hidden_units)) > 1:
            raise ValueError(expected("`hidden_units` of one width", self.hidden_units))
        if mask_seed is not None:
            check_seed("mask_seed", mask_seed)
        if not isinstance(kernel_initializer, str | keras.initializers.Initializer):
            raise TypeError(expected("`kernel_initializer` of Keras", repr(kernel_initializer)))
        self.num_params = num_params
        self.activation = keras.activations.get(activation)
        self.residual = residual
        self.mask_seed = mask_seed
        self.kernel_initializer = kernel_initializer

    def build(self, x_shape: Sequence[int | None], condition_shape: Any = None) -> None:
        """Makes the weights.

        Args:
            x_shape: (None, dim).
            condition_shape: (None, features), or None.

        Raises:
            ValueError: when inputs are not vectors.
        """
        check_rank("inputs", x_shape, 2, "[batch, dim]")
        self.dim = dim = int(x_shape[-1])
        degrees = self._degrees(0 if condition_shape else min(1, dim - 1))
        self._masks = [a[:, None] <= b for a, b in zip(degrees, degrees[1:], strict=False)]
        last = degrees[-1][:, None] < np.arange(1, dim + 1)
        self._masks.append(np.repeat(last, self.num_params, axis=1))
        self._kernels, self._biases = [], []
        for number, mask in enumerate(self._masks):
            of_kernel, of_bias = "zeros", "zeros"
            if number < len(self.hidden_units):
                of_kernel, of_bias = self._of_kernel(), spread(mask.sum() / mask.shape[1])
            kernel = self.add_weight(mask.shape, name=f"kernel_{number}", initializer=of_kernel)
            bias = self.add_weight(mask.shape[1:], name=f"bias_{number}", initializer=of_bias)
            self._kernels.append(kernel)
            self._biases.append(bias)
        self._condition_kernel = None
        if condition_shape:
            shape = (int(condition_shape[-1]), self.hidden_units[0])
            self._condition_kernel = self.add_weight(shape, name="condition_kernel")
        self.built = True

    def _of_kernel(self) -> keras.initializers.Initializer:
        """Returns an initializer of its own for each kernel: a shared one would repeat itself."""
        found = keras.initializers.get(self.kernel_initializer)
        return found.clone() if found is self.kernel_initializer else found

    def _degrees(self, low: int) -> list[np.ndarray]:
        """Returns the degrees of the inputs and of each hidden layer, of which `low` is the least.

        Hidden layers of one width have the same degrees, so that they can be added.
        """
        count = self.dim - low if self.dim > 1 else 1
        by_width = {}
        for units in self.hidden_units:
            if self.mask_seed is not None:
                found = np.random.default_rng([self.mask_seed, units]).integers(count, size=units)
            elif units < count:
                found = np.linspace(0, count - 1, units).round().astype(int)
            else:
                found = np.arange(units) % count
            by_width[units] = low + found
        return [np.arange(1, self.dim + 1), *(by_width[units] for units in self.hidden_units)]

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the parameters, [batch, dim, num_params].

        Args:
            x: [batch, dim].
            condition: [batch, features], where it was built for one.

        Raises:
            ValueError: when there is a condition that it was not built for, or the other way round.
        """
        if (condition is None) != (self._condition_kernel is None):
            what = "no `condition`" if self._condition_kernel is None else "`condition`"
            raise ValueError(expected(f"{what}, as the network was built", condition))
        for number in range(len(self.hidden_units)):
            hidden = self._linear(x, number)
            if number == 0 and condition is not None:
                hidden += tf.matmul(condition, self._condition_kernel)
            hidden = self.activation(hidden)
            x = x + hidden if self.residual and number > 0 else hidden
        return tf.reshape(self._linear(x, -1), [-1, self.dim, self.num_params])

    def _linear(self, x: tf.Tensor, number: int) -> tf.Tensor:
        """Returns what the masked kernel and the bias of a layer make of its inputs."""
        kernel = tf.convert_to_tensor(self._kernels[number])
        masked = kernel * tf.constant(self._masks[number], kernel.dtype)
        return tf.nn.bias_add(tf.matmul(x, masked), self._biases[number])

    def compute_output_shape(self, x_shape: Any, condition_shape: Any = None) -> Any:
        """Returns (batch, dim, num_params)."""
        return (*x_shape, self.num_params)


def check_hidden_units(hidden_units: Sequence[int]) -> tuple[int, ...]:
    """Returns the widths of hidden layers; raises ValueError or TypeError unless all are > 0."""
    hidden_units = tuple(hidden_units)
    for units in hidden_units:
        check_integer("hidden_units", units)
    if not hidden_units:
        raise ValueError(expected("`hidden_units`, at least one", hidden_units))
    return hidden_units
