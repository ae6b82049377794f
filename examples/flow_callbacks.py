"""Held-out bits per dimension while a flow trains, and a limit of its time."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from history import read_history

import tfgen
from tfgen.callbacks import Callback


class HeldOut(Callback):
    """Logs bits per dimension of some examples after each epoch, and the seconds that they took.

    Give it before the callbacks that keep what is logged.

    Args:
        x: the examples, on their levels where the flow has a dequantisation.
        condition: of them, as the flow takes it.
    """

    def __init__(self, x: np.ndarray, condition: Any = None) -> None:
        super().__init__()
        self.x = x
        self.condition = condition

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        start = time.perf_counter()
        log_prob = log_probs(self.model, self.x, 0, self.condition).mean()
        bits = tfgen.metrics.bits_per_dim(log_prob, self.model.event_shape)
        logs["heldout_bits_per_dim"] = float(bits)
        logs["heldout_seconds"] = time.perf_counter() - start


class TimeLimit(Callback):
    """Ends a training after the first epoch by which it has taken so long, resumed or not.

    Time that went into `HeldOut` does not count. Give it after `HistoryFile`.

    Args:
        minutes: > 0.
        path: of the file of `HistoryFile`.
    """

    def __init__(self, minutes: float, path: Path) -> None:
        super().__init__()
        self.minutes = minutes
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds, *_ = curve(self.path)[-1]
        if seconds >= 60 * self.minutes:
            self.model.stop_training = True


def log_probs(flow: tfgen.flows.Flow, x: np.ndarray, seed: int, condition: Any) -> np.ndarray:
    """Returns log-likelihoods in nats: of examples on levels, draws of the bound."""
    if flow.dequantization is None:
        return flow.log_prob(x, condition).numpy()
    return flow.log_prob_bound(x, 1, seed, condition).numpy()


def curve(path: Path) -> list[tuple[float, int, float | None]]:
    """Returns seconds of training, epoch and held-out bits after each epoch of a history.

    Args:
        path: of the file of `HistoryFile`.
    """
    epochs: dict[int, dict[str, float]] = {}
    for row in read_history(path):
        epochs.setdefault(int(row["epoch"]), {})[row["term"]] = float(row["value"])
    seconds, points = 0.0, []
    for epoch, terms in sorted(epochs.items()):
        seconds += terms.get("seconds", 0.0) - terms.get("heldout_seconds", 0.0)
        points.append((seconds, epoch, terms.get("heldout_bits_per_dim")))
    return points
