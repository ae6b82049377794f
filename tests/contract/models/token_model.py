"""A model of tokens: integer events, a label, exact likelihood, completion in a loop."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfgen.core import random, specs
from tfgen.core.config import Configurable, register
from tfgen.data.examples import Batch
from tfgen.model import GenerativeModel
from tfgen.training.update import Terms


@register
class Causal(Configurable, keras.layers.Layer):
    """Tokens [batch, length] -> logits [batch, length, num_tokens], each of the tokens before."""

    def __init__(self, length: int, num_tokens: int, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.length, self.num_tokens, self.num_classes = length, num_tokens, num_classes
        units = 8
        size = length * num_tokens
        self.weights_in = self.add_weight(shape=(size, length, units), name="in")
        self.places = self.add_weight(shape=(length, units), name="places")
        self.labels = self.add_weight(shape=(num_classes, units), name="labels")
        self.weights_out = self.add_weight(shape=(units, num_tokens), name="out")
        self.built = True

    def call(self, tokens: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        given = tf.one_hot(tokens, self.num_tokens)
        # Place i sees the tokens of the places before it.
        before = tf.linalg.band_part(tf.ones([self.length, self.length]), -1, 0)
        before = tf.linalg.set_diag(before, tf.zeros([self.length]))
        mask = tf.repeat(tf.transpose(before), self.num_tokens, axis=0)[:, :, tf.newaxis]
        flat = tf.reshape(given, [-1, self.length * self.num_tokens])
        seen = tf.tensordot(flat, self.weights_in.value * mask, 1)
        hidden = tf.tanh(seen + self.places.value + tf.gather(self.labels.value, label)[:, None])
        return tf.tensordot(hidden, self.weights_out.value, 1)


@register
class TokenModel(GenerativeModel):
    """p(x | label), the product over places of p(x_i | x_1 .. x_{i-1}, label).

    Args:
        length, num_tokens: of an example.
        num_classes: of the labels; unconditional unless given.
    """

    has_temperature = True
    slow_verbs = frozenset({"sample", "complete"})
    default_optimizers = {"": lambda: keras.optimizers.Adam(3e-2)}

    def __init__(
        self,
        length: int,
        num_tokens: int,
        num_classes: int | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(seed=seed, name=name)
        self.length, self.num_tokens, self.num_classes = length, num_tokens, num_classes
        self.network = Causal(length, num_tokens, num_classes or 1)

    @property
    def event_spec(self) -> tf.TensorSpec:
        return specs.event_spec((self.length,), tf.int32, self.num_tokens)

    @property
    def condition_specs(self) -> Mapping[str, tf.TensorSpec]:
        return {} if self.num_classes is None else {"label": specs.label_spec(self.num_classes)}

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        return {"loss": -self.log_prob_rows(x["x"], self.conditions_of(x))}

    def _logits(self, x: tf.Tensor, condition: Mapping | None) -> tf.Tensor:
        label = (condition or {}).get("label", tf.zeros(tf.shape(x)[:1], tf.int32))
        return self.network(x, label)

    def log_prob_rows(self, x: tf.Tensor, condition: Mapping | None = None) -> tf.Tensor:
        logits = self._logits(x, condition)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=x, logits=logits)
        return -tf.reduce_sum(losses, axis=1)

    def complete_rows(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        row_seeds: tf.Tensor,
        condition: Mapping | None = None,
        temperature: Any = None,
    ) -> tf.Tensor:
        unit = random.uniform(row_seeds, (self.length,))
        scale = 1.0 if temperature is None else temperature[:, tf.newaxis]

        def place(i: tf.Tensor, tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = self._logits(tokens, condition)[:, i] / scale
            cumulative = tf.cumsum(tf.nn.softmax(logits), axis=1)[:, :-1]
            drawn = tf.reduce_sum(tf.cast(cumulative <= unit[:, i, tf.newaxis], tf.int32), axis=1)
            value = tf.where(mask[:, i] == 0, drawn, x[:, i])
            here = tf.range(self.length) == i
            return i + 1, tf.where(here, value[:, tf.newaxis], tokens)

        start = tf.where(mask == 0, tf.zeros_like(x), x)
        return tf.while_loop(lambda i, _: i < self.length, place, (tf.constant(0), start))[1]

    def sample_rows(
        self, row_seeds: tf.Tensor, condition: Mapping | None = None, temperature: Any = None
    ) -> tf.Tensor:
        nothing = tf.zeros([tf.shape(row_seeds)[0], self.length], tf.int32)
        mask = tf.zeros_like(nothing, tf.float32)
        return self.complete_rows(nothing, mask, row_seeds, condition, temperature)
