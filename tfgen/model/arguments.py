"""Arguments of Keras' `fit` and `evaluate` that a generative model refuses, and why."""

from collections.abc import Sequence
from typing import Any

import keras

from tfgen.core.checks import expected
from tfgen.data.examples import Examples


def check_weights(given: dict[str, Any]) -> None:
    """Raises ValueError when examples are to be weighted."""
    for name in ("class_weight", "sample_weight"):
        if given.get(name) is not None:
            what = f"no `{name}`: what is to count more has to occur more often in the data"
            raise ValueError(expected(what, type(given[name]).__name__))


def check_fit(given: dict[str, Any], data: Any, callbacks: Sequence[Any]) -> None:
    """Raises ValueError when `fit` cannot do what arguments or callbacks ask for.

    Args:
        given: the arguments, by name.
        data: `Examples` or a dataset.
        callbacks: of `fit`.
    """
    check_weights(given)
    if given.get("validation_split"):
        what = "no `validation_split`, but fit(x[100:], validation_data=x[:100]), say"
        raise ValueError(expected(what, given["validation_split"]))
    shuffle, is_examples = given.get("shuffle"), isinstance(data, Examples)
    if is_examples and shuffle not in (None, True):
        what = "a dataset, if examples are not to be shuffled by the seed and the epoch"
        raise ValueError(expected(what, f"shuffle={shuffle!r}"))
    if not is_examples and shuffle not in (None, False):
        what = "a dataset that shuffles itself, by `dataset.shuffle`"
        raise ValueError(expected(what, f"shuffle={shuffle!r}"))
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        what = "tfgen.callbacks.Checkpoint, which goes on with the data of its epoch"
        raise ValueError(expected(what, "BackupAndRestore, which begins with those of the first"))


def check_executions(steps_per_execution: int, steps: int | None) -> None:
    """Raises ValueError unless executions of several steps each fit into a pass.

    Args:
        steps_per_execution: as `compile` was given.
        steps: of the pass, None when its data say when it ends.
    """
    if steps is not None and steps % steps_per_execution:
        what = f"`steps_per_execution` that divides {steps}, the steps of a pass"
        raise ValueError(expected(what, steps_per_execution))


def check_steps(
    steps_per_execution: int, data: Any, steps_per_epoch: int | None, given: dict[str, Any]
) -> None:
    """Raises ValueError unless the steps of an epoch are those of its data, and executions fit.

    Args:
        steps_per_execution: as `compile` was given.
        data: `Examples` or a dataset.
        steps_per_epoch: as `fit` was given.
        given: its other arguments, by name.
    """
    steps = steps_per_epoch
    if isinstance(data, Examples):
        steps = data.steps_per_epoch
        if steps_per_epoch not in (None, steps):
            what = f"no `steps_per_epoch`, or {steps}, the batches of the array"
            raise ValueError(expected(what, steps_per_epoch))
    check_executions(steps_per_execution, steps)
    check_executions(steps_per_execution, given.get("validation_steps"))
