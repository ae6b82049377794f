"""The history of a run in a CSV file: every term at each epoch, and how long it took."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import runner

from tfgen.callbacks import Callback
from tfgen.core.files import write_text


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

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not runner.is_chief():
            return
        now, stage = time.perf_counter(), self.stage or self.name
        logs = (logs or {}) | {"seconds": now - self._began}
        self._began = now
        rows = [
            row
            for row in read_history(self.path)
            if row["stage"] != stage or int(row["epoch"]) <= epoch
        ]
        for term, value in logs.items():
            rows.append(
                {
                    "stage": stage,
                    "epoch": epoch + 1,
                    "term": term,
                    "value": float(np.mean(value)),
                }
            )
        text = io.StringIO()
        writer = csv.DictWriter(text, ["stage", "epoch", "term", "value"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())


def read_history(path: Path) -> list[dict[str, str]]:
    """Returns the lines that `HistoryFile` wrote: stage, epoch, term, value."""
    if not path.exists():
        return []
    with path.open() as lines:
        return list(csv.DictReader(lines))


def training_seconds(path: Path) -> dict[str, float]:
    """Returns the seconds of all epochs of each stage in a history, whichever process ran them."""
    seconds: dict[str, float] = {}
    for row in read_history(path):
        if row["term"] == "seconds":
            seconds[row["stage"]] = seconds.get(row["stage"], 0.0) + float(row["value"])
    return {stage: round(value, 1) for stage, value in seconds.items()}
