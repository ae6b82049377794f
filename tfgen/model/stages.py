"""Models that are trained in stages, one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np

from tfgen.core.checks import Shaped, check_integer, expected
from tfgen.data.batches import as_examples
from tfgen.data.examples import Examples
from tfgen.model.arguments import check_executions, check_weights
from tfgen.model.groups import Optimizer, copied
from tfgen.model.model import GenerativeModel
from tfgen.training.callback import Callback
from tfgen.training.keras_compat import is_validation

DEFAULT_BATCH_SIZE = 128
"""Of a stage that makes its own data, or as many as there are."""


def _same(data: Any) -> Any:
    return data


@dataclass(frozen=True)
class Stage:
    """One stage of a model's training.

    Args:
        name: what prefixes its logs, and its optimizers among the arguments of `compile`.
        model: what it trains; the model that has the stages may be one of them itself.
        data: returns what it trains on, an array or `Examples`, from the data that `fit` was given;
            the same unless given. It is called when the stage begins.
        num_examples: how many that will be; as many as `fit` was given unless given.
        validated: whether it can be evaluated on examples that it does not train on.
    """

    name: str
    model: GenerativeModel
    data: Callable[[Any], Any] = field(default=_same)
    num_examples: int | None = None
    validated: bool = True

    @property
    def learns_data(self) -> bool:
        """Whether it trains on the data that `fit` was given, not on what it makes of them."""
        return self.data is _same


class StagedModel(GenerativeModel):
    """Base of the models that are trained in stages, which `stages` lists.

    `compile`, `fit` and `evaluate` go through all of them. Logs begin with the name of the stage.
    """

    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def stages(self) -> Sequence[Stage]:
        """Returns the stages, in their order."""
        raise NotImplementedError(f"{type(self).__name__} writes no stages")

    def trained_elsewhere(self) -> list[keras.Variable]:
        """Returns the variables of the models of other stages."""
        others = [stage.model for stage in self.stages() if stage.model is not self]
        return [variable for model in others for variable in model.trainable_variables]

    @property
    def training_steps(self) -> int:
        """How many training steps were done, in all stages."""
        return sum(int(stage.model.step.numpy()) for stage in self.stages())

    def compile(
        self, optimizer: Optimizer | str | None = None, **settings: Optimizer | str | Any
    ) -> None:
        """Compiles all stages.

        Args:
            optimizer: of all groups of all stages, each of which gets a copy.
            **settings: `jit_compile`, `run_eagerly` and `steps_per_execution`, for all stages, and
                optimizers by the names that the models of the stages have for them, after that of
                the stage: `glo_generator_optimizer`, or `imle_optimizer` for all groups of a stage.

        Raises:
            TypeError: when a setting is of no stage.
            ValueError: as for every model.
        """
        common = ("jit_compile", "run_eagerly", "steps_per_execution")
        shared = {name: value for name, value in settings.items() if name in common}
        given = {name: value for name, value in settings.items() if name not in common}
        own = _settings_by_stage(self.stages(), given)
        for stage in self.stages():
            compiled = {"optimizer": copied(optimizer)} | own[stage.name] | shared
            if stage.model is self:
                super().compile(**compiled)
            else:
                stage.model.compile(**compiled)
        if not any(stage.model is self for stage in self.stages()):
            super().compile(**shared)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model's own groups; the models of other stages keep their own settings."""
        super().compile(**keras.saving.deserialize_keras_object(config))

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | Mapping[str, int] | None = None,
        epochs: int | Mapping[str, int] = 1,
        verbose: Any = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        initial_epoch: int | Mapping[str, int] = 0,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains one stage after the other.

        Args:
            x, y: as for every model.
            batch_size, epochs, initial_epoch: of all stages, or of each by its name; a stage that
                makes its own data takes batches of 128, or of all that it has, unless given.
            verbose: as for every model.
            callbacks: of all stages, each of which sees its own model; a
                `tfgen.callbacks.Callback` is told the name of the stage.
            steps_per_epoch: of the first stage, when `x` is a dataset.
            **kwargs: `validation_data`, where the stages can be validated.

        Returns:
            A history whose names begin with those of the stages.

        Raises:
            TypeError, ValueError: as for every model, and when a stage is unknown or its number is
                out of range, before any stage begins.
        """
        stages = self.stages()
        validation = self._one_form(_validation_data(stages, kwargs))
        plan = _plan(stages, x, batch_size, epochs, initial_epoch)
        size = plan[stages[0].name].pop("batch_size")
        data = as_examples(x, y, size, self.seed, self._y_name)
        histories = {}
        for number, stage in enumerate(stages):
            if verbose:
                print(f"{stage.name}, stage {number + 1} of {len(stages)}")
            own = plan[stage.name]
            model, first = stage.model, number == 0
            train = super().fit if model is self else model.fit
            histories[stage.name] = train(
                _stage_data(stage, data, own.pop("batch_size", None)),
                verbose=verbose,
                callbacks=[_within(callback, stage, self) for callback in callbacks or []],
                steps_per_epoch=steps_per_epoch if first else None,
                validation_data=None if validation is None else _stage_data(stage, validation),
                **own,
            )
        self.history = _joined_history(self, histories)
        return self.history

    def _one_form(self, validation: Any) -> Any:
        """Returns arrays, alone or with conditions, as Examples, and other data as they are."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(validation)
        check_weights({"sample_weight": weight})
        if not isinstance(x, Shaped):
            return validation
        size = min(DEFAULT_BATCH_SIZE, len(x))
        return as_examples(x, y, size, self.seed, self._y_name)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Returns the means of the terms of all stages, as `keras.Model.evaluate` does.

        Args:
            x, y, batch_size: as for every model.
            return_dict: whether to return them by name, each after the name of its stage.
            **kwargs: as in Keras.
        """
        if is_validation(kwargs):
            return super().evaluate(x, y, batch_size, return_dict=return_dict, **kwargs)
        data = as_examples(x, y, batch_size, self.seed, self._y_name)
        found = {}
        for stage in self.stages():
            evaluate = super().evaluate if stage.model is self else stage.model.evaluate
            logs = evaluate(_stage_data(stage, data), return_dict=True, **kwargs)
            found |= {f"{stage.name}_{name}": value for name, value in logs.items()}
        return found if return_dict else list(found.values())


def _settings_by_stage(
    stages: Sequence[Stage], given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Returns the settings of each stage under the names that its model has for them."""
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError(expected("stages of different names", names))
    if len({id(stage.model) for stage in stages}) < len(names):
        raise ValueError(expected("stages of different models", names))
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    for name, value in given.items():
        # The longest, as the name of a stage may begin with that of another.
        stage = max((n for n in names if name.startswith(f"{n}_")), key=len, default=None)
        if stage is None:
            raise TypeError(expected(f"settings that begin with one of {names}", name))
        own[stage][name.removeprefix(f"{stage}_")] = value
    return own


def _within(callback: Any, stage: Stage, whole: StagedModel) -> Any:
    if not isinstance(callback, Callback):
        return callback
    return callback.within(stage.name, whole, stage.learns_data)


def _stage_data(stage: Stage, data: Any, batch_size: int | None = None) -> Any:
    """Returns what a stage trains on, as Examples where it is an array."""
    own = stage.data(data)
    if isinstance(own, Shaped):
        size = batch_size or min(DEFAULT_BATCH_SIZE, stage.num_examples or len(own))
        return Examples(own, batch_size=size, seed=stage.model.seed)
    if batch_size and isinstance(own, Examples):
        return own.with_batch_size(batch_size)
    return own


def _plan(
    stages: Sequence[Stage], x: Any, batch_size: Any, epochs: Any, initial_epoch: Any
) -> dict[str, dict[str, Any]]:
    """Returns the numbers of each stage, checked."""
    sizes = _by_stage("batch_size", batch_size, stages)
    plan = {}
    for number, stage in enumerate(stages):
        name = stage.name
        own = {
            "epochs": _by_stage("epochs", epochs, stages).get(name, 1),
            "initial_epoch": _by_stage("initial_epoch", initial_epoch, stages).get(name, 0),
            "batch_size": sizes.get(name),
        }
        check_integer(f"epochs[{name!r}]", own["epochs"], minimum=0)
        check_integer(f"initial_epoch[{name!r}]", own["initial_epoch"], minimum=0)
        if number > 0:
            chosen = isinstance(batch_size, Mapping)
            own["batch_size"] = _size_of_later(stage, own["batch_size"], x, chosen)
            _check_executions_of_later(stage, own["batch_size"])
        plan[name] = own
    return plan


def _size_of_later(stage: Stage, given: int | None, x: Any, chosen: bool) -> int | None:
    """Returns the batch size of a stage whose data may be fewer than those of the first."""
    most = stage.num_examples
    if most is None and isinstance(x, Shaped | Examples):
        most = len(x)
    if given is not None:
        check_integer(f"batch_size[{stage.name!r}]", given)
    if most is None:
        return given
    if given is not None and given > most and chosen:
        raise ValueError(expected(f"`batch_size[{stage.name!r}]` <= {most}", given))
    return given if given is None else min(given, most)


def _check_executions_of_later(stage: Stage, batch_size: int | None) -> None:
    """Raises ValueError, before the first stage begins, as `fit` of a later stage would."""
    if most := stage.num_examples:
        size = batch_size or min(DEFAULT_BATCH_SIZE, most)
        check_executions(stage.model.steps_per_execution, most // size)


def _by_stage(name: str, given: Any, stages: Sequence[Stage]) -> dict[str, Any]:
    """Returns the number of each stage that has one."""
    names = [stage.name for stage in stages]
    if not isinstance(given, Mapping):
        return {} if given is None else dict.fromkeys(names, given)
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(expected(f"`{name}` by stage, among {names}", unknown))
    return dict(given)


def _validation_data(stages: Sequence[Stage], arguments: dict[str, Any]) -> Any:
    """Returns the validation data; raises TypeError or ValueError when stages cannot use them."""
    check_weights(arguments)
    given = {name: value for name, value in arguments.items() if value is not None}
    validation = given.pop("validation_data", None)
    if given:
        raise TypeError(expected("no other arguments of Keras' `fit` in stages", sorted(given)))
    closed = [stage.name for stage in stages if not stage.validated]
    if validation is not None and closed:
        what = f"no `validation_data`: {' and '.join(closed)} learn about their own examples only"
        raise TypeError(expected(what, type(validation).__name__))
    return validation


def _joined_history(
    model: keras.Model, histories: Mapping[str, keras.callbacks.History]
) -> keras.callbacks.History:
    joined = keras.callbacks.History()
    joined.set_model(model)
    joined.history = {
        f"{stage}_{name}": np.asarray(values).tolist()
        for stage, history in histories.items()
        for name, values in history.history.items()
    }
    return joined
