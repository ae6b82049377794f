"""The base of every model: what comes before, between and after the steps of training."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import keras
import tensorflow as tf

from tfgen.core import checks, specs
from tfgen.core.config import Configurable
from tfgen.core.files import written_whole
from tfgen.data.batches import (
    DEFAULT_BATCH_SIZE,
    as_examples,
    check_batches,
    check_first_batch,
    element_spec,
)
from tfgen.data.examples import Batch, Examples
from tfgen.data.identity import identity
from tfgen.model.arguments import check_executions, check_fit, check_steps, check_weights
from tfgen.model.rows import VERBS
from tfgen.model.saving import check_configurations, check_rebuilt, check_registered
from tfgen.model.steps import Steps
from tfgen.model.verbs import Verbs
from tfgen.training.checkpoint import Checkpoint
from tfgen.training.keras_compat import BuiltWhenMade, is_validation
from tfgen.training.not_finite import FiniteGuard
from tfgen.training.replicas import part_seeds


class GenerativeModel(Verbs, Configurable, Steps, BuiltWhenMade):
    """Base class of the models.

    A subclass says what it is about, by `event_spec` and, if it has them, `latent_spec` and
    `condition_specs`; writes the methods `<verb>_rows` of the verbs that its mathematics allows;
    and says what is optimised by `objective`, or by `updates` when that is more than one loss. It
    builds its networks in the constructor and keeps each constructor argument as an attribute. One
    optimizer trains all that it holds, unless it has `groups`.

    Training data are batches `{"x": [batch, *event], "index": [batch], ...}`, of which only "x" and
    the model's conditions, by their names, must be there. `tfgen.data` makes them; arrays and other
    datasets are accepted.

    Args:
        seed: of the training noise, an integer in [0, 2**31).
        name: of the model.

    Raises:
        TypeError: when `seed` is not an integer.
        ValueError: when it is out of range.
    """

    _loadable: str = ""  # The shapes of the weights that a file was found to hold.

    def check_data(self, spec: Batch, examples: Examples | None) -> None:
        """Raises ValueError or TypeError when the model cannot train on these data.

        Their "x" and conditions are known to agree with the model's specifications.

        Args:
            spec: of their batches.
            examples: the data, None when they are a dataset.
        """

    def training_data(self, examples: Examples) -> Examples:
        """Returns the examples to train on; all of them unless a model says otherwise."""
        return examples

    def prepare(self, x: Batch, examples: Examples | None) -> None:
        """Sets what depends on data, before the very first step; nothing unless a model says so.

        It runs once in the life of a model: not when a run is resumed, nor in a second `fit`. What
        it assigns is the same on all replicas.

        Args:
            x: the first batch, of all replicas together.
            examples: what `fit` trains on, None when that is a dataset.
        """

    def begin_epoch(self, epoch: int, examples: Examples | None) -> None:
        """Does what must be done before an epoch; nothing unless a model says so.

        Args:
            epoch: its number, from 0.
            examples: what `fit` trains on, None when that is a dataset.
        """

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> dict[str, float]:
        """Does what must be done after an epoch; nothing unless a model says so.

        Callbacks, checkpoints among them, see the model after it.

        Args:
            epoch: its number, from 0.
            logs: the means of the terms over the epoch, by name.

        Returns:
            What to log of the epoch beside the means of the terms, by name.
        """
        return {}

    def fit_sampler(self) -> None:
        """Fits what `sample` draws from to what is learned, e.g. a density of latents.

        `fit` does it at its end, and callbacks that sample do while it trains; `sample` never does.
        """

    def save_own_variables(self, store: Any) -> None:
        """Saves the model's own variables, with a sampler that fits them."""
        self.fit_sampler()  # Keras saves the parts of a model after the model's own variables.
        super().save_own_variables(store)

    def save(self, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the model, compiled as it is, as a file that `tfgen.load_model` loads.

        The file is whole or not there; missing folders are made.

        Args:
            filepath: ends in `.keras`.
            overwrite: whether a file that has the name is replaced.
            **kwargs: as in Keras.

        Raises:
            FileExistsError: when there is such a file and it may not be replaced.
            ValueError: when the path ends otherwise, or the file could not be loaded: a class is
                not registered, a layer is not built by the constructor, or a network of another
                package does not say in its configuration what it is made with.
        """
        path = Path(filepath)
        if path.suffix != ".keras":
            raise ValueError(checks.expected("a path that ends in `.keras`", path))
        if path.exists() and not overwrite:
            raise FileExistsError(checks.expected("a path that is free", path))
        shapes = str([weight.shape for weight in self.weights])
        if shapes != self._loadable:  # Making the model again takes time and memory.
            check_registered(self)
            check_configurations(self)
            check_rebuilt(self)
            self._loadable = shapes
        with written_whole(path) as unfinished:
            super().save(unfinished, **kwargs)

    # Training.

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
            x: what `tfgen.data.load` returned, an array of examples, or a dataset of batches, whose
                images are uint8, or floats in [0, 1]. Its first batch is read, and checked, before
                it is iterated over for training; it has to begin anew each time. A
                `keras.utils.PyDataset` is read in its order, one batch after the other.
            y: labels [num_examples], or all conditions by name, when `x` is an array.
            batch_size: when `x` is an array; 32 unless given.
            epochs: the epoch to train up to.
            verbose, callbacks, initial_epoch, steps_per_epoch, **kwargs: as in Keras. A
                `tfgen.callbacks.Checkpoint` among the callbacks resumes where it left off,
                `steps_per_epoch` is for datasets, `validation_data` may be what `tfgen.data.load`
                returned, and `validation_batch_size` is for arrays and that. Weights of examples
                or classes, `validation_split`, and another `shuffle` than that of the data are
                refused.

        Returns:
            The Keras history.

        Raises:
            NonFiniteError: when a batch of data or a loss is not finite, naming the batch.
            TypeError, ValueError: when the model is not compiled, or the data do not fit it.
        """
        self.check_compiled("fit")
        data = as_examples(x, y, batch_size, self.seed, self._y_name)
        check_fit(kwargs, data, callbacks or [])
        data = self.checked_data(data)
        check_steps(self.steps_per_execution, data, steps_per_epoch, kwargs)
        kwargs["validation_data"] = self._validation(
            kwargs.get("validation_data"),
            kwargs.pop("validation_batch_size", None),
            data.batch_size if isinstance(data, Examples) else DEFAULT_BATCH_SIZE,
        )
        first = self._first_batch(data)
        self._make_means(self._spec_of(data))
        kwargs |= {"epochs": epochs, "verbose": verbose, "steps_per_epoch": steps_per_epoch}
        history = self._fit(data, first, list(callbacks or []), initial_epoch, **kwargs)
        self.fit_sampler()
        return history

    def _fit(
        self, data: Any, first: Any, callbacks: list, initial_epoch: int, **kwargs: Any
    ) -> keras.callbacks.History:
        """Resumes from a checkpoint, if there is one, prepares the model, and trains it."""
        examples = data if isinstance(data, Examples) else None
        checkpoints = [callback for callback in callbacks if isinstance(callback, Checkpoint)]
        for checkpoint in checkpoints:
            done = checkpoint.restore(self, identity(data, checkpoint.learns_data))
            initial_epoch = max(initial_epoch, done)
        if kwargs["verbose"] and initial_epoch:
            print(f"{self.name}: {initial_epoch} of {kwargs['epochs']} epochs are done already.")
        batches = data
        if examples:
            batches = examples.dataset(initial_epoch)
            kwargs["steps_per_epoch"] = examples.steps_per_epoch
        part_seeds(self.distribute_strategy, self.seed_states)
        guard = FiniteGuard(bool(checkpoints))
        guard.set_model(self)
        own = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.begin_epoch(epoch, examples),
            on_epoch_end=lambda epoch, logs: logs.update(self.end_epoch(epoch, logs)),
            on_train_end=lambda logs: self.finish_optimizers(),
        )
        others = [callback for callback in callbacks if callback not in checkpoints]
        # An epoch counts as done when all others have seen its end.
        callbacks = [guard, own, *others, *checkpoints]
        kwargs["shuffle"] = False  # Examples and datasets shuffle themselves; Keras warns else.
        kwargs.pop("validation_split", None)
        with guard.naming_the_batch():
            self.prepare_once(data, first)
            return super().fit(batches, callbacks=callbacks, initial_epoch=initial_epoch, **kwargs)

    def checked_data(self, data: Any) -> Any:
        """Returns what the model trains on of data, or raises before any work is done.

        Args:
            data: `Examples`, or a dataset of batches.

        Raises:
            TypeError, ValueError: when the data do not fit the model.
        """
        examples = self.training_data(data) if isinstance(data, Examples) else None
        data = data if examples is None else examples
        spec = self._spec_of(data)
        specs.check_names(self.event_spec, self.condition_specs)
        check_batches(spec, self.event_spec, self.condition_specs, examples)
        self.check_data(spec, examples)
        return data

    def _spec_of(self, data: Any) -> Batch:
        """Returns the specification of the batches of data, or raises when they have none."""
        return self._as_batch(element_spec(data, self.event_spec, self.condition_specs))

    def _first_batch(self, data: Any) -> Any:
        """Returns the first batch of a dataset, its values checked; None of examples."""
        if not isinstance(data, tf.data.Dataset):
            return None
        first = next(iter(data), None)
        if first is None:
            raise ValueError(checks.expected("a dataset of at least one batch", "an empty dataset"))
        check_first_batch(first, self.event_spec, self.condition_specs, self._y_name)
        return first

    def prepare_once(self, data: Any, first: Any = None) -> None:
        """Calls `prepare` unless that was done before, in this run or in one that it resumes.

        Args:
            data: `Examples`, or a dataset of batches.
            first: its first batch, where that was read already.
        """
        if self.prepared.numpy():
            return
        if type(self).prepare is not GenerativeModel.prepare:
            first = self._checked_batch(next(iter(data)) if first is None else first)
            with self.distribute_strategy.scope():
                self.prepare(first, data if isinstance(data, Examples) else None)
                for average, layer in self.averages:
                    average.set_weights(layer.get_weights())
        self.prepared.assign(1)

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, **kwargs: Any
    ) -> Any:
        """Returns the means of the terms over one pass, as `keras.Model.evaluate` does.

        Args:
            x, y, batch_size: as for `fit`.
            **kwargs: as in Keras; weights of examples are refused.
        """
        if is_validation(kwargs):
            return super().evaluate(x, y, batch_size, **kwargs)
        check_weights(kwargs)
        check_executions(self.steps_per_execution, kwargs.get("steps"))
        data = as_examples(x, y, batch_size, self.seed, self._y_name)
        spec = self._spec_of(data)
        data = self._one_pass(data)
        self._make_means(spec)
        return super().evaluate(data, **kwargs)

    def _validation(self, data: Any, batch_size: int | None, default: int) -> Any:
        """Returns validation data as a dataset that ends.

        Args:
            data: what `fit` accepts, with conditions of an array as the second of a pair.
            batch_size: if it is chosen.
            default: that of an array.
        """
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        check_weights({"sample_weight": weight})
        rows = x.get("x") if isinstance(x, Mapping) else x
        if isinstance(rows, checks.Shaped):
            size = min(batch_size or default, len(rows))
            data = as_examples(x, y, size, self.seed, self._y_name)
        elif batch_size is not None and isinstance(data, Examples):
            data = data.with_batch_size(batch_size)
        elif batch_size is not None:
            what = "`validation_batch_size` only with arrays and `Examples`"
            raise ValueError(checks.expected(what, type(data).__name__))
        elif data is not None:
            data = as_examples(data, None, None, self.seed, self._y_name)
        return None if data is None else self._one_pass(data)

    def _one_pass(self, data: Any) -> Any:
        """Returns data to evaluate: examples as a dataset that ends, datasets when checked."""
        examples = data if isinstance(data, Examples) else None
        spec = self._spec_of(data)
        check_batches(spec, self.event_spec, self.condition_specs, examples)
        if examples is None:
            self._first_batch(data)
            return data
        self.check_data(spec, examples)
        size = data.steps_per_epoch
        return data.dataset().take(size).apply(tf.data.experimental.assert_cardinality(size))

    def predict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError: a generative model has the verbs that the error names.

        Keras would call the model on the batches, and that gives the terms of its loss.
        """
        able = self.capabilities()
        verbs = ", ".join(verb for verb in VERBS if verb in able)
        raise NotImplementedError(
            f"{type(self).__name__} has no predict; it has {verbs or 'no verb'}"
        )

    predict_on_batch = predict
