"""The one file that touches names that Keras keeps private."""

from typing import Any

import keras

from tfgen.training.optimize import without_scale


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
