"""The one file that touches names that Keras keeps private."""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfgen.training.optimize import without_scale

# Of each thread, as replicas take turns in threads: `keep(layer, losses)`, None outside of blocks.
_listening = threading.local()


def flatten_layers(
    layer: keras.layers.Layer, include_self: bool = True, recursive: bool = True
) -> list[keras.layers.Layer]:
    """Returns the layers inside a layer: there is no public list of those of any layer."""
    return list(layer._flatten_layers(include_self=include_self, recursive=recursive))


def learning_rate_variable(optimizer: keras.optimizers.Optimizer) -> keras.Variable | None:
    """Returns the variable of a constant learning rate, None where it is a schedule's.

    `optimizer.learning_rate` is a number or a tensor, and cannot be told from other variables.
    """
    rate = without_scale(optimizer)._learning_rate
    return rate if isinstance(rate, keras.Variable) else None


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Returns the place of a variable among those of an optimizer, as its own steps look it up."""
    return optimizer._get_variable_index(variable)


def untrack(layer: keras.layers.Layer, part: Any) -> None:
    """Makes Keras forget a part that is replaced, whose weights it would go on counting."""
    layer._tracker.untrack(part)


@contextlib.contextmanager
def added_losses(layers: Iterable[keras.layers.Layer]) -> Iterator[list[tf.Tensor]]:
    """Yields a list that gets what layers add to their losses within a block, in all their calls.

    Keras itself keeps those of a layer's last call, and mixes those of replicas. What is added in a
    `keras.StatelessScope` is not counted.

    Args:
        layers: with the layers inside them.
    """
    parts = {id(part): part for layer in layers for part in flatten_layers(layer)}
    for part in parts.values():
        if "add_loss" not in vars(part):
            object.__setattr__(part, "add_loss", partial(_add_loss, part))
    found: list[tf.Tensor] = []
    outer = getattr(_listening, "keep", None)
    _listening.keep = lambda layer, losses: found.extend(losses if id(layer) in parts else ())
    try:
        yield found
    finally:
        _listening.keep = outer


def _add_loss(layer: keras.layers.Layer, loss: Any) -> None:
    """Stands in for a layer's method of that name."""
    before = len(layer._losses)
    type(layer).add_loss(layer, loss)
    if keep := getattr(_listening, "keep", None):
        keep(layer, layer._losses[before:])


def is_validation(arguments: dict[str, Any]) -> bool:
    """Tells whether `evaluate` was called by `fit`, by an argument that only `fit` gives."""
    return bool(arguments.get("_use_cached_eval_dataset"))


class BuiltWhenMade(keras.Model):
    """A model that has its weights from the start."""

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing, as the model is built.

        Keras would first average a batch over all workers, which it cannot do with dictionaries.
        """

    def check_compiled(self, method: str) -> None:
        """Raises ValueError unless `compile` was called, as Keras does."""
        self._assert_compile_called(method)
