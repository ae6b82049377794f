"""Requests that come at the same time, run together along axis 0 as a batching server does."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np

from tfgen.core.checks import check_integer, check_not_negative

Arrays = dict[str, np.ndarray]
Run = Callable[[str, Arrays], Arrays]
"""Runs a signature, given by its name: inputs by name to outputs by name."""


@dataclass(frozen=True)
class Batching:
    """How requests are joined.

    Args:
        max_rows: of requests that are joined, > 0; one that has more is run alone.
        window: seconds for which the first request waits for others, >= 0.
        threads: how many batches run at a time, > 0.
    """

    max_rows: int = 64
    window: float = 0.002
    threads: int = 2

    def __post_init__(self) -> None:
        check_integer("max_rows", self.max_rows)
        check_not_negative("window", self.window)
        check_integer("threads", self.threads)


@dataclass
class _Group:
    """Requests of one signature that are run together, and what becomes of each."""

    requests: list[Arrays] = field(default_factory=list)
    num_rows: int = 0
    answers: list[Arrays | Exception] = field(default_factory=list)
    is_answered: threading.Event = field(default_factory=threading.Event)

    def add(self, inputs: Arrays, num_rows: int) -> int:
        """Returns the place of a request in the group."""
        self.requests.append(inputs)
        self.num_rows += num_rows
        return len(self.requests) - 1


class Batcher:
    """Answers requests, those that wait for the same signature together.

    The thread of the first request of a group waits for others and runs them all. Where that fails,
    each request is run alone, so that a wrong one does not spoil the others.

    Args:
        run: what answers.
        batching: how requests are joined.
    """

    def __init__(self, run: Run, batching: Batching) -> None:
        self._run = run
        self._batching = batching
        self._open: dict[Hashable, _Group] = {}
        self._changed = threading.Condition()
        self._free = threading.Semaphore(batching.threads)

    def __call__(self, signature: str, inputs: Arrays) -> Arrays:
        """Returns the outputs by name, or raises what `run` raises.

        Args:
            signature: its name.
            inputs: by name, arrays that the signature takes.
        """
        num_rows = _num_rows(inputs)
        if num_rows is None:
            with self._free:
                return self._run(signature, inputs)
        key = (signature, *((name, inputs[name].shape[1:]) for name in sorted(inputs)))
        with self._changed:
            group = self._open.get(key)
            leads = group is None or group.num_rows + num_rows > self._batching.max_rows
            if leads:
                group = self._open[key] = _Group()
            place = group.add(inputs, num_rows)
            self._changed.notify_all()
        if leads:
            self._lead(key, group, signature)
        group.is_answered.wait()
        answer = group.answers[place]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _lead(self, key: Hashable, group: _Group, signature: str) -> None:
        """Waits for others to join a group, and answers all."""

        def is_full() -> bool:
            return self._open.get(key) is not group or group.num_rows >= self._batching.max_rows

        try:
            with self._changed:
                self._changed.wait_for(is_full, self._batching.window)
            with self._free:  # While all threads are busy, others may still join.
                with self._changed:
                    if self._open.get(key) is group:
                        del self._open[key]
                group.answers = self._answers(signature, group.requests)
        finally:
            group.is_answered.set()

    def _answers(self, signature: str, requests: list[Arrays]) -> list[Arrays | Exception]:
        if len(requests) > 1:
            try:
                return _together(self._run, signature, requests)
            except Exception:  # Which of them is wrong shows when it is alone.
                pass
        return [self._alone(signature, inputs) for inputs in requests]

    def _alone(self, signature: str, inputs: Arrays) -> Arrays | Exception:
        try:
            return self._run(signature, inputs)
        except Exception as error:  # It is raised in the thread of the request.
            return error


def _num_rows(inputs: Arrays) -> int | None:
    """Returns how many rows all inputs have, None when they do not agree."""
    counts = {value.shape[0] if value.ndim else None for value in inputs.values()}
    return counts.pop() if len(counts) == 1 else None


def _together(run: Run, signature: str, requests: list[Arrays]) -> list[Arrays]:
    """Returns the answers to requests that are run as one."""
    joined = {name: np.concatenate([each[name] for each in requests]) for name in requests[0]}
    ends = np.cumsum([_num_rows(inputs) for inputs in requests])
    outputs = run(signature, joined)
    if _num_rows(outputs) != ends[-1]:
        raise ValueError(f"{signature} does not give a row for each row.")
    parts = {name: np.split(value, ends[:-1]) for name, value in outputs.items()}
    return [{name: parts[name][i] for name in parts} for i in range(len(requests))]
