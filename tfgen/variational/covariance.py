"""The forms that the covariances of Gaussians may have: full, diagonal and isotropic.

Training works with TensorFlow on batches, what follows an epoch with NumPy. Both in float64, with
the components on the first axis.
"""

from abc import ABC, abstractmethod

import numpy as np
import tensorflow as tf

from tfgen.core.config import Configurable, register


class Covariance(Configurable, ABC):
    """A form of covariance: which of its numbers are free, and how it acts on vectors.

    Of K components and vectors of d numbers, covariances and their roots L, of covariances L L^T,
    are [K, *shape(d)].
    """

    @abstractmethod
    def shape(self, dim: int) -> tuple[int, ...]:
        """Returns the shape of one covariance of vectors of `dim` numbers."""

    @abstractmethod
    def of_variances(self, variances: np.ndarray) -> np.ndarray:
        """Returns the covariance of independent numbers, [*shape(d)], of their variances [d]."""

    @abstractmethod
    def scatter(self, residuals: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        """Returns the sums of share * residual residual^T over a batch, as far as they are free.

        Args:
            residuals: [K, batch, d].
            shares: of each row in each component, [K, batch].
        """

    @abstractmethod
    def whiten(self, roots: tf.Tensor, residuals: tf.Tensor) -> tf.Tensor:
        """Returns L^-1 residual, [K, batch, d] of the same."""

    @abstractmethod
    def colour(self, roots: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns L noise by each of the roots, [K, batch, d] of noise [batch, d]."""

    @abstractmethod
    def log_det(self, roots: tf.Tensor, dim: int) -> tf.Tensor:
        """Returns log det L, [K]."""

    @abstractmethod
    def widened(self, covariances: np.ndarray, variance: float) -> np.ndarray:
        """Returns covariances with a number added to all variances."""

    @abstractmethod
    def roots(self, covariances: np.ndarray) -> np.ndarray:
        """Returns L of each covariance, NaN where that is not positive definite."""

    @abstractmethod
    def left_variances(self, roots: np.ndarray) -> np.ndarray:
        """Returns the variance of each number given those before it, [K, d] or [K, 1]."""

    @abstractmethod
    def mahalanobis(self, roots: np.ndarray, covariances: np.ndarray, dim: int) -> np.ndarray:
        """Returns the trace of (L L^T)^-1 C of roots and covariances C, [K]."""

    @abstractmethod
    def matrices(self, roots: np.ndarray, dim: int) -> np.ndarray:
        """Returns the covariances as matrices, [K, d, d]."""


@register
class FullCovariance(Covariance):
    """Any covariance: d (d + 1) / 2 free numbers for each component, d x d that are stored."""

    def shape(self, dim: int) -> tuple[int, ...]:
        return (dim, dim)

    def of_variances(self, variances: np.ndarray) -> np.ndarray:
        return np.diag(variances)

    def scatter(self, residuals: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        return tf.matmul(residuals * shares[..., tf.newaxis], residuals, transpose_a=True)

    def whiten(self, roots: tf.Tensor, residuals: tf.Tensor) -> tf.Tensor:
        columns = tf.linalg.triangular_solve(roots, tf.linalg.matrix_transpose(residuals))
        return tf.linalg.matrix_transpose(columns)

    def colour(self, roots: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return tf.matmul(noise[tf.newaxis], roots, transpose_b=True)

    def log_det(self, roots: tf.Tensor, dim: int) -> tf.Tensor:
        return tf.reduce_sum(tf.math.log(tf.linalg.diag_part(roots)), axis=-1)

    def widened(self, covariances: np.ndarray, variance: float) -> np.ndarray:
        return covariances + variance * np.eye(covariances.shape[-1])

    def roots(self, covariances: np.ndarray) -> np.ndarray:
        return np.stack([_cholesky(covariance) for covariance in covariances])

    def left_variances(self, roots: np.ndarray) -> np.ndarray:
        return np.diagonal(roots, axis1=-2, axis2=-1) ** 2

    def mahalanobis(self, roots: np.ndarray, covariances: np.ndarray, dim: int) -> np.ndarray:
        solved = np.linalg.solve(self.matrices(roots, dim), covariances)
        return np.trace(solved, axis1=-2, axis2=-1)

    def matrices(self, roots: np.ndarray, dim: int) -> np.ndarray:
        return roots @ np.swapaxes(roots, -1, -2)


class ByAxis(Covariance):
    """Base of the covariances of independent numbers, stored as variances."""

    @abstractmethod
    def tied(self, variances: tf.Tensor) -> tf.Tensor:
        """Returns the free variances of those of all numbers, [..., d]."""

    def of_variances(self, variances: np.ndarray) -> np.ndarray:
        return self.tied(tf.constant(variances)).numpy()

    def scatter(self, residuals: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        squares = tf.matmul(shares[:, tf.newaxis], residuals**2)
        return self.tied(tf.squeeze(squares, axis=1))

    def whiten(self, roots: tf.Tensor, residuals: tf.Tensor) -> tf.Tensor:
        return residuals / roots[:, tf.newaxis]

    def colour(self, roots: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return noise * roots[:, tf.newaxis]

    def log_det(self, roots: tf.Tensor, dim: int) -> tf.Tensor:
        return dim * tf.reduce_mean(tf.math.log(roots), axis=-1)

    def widened(self, covariances: np.ndarray, variance: float) -> np.ndarray:
        return covariances + variance

    def roots(self, covariances: np.ndarray) -> np.ndarray:
        return np.sqrt(np.where(covariances > 0, covariances, np.nan))

    def left_variances(self, roots: np.ndarray) -> np.ndarray:
        return roots**2

    def mahalanobis(self, roots: np.ndarray, covariances: np.ndarray, dim: int) -> np.ndarray:
        return dim * np.mean(covariances / roots**2, axis=-1)

    def matrices(self, roots: np.ndarray, dim: int) -> np.ndarray:
        return (roots**2 * np.ones(dim))[..., np.newaxis] * np.eye(dim)


@register
class DiagonalCovariance(ByAxis):
    """A variance for each of the d numbers of each component."""

    def shape(self, dim: int) -> tuple[int, ...]:
        return (dim,)

    def tied(self, variances: tf.Tensor) -> tf.Tensor:
        return variances


@register
class IsotropicCovariance(ByAxis):
    """One variance for all numbers of a component."""

    def shape(self, dim: int) -> tuple[int, ...]:
        return (1,)

    def tied(self, variances: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(variances, axis=-1, keepdims=True)


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return np.full_like(covariance, np.nan)
