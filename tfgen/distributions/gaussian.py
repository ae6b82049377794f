"""Gaussians and mixtures of them, fitted by maximum likelihood.

The parameters are the layer's weights; `distribution()` builds the TFP object per call, because one
that is kept hides its weights from Keras.
"""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, check_not_negative
from tfgen.core.config import register
from tfgen.distributions.density import FittedDensity

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd


@register
class Gaussian(FittedDensity):
    """N(mean, covariance) with a full covariance.

    Args:
        dim: of the vectors, > 0.
        jitter: added to the diagonal of the fitted covariance, relative to its mean entry, >= 0.

    Raises:
        TypeError: when `dim` is not an integer.
        ValueError: when a number is out of range.
    """

    def __init__(self, dim: int, jitter: float = 1e-6, **kwargs: object) -> None:
        super().__init__(dim, **kwargs)
        check_not_negative("jitter", jitter)
        self.jitter = jitter
        self.mean = self._constant("mean", (self.dim,), "zeros")
        self.scale = self._constant("scale", (self.dim, self.dim), "identity")
        self.built = True

    def fit(self, x: np.ndarray) -> "Gaussian":
        """Takes the mean and the unbiased covariance of vectors.

        Args:
            x: [num_examples, dim], at least two, all finite.

        Returns:
            Itself.

        Raises:
            ValueError: when `x` is anything else.
        """
        x = self._checked(x)
        covariance = np.cov(x, rowvar=False).reshape(self.dim, self.dim)
        self.mean.assign(x.mean(axis=0))
        self.scale.assign(_cholesky(covariance, self.jitter))
        return self

    def sample_rows(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        noise = random.normal(row_seeds, (self.dim,))
        return self.mean.value + tf.linalg.matvec(self.scale.value, noise)

    def distribution(self) -> "tfd.MultivariateNormalTriL":
        """Returns the TFP distribution over [dim]."""
        from tensorflow_probability import distributions as tfd

        return tfd.MultivariateNormalTriL(self.mean.value, self.scale.value)


@register
class GaussianMixture(FittedDensity):
    """sum_k weights[k] N(means[k], covariances[k]) with full covariances, fitted by EM.

    Args:
        dim: of the vectors, > 0.
        num_components: > 0.
        jitter: added to the diagonals of the fitted covariances, relative to the mean variance of
            the data, >= 0.
        seed: of the k-means that EM begins with.

    Raises:
        TypeError: when a number of vectors or components is not an integer.
        ValueError: when a number is out of range.

    Reference: Dempster, Laird and Rubin, "Maximum Likelihood from Incomplete Data via the EM
        Algorithm", 1977, https://doi.org/10.1111/j.2517-6161.1977.tb01600.x.
    """

    def __init__(
        self,
        dim: int,
        num_components: int = 10,
        jitter: float = 1e-6,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(dim, **kwargs)
        check_integer("num_components", num_components)
        check_not_negative("jitter", jitter)
        self.num_components = num_components
        self.jitter = jitter
        self.seed = seed
        components = num_components
        self.logits = self._constant("logits", (components,), "zeros")
        self.means = self._constant("means", (components, dim), "zeros")
        self.scales = self._constant("scales", (components, dim, dim), "zeros")
        self.scales.assign(tf.eye(dim, batch_shape=[components]))
        self.built = True

    @property
    def fewest(self) -> int:
        """How many vectors `fit` needs at least: two, and one for each component."""
        return max(2, self.num_components)

    def fit(self, x: np.ndarray) -> "GaussianMixture":
        """Runs EM on vectors, with scikit-learn.

        Args:
            x: [num_examples, dim], at least two, and `num_components`; all finite.

        Returns:
            Itself.

        Raises:
            ValueError: when `x` is anything else.
        """
        from sklearn import mixture

        x = self._checked(x)
        # In units of its spread and about its mean, where EM's own thresholds suit any data.
        mean, unit = x.mean(axis=0), np.sqrt(_mean_variance(np.diag(x.var(axis=0))))
        fitted = mixture.GaussianMixture(
            self.num_components, reg_covar=self.jitter, random_state=self.seed
        ).fit((x - mean) / unit)
        self.logits.assign(np.log(fitted.weights_))
        self.means.assign(mean + unit * fitted.means_)
        self.scales.assign(unit * np.stack([np.linalg.cholesky(c) for c in fitted.covariances_]))
        return self

    def sample_rows(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Draws one vector a row seed, [batch, dim] from int32 [batch, 2]."""
        cumulative = tf.cumsum(tf.nn.softmax(self.logits.value))[:-1]
        unit = random.uniform(random.stream(row_seeds, "component"), ())
        # Counted, as TensorFlow Lite has no search.
        which = tf.reduce_sum(tf.cast(cumulative < unit[:, tf.newaxis], tf.int32), axis=1)
        noise = random.normal(row_seeds, (self.dim,))
        scales = tf.gather(self.scales.value, which)
        return tf.gather(self.means.value, which) + tf.linalg.matvec(scales, noise)

    def distribution(self) -> "tfd.MixtureSameFamily":
        """Returns the TFP distribution over [dim]."""
        from tensorflow_probability import distributions as tfd

        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=self.logits.value),
            tfd.MultivariateNormalTriL(self.means.value, self.scales.value),
        )


def _cholesky(covariance: np.ndarray, jitter: float) -> np.ndarray:
    """Returns a lower triangular root of a covariance that may be singular."""
    jitter = jitter * _mean_variance(covariance)
    return np.linalg.cholesky(covariance + jitter * np.eye(len(covariance)))


def _mean_variance(covariance: np.ndarray) -> float:
    """Returns the mean entry of the diagonal, above zero."""
    return max(np.trace(covariance) / len(covariance), np.finfo(np.float32).tiny)
