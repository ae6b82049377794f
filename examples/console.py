"""What a program does before it imports TensorFlow: quiet logs, and one line for Ctrl-C."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended, as shells have it."""


def prepare() -> None:
    """Quiets TensorFlow's log, and makes Ctrl-C end the program with one line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    end_with(lambda: "")


def end_with(hint: Callable[[], str]) -> None:
    """Makes Ctrl-C end the program with one line, and exit status 130.

    What the program was about to remove at its end is removed; a second Ctrl-C does not wait.

    Args:
        hint: returns what the line says after "Interrupted", called when that happens.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, _end_now)
        # Whatever is being printed; it may be a bar of progress.
        os.write(2, f"\nInterrupted{hint()}\n".encode())
        raise SystemExit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)


def _end_now(*_: Any) -> None:
    os._exit(INTERRUPTED)
