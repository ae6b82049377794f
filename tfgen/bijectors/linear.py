"""Linear maps of the last axis: learned matrices, which mix channels, and permutations."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfgen.bijectors.axes import num_channels, permuted
from tfgen.bijectors.bijector import Bijector, Result, Shape
from tfgen.core.checks import check_seed, expected
from tfgen.core.config import register


@register
class InvertibleLinear(Bijector):
    """z = W x at each position: over channels an invertible 1x1 convolution.

    W begins as a random rotation or reflection. With `lu`, W = P L U for a fixed permutation P, L
    with ones on its diagonal, and U whose diagonal keeps its signs: W stays invertible, and the
    log-determinant is a sum. Without, the entries of W are trained, and the determinant is found in
    float64, with time that grows as the cube of the number of channels.

    Args:
        lu: whether the factors of W are trained, rather than its entries.

    Reference: Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", 2018,
        https://arxiv.org/abs/1807.03039.
    """

    def __init__(self, lu: bool = True, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.lu = bool(lu)

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        dim = num_channels(event_shape)
        with tf.init_scope():
            matrix = keras.initializers.Orthogonal()((dim, dim), "float64")
            if self.lu:
                kernel, order = tf.linalg.lu(matrix)
                diagonal = tf.linalg.diag_part(kernel)
                kernel = tf.linalg.set_diag(kernel, tf.math.log(tf.abs(diagonal)))
                self.permutation = self._weight("permutation", tf.one_hot(order, dim, axis=0))
                self.signs = self._weight("signs", tf.sign(diagonal))
                self.kernel = self._weight("kernel", kernel, trainable=True)
            else:
                self.kernel = self._weight("kernel", matrix, trainable=True)

    def _weight(self, name: str, value: tf.Tensor, trainable: bool = False) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=tuple(value.shape),
            initializer=lambda shape, dtype: tf.cast(value, dtype),
            trainable=trainable,
        )

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, [batch]."""
        kernel = tf.convert_to_tensor(self.kernel.value)
        if self.lu:
            lower, upper = self._factors(kernel)
            matrix = self.permutation.value @ (lower @ upper)
        else:
            matrix = kernel
        return self._times(matrix, x), self._log_det(kernel, x)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, [batch]."""
        kernel = tf.convert_to_tensor(self.kernel.value)
        if self.lu:
            lower, upper = self._factors(tf.cast(kernel, tf.float64))
            back = tf.transpose(tf.cast(self.permutation.value, tf.float64))
            matrix = tf.linalg.triangular_solve(lower, back)
            matrix = tf.linalg.triangular_solve(upper, matrix, lower=False)
        else:
            matrix = tf.linalg.inv(tf.cast(kernel, tf.float64))
        return self._times(tf.cast(matrix, z.dtype), z), -self._log_det(kernel, z)

    def _factors(self, kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns L and U, which the kernel holds side by side, with log |diagonal of U|."""
        diagonal = tf.cast(self.signs.value, kernel.dtype) * tf.exp(tf.linalg.diag_part(kernel))
        lower = tf.linalg.set_diag(tf.linalg.band_part(kernel, -1, 0), tf.ones_like(diagonal))
        return lower, tf.linalg.set_diag(tf.linalg.band_part(kernel, 0, -1), diagonal)

    def _times(self, matrix: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the product of a matrix and the vector at each position."""
        flat = tf.reshape(rows, [-1, self.event_shape[-1]])
        return tf.reshape(tf.matmul(flat, matrix, transpose_b=True), [-1, *self.event_shape])

    def _log_det(self, kernel: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        if self.lu:
            log_det = tf.linalg.trace(kernel)
        else:
            log_det = tf.linalg.slogdet(tf.cast(kernel, tf.float64)).log_abs_determinant
        positions = math.prod(self.event_shape[:-1])
        return tf.fill(tf.shape(rows)[:1], positions * tf.cast(log_det, rows.dtype))

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x."""
        return True


class Permutation(Bijector):
    """Base of the bijectors that put the last axis in another order."""

    @abstractmethod
    def order(self, dim: int) -> Sequence[int]:
        """Returns the entry of x that each entry of z is, a permutation of range(dim)."""

    def _build(self, event_shape: Shape, condition_dim: int | None) -> None:
        self._order = np.asarray(self.order(num_channels(event_shape)))

    def forward_and_log_det(
        self, x: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns z and log |det dz/dx|, zeros [batch]."""
        return permuted(x, self._order), tf.zeros(tf.shape(x)[:1], x.dtype)

    def inverse_and_log_det(
        self, z: tf.Tensor, condition: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> Result:
        """Returns x and log |det dx/dz|, zeros [batch]."""
        return permuted(z, np.argsort(self._order)), tf.zeros(tf.shape(z)[:1], z.dtype)

    @property
    def log_det_is_constant(self) -> bool:
        """Whether the log-determinant is the same for all x: it is 0."""
        return True


@register
class Permute(Permutation):
    """z[..., i] = x[..., permutation[i]].

    Args:
        permutation: of the last axis, each of 0, ..., c - 1 once.

    Raises:
        ValueError: when it is not a permutation, or, when built, one of another size.
    """

    def __init__(self, permutation: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        permutation = tuple(permutation)
        if sorted(permutation) != list(range(len(permutation))):
            raise ValueError(expected("`permutation`, each of 0, ..., c - 1 once", permutation))
        self.permutation = tuple(map(int, permutation))

    def order(self, dim: int) -> Sequence[int]:
        """Returns the permutation."""
        if dim != len(self.permutation):
            what = f"a permutation of the last axis, of {dim} entries"
            raise ValueError(expected(what, self.permutation))
        return self.permutation


@register
class RandomPermutation(Permutation):
    """z[..., i] = x[..., order[i]] for a fixed order that a seed draws.

    Args:
        seed: of the order, in [0, 2**31).

    Raises:
        TypeError: when the seed is not an integer.
        ValueError: when it is out of range.
    """

    def __init__(self, seed: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_seed("seed", seed)
        self.seed = seed

    def order(self, dim: int) -> Sequence[int]:
        """Returns the order drawn, the same with all versions of NumPy."""
        return np.random.RandomState(self.seed).permutation(dim)


@register
class Reverse(Permutation):
    """z[..., i] = x[..., c - 1 - i]: the last axis back to front."""

    def order(self, dim: int) -> Sequence[int]:
        """Returns the numbers below `dim`, the greatest first."""
        return range(dim - 1, -1, -1)
