"""Checkpoints from which a killed run goes on, bit for bit."""

import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_integer, expected
from tfgen.core.files import check_writable
from tfgen.training.callback import Callback


class CheckpointError(ValueError):
    """Raised when a checkpoint is truncated, or is not one of this model."""


def drop_latest(directory: str | os.PathLike) -> None:
    """Removes the latest of two checkpoints, e.g. one of weights that had begun to diverge.

    Args:
        directory: of a `Checkpoint`.

    Raises:
        CheckpointError: when there are no two checkpoints.
    """
    state = tf.train.get_checkpoint_state(str(directory))
    paths = list(state.all_model_checkpoint_paths) if state else []
    if len(paths) < 2:
        raise CheckpointError(expected(f"two checkpoints in {directory}", f"{len(paths)}"))
    *kept, latest = paths
    tf.compat.v1.train.update_checkpoint_state(str(directory), kept[-1], kept)
    for path in Path(latest).parent.glob(f"{Path(latest).name}.*"):
        path.unlink()


class Checkpoint(Callback):
    """Saves all the state of training at the ends of epochs, and restores it when `fit` begins.

    Saved are the weights, the optimizers, the step that seeds the training noise, and whatever else
    a model keeps in variables (latent tables, assignments, moving averages). A checkpoint is
    written under a temporary name and becomes the latest by a rename, so that a run killed at any
    moment finds a whole one. A run that goes on from a checkpoint sees the batches that an
    uninterrupted one would, when its data come from `tfgen.data` or from arrays.

    A constant learning rate is that of `compile`, so that a run which diverged can go on with a
    smaller one; the last two checkpoints are kept, and `drop_latest` goes back to the first. Each
    stage of a model that is trained in stages has a directory of its own, inside this one.

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
        self._manager: tf.train.CheckpointManager | None = None

    def restore(self, model: keras.Model) -> int:
        """Restores the latest checkpoint, if there is one, and returns the epochs it had done.

        Args:
            model: a compiled model, into whose variables the checkpoint is read.

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
        checkpoint = tf.train.Checkpoint(state=state, epoch=self._epoch)
        latest = _latest(place)
        # All workers take part in saving; what the others than the chief write is not kept.
        directory = place if _is_chief(model) else tempfile.mkdtemp()
        self._manager = tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=2)
        if latest is not None:
            _restore(checkpoint, latest)
        return int(self._epoch.numpy())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done = epoch + 1
        if done % self.every == 0 or done == self.params["epochs"]:
            self._save(done)

    def _save(self, epochs_done: int) -> None:
        self._epoch.assign(epochs_done)
        self._manager.save(checkpoint_number=epochs_done)


def _latest(directory: Path) -> str | None:
    """Returns the path of the latest checkpoint, None when there never was one.

    TensorFlow would pass over files that are missing or broken, and training begin anew.
    """
    index = directory / "checkpoint"
    if not index.exists():
        return None
    try:
        latest = tf.train.latest_checkpoint(str(directory))
    except (tf.errors.OpError, ValueError):
        latest = None
    if latest is None:
        raise CheckpointError(
            expected(f"the files of the checkpoint that {index} names", "missing or broken files")
        )
    return latest


def _restore(checkpoint: tf.train.Checkpoint, path: str) -> None:
    try:
        status = checkpoint.restore(path)
        status.assert_existing_objects_matched()
        status.assert_consumed()
    except (tf.errors.OpError, ValueError, LookupError, RuntimeError, AssertionError) as error:
        raise CheckpointError(
            expected(
                "a whole checkpoint of this model, compiled with these optimizers (remove the "
                "directory to start anew)",
                f"{path}: {str(error).splitlines()[0]}",
            )
        ) from error


def _is_chief(model: keras.Model) -> bool:
    resolver = getattr(model.distribute_strategy, "cluster_resolver", None)
    return resolver is None or (resolver.task_id or 0) == 0
