"""Kernels of wrapped layers: another in the place of one's own, and singular vectors."""

from typing import Any

import keras
import tensorflow as tf


def exact_dtype(layer: keras.layers.Layer) -> str:
    """Returns the type in which singular values of a layer's kernel are computed."""
    return "float64" if layer.variable_dtype == "float64" else "float32"


def call_with_kernel(
    wrapper: keras.layers.Wrapper, variable: keras.Variable, kernel: tf.Tensor, inputs: Any
) -> Any:
    """Returns the outputs of a wrapped layer that acts with another kernel than its own.

    Args:
        wrapper: of the layer, which is given the losses that the layer adds.
        variable: the kernel that the layer has.
        kernel: the one to act with.
        inputs: of the layer.
    """
    # All are mapped, since an outer scope's values are hidden within this one.
    values = [(v, v.value) for v in wrapper.layer.variables if v is not variable]
    values.append((variable, kernel))
    with keras.StatelessScope(values, collect_losses=True) as scope:
        outputs = wrapper.layer(inputs)
    for loss in scope.losses:
        wrapper.add_loss(loss)
    return outputs


def unit(vector: tf.Tensor) -> tf.Tensor:
    """Returns vector / |vector|, and a flat one for zero, at which the power method would stay."""
    # Few operations, as a network may take hundreds of these.
    norm = tf.sqrt(tf.reduce_sum(vector * vector))
    flat = tf.constant(vector.shape.num_elements() ** -0.5, vector.dtype)
    return tf.where(norm > 0, vector / norm, flat)


def leading_right_vector(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the right-singular vector of the largest singular value, a unit vector."""
    rows, columns = matrix.shape
    if rows < columns:  # The smaller of the two products is decomposed.
        left = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_b=True))[1][:, -1]
        return unit(tf.linalg.matvec(matrix, left, transpose_a=True))
    return tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_a=True))[1][:, -1]
