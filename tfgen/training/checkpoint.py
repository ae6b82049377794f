"""Checkpoints from which a killed run goes on, bit for bit."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, expected
from tfgen.core.files import check_writable
from tfgen.training import checkpoint_files as files
from tfgen.training.callback import Callback
from tfgen.training.fingerprint import differences, fingerprint


class CheckpointError(ValueError):
    """Raised when a checkpoint is truncated, or is not one of this model."""


def drop_latest(directory: str | os.PathLike) -> None:
    """Removes the latest of two checkpoints, e.g. a damaged one, or one that began to diverge.

    Args:
        directory: of a `Checkpoint`; of a model that is trained in stages, that of the stage.

    Raises:
        CheckpointError: when there are no two checkpoints.
    """
    numbers = files.whole(Path(directory))
    if len(numbers) < 2:
        raise CheckpointError(expected(f"two checkpoints in {directory}", f"{len(numbers)}"))
    files.remove(Path(directory), keep=numbers[:-1])


class Checkpoint(Callback):
    """Saves all the state of training at the ends of epochs, and restores it when `fit` begins.

    It saves the weights, the optimizers, the step that seeds the training noise, and whatever else
    a model keeps in variables (latent tables, assignments, moving averages). A checkpoint is
    written under a temporary name and becomes the latest by a rename, so that a run killed at any
    moment finds a whole one. A run that goes on from a checkpoint sees the batches that an
    uninterrupted one would, when its data come from `tfgen.data` or from arrays.

    A run goes on only from a checkpoint of one like it: with the same settings of the model,
    classes of optimizers, seed, batch size and data (of which 64 examples are compared). It may
    have another learning rate, number of epochs, strategy or way of compilation, so that a run
    which diverged can go on with smaller steps. The last two checkpoints are kept, and
    `drop_latest` goes back to the first. Each stage of a model that is trained in stages has a
    directory of its own, inside this one.

    `fit` saves last of what it does at the end of an epoch, whatever the order of its callbacks.

    Args:
        directory: where to write; made if it does not exist.
        every: epochs between checkpoints, > 0. The last epoch is always saved.

    Raises:
        OSError: when the directory cannot be written, before training begins.
        CheckpointError: when the latest checkpoint cannot be restored.
    """

    def __init__(self, directory: str | os.PathLike, every: int = 1) -> None:
        super().__init__()
        check_integer("every", every)
        self.directory = Path(directory)
        self.every = every
        self._epoch: tf.Variable | None = None
        self._checkpoint: tf.train.Checkpoint | None = None
        self._made_with: dict[str, Any] = {}
        self._is_chief = True

    def restore(self, model: keras.Model, data: Mapping[str, Any] | None = None) -> int:
        """Restores the latest checkpoint, if there is one, and returns the epochs it had done.

        Args:
            model: a compiled model, into whose variables the checkpoint is read.
            data: what tells the data that it is trained on from others, by name; not compared
                unless given.

        Raises:
            OSError: when the directory cannot be written.
            CheckpointError: when the latest checkpoint is not whole, or not one of this model.
        """
        place = self.directory / self.stage
        check_writable(place)
        with model.distribute_strategy.scope():
            self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        # A flat list: TensorFlow does not follow the layers that Keras finds in lists and dicts.
        state = [variable.value for variable in model.training_state]
        self._checkpoint = tf.train.Checkpoint(state=state, epoch=self._epoch)
        self._made_with = fingerprint(model) | ({} if data is None else {"data": dict(data)})
        self._is_chief = _is_chief(model)
        if numbers := files.whole(place):
            _check_same(place, numbers[-1], self._made_with)
            _restore(self._checkpoint, place, numbers)
        return int(self._epoch.numpy())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done = epoch + 1
        if done % self.every == 0 or done == self.params["epochs"]:
            self._save(done)

    def _save(self, epochs_done: int) -> None:
        self._epoch.assign(epochs_done)
        self._checkpoint.save_counter.assign(epochs_done)
        if not self._is_chief:
            # All workers take part in saving; what the others than the chief write is not kept.
            with tempfile.TemporaryDirectory() as folder:
                self._checkpoint.write(f"{folder}/ckpt")
            return
        place = self.directory / self.stage
        files.write(place, epochs_done, self._checkpoint.write, self._made_with)
        files.remove(place, keep=files.whole(place)[-2:])


def _check_same(place: Path, number: int, made_with: Mapping[str, Any]) -> None:
    """Raises CheckpointError unless a checkpoint was made as a run is, as far as it says how."""
    found = list(differences(files.made_with(place, number), made_with))
    if found:
        path = files.prefix(place, number)
        raise CheckpointError(
            expected(
                "a checkpoint of a run like this one (to start anew, remove the directory or take "
                f"another; to go on nonetheless, remove {path.name}.json)",
                f"{path}, which differs in {'; '.join(found[:5])}",
            )
        )


def _restore(checkpoint: tf.train.Checkpoint, place: Path, numbers: Sequence[int]) -> None:
    """Reads the latest of some checkpoints."""
    path = files.prefix(place, numbers[-1])
    try:
        with files.readable(place, numbers[-1]) as prefix:
            status = checkpoint.restore(prefix)
            status.assert_existing_objects_matched()
            status.assert_consumed()
    except (tf.errors.OpError, ValueError, LookupError, RuntimeError, AssertionError) as error:
        back = "remove the directory to start anew"
        if len(numbers) > 1:
            back = f"tfgen.callbacks.drop_latest({str(place)!r}) goes back to the one before"
        reason = str(error).splitlines()[0].replace(prefix, str(path))
        raise CheckpointError(
            expected(
                f"a whole checkpoint of this model, compiled with these optimizers ({back})",
                f"{path}: {reason}",
            )
        ) from error


def _is_chief(model: keras.Model) -> bool:
    resolver = getattr(model.distribute_strategy, "cluster_resolver", None)
    return resolver is None or (resolver.task_id or 0) == 0
