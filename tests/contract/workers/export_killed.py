"""Exports a model and is killed on the way.

Usage: python -m tests.contract.workers.export_killed BASE MOMENT

MOMENT is "graph", when the variables are written and the graph is not, or "card", when only the
model card is missing.
"""

import os
import pathlib
import signal
import sys
from typing import Any

import tensorflow as tf

from tests.contract import cases
from tfgen import serving


def die(*args: Any, **kwargs: Any) -> None:
    """Ends the process at once, as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(base: str, moment: str) -> None:
    """Exports, and dies."""
    if moment == "graph":
        tf.io.gfile.GFile.__base__.write = die
    if moment == "card":
        pathlib.Path.write_text = die
    serving.export(cases.named("imle_vectors").create(), base)


if __name__ == "__main__":
    main(*sys.argv[1:])
