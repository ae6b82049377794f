"""Ratio estimation: a classifier that knows how much likelier a point is under the data."""

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.checks import check_integer, expected
from tfgen.core.config import build_once, register
from tfgen.data.examples import Batch
from tfgen.distributions import Density
from tfgen.model.model import GenerativeModel
from tfgen.model.rows import Conditions
from tfgen.training.update import Terms


@register
class RatioEstimator(GenerativeModel):
    """Tells examples of the data p from draws of a base distribution q, by minimising over D

        -E_p log sigmoid(D(x)) - E_q log(1 - sigmoid(D(y))),

    whose optimum is sigmoid(D) = p / (p + q), hence D = log p - log q. This is the inner problem
    of a GAN, where q is its generator. Samples are draws of q weighted by the ratio: for each, so
    many proposals are drawn, and one is taken with probability in proportion to exp(D), which
    becomes p as their number grows, where q has mass wherever p has.

    Args:
        classifier: D, a layer, examples -> logits [batch, 1].
        base: q, without trainable weights: a density of `tfgen.distributions`, or a model whose
            `trainable` is False.
        num_proposals: draws of q for a sample, > 0.
        seed, name: as for every model.

    Logs `loss` and `accuracy`, the fraction told right.

    Raises:
        TypeError: when `num_proposals` is not an integer, or the base is neither density nor model.
        ValueError: when it is not > 0, the base has weights that could be trained, or the
            classifier does not return one number for each example.

    Example:
        estimator = RatioEstimator(MLP((1,)), base=StandardNormal(2))
        estimator.compile(optimizer="adam")
        estimator.fit(x, batch_size=256, epochs=20)
        estimator.log_ratio(x)

    Reference: Sugiyama, Suzuki and Kanamori, "Density Ratio Estimation in Machine Learning", 2012;
        for GANs, Mohamed and Lakshminarayanan, "Learning in Implicit Generative Models", 2016,
        https://arxiv.org/abs/1610.03483; for samples, Rubin, "The Calculation of Posterior
        Distributions by Data Augmentation: Comment", 1987 (sampling/importance resampling).
    """

    groups = {"classifier": ("classifier",)}

    def __init__(
        self,
        classifier: keras.layers.Layer,
        base: keras.layers.Layer,
        num_proposals: int = 64,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        check_integer("num_proposals", num_proposals)
        if not isinstance(base, Density | GenerativeModel):
            raise TypeError(expected("`base`, a density or a model, e.g. StandardNormal(2)", base))
        if base.trainable_variables:
            raise ValueError(expected("a frozen `base` (`base.trainable = False`)", base.name))
        self.classifier = classifier
        self.base = base
        self.num_proposals = num_proposals
        build_once(classifier, (None, *self.event_shape))
        self.log_ratio(tf.zeros([1, *self.event_shape]))  # Complains of other outputs.

    @property
    def event_spec(self) -> tf.TensorSpec:
        """What the base draws."""
        if isinstance(self.base, GenerativeModel):
            return self.base.event_spec
        return specs.event_spec(self.base.event_spec.shape)

    def log_ratio(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the estimate of log p(x) - log q(x), in nats, [batch] of [batch, *event]."""
        logits = self.classifier(x, training=training)
        if logits.shape[1:].num_elements() != 1:
            what = "a `classifier` with logits of shape [batch, 1]"
            raise ValueError(expected(what, tuple(logits.shape)))
        return tf.cast(tf.reshape(logits, [tf.shape(logits)[0]]), tf.float32)

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns the classifier's cross-entropy on a batch and as many draws of the base."""
        real = self.log_ratio(x["x"], training)
        fake = self.log_ratio(self._draw(tf.shape(x["x"])[0], seed), training)
        right = tf.cast(real > 0, tf.float32) + tf.cast(fake <= 0, tf.float32)
        return {"loss": tf.nn.softplus(-real) + tf.nn.softplus(fake), "accuracy": right / 2}

    def _draw(self, num_rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns draws of the base for one step of training."""
        if isinstance(self.base, Density):
            return self.base.draw(num_rows, seed)
        return self._base_rows(random.split_seed(seed, num_rows))

    def _base_rows(self, row_seeds: tf.Tensor) -> tf.Tensor:
        """Returns one draw of the base a row seed."""
        if isinstance(self.base, Density):
            return self.base.sample_rows(row_seeds)
        return self.base.sample(tf.shape(row_seeds)[0], row_seeds)  # Draws its labels, too.

    def sample_rows(
        self,
        row_seeds: tf.Tensor,
        condition: Conditions | None = None,
        temperature: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns one of `num_proposals` draws of the base a row seed, int32 [batch, 2]."""
        seeds = tf.reshape(random.split(row_seeds, self.num_proposals), [-1, 2])
        proposals = self._base_rows(seeds)
        shape = [-1, self.num_proposals]
        weights = tf.reshape(self.log_ratio(proposals), shape)
        # The largest of logits with Gumbel noise is a draw from their softmax.
        unit = random.uniform(random.stream(row_seeds, "choice"), (self.num_proposals,))
        chosen = tf.argmax(weights - tf.math.log(-tf.math.log(unit)), axis=1)
        proposals = tf.reshape(proposals, [*shape, *self.event_shape])
        return tf.gather(proposals, chosen, batch_dims=1)
