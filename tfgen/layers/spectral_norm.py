"""Spectral normalisation: a layer that acts with its kernel divided by the kernel's largest gain.

The kernel that is trained stays as it is, apart from the estimate of its spectral norm: dividing it
in place would take the optimizer's weights and moments out of step.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, expected
from tfgen.core.config import Configurable, register
from tfgen.layers.kernels import call_with_kernel, exact_dtype, leading_right_vector, unit

LAYERS = (
    keras.layers.Dense,
    keras.layers.Embedding,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@register
class SpectralNormalization(Configurable, keras.layers.Wrapper):
    """Calls a layer with kernel / sigma(kernel), where sigma is the largest singular value.

    The kernel counts as the matrix [-1, kernel.shape[-1]]. Its leading right-singular vector `u` is
    a weight that is saved but not trained. It is exact when the layer is built, and each call with
    `training=True` keeps what `power_iterations` steps of the power method make of it. Other calls
    take the same steps and keep nothing, so that both give the same outputs. The gradient flows
    through sigma with the singular vectors held constant.

    The layer takes the dtype policy of the one that it wraps; sigma is computed in float32, or in
    float64 if the kernel is.

    Args:
        layer: a dense, convolutional, transposed convolutional or embedding layer.
        power_iterations: steps of the power method a call, >= 1. The paper's one falls behind where
            weights learn fast: on small networks a layer's norm was up to 1.08 rather than 1, with
            five steps 1.012, with ten 1.009 (examples/benchmarks/adversarial_claims.py). Ten
            rather than one cost a seventh of the speed of InfoGAN's networks.
        name: of the layer.
        trainable: whether the wrapped layer's weights are trained.

    Raises:
        TypeError: if the layer is of another kind.

    Reference:
        Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial
        Networks", 2018, https://arxiv.org/abs/1802.05957.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        power_iterations: int = 10,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        if not isinstance(layer, LAYERS):
            kinds = ", ".join(kind.__name__ for kind in LAYERS)
            raise TypeError(expected(f"`layer` to be one of {kinds}", repr(layer)))
        check_integer("power_iterations", power_iterations)
        # Without autocast, and with a policy that is not mixed, kernels are read in full precision.
        dtype = exact_dtype(layer)
        super().__init__(layer, name=name, trainable=trainable, dtype=dtype, autocast=False)
        self.power_iterations = power_iterations

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the layer's weights, and `u` from its kernel."""
        super().build(input_shape)
        # Without aggregation, each replica assigns to its own copy, all the same since the kernels
        # are: what is synchronised cannot stand in a branch of tf.cond, as lazy penalties need.
        self.u = self.add_weight(
            name="u",
            shape=(self._kernel.shape[-1],),
            initializer=lambda shape, dtype: leading_right_vector(self._matrix()),
            trainable=False,
            autocast=False,
        )
        self.built = True

    @property
    def _kernel(self) -> keras.Variable:
        is_embedding = isinstance(self.layer, keras.layers.Embedding)
        return self.layer.embeddings if is_embedding else self.layer.kernel

    def _matrix(self) -> tf.Tensor:
        """Returns the kernel as a matrix whose columns are its last axis."""
        kernel = tf.cast(self._kernel.value, self.compute_dtype)
        return tf.reshape(kernel, [-1, kernel.shape[-1]])

    def normalized_kernel(self, training: bool = False) -> tf.Tensor:
        """Returns kernel / sigma, in the kernel's shape; an all-zero kernel is returned as it is.

        Args:
            training: whether the singular vector is kept for the next call.
        """
        matrix = self._matrix()
        constant = tf.stop_gradient(matrix)
        u = self.u.value
        for _ in range(self.power_iterations):
            v = unit(tf.linalg.matvec(constant, u))
            u = unit(tf.linalg.matvec(constant, v, transpose_a=True))
        if training:
            self.u.assign(u)
        sigma = tf.reduce_sum(v * tf.linalg.matvec(matrix, u))
        sigma = tf.where(sigma > 0, sigma, tf.ones_like(sigma))
        return tf.reshape(matrix / sigma, self._kernel.shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the layer's outputs with its kernel normalised."""
        kernel = self.normalized_kernel(training)
        return call_with_kernel(self, self._kernel, kernel, inputs)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the layer's."""
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        """Returns the layer's, whose dtype may differ from that of sigma."""
        kwargs.pop("training", None)
        return self.layer.compute_output_spec(*args, **kwargs)
