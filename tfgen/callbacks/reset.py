"""Optimizers begun anew at each epoch, as some published recipes do."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, check_member, check_positive, expected
from tfgen.training.callback import Callback
from tfgen.training.keras_compat import learning_rate_variable
from tfgen.training.optimize import without_scale


class ResetOptimizers(Callback):
    """Zeroes the state of optimizers at each epoch, and halves their learning rates every so often.

    GLANN's reference code makes its optimizers anew each epoch: their moments and step counts are
    lost, and the first step of an epoch has the full size of Adam's very first.

    Args:
        learning_rates: the initial rate of each group, e.g. `{"generator": 1e-3, "latents": 1e-2}`.
            Groups that are not named keep their optimizer as it is.
        halve_every: epochs after which the rates are halved, > 0; None for never.
        stage: of a model that is trained in stages, the only one it is for, e.g. "glo" of GLANN.

    Raises:
        TypeError: when `halve_every` is not an integer.
        ValueError: when a number is not > 0; when training begins, if the model has no such group
            or its learning rate is a schedule.
    """

    def __init__(
        self,
        learning_rates: Mapping[str, float],
        halve_every: int | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__()
        for group, rate in learning_rates.items():
            check_positive(f"learning_rates[{group!r}]", rate)
        if halve_every is not None:
            check_integer("halve_every", halve_every)
        self.learning_rates = dict(learning_rates)
        self.halve_every = halve_every
        self.only_stage = stage

    def _is_for_stage(self) -> bool:
        return not self.stage or self.only_stage in (None, self.stage)

    def _optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """Returns the optimizers to reset in this stage, by group, without their loss scales.

        The loss scale around an optimizer, which float16 needs, is no state of the optimizer.
        """
        if not self._is_for_stage():
            return {}
        return {g: without_scale(self.model.optimizer_of(g)) for g in self.learning_rates}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._is_for_stage():
            for group in self.learning_rates:
                check_member("group", group, self.model.groups)
        for group, optimizer in self._optimizers().items():
            if isinstance(optimizer.get_config()["learning_rate"], dict):
                raise ValueError(expected(f"a constant learning rate of {group}", "a schedule"))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        halvings = epoch // self.halve_every if self.halve_every else 0
        for group, optimizer in self._optimizers().items():
            rate = learning_rate_variable(optimizer)
            for variable in optimizer.variables:
                if variable is not rate:
                    variable.assign(tf.zeros_like(variable.value))
            optimizer.learning_rate = self.learning_rates[group] * 0.5**halvings
