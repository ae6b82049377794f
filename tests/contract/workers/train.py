"""Trains a case with checkpoints, perhaps to be killed, and writes the state it ends with.

Usage: python -m tests.contract.workers.train CASE CHECKPOINTS STATE.pickle [STAGE BATCH]

Sheets of samples are written to CHECKPOINTS_sheets.

With a STAGE, one of the case's, the process kills itself after that many batches of it.
"""

import os
import pickle
import signal
import sys
from pathlib import Path

import keras
import tensorflow as tf

from tests.contract import cases
from tfgen.callbacks import Checkpoint, SampleGrid

FITS = {
    "glann": {"epochs": 4, "imle_epochs": 5},
    "gan_conditional": {"epochs": 4},
    "began": {"epochs": 2},
    "bigan": {"epochs": 2},
}


class Killer(keras.callbacks.Callback):
    """Kills the process after some batches of a stage, as a machine that fails would."""

    def __init__(self, stage: str, batches: int, here: bool = False) -> None:
        super().__init__()
        self.stage, self.batches, self.here = stage, batches, here

    def within(self, stage: str) -> "Killer":
        return Killer(self.stage, self.batches, here=stage == self.stage)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.batches -= self.here
        if self.here and self.batches == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(name: str, checkpoints: str, state: str, *kill: str) -> None:
    """Trains from the last checkpoint to the end, or to death."""
    tf.config.experimental.enable_op_determinism()  # Threads add up in any order otherwise.
    case = cases.named(name)
    model = case.compiled()
    callbacks = [Checkpoint(checkpoints), SampleGrid(f"{checkpoints}_sheets", num_samples=4)]
    if kill:
        callbacks.append(Killer(kill[0], int(kill[1]), here=kill[0] == "all"))
    case.train(model, callbacks=callbacks, **FITS[name])
    trained = cases.training_state(case, model)
    samples = model.sample(4, seed=0).numpy()
    Path(state).write_bytes(pickle.dumps({"state": trained, "samples": samples}))


if __name__ == "__main__":
    main(*sys.argv[1:])
