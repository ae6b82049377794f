"""The one training step, and what a model optimises in it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfgen.core import checks, random, specs
from tfgen.core.config import check_keras_settings
from tfgen.data.batches import as_batch, as_event
from tfgen.data.examples import Batch
from tfgen.model.groups import Groups
from tfgen.model.rows import Conditions, Rows
from tfgen.training.averages import Averages, move_averages
from tfgen.training.not_finite import assert_finite
from tfgen.training.optimize import Parts
from tfgen.training.update import Terms, Update, apply_update, joined, mean_terms


class Steps(Rows, Groups):
    """A model that takes training steps: the updates that it lists, one after the other.

    Args:
        seed, name: as for `GenerativeModel`.
    """

    ema_decay: ClassVar[float | None] = None
    """Of `averages`; a model that keeps some takes it as a constructor argument."""

    def __init__(self, seed: int = 0, name: str | None = None) -> None:
        check_keras_settings()
        super().__init__(name=name)
        checks.check_seed("seed", seed)
        self.seed = seed
        self.step = self._counter("int64", "step")
        self.prepared = self._counter("int32", "prepared")
        # How many batches of a pass `evaluate` has seen: no part of the state of training.
        self._evaluated = tf.Variable(
            tf.constant(0, tf.int64),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self._means: dict[str, keras.metrics.Mean] = {}
        self._kinds: list[str] = []  # Of batches, whose terms are those of the means.
        self.built = True

    def _counter(self, dtype: str, name: str) -> keras.Variable:
        return self.add_weight(
            shape=(),
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    @property
    def training_steps(self) -> int:
        """How many training steps were done."""
        return int(self.step.numpy())

    # What is optimised.

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Any:
        """Returns the terms to minimise, for a model that minimises one loss.

        Args:
            x, seed, training: as for `updates`.

        Returns:
            `{"loss": [batch], ...}`; what else is in it becomes a logged metric. Or a pair of that
            and aux, as for an `Update`.

        Raises:
            NotImplementedError: when a model writes neither this nor `updates`.
        """
        raise NotImplementedError(f"{type(self).__name__} writes neither objective nor updates")

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> Sequence[Update]:
        """Returns the updates of one training step, in their order.

        Args:
            x: a batch of training data, its conditions checked.
            seed: int32 [2], of this step on this replica.
            training: False when the terms are only to be evaluated.
        """
        return [Update("loss", lambda: self.objective(x, seed, training), tuple(self.groups))]

    @property
    def averages(self) -> Averages:
        """The moving averages of weights, each with the layer that is trained.

        `tfgen.training.averages.average_of` makes one. Each training step moves them.
        """
        return ()

    def averaged(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Returns the average of a layer, if one is kept, else the layer itself."""
        return next((average for average, of in self.averages if of is layer), layer)

    def conditions_of(self, x: Batch) -> Conditions:
        """Returns the conditions in a batch, by name."""
        return {name: x[name] for name in self.condition_specs}

    # The training step.

    def train_step(self, data: Any) -> Terms:
        """Does the updates of one step on a batch; the only training step of the library.

        Args:
            data: what `tfgen.data.batches.as_batch` accepts.

        Returns:
            The means over the epoch of the logged terms, scalars.
        """
        x = self._checked_batch(data)
        seed = random.step_seed(self.seed, self.step.value)
        with tf.control_dependencies(list(x.values())):  # Only when all data were finite.
            logs = joined(self._apply(update) for update in self.updates(x, seed))
        with tf.control_dependencies(list(logs.values())):  # Only when all losses were finite.
            if self.averages:
                move_averages(self.averages, self.ema_decay, self.step.value)
            self.step.assign_add(1)
        return self._logged(logs)

    def test_step(self, data: Any) -> Terms:
        """Evaluates the terms of the updates on a batch, with noise of its own."""
        x = self._checked_batch(data)
        seed = random.evaluation_seed(self.seed, self._evaluated)
        logs = self._terms(x, seed, training=False)
        with tf.control_dependencies(list(logs.values())):
            self._evaluated.assign_add(1)
        return self._logged(logs)

    def _checked_batch(self, data: Any) -> Batch:
        """Returns a batch of finite examples and of conditions that agree with what is specified.

        Networks of other packages may take a label that is out of range for some class or none.
        """
        x = self._tensors(data)
        check = tf.no_op()
        if x["x"].dtype.is_floating:
            check = assert_finite(x["x"], "the data")
        with tf.control_dependencies([check]):
            x = {name: tf.identity(value) for name, value in x.items()}
        for name, spec in self.condition_specs.items():
            x[name] = specs.checked(x[name], spec, name)
        if specs.bounds(self.event_spec) and self.event_spec.dtype.is_integer:
            x["x"] = specs.checked(x["x"], self.event_spec, self.event_spec.name)
        return x

    def _as_batch(self, data: Any) -> Batch:
        return as_batch(data, self._y_name)

    def _tensors(self, data: Any) -> Batch:
        """Returns a batch whose examples are of the model's type."""
        batch = self._as_batch(data)
        return batch | {"x": as_event(batch["x"], self.event_spec)}

    @property
    def _y_name(self) -> str:
        """What a bare `y` of `fit` is called: the only condition, or labels."""
        names = list(self.condition_specs)
        return names[0] if len(names) == 1 else "label"

    def _apply(self, update: Update) -> Terms:
        groups = self._trained(update)
        optimizers = [self.optimizer_of(name) for name in update.trains]
        fuse = self._chosen_jit_compile is None and not self.jit_compile
        return apply_update(update, groups, optimizers, fuse)

    def _trained(self, update: Update) -> list[Parts]:
        return [self.group(name) for name in update.trains]

    def _terms(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        updates = self.updates(x, seed, training)
        return joined(mean_terms(update, self._trained(update))[0] for update in updates)

    def call(self, x: Any, training: bool = False) -> Terms:
        """Returns the batch means of the terms of all updates for a data batch."""
        seed = random.step_seed(self.seed, self.step.value)
        return self._terms(self._tensors(x), seed, training)

    def reset_metrics(self) -> None:
        """Begins an epoch, or a pass of `evaluate`, whose noise is that of its batches' numbers."""
        super().reset_metrics()
        self._evaluated.assign(0)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means over an epoch of the logged terms."""
        return list(self._means.values())

    def _logged(self, logs: Terms) -> Terms:
        """Returns the epoch means of the logs, in the shape that strategies can reduce."""
        # A step that finds no batch any more counts none.
        with tf.control_dependencies(list(logs.values())):
            for name, mean in self._means.items():
                mean.update_state(logs[name])
        logs = {
            name: self._means[name].result() if name in self._means else value
            for name, value in logs.items()
        }
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # Keras reduces the logs of several workers along axis 0, which scalars do not have.
            logs = {name: value[tf.newaxis] for name, value in logs.items()}
        return logs

    def _make_means(self, spec: Batch) -> None:
        """Makes a mean for every term, by tracing the updates once on batches of this kind.

        Batches of other sizes are of the same kind: each new step function would be another graph.
        """
        kind = repr(sorted((name, part.dtype, part.shape[1:]) for name, part in spec.items()))
        if kind in self._kinds and (self.train_function or self.test_function):
            return
        trace = tf.function(lambda x: self.call(x, training=True), autograph=False)
        names = trace.get_concrete_function(spec).structured_outputs
        if names.keys() == self._means.keys():
            self._kinds = [*self._kinds, kind]
            return
        with self.distribute_strategy.scope():
            self._means = {name: keras.metrics.Mean(name=name) for name in names}
        self._kinds = [kind]
        self.train_function = self.test_function = None  # They hold the means of before.
