"""The optimizers of a model's groups, as callbacks see them that know of one optimizer."""

from collections.abc import Mapping
from typing import Any

import keras


class Optimizers:
    """What `model.optimizer` is where each group has an optimizer of its own.

    Keras' callbacks go through `optimizers`, and treat each by itself; others read and set one
    `learning_rate`. It owns nothing: files and checkpoints hold the optimizers themselves.

    Args:
        by_group: each optimizer, by the name of its group; at least one.

    Attributes:
        optimizers: each under the name of its group, with the attributes of the optimizer.
    """

    def __init__(self, by_group: Mapping[str, keras.optimizers.Optimizer]) -> None:
        self.optimizers = [_Named(group, optimizer) for group, optimizer in by_group.items()]

    @property
    def learning_rate(self) -> Any:
        """That of the first group; setting it changes those of all groups in proportion."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        before = [float(each.learning_rate) for each in self.optimizers]
        for each, own in zip(self.optimizers, before, strict=True):
            each.learning_rate = rate * (own / before[0]) if before[0] else rate

    @property
    def iterations(self) -> keras.Variable:
        """How many steps the optimizer of the first group has taken."""
        return self.optimizers[0].iterations

    @property
    def built(self) -> bool:
        """Whether all have their variables, which `model.summary` asks."""
        return all(each.built for each in self.optimizers)

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of all."""
        return [variable for each in self.optimizers for variable in each.variables]


class _Named:
    """An optimizer under the name of its group: that of its own may be another's, too."""

    def __init__(self, name: str, optimizer: keras.optimizers.Optimizer) -> None:
        self.name = name
        self._optimizer = optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    @property
    def learning_rate(self) -> Any:
        return self._optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        self._optimizer.learning_rate = rate
