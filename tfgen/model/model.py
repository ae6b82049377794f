"""The base of every model: the one training step, and `fit`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import keras
import tensorflow as tf

from tfgen.core import checks, random
from tfgen.core.config import Configurable
from tfgen.data.batches import as_batch, as_examples, element_spec
from tfgen.data.examples import Batch, Examples
from tfgen.model.verbs import CAPABILITIES, Capabilities
from tfgen.training.checkpoint import Checkpoint
from tfgen.training.not_finite import FiniteGuard, assert_finite
from tfgen.training.update import Terms, Update, apply_update, joined, mean_terms


class GenerativeModel(Capabilities, Configurable, keras.Model):
    """Base class of the models.

    A subclass writes `sample_rows` and whichever other capabilities its mathematics allows, and
    says what is optimised by `updates` (or by `objective`, when that is one loss over one network).
    It builds its networks in the constructor, keeps each constructor argument as an attribute, and
    lists its groups of trainable variables in `groups`: group `g` is the attribute `g`, optimised
    by the attribute `g_optimizer`, which `compile` makes.

    Training data are batches `{"x": [batch, *event], "index": [batch], "label": [batch]}`, of
    which only "x" must be there. `tfgen.data` makes them; arrays and other datasets are accepted.

    Args:
        seed: of the training noise, an integer in [0, 2**31).
        name: of the model.

    Raises:
        TypeError: when `seed` is not an integer.
        ValueError: when it is out of range.
    """

    groups: ClassVar[tuple[str, ...]] = ()
    default_optimizers: ClassVar[dict[str, Callable[[], keras.optimizers.Optimizer]]] = {}
    default_jit_compile: ClassVar[bool] = False

    def __init__(self, seed: int = 0, name: str | None = None) -> None:
        super().__init__(name=name)
        checks.check_seed("seed", seed)
        self.seed = seed
        self.step = self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )
        self._means: dict[str, keras.metrics.Mean] = {}
        self._means_spec: Batch | None = None

    # What is optimised.

    def objective(self, x: Batch, seed: tf.Tensor, training: bool) -> Terms:
        """Returns the terms to minimise, for a model that minimises one loss.

        Args:
            x, seed, training: as for `updates`.

        Returns:
            `{"loss": [batch], ...}`; what else is in it becomes a logged metric.

        Raises:
            NotImplementedError: when a model writes neither this nor `updates`.
        """
        raise NotImplementedError(f"{type(self).__name__} writes neither objective nor updates")

    def updates(self, x: Batch, seed: tf.Tensor, training: bool = True) -> Sequence[Update]:
        """Returns the updates of one training step, in their order.

        Args:
            x: a batch of training data.
            seed: int32 [2], of this step on this replica.
            training: False when the terms are only to be evaluated.
        """
        return [Update("loss", lambda: self.objective(x, seed, training), self.groups)]

    def training_data(self, examples: Examples) -> Examples:
        """Returns the examples to train on; all of them unless a model says otherwise."""
        return examples

    def begin_epoch(self, epoch: int, examples: Examples | None) -> None:
        """Does what must be done before an epoch; nothing unless a model says so.

        Args:
            epoch: its number, from 0.
            examples: what `fit` trains on, None when that is a dataset.
        """

    def end_training(self) -> None:
        """Does what must be done after the last epoch of `fit`; nothing unless a model says so."""

    # How it is optimised.

    def compile(
        self,
        *,
        jit_compile: bool | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        **optimizers: keras.optimizers.Optimizer | str,
    ) -> None:
        """Makes and builds the optimizers.

        Args:
            jit_compile: whether XLA compiles the training step; None takes the class's default,
                which is what was measured to be faster, and has XLA compile at least the steps of
                optimizers with a million weights or more; False has it compile nothing.
            run_eagerly: whether the step runs eagerly, to debug it.
            steps_per_execution: how many batches one call of the compiled function trains on.
            **optimizers: `g_optimizer=` for each group g in `groups`, a Keras optimizer or its
                name; `optimizer=` when there is one group. Those not given take their default.

        Raises:
            TypeError: when an optimizer is of no group.
            ValueError: when one is neither a Keras optimizer nor the name of one.
        """
        chosen = self._name_optimizers(optimizers)
        jit = self.default_jit_compile if jit_compile is None else jit_compile
        self._chosen_jit_compile = jit_compile
        optimizers = {group: self._built_optimizer(group, chosen[group]) for group in self.groups}
        super().compile(
            optimizer=None,
            jit_compile=jit and not run_eagerly,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        for group, optimizer in optimizers.items():
            setattr(self, f"{group}_optimizer", optimizer)

    def _name_optimizers(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the optimizer, or its name, or None, of each group."""
        given = dict(given)
        names = [f"{group}_optimizer" for group in self.groups]
        if len(names) == 1 and "optimizer" in given:
            given.setdefault(names[0], given.pop("optimizer"))
        if unknown := sorted(set(given) - set(names)):
            raise TypeError(checks.expected(f"optimizers among {names}", unknown))
        return {group: given.get(f"{group}_optimizer") for group in self.groups}

    def _built_optimizer(self, group: str, given: Any) -> keras.optimizers.Optimizer:
        """Returns the optimizer of a group with its variables made.

        An optimizer that is built later crashes MirroredStrategy and is missing from checkpoints.
        """
        default = self.default_optimizers.get(group, keras.optimizers.Adam)
        optimizer = default() if given is None else _optimizer(f"{group}_optimizer", given)
        scales = keras.config.dtype_policy().name == "mixed_float16"
        if scales and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        if not optimizer.built:
            optimizer.build(getattr(self, group).trainable_variables)
        return optimizer

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`, serialised."""
        if not self.compiled:
            return {}
        optimizers = {
            f"{group}_optimizer": getattr(self, f"{group}_optimizer") for group in self.groups
        }
        arguments = {
            "jit_compile": self._chosen_jit_compile,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
        }
        return keras.saving.serialize_keras_object(optimizers | arguments)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` says."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    @property
    def training_state(self) -> list[keras.Variable]:
        """All variables that training depends on: the weights and the optimizers' variables.

        A constant learning rate is not one of them: it is what `compile` says.
        """
        optimizers = [getattr(self, f"{group}_optimizer") for group in self.groups]
        rates = {id(getattr(o, "inner_optimizer", o)._learning_rate) for o in optimizers}
        variables = [variable for o in optimizers for variable in o.variables]
        return self.weights + [variable for variable in variables if id(variable) not in rates]

    def train_step(self, data: Any) -> Terms:
        """Does the updates of one step on a batch; the only training step of the library.

        Args:
            data: what `tfgen.data.batches.as_batch` accepts.

        Returns:
            The means over the epoch of the logged terms, scalars.
        """
        x = as_batch(data)
        seed = random.step_seed(self.seed, self.step.value)
        with tf.control_dependencies([assert_finite(x["x"], "the data")]):
            logs = joined(self._apply(update) for update in self.updates(x, seed))
        with tf.control_dependencies(list(logs.values())):  # Only when all losses were finite.
            self.step.assign_add(1)
        return self._logged(logs)

    def test_step(self, data: Any) -> Terms:
        """Evaluates the terms of the updates on a batch."""
        x = as_batch(data)
        seed = random.step_seed(self.seed, self.step.value)
        return self._logged(joined(map(mean_terms, self.updates(x, seed, training=False))))

    def _apply(self, update: Update) -> Terms:
        groups = [getattr(self, group) for group in update.trains]
        optimizers = [getattr(self, f"{group}_optimizer") for group in update.trains]
        fuse = self._chosen_jit_compile is None and not self.jit_compile
        return apply_update(update, groups, optimizers, fuse)

    def call(self, x: Any, training: bool = False) -> Terms:
        """Returns the batch means of the terms of all updates for a data batch."""
        seed = random.step_seed(self.seed, self.step.value)
        return joined(map(mean_terms, self.updates(as_batch(x), seed, training)))

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means over an epoch of the logged terms."""
        return list(self._means.values())

    def _logged(self, logs: Terms) -> Terms:
        """Returns the epoch means of the logs, in the shape that strategies can reduce."""
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

    # Training.

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises ValueError or TypeError when the model cannot train on batches of this spec."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit` does.

        Args:
            x: what `tfgen.data.load` returned, an array of examples, or a dataset of batches.
            y: labels [num_examples], when `x` is an array.
            batch_size: when `x` is an array; 32 unless given.
            epochs: the epoch to train up to.
            verbose, callbacks, initial_epoch, steps_per_epoch, **kwargs: as in Keras. A
                `tfgen.callbacks.Checkpoint` among the callbacks resumes where it left off,
                `steps_per_epoch` is for datasets, and `validation_data` may be what
                `tfgen.data.load` returned.

        Returns:
            The Keras history.

        Raises:
            NonFiniteError: when a batch of data or a loss is not finite, naming the batch.
            TypeError, ValueError: when the model is not compiled, or the data do not fit it.
        """
        self._assert_compile_called("fit")
        data = as_examples(x, y, batch_size, self.seed)
        examples = self.training_data(data) if isinstance(data, Examples) else None
        if examples and steps_per_epoch not in (None, examples.steps_per_epoch):
            what = f"no `steps_per_epoch`, or {examples.steps_per_epoch}, the batches of the array"
            raise ValueError(checks.expected(what, steps_per_epoch))
        spec = as_batch(examples.element_spec if examples else element_spec(data))
        self.check_data(spec, examples)
        kwargs["validation_data"] = self._one_pass(kwargs.get("validation_data"))
        self._make_means(spec)
        guard = FiniteGuard()
        begin = lambda epoch, logs: self.begin_epoch(epoch, examples)  # noqa: E731
        begins = keras.callbacks.LambdaCallback(on_epoch_begin=begin)
        callbacks = [guard, begins, *(callbacks or [])]
        for callback in callbacks:
            if isinstance(callback, Checkpoint):
                initial_epoch = max(initial_epoch, callback.restore(self))
        if verbose and initial_epoch:
            print(f"{self.name}: {initial_epoch} of {epochs} epochs are done already.")
        if examples:
            data, steps_per_epoch = examples.dataset(initial_epoch), examples.steps_per_epoch
        kwargs["shuffle"] = False  # Examples and datasets shuffle themselves; Keras warns else.
        with guard.naming_the_batch():
            history = super().fit(
                data,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                **kwargs,
            )
        self.end_training()
        return history

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: our models are built when they are made.

        Keras would first average a batch over all workers, which it cannot do with dictionaries.
        """

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, **kwargs: Any
    ) -> Any:
        """Returns the means of the terms over one pass, as `keras.Model.evaluate` does.

        Args:
            x, y, batch_size: as for `fit`.
            **kwargs: as in Keras.
        """
        if kwargs.get("_use_cached_eval_dataset"):  # Called by `fit`.
            return super().evaluate(x, y, batch_size, **kwargs)
        data = as_examples(x, y, batch_size, self.seed)
        self._make_means(as_batch(element_spec(data)))
        return super().evaluate(self._one_pass(data), **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError: a generative model has the verbs that the error names.

        Keras would call the model on the batches, and that gives the terms of its loss.
        """
        able = self.capabilities()
        verbs = [name.removesuffix("_rows") for name in CAPABILITIES if name in able]
        raise NotImplementedError(
            f"{type(self).__name__} has no predict; it has {', '.join(verbs) or 'no verb'}"
        )

    predict_on_batch = predict

    def _one_pass(self, data: Any) -> Any:
        """Returns examples to evaluate as a dataset that ends, and other data as they are."""
        if not isinstance(data, Examples):
            return data
        self.check_data(as_batch(data.element_spec), data)
        size = data.steps_per_epoch
        return data.dataset().take(size).apply(tf.data.experimental.assert_cardinality(size))

    def _make_means(self, spec: Batch) -> None:
        """Makes a mean for every term, by tracing the updates once on batches of this spec."""
        if spec == self._means_spec:
            return
        trace = tf.function(lambda x: self.call(x, training=True), autograph=False)
        names = trace.get_concrete_function(spec).structured_outputs
        with self.distribute_strategy.scope():
            self._means = {name: keras.metrics.Mean(name=name) for name in names}
        self._means_spec = spec
        self.train_function = self.test_function = None  # They hold the means of before.


def _optimizer(name: str, given: Any) -> keras.optimizers.Optimizer:
    try:
        return keras.optimizers.get(given)
    except ValueError as error:
        what = f"`{name}` to be a Keras optimizer or the name of one"
        raise ValueError(checks.expected(what, repr(given))) from error
