"""A flow that classifies: one bijector for the density of examples and for their labels."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.bijectors.bijector import Bijector
from tfgen.core import specs
from tfgen.core.checks import check_integer, check_not_negative, expected
from tfgen.core.config import output_shape, register
from tfgen.data.examples import Batch, Examples
from tfgen.distributions.base import BaseDensity
from tfgen.distributions.dequantisation import Dequantization
from tfgen.flows.base import FlowModel
from tfgen.model.rows import Conditions
from tfgen.training.averages import Averages, average_of


@register
class HybridFlow(FlowModel):
    """Maximises likelihood_weight * log p(x) + log p(y | z) of labels y, z = f(x).

    Verbs are those of a `Flow`, and `classify`. Training data must have labels; samples have none.
    `fit` logs "bits_per_dim", "cross_entropy" in nats and "accuracy" beside the loss.

    Args:
        bijector: f, from data to noise.
        event_shape: of one example.
        num_classes: of the labels, >= 2.
        classifier: layer of z, [batch, D], -> logits [batch, num_classes]; linear unless given.
        likelihood_weight: of the log density, in nats, >= 0; 1 / D unless given, of D numbers.
        base, event_name, dequantization, ema_decay, seed, name: as for `Flow`.

    Raises:
        TypeError: when a part is not what it has to be.
        ValueError: when parts do not fit each other, or a number is out of range.

    Reference: Nalisnick, Matsukawa, Teh, Gorur and Lakshminarayanan, "Hybrid Models with Deep and
        Invertible Features", 2019, https://arxiv.org/abs/1902.02767.
    """

    def __init__(
        self,
        bijector: Bijector,
        event_shape: Sequence[int],
        num_classes: int,
        classifier: keras.layers.Layer | None = None,
        likelihood_weight: float | None = None,
        base: BaseDensity | None = None,
        event_name: str | None = None,
        dequantization: Dequantization | None = None,
        ema_decay: float | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_integer("num_classes", num_classes, minimum=2)
        super().__init__(
            bijector, event_shape, base, event_name, {}, dequantization, ema_decay, seed, name
        )
        if likelihood_weight is None:
            likelihood_weight = 1.0 / math.prod(self.event_shape)
        check_not_negative("likelihood_weight", likelihood_weight)
        self.num_classes = num_classes
        self.likelihood_weight = likelihood_weight
        self.classifier = classifier or keras.layers.Dense(num_classes, dtype="float32")
        made = output_shape(self.classifier, (None, self.latent_dim))
        if made[1:] != (num_classes,):
            raise ValueError(expected(f"a classifier of logits (batch, {num_classes})", made))
        self.ema_classifier = average_of(self.classifier, ema_decay)

    @property
    def averages(self) -> Averages:
        """The averages of all parts, where they are kept."""
        own = [] if self.ema_classifier is None else [(self.ema_classifier, self.classifier)]
        return [*self.flow_averages, *own]

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises ValueError unless there are labels, in range where that is known."""
        if "label" not in spec:
            what = "batches with the key 'label' (fit(x, labels) gives it)"
            raise ValueError(expected(what, sorted(spec)))
        label = specs.label_spec(self.num_classes)
        specs.check_spec(spec["label"], label, "label")
        if examples is not None:
            specs.check_values(examples.columns["label"], label, "label")

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """Returns the weighted sum to minimise, and its parts."""
        log_prob, z = self.likelihood(x, seed, training)
        label = specs.checked(x["label"], specs.label_spec(self.num_classes), "label")
        logits = tf.cast(self.classifier(z, training=training), tf.float32)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
        right = tf.equal(tf.argmax(logits, axis=1), label)
        # Without weight the density gets no gradient, so that it cannot spoil one, nor takes time.
        weighted = self.likelihood_weight * log_prob if self.likelihood_weight else 0.0
        return {
            "loss": entropy - weighted,
            "bits_per_dim": self.bits_per_dim(log_prob),
            "cross_entropy": entropy,
            "accuracy": tf.cast(right, tf.float32),
        }

    def classify_rows(self, x: tf.Tensor, condition: Conditions | None = None) -> tf.Tensor:
        """Returns the probability of each class, [batch, num_classes]."""
        classifier = self.averaged(self.classifier)
        logits = classifier(self.encode_rows(x, condition), training=False)
        return tf.nn.softmax(tf.cast(logits, tf.float32))
