"""NaN and infinity in data or losses: found before they reach a weight, and named."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfgen.core.checks import expected, failed_check

NOT_FINITE = expected("finite numbers", "NaN or infinity in")


class NonFiniteError(ArithmeticError):
    """Raised by `fit` when a batch of data or a loss holds a NaN or an infinity."""


def assert_finite(value: tf.Tensor, what: str) -> tf.Operation:
    """Returns an operation that fails, saying `what`, when `value` holds a NaN or an infinity.

    XLA drops such operations: the check on the logs in `GenerativeModel.fit` then finds it.
    """
    finite = tf.reduce_all(tf.math.is_finite(value))
    return tf.debugging.Assert(finite, [f"{NOT_FINITE} {what}"])


def loss_title(name: str) -> str:
    """Returns what messages call the loss of an update."""
    return "the loss" if name == "loss" else f"the loss of {name}"


def _is_finite(variable: keras.Variable) -> bool:
    value = variable.value
    return not value.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(value)))


class FiniteGuard(keras.callbacks.Callback):
    """Turns numbers that are not finite into an error that names the epoch and the batch.

    Args:
        has_checkpoints: whether the run writes checkpoints, to which the error may point.
    """

    def __init__(self, has_checkpoints: bool = False) -> None:
        super().__init__()
        self._has_checkpoints = has_checkpoints
        self._epoch = 0
        self._batch = 0
        self._watched: list[keras.Variable] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._watched = [weight for weight in self.model.weights if _is_finite(weight)]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch, self._batch = epoch, 0

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._batch = batch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not self.model.jit_compile:
            return  # The step itself checks, before it moves a variable.
        for name, value in (logs or {}).items():
            if not tf.reduce_all(tf.math.is_finite(value)):
                raise self._error(loss_title(name))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Looks at weights and other state: an infinite variance leaves the loss finite."""
        for weight in self._watched:
            if not _is_finite(weight):
                raise self._error(f"the variable {weight.path!r}")

    @contextlib.contextmanager
    def naming_the_batch(self) -> Iterator[None]:
        """Turns the failure of a check in the step into an error that names the batch.

        That of `assert_finite` becomes a NonFiniteError, of others that have the form "Expected ...
        Received: ..." a ValueError.
        """
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            _, found, rest = str(error).partition(NOT_FINITE)
            if found:
                raise self._error(rest.splitlines()[0].strip(" ']")) from None
            message = failed_check(error)
            if message is None:
                raise
            raise ValueError(f"{message} at {self._where()}.") from None

    def _where(self) -> str:
        first, together = self._batch + 1, self.model.steps_per_execution
        batch = f"batch {first}" if together == 1 else f"batches {first} to {first + together - 1}"
        return f"epoch {self._epoch + 1}, {batch}"

    def _advice(self, what: str) -> str:
        """Returns what to do; nothing of data."""
        if what == "the data":
            return ""
        if self.model.training_steps == 0:
            return "No step was done yet: look at the scale of the data and the initial weights. "
        return (
            "A learning rate that is lower or warms up, or an optimizer with `clipnorm`, may help. "
        )

    def _error(self, what: str) -> NonFiniteError:
        hint = "The last checkpoint is unharmed."
        if not self._has_checkpoints:
            hint = "With a tfgen.callbacks.Checkpoint, a run can go on from the epoch before."
        elif self._batch == 0:  # The last step before it may have thrown the weights far off.
            hint = "If the last checkpoint leads here again, tfgen.callbacks.drop_latest goes back."
        return NonFiniteError(f"{NOT_FINITE} {what} at {self._where()}. {self._advice(what)}{hint}")
