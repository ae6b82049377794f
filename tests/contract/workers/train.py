"""Trains cases with checkpoints, perhaps to be killed, and writes the states they end with.

Usage: python -m tests.contract.workers.train FOLDER [CASE STAGE BATCH]

Writes FOLDER/CASE.pickle for each case in turn, sheets of samples to FOLDER/CASE_sheets, and passes
over cases that are written. With CASE, STAGE and BATCH the process kills itself after that many
batches of a stage, "all" of a model without stages, of that case.
"""

import os
import pickle
import signal
import sys
from pathlib import Path

import keras
import tensorflow as tf

from tests.contract import cases
from tfgen.callbacks import Callback, Checkpoint, SampleGrid

FITS = {
    "glann": {"epochs": {"glo": 4, "imle": 5}},
    "gan_conditional": {"epochs": 4},
    "gan_regularized": {"epochs": 2},
    "began": {"epochs": 2},
    "bigan": {"epochs": 2},
    "levels_vae": {"epochs": 2},
    "fitted_sampler": {"epochs": {"autoencoder": 2, "sampler": 3}},
    "vaegan": {"epochs": 2},
    "flow_images": {"epochs": 2},
    "flow_residual": {"epochs": 3},
    "tokens": {"epochs": 2},
    "codebook": {"epochs": {"codes": 3, "prior": 3}},
    "mixture": {"epochs": 5, "batch_size": 7},
}


class Killer(Callback):
    """Kills the process after some batches of a stage, as a machine that fails would."""

    def __init__(self, stage: str, batches: int) -> None:
        super().__init__()
        self.wanted, self.batches = stage, batches

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.wanted == (self.stage or "all"):
            self.batches -= 1
            if self.batches == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def train(name: str, folder: Path, others: list[keras.callbacks.Callback]) -> None:
    """Trains a case from its last checkpoint to the end, or to death."""
    case = cases.named(name)
    model = case.compiled()
    sheets = SampleGrid(folder / f"{name}_sheets", num_samples=4)
    callbacks = [Checkpoint(folder / name), sheets, *others]
    case.train(model, callbacks=callbacks, **FITS[name])
    state = cases.training_state(case, model)
    written = {"state": state, "samples": model.sample(4, seed=0).numpy()}
    (folder / f"{name}.pickle").write_bytes(pickle.dumps(written))


def main(folder: str, case: str = "", stage: str = "", batches: str = "0") -> None:
    """Trains all cases that are not written."""
    tf.config.experimental.enable_op_determinism()  # Threads add up in any order otherwise.
    Path(folder).mkdir(exist_ok=True)
    for name in FITS:
        if not Path(folder, f"{name}.pickle").exists():
            killers = [Killer(stage, int(batches))] if name == case else []
            train(name, Path(folder), killers)


if __name__ == "__main__":
    main(*sys.argv[1:])
