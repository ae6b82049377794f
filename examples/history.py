"""The history of a run in a CSV file, with the time that each epoch took, and lines of progress."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import runner
from absl import flags

from tfgen.callbacks import Callback
from tfgen.core.files import write_text

FLAGS = flags.FLAGS

COLUMNS = ["stage", "epoch", "term", "value"]
MANY_EPOCHS = 200
"""Of more, bars of progress would be too many lines."""


class HistoryFile(Callback):
    """Keeps the mean of every logged term at each epoch, and its seconds, in a CSV file.

    A resumed run replaces the lines of the epochs that it does again.

    Args:
        path: of the file.
        name: what the lines of this training are called, unless it is a stage of several.
    """

    def __init__(self, path: Path, name: str = "training") -> None:
        super().__init__()
        self.path = path
        self.name = name

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # An epoch's seconds run from here, as a model may work before its first batch.
        self._began = time.perf_counter()
        self._is_first = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not runner.is_chief():
            return
        now, stage = time.perf_counter(), self.stage or self.name
        logs = (logs or {}) | {"seconds": now - self._began}
        self._began = now
        rows = [[stage, epoch + 1, term, float(np.mean(value))] for term, value in logs.items()]
        if self._is_first:
            before = [
                [row[column] for column in COLUMNS]
                for row in read_history(self.path)
                if row["stage"] != stage or int(row["epoch"]) <= epoch
            ]
            write_text(self.path, _as_csv([COLUMNS, *before, *rows]))
            self._is_first = False
        else:
            with self.path.open("a") as file:
                file.write(_as_csv(rows))


def _as_csv(rows: list[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_history(path: Path) -> list[dict[str, str]]:
    """Returns the lines that `HistoryFile` wrote: stage, epoch, term, value.

    The last line of a run that was killed may be a part of one; it is left out.
    """
    if not path.exists():
        return []
    with path.open() as file:
        whole = [line for line in file if line.endswith("\n")]
    return list(csv.DictReader(whole))


def training_seconds(path: Path) -> dict[str, float]:
    """Returns the seconds of all epochs of each stage in a history, whichever process ran them."""
    seconds: dict[str, float] = {}
    for row in read_history(path):
        if row["term"] == "seconds":
            seconds[row["stage"]] = seconds.get(row["stage"], 0.0) + float(row["value"])
    return {stage: round(value, 1) for stage, value in seconds.items()}


class FewLines(Callback):
    """Prints a line for every twentieth of the epochs."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done, epochs = epoch + 1, self.params["epochs"]
        if done % max(1, epochs // 20) and done != epochs:
            return
        terms = ", ".join(f"{name} {np.mean(value):.4g}" for name, value in (logs or {}).items())
        stage = f"{self.stage}: " if self.stage else ""
        print(f"{stage}epoch {done} of {epochs}: {terms}", flush=True)


def progress(epochs: int) -> tuple[int, list[Callback]]:
    """Returns what `fit` takes as `verbose`, and what shows the progress in its place."""
    if FLAGS.verbose == 1 and epochs > MANY_EPOCHS:
        return 0, [FewLines()]
    return FLAGS.verbose, []
