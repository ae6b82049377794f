"""Programs that need a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT = 4 * 3600  # Seconds: for what hangs, not for a busy machine.


def start(*arguments: str | os.PathLike, **environment: str) -> subprocess.Popen:
    """Starts Python with arguments, in the repository's root."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen, status: int = 0) -> str:
    """Waits for a process, checks its exit status, and returns what it printed."""
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == status, f"{process.args}\n{err[-5000:]}"
    return out


def run(*arguments: str | os.PathLike, status: int = 0, **environment: str) -> str:
    """Runs Python to its end, checks its exit status, and returns what it printed."""
    with start(*arguments, **environment) as process:
        return finish(process, status)
