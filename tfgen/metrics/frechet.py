"""Fréchet (Inception) distance between Gaussians fitted to real and generated features."""

import warnings
from typing import Any

import numpy as np

from tfgen.core.checks import check_rank, expected
from tfgen.core.config import Configurable, register
from tfgen.metrics.score import (
    Score,
    StreamingMetric,
    check_same_dimension,
    checked_features,
)

PSD_ROUNDING = 1e-12
"""Error of a factor's square, relative to the covariance, above which eigenvalues are looked at."""

MAX_NEGATIVE = 1e-6
"""Largest negative eigenvalue, relative to the others, that counts as rounding."""


def frechet_distance(mean_1: Any, cov_1: Any, mean_2: Any, cov_2: Any) -> float:
    """Returns the squared Fréchet distance between two Gaussians.

    |mean_1 - mean_2|² + tr(cov_1) + tr(cov_2) - 2 tr((cov_1 cov_2)^½), real and >= 0 also where a
    covariance is singular.

    Args:
        mean_1: [dimension].
        cov_1: [dimension, dimension], symmetric and positive semi-definite.
        mean_2: [dimension].
        cov_2: [dimension, dimension], symmetric and positive semi-definite.

    Returns:
        The distance, a float >= 0, computed in float64.

    Raises:
        ValueError: when shapes do not fit, or a value is not finite, or a matrix is not symmetric
            or has a negative eigenvalue: one beyond a millionth of the largest. Smaller ones,
            which float32 covariances have, count as zero.

    Reference: Dowson and Landau, "The Fréchet Distance between Multivariate Normal Distributions",
        1982, https://doi.org/10.1016/0047-259X(82)90077-X.
    """
    mean_1, cov_1 = _checked_gaussian("mean_1", mean_1, "cov_1", cov_1)
    mean_2, cov_2 = _checked_gaussian("mean_2", mean_2, "cov_2", cov_2)
    if mean_1.shape != mean_2.shape:
        received = f"{mean_1.size} and {mean_2.size}"
        raise ValueError(expected("two Gaussians of the same dimension", received))
    factor_1, factor_2 = _checked_factor("cov_1", cov_1), _checked_factor("cov_2", cov_2)
    return _distance(mean_1, factor_1, mean_2, factor_2)


def fid(real_features: Any, fake_features: Any) -> float:
    """Returns the Fréchet distance between Gaussians fitted to two sets of features.

    It is the Fréchet Inception distance when the features are Inception's. Warns when a set has
    no more examples than features: its covariance is then singular and the distance far too high.

    Args:
        real_features: [num_real, dimension], num_real >= 2.
        fake_features: [num_fake, dimension], num_fake >= 2.

    Returns:
        The distance, a float >= 0.

    Raises:
        ValueError: when a set has fewer than two rows, a value is not finite, or dimensions differ.

    Reference: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local
        Nash Equilibrium", 2017, https://arxiv.org/abs/1706.08500.
    """
    real = checked_features("real_features", real_features)
    fake = checked_features("fake_features", fake_features)
    check_same_dimension(real, fake)
    statistics = FeatureStatistics(), FeatureStatistics()
    statistics[0].update(real)
    statistics[1].update(fake)
    return _distance_between(*statistics)


class FeatureStatistics:
    """Count, mean and covariance of feature vectors that arrive in batches.

    Sums are float64 and about the mean of what came so far, so that features far from zero lose
    no digits, and two of these can be merged.

    Attributes:
        count: number of vectors seen.
        mean: float64 [dimension], of those seen; empty before the first `update`.

    Reference: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
        Sample Variances", 1982, https://doi.org/10.1007/978-3-642-51461-6_3.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self._scatter = np.zeros((0, 0))
        self._factor: np.ndarray | None = None

    def update(self, features: np.ndarray) -> None:
        """Takes in features [number, dimension], all finite."""
        features = np.asarray(features, np.float64)
        batch = FeatureStatistics()
        batch.count = len(features)
        batch.mean = features.mean(axis=0)
        centred = features - batch.mean
        batch._scatter = centred.T @ centred
        self.merge(batch)

    def merge(self, other: "FeatureStatistics") -> None:
        """Takes in all that `other` has seen; `other` stays as it is."""
        if other.count == 0:
            return
        self._factor = None
        if self.count == 0:
            self.count, self.mean = other.count, other.mean.copy()
            self._scatter = other._scatter.copy()
            return
        step = other.mean - self.mean
        count = self.count + other.count
        self._scatter += other._scatter
        self._scatter += np.outer(step * (self.count * other.count / count), step)
        self.mean = self.mean + step * (other.count / count)
        self.count = count

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance, [dimension, dimension], of at least two vectors.

        Raises:
            ValueError: when fewer were seen.
        """
        if self.count < 2:
            raise ValueError(expected("at least 2 examples for a covariance", self.count))
        return self._scatter / (self.count - 1)

    @property
    def square_factor(self) -> np.ndarray:
        """A [dimension, rank] matrix F with F Fᵀ = covariance, kept until the next update."""
        if self._factor is None:
            self._factor = _square_factor(self.covariance)
        return self._factor


@register
class FrechetInceptionDistance(Configurable, StreamingMetric[FeatureStatistics]):
    """Fréchet Inception distance of images that arrive in batches, as the function `fid`.

    Its memory does not grow with the number of images. The real side's matrix factor is kept, so
    that after `reset(keep_real=True)` the next result costs about half.

    Args:
        extractor: turns images into features.
        split: which part of the data the real images are, such as "test"; printed with the score.
    """

    @property
    def min_fake(self) -> int:
        """Two, for a covariance."""
        return 2

    def result(self) -> Score:
        """Returns the distance between all real and all generated images seen so far.

        Raises:
            ValueError: when there are fewer than two on a side.
        """
        self._check_both_sides()
        return self._score("FID", _distance_between(self._real, self._fake))

    def _new_side(self) -> FeatureStatistics:
        return FeatureStatistics()


def _distance_between(real: FeatureStatistics, fake: FeatureStatistics) -> float:
    fewest = min(real.count, fake.count)
    if fewest <= real.mean.size:
        warnings.warn(
            f"FID from {fewest} examples of {real.mean.size} features: the covariance is singular "
            "and the score is biased upwards. Use more examples, or features of less dimension.",
            stacklevel=3,
        )
    return _distance(real.mean, real.square_factor, fake.mean, fake.square_factor)


def _distance(
    mean_1: np.ndarray, factor_1: np.ndarray, mean_2: np.ndarray, factor_2: np.ndarray
) -> float:
    """Returns the Fréchet distance between Gaussians whose covariances are F Fᵀ.

    With S = F₁ᵀ F₂, tr((cov_1 cov_2)^½) is the sum of S's singular values: the roots of the
    eigenvalues of S Sᵀ, which is symmetric, so nothing here can turn complex.
    """
    step = mean_1 - mean_2
    shared = factor_1.T @ factor_2
    if shared.shape[0] > shared.shape[1]:
        shared = shared.T
    eigenvalues = np.linalg.eigvalsh(shared @ shared.T) if shared.size else np.zeros(1)
    overlap = np.sqrt(np.clip(eigenvalues, 0.0, None)).sum()
    distance = step @ step + np.sum(factor_1**2) + np.sum(factor_2**2) - 2.0 * overlap
    return max(float(distance), 0.0)


def _square_factor(covariance: np.ndarray) -> np.ndarray:
    """Returns F [dimension, rank] with F Fᵀ = covariance, by Cholesky with pivoting.

    It costs a sixth of an eigen-decomposition, leaves out the null space of too few examples or of
    dead features, and keeps small directions to their own relative accuracy.
    """
    from scipy.linalg import lapack

    triangle, pivots, rank, _ = lapack.dpstrf(covariance, lower=1)
    factor = np.empty((len(covariance), rank))
    factor[pivots - 1] = np.tril(triangle)[:, :rank]
    return factor


def _checked_factor(name: str, covariance: np.ndarray) -> np.ndarray:
    """Returns `_square_factor`, or one of what is left without slightly negative eigenvalues."""
    factor, largest = _square_factor(covariance), np.abs(covariance).max(initial=0.0)
    if np.abs(factor @ factor.T - covariance).max(initial=0.0) <= PSD_ROUNDING * largest:
        return factor
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -MAX_NEGATIVE * np.abs(values).max():
        received = f"one with the eigenvalues {values[0]:.3g} and {values[-1]:.3g}"
        raise ValueError(expected(f"`{name}` to be positive semi-definite", received))
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _checked_gaussian(
    mean_name: str, mean: Any, cov_name: str, cov: Any
) -> tuple[np.ndarray, np.ndarray]:
    mean, cov = np.asarray(mean, np.float64), np.asarray(cov, np.float64)
    check_rank(mean_name, mean.shape, 1, "[dimension]")
    if cov.shape != (mean.size, mean.size):
        raise ValueError(expected(f"`{cov_name}` of shape {(mean.size,) * 2}", cov.shape))
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise ValueError(expected(f"`{mean_name}` and `{cov_name}` to be finite", "NaN or inf"))
    if not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-9 * np.abs(cov).max(initial=0.0)):
        raise ValueError(expected(f"`{cov_name}` to be symmetric", "one that is not"))
    return mean, cov
