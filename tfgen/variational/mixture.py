"""A mixture of Gaussians by maximum likelihood, with the EM algorithm."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfgen.core import random
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import register
from tfgen.data.examples import Batch, Examples
from tfgen.distributions.base import scaled
from tfgen.model.rows import Conditions
from tfgen.variational.components import ComponentsModel, of_component
from tfgen.variational.covariance import Covariance

_INITIAL_VALUES = 2**24
"""Of the examples among which the initial means are chosen; 128 MB as float64."""


@register
class MixtureModel(ComponentsModel):
    """p(x) = sum_k weights[k] N(x; means[k], covariances[k]), by the EM algorithm.

    An epoch of `fit` is one iteration. The E step takes, batch by batch, the responsibilities

        r_ik = weights[k] N(x_i; means[k], covariances[k]) / p(x_i),

    and the M step, after the epoch, of n_k = sum_i r_ik,

        weights[k] = n_k / N,  means[k] = 1/n_k sum_i r_ik x_i,
        covariances[k] = 1/n_k sum_i r_ik (x_i - means[k])(x_i - means[k])^T + regularization I.

    The iterations are the same for every batch size. They begin, with the seed, from examples far
    from each other as means (k-means++), equal weights, and the variances about the nearest mean;
    of a dataset, from those of its first batch.

    The likelihood never falls from epoch to epoch. Where the regularization, which EM does not know
    of, could make it fall, covariances that it makes less likely than those of before stay as they
    are: they end within about twice `regularization` of where EM would take them. Every variance of
    a component is at least `regularization`, which keeps a component on a single example from a
    density without bound; with 0, a covariance that is singular is refused. A component without
    examples keeps its mean and its covariance, at weight 0.

    `classify` returns the responsibilities. At temperature t, each component is sampled at it, and
    the weights stay as they are. Samples of images are cut off at [0, 1].

    Logs `loss`, a mean over the batches, and `log_likelihood`, the mean over all examples, in nats,
    both of the parameters of before the epoch.

    Args:
        event_shape: of one example; its size is d.
        num_components: > 0.
        covariance: `FullCovariance()`, the default, of d x d numbers for each component,
            `DiagonalCovariance()` or `IsotropicCovariance()`.
        regularization: added to the variances, in squared units of the examples, >= 0.
        event_name: what examples are, as of `tfgen.core.specs.event_spec`; by their shape unless
            given.
        seed, name: as for every model.

    Attributes:
        means: float64 [num_components, d].

    Raises:
        TypeError: when `num_components` is not an integer, or `covariance` is something else.
        ValueError: when a number is out of range; by `fit`, when there are fewer examples than
            components, or a covariance is singular.

    Example:
        model = MixtureModel((2,), num_components=8)
        model.compile()
        stop = keras.callbacks.EarlyStopping("log_likelihood", 1e-4, mode="max")
        model.fit(points, epochs=200, callbacks=[stop])

    Reference: Dempster, Laird and Rubin, "Maximum Likelihood from Incomplete Data via the EM
        Algorithm", 1977, https://doi.org/10.1111/j.2517-6161.1977.tb01600.x; for the initial means,
        Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007,
        https://dl.acm.org/doi/10.5555/1283383.1283494.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_components: int = 10,
        covariance: Covariance | None = None,
        regularization: float = 1e-6,
        event_name: str | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_integer("num_components", num_components)
        super().__init__(
            event_shape, num_components, covariance, regularization, event_name, seed, name
        )
        self.num_components = num_components
        self.logits = self._state("logits", (num_components,))

    @property
    def component_weights(self) -> np.ndarray:
        """The weight of each component, float64 [num_components]."""
        return tf.nn.softmax(self.logits.value).numpy()

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises ValueError when there are fewer examples than components."""
        if examples is not None:
            self._check_enough(examples.num_examples, "examples")

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        """Chooses the initial means among the examples."""
        rng = np.random.default_rng(self.seed)
        if examples is None:
            self._check_enough(len(x["x"]), "examples in the first batch")
            rows = x["x"]
        else:
            most = max(self.num_components, _INITIAL_VALUES // self.dim)
            chosen = slice(None)
            if examples.num_examples > most:
                chosen = np.sort(rng.choice(examples.num_examples, most, replace=False))
            rows = examples.as_float(chosen)
        rows = self._vectors(rows).numpy()
        means, nearest = distant_rows(rows, self.num_components, rng)
        variances = np.mean((rows - means[nearest]) ** 2, axis=0)
        self._begin_from(means, variances)

    def shares(self, x: tf.Tensor, condition: Conditions) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the log density of examples, and the responsibilities."""
        joint = self._log_joint(x)
        return tf.reduce_logsumexp(joint, axis=1), tf.nn.softmax(joint)

    def settle(
        self, counts: np.ndarray, covariances: np.ndarray, roots: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Takes the weights; returns roots that keep the likelihood, and that of before."""
        logits = np.log(np.maximum(counts / counts.sum(), np.finfo(np.float64).tiny))
        before = tf.nn.log_softmax(self.logits.value).numpy() + self._mean_log_prob_before(
            covariances
        )
        old, new = self.roots.numpy(), self.mean_log_prob(roots, covariances)
        if counts @ (logits + new - before) < 0:
            better = new >= self.mean_log_prob(old, covariances)
            roots = np.where(better.reshape([-1] + [1] * (roots.ndim - 1)), roots, old)
        self.logits.assign(logits)
        return roots, self.log_likelihood.numpy() / counts.sum()

    def _mean_log_prob_before(self, covariances: np.ndarray) -> np.ndarray:
        """Returns the mean log density, by the parameters of before, of what moments are about."""
        moves = self.running_means.value - self.means.value
        ones = tf.ones([self.num_components, 1], tf.float64)
        shifts = self.covariance.scatter(moves[:, tf.newaxis], ones).numpy()
        return self.mean_log_prob(self.roots.numpy(), covariances + shifts)

    def log_prob_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the exact log density of each example, [batch], in nats."""
        joint = self._log_joint(self._vectors(x))
        return tf.cast(tf.reduce_logsumexp(joint, axis=1), tf.float32)

    def classify_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the responsibility of each component, [batch, num_components]."""
        return tf.cast(tf.nn.softmax(self._log_joint(self._vectors(x))), tf.float32)

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns one draw a row seed, int32 [batch, 2]."""
        cumulative = tf.cumsum(tf.cast(tf.nn.softmax(self.logits.value), tf.float32))[:-1]
        unit = random.uniform(random.stream(row_seeds, "component"), ())
        # Counted, as TensorFlow Lite has no search.
        which = tf.reduce_sum(tf.cast(cumulative <= unit[:, tf.newaxis], tf.int32), axis=1)
        noise = scaled(random.normal(row_seeds, (self.dim,)), temperature)
        return self._events(of_component(self._coloured(noise), which))

    def _log_joint(self, x: tf.Tensor) -> tf.Tensor:
        """Returns log weights[k] N(x; means[k], covariances[k]), [batch, num_components]."""
        return tf.nn.log_softmax(self.logits.value) + self._log_densities(x)

    def _check_enough(self, count: int, what: str) -> None:
        if count < self.num_components:
            what = f"at least {self.num_components} {what}, one for each component"
            raise ValueError(expected(what, count))


def distant_rows(
    x: np.ndarray, num: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows far from each other, and the number of the nearest of them to each row.

    The first is any; each further one is, of a few rows drawn in proportion to the squared distance
    to those chosen, the one that brings all rows nearest.

    Args:
        x: [num_rows, dim].
        num: how many to choose, > 0.
        rng: what draws.

    Returns:
        [num, dim], and integers [num_rows].
    """
    chosen = [rng.integers(len(x))]
    squares = _squares(x, chosen[0])
    nearest = np.zeros(len(x), np.int64)
    for k in range(1, num):
        total = squares.sum()
        odds = squares / total if total > 0 else None  # All alike: any will do.
        drawn = rng.choice(len(x), 2 + int(np.log(num)), p=odds)
        found = [_squares(x, row) for row in drawn]
        best = int(np.argmin([np.minimum(squares, each).sum() for each in found]))
        nearest[found[best] < squares] = k
        squares = np.minimum(squares, found[best])
        chosen.append(drawn[best])
    return x[chosen], nearest


def _squares(x: np.ndarray, row: int) -> np.ndarray:
    """Returns the squared distance of all rows to one."""
    return np.sum((x - x[row]) ** 2, axis=1)
