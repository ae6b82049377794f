"""What Gaussians and mixtures of them share: components, whose moments are taken over an epoch."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.checks import check_not_negative, expected
from tfgen.data.examples import Batch, Examples
from tfgen.distributions.base import LOG_TWO_PI
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.training.update import Terms, Update
from tfgen.variational.covariance import Covariance, FullCovariance

_FEWEST = 1e-8
"""Examples that a component needs, in sum of its shares, to move."""

_PRECISION = 1e-10
"""Of float64 sums: standard deviations this small, relative to the mean, are none."""

_STATISTICS = ("counts", "running_means", "scatters", "log_likelihood")


class ComponentsModel(GenerativeModel):
    """Base of the models made of Gaussians N(means[k], covariances[k]), fitted by moments.

    Over an epoch, each example adds to the count, the mean and the scatter of the components by its
    shares in them. A batch of count n_b, mean m_b and scatter S_b is joined to n_a, m_a, S_a by

        n = n_a + n_b,  m = m_a + (n_b / n) d,  S = S_a + S_b + (n_a n_b / n) d d^T,  d = m_b - m_a,

    in float64 and about the running mean, so that an offset costs no digits. An epoch of `Examples`
    counts those that its batches leave out, too: the result does not depend on the batch size. The
    parameters move after the epoch.

    Reference: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
        Sample Variances", 1979, http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf.
    """

    groups = {}
    has_temperature = True

    def __init__(
        self,
        event_shape: Sequence[int],
        num_components: int,
        covariance: Covariance | None,
        regularization: float,
        event_name: str | None,
        seed: int,
        name: str | None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        covariance = FullCovariance() if covariance is None else covariance
        if not isinstance(covariance, Covariance):
            what = "`covariance`, FullCovariance(), DiagonalCovariance() or IsotropicCovariance()"
            raise TypeError(expected(what, repr(covariance)))
        check_not_negative("regularization", regularization)
        self._event = specs.event_spec(tuple(event_shape), name=event_name)
        self.covariance = covariance
        self.regularization = regularization
        self.event_name = event_name
        shape = (num_components, *covariance.shape(self.dim))
        self.means = self._state("means", (num_components, self.dim))
        self.roots = self._state("roots", shape)
        self.roots.assign(np.broadcast_to(covariance.of_variances(np.ones(self.dim)), shape))
        self.counts = self._state("counts", (num_components,))
        self.running_means = self._state("running_means", (num_components, self.dim))
        self.scatters = self._state("scatters", shape)
        self.log_likelihood = self._state("log_likelihood", ())

    def _state(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(
            shape=shape,
            dtype="float64",
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )

    # What it is about.

    @property
    def event_spec(self) -> tf.TensorSpec:
        """The specification of one example."""
        return self._event

    @property
    def dim(self) -> int:
        """The size of an example as a vector."""
        return math.prod(self.event_shape)

    @property
    def statistics(self) -> list[keras.Variable]:
        """What an epoch adds up, which sampling does without."""
        return [getattr(self, name) for name in _STATISTICS]

    def covariance_matrices(self) -> np.ndarray:
        """Returns the covariance of each component, float64 [num_components, dim, dim]."""
        return self.covariance.matrices(self.roots.numpy(), self.dim)

    # What a model writes.

    @abstractmethod
    def shares(self, x: tf.Tensor, condition: Conditions) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the log density of examples, and their shares in the components.

        Args:
            x: float64 [batch, dim].
            condition: by name.

        Returns:
            float64 [batch], and float64 [batch, num_components], which add up to 1.
        """

    @abstractmethod
    def settle(
        self, counts: np.ndarray, covariances: np.ndarray, roots: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Returns the roots to take after an epoch, and the log-likelihood to log.

        Args:
            counts: [num_components].
            covariances: of the epoch, without `regularization`, [num_components, ...].
            roots: of them, with it; those of before where a component has no examples.
        """

    # Training.

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> list[Update]:
        """Returns the update of the moments, which trains nothing by its gradient."""
        return [Update("loss", lambda: self._moments(x), trains=(), after=self._join)]

    def begin_epoch(self, epoch: int, examples: Examples | None) -> None:
        """Begins to add up, with the examples that are in no batch of the epoch."""
        for variable in self.statistics:
            variable.assign(tf.zeros(variable.shape, tf.float64))
        self.running_means.assign(self.means.value)
        rows = [] if examples is None else examples.left_out(epoch)
        if len(rows):
            columns = {name: examples.columns[name][rows] for name in self.condition_specs}
            self._join(*self._moments({"x": tf.constant(examples.as_float(rows)), **columns}))

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> dict[str, float]:
        """Takes the parameters from what the epoch added up; those without examples stay."""
        counts = self.counts.numpy()
        if not counts.sum():
            return {}
        found = counts > _FEWEST
        divisors = np.where(found, counts, 1.0)
        covariances = (self.scatters.numpy().T / divisors).T
        widened = self.covariance.widened(covariances, self.regularization)
        roots = self.covariance.roots(widened)
        self._check_not_singular(roots[found])
        found = found.reshape([-1] + [1] * (roots.ndim - 1))
        roots = np.where(found, roots, self.roots.numpy())
        means = np.where(counts[:, None] > _FEWEST, self.running_means.numpy(), self.means.numpy())
        roots, log_likelihood = self.settle(counts, covariances, roots)
        self.means.assign(means)
        self.roots.assign(roots)
        return {"log_likelihood": float(log_likelihood)}

    def mean_log_prob(self, roots: np.ndarray, covariances: np.ndarray) -> np.ndarray:
        """Returns the mean log density of examples about their mean, by their covariances, [K]."""
        spread = self.covariance.mahalanobis(roots, covariances, self.dim)
        log_det = self.covariance.log_det(tf.constant(roots), self.dim).numpy()
        return -0.5 * (spread + self.dim * LOG_TWO_PI) - log_det

    def _begin_from(self, means: np.ndarray, variances: np.ndarray) -> None:
        """Sets the means, and the same variances, [dim], in all components."""
        variances = np.where(variances > 0, variances, variances.mean() or 1.0)
        covariance = self.covariance.of_variances(variances + self.regularization)
        roots = self.covariance.roots(covariance[np.newaxis])
        self.means.assign(np.broadcast_to(means, self.means.shape))
        self.roots.assign(np.broadcast_to(roots, self.roots.shape))

    def _check_not_singular(self, roots: np.ndarray) -> None:
        """Raises ValueError unless covariances are positive definite, beyond rounding."""
        left = self.covariance.left_variances(roots)
        least = np.zeros(1)
        if not self.regularization:
            offsets = self.running_means.numpy()[self.counts.numpy() > _FEWEST]
            matrices = self.covariance.matrices(roots, self.dim)
            spreads = np.diagonal(matrices, axis1=-2, axis2=-1)
            least = (_PRECISION * offsets) ** 2 + _PRECISION * spreads
        if not np.all(left > least):
            what = "examples of a positive definite covariance, or a larger `regularization`"
            received = "a constant number, or one that others determine, or too few examples"
            raise ValueError(
                expected(what, f"{received}, with regularization={self.regularization}")
            )

    def _moments(self, x: Batch) -> tuple[Terms, dict[str, tf.Tensor]]:
        """Returns the loss of a batch, and its moments about the running means."""
        rows = self._vectors(x["x"])
        log_prob, shares = self.shares(rows, self.conditions_of(x))
        shares = tf.transpose(shares)
        residuals = rows - self.running_means.value[:, tf.newaxis]
        aux = {
            "counts": tf.reduce_sum(shares, axis=1),
            "sums": tf.squeeze(tf.matmul(shares[:, tf.newaxis], residuals), axis=1),
            "scatters": self.covariance.scatter(residuals, shares),
            "log_likelihood": tf.reduce_sum(log_prob),
        }
        return {"loss": -log_prob}, aux

    def _join(self, terms: Terms, aux: dict[str, tf.Tensor]) -> None:
        """Joins the moments of a batch, of all replicas, to those of the epoch so far.

        About the mean of before, the batch's scatter is S_b + n_b d d^T: what is too much of it is
        the scatter of the moves of the mean.
        """
        counts = self.counts.value + aux["counts"]
        shares = tf.math.reciprocal_no_nan(counts)
        sums = aux["sums"]
        moves = self.covariance.scatter(sums[:, tf.newaxis], shares[:, tf.newaxis])
        self.scatters.assign_add(aux["scatters"] - moves)
        self.running_means.assign_add(sums * shares[:, tf.newaxis])
        self.counts.assign(counts)
        self.log_likelihood.assign_add(aux["log_likelihood"])

    # Vectors and events.

    def _vectors(self, x: tf.Tensor) -> tf.Tensor:
        """Returns examples as float64 [batch, dim]."""
        return tf.cast(tf.reshape(x, [-1, self.dim]), tf.float64)

    def _events(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns vectors as examples, cut off where these are bounded."""
        x = tf.reshape(tf.cast(vectors, tf.float32), [-1, *self.event_shape])
        bounds = specs.bounds(self.event_spec)
        return x if bounds is None else tf.clip_by_value(x, *bounds)

    def _whitened(self, x: tf.Tensor) -> tf.Tensor:
        """Returns vectors as noise of each component, float64 [num_components, batch, dim]."""
        residuals = x - self.means.value[:, tf.newaxis]
        return self.covariance.whiten(self.roots.value, residuals)

    def _coloured(self, z: tf.Tensor) -> tf.Tensor:
        """Returns noise [batch, dim] as vectors of each component, [num_components, batch, dim]."""
        roots, means = (tf.cast(v.value, tf.float32) for v in (self.roots, self.means))
        return means[:, tf.newaxis] + self.covariance.colour(roots, z)

    def _log_densities(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the log density of vectors in each component, float64 [batch, num_components]."""
        squares = tf.reduce_sum(self._whitened(x) ** 2, axis=-1)
        log_det = self.covariance.log_det(self.roots.value, self.dim)
        return tf.transpose(-0.5 * (squares + self.dim * LOG_TWO_PI) - log_det[:, tf.newaxis])


def of_component(values: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
    """Returns the rows of one component each, [batch, ...] of [num_components, batch, ...].

    Args:
        values: of all components.
        which: of each row, integers [batch].
    """
    if values.shape[0] == 1:
        return values[0]
    rows = tf.range(tf.shape(values)[1])
    return tf.gather_nd(values, tf.stack([tf.cast(which, tf.int32), rows], axis=1))
