"""A Gaussian by maximum likelihood, in closed form: whitening, and the simplest density."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer
from tfgen.core.config import register
from tfgen.data.examples import Batch, Examples
from tfgen.distributions.base import scaled
from tfgen.model.rows import Conditions
from tfgen.variational.components import ComponentsModel, of_component
from tfgen.variational.covariance import Covariance


@register
class GaussianModel(ComponentsModel):
    """p(x) = N(x; mean, covariance), whose parameters maximise the likelihood in closed form:

        mean = 1/N sum_i x_i,  covariance = 1/N sum_i (x_i - mean)(x_i - mean)^T + regularization I.

    One epoch of `fit` is all that it takes, whatever the batch size. Examples are vectors or are
    flattened to them. Latents are z = L^-1 (x - mean) ~ N(0, I), where L L^T is the covariance and
    L is lower triangular: `encode` whitens. At temperature t, samples are of p(x)^(1/t). Samples of
    images are cut off at [0, 1], which the density does not know.

    With `num_classes`, each class has a Gaussian of its own; a class without examples keeps the
    mean and the variances of the first batch.

    Every variance is at least `regularization`: constant numbers have that one. With 0, they are
    refused, as is every covariance that is singular.

    Logs `loss`, which is that of the parameters of before the epoch, and `log_likelihood`, the mean
    over the examples, in nats, of those after it.

    Args:
        event_shape: of one example; its size is d.
        covariance: `FullCovariance()`, the default, of d x d numbers, `DiagonalCovariance()` or
            `IsotropicCovariance()`.
        regularization: added to the variances, in squared units of the examples, >= 0.
        num_classes: of the labels, > 0; without labels unless given.
        event_name: what examples are, as of `tfgen.core.specs.event_spec`; by their shape unless
            given.
        seed, name: as for every model.

    Attributes:
        means: float64 [num_components, d], of each class, or of the only component.

    Raises:
        TypeError: when `num_classes` is not an integer, or `covariance` is something else.
        ValueError: when a number is out of range; by `fit`, when a covariance is singular.

    Example:
        model = GaussianModel((28, 28, 1), regularization=1e-4)
        model.compile()
        model.fit(images)
        model.log_prob(images), model.encode(images)

    Reference: Bishop, "Pattern Recognition and Machine Learning", 2006, section 2.3.4,
        https://www.microsoft.com/en-us/research/publication/pattern-recognition-machine-learning/.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        covariance: Covariance | None = None,
        regularization: float = 1e-6,
        num_classes: int | None = None,
        event_name: str | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        if num_classes is not None:
            check_integer("num_classes", num_classes)
        super().__init__(
            event_shape, num_classes or 1, covariance, regularization, event_name, seed, name
        )
        self.num_classes = num_classes

    @property
    def condition_specs(self) -> Mapping[str, tf.TensorSpec]:
        """The label, of a model of classes."""
        return {} if self.num_classes is None else {"label": specs.label_spec(self.num_classes)}

    @property
    def latent_spec(self) -> tf.TensorSpec:
        """The whitened example, a vector."""
        return specs.latent_spec(self.dim)

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        """Begins from the mean and the variances of the first batch."""
        rows = self._vectors(x["x"]).numpy()
        self._begin_from(rows.mean(axis=0), rows.var(axis=0))

    def shares(self, x: tf.Tensor, condition: Conditions) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the log density of examples, and one-hot labels."""
        shares = tf.one_hot(self._labels(x, condition), self.means.shape[0], dtype=tf.float64)
        return self._log_density(x, condition), shares

    def settle(
        self, counts: np.ndarray, covariances: np.ndarray, roots: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Returns the roots as they are, and the log-likelihood by them."""
        return roots, np.average(self.mean_log_prob(roots, covariances), weights=counts)

    def log_prob_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the exact log density of each example, [batch], in nats."""
        return tf.cast(self._log_density(self._vectors(x), condition), tf.float32)

    def encode_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns L^-1 (x - mean), [batch, d]."""
        x = self._vectors(x)
        z = of_component(self._whitened(x), self._labels(x, condition))
        return tf.cast(z, tf.float32)

    def decode_rows(self, z: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns mean + L z, [batch, *event]."""
        return self._events(of_component(self._coloured(z), self._labels(z, condition)))

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns one draw a row seed, int32 [batch, 2]."""
        noise = scaled(random.normal(row_seeds, (self.dim,)), temperature)
        return self.decode_rows(noise, condition)

    def _log_density(self, x: tf.Tensor, condition: Conditions | None) -> tf.Tensor:
        each = tf.transpose(self._log_densities(x))
        return of_component(each, self._labels(x, condition))

    def _labels(self, rows: tf.Tensor, condition: Conditions | None) -> tf.Tensor:
        """Returns the component of each row, int64 [batch]."""
        if self.num_classes is None:
            return tf.zeros(tf.shape(rows)[:1], tf.int64)
        return condition["label"]
