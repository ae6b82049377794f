"""Runs programs as a shell does, and spares each the seconds that TensorFlow's import takes.

One process imports what programs import, and forks for each run: TensorFlow has no threads or
devices yet by then, so that a program finds it as fresh as in a process of its own.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

IMPORTED = (
    "tensorflow",
    "tfgen",
    "matplotlib.pyplot",
    "scipy.stats",
    "sklearn.datasets",
    "tensorflow_probability",
)
"""What programs would import, each for itself."""

_server: list[subprocess.Popen] = []


def run(
    program: str | os.PathLike,
    *arguments: str | os.PathLike,
    cwd: str | os.PathLike = ROOT,
    **environment: str,
) -> subprocess.CompletedProcess:
    """Runs a Python file with arguments to its end; returns its exit status and what it printed."""
    if not _server:
        _server.append(_started())
        atexit.register(_stop)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        command = [os.fspath(each) for each in (program, *arguments)]
        request = {"command": command, "environment": environment, "cwd": str(cwd)}
        request["outputs"] = [str(path) for path in outputs]
        server = _server[0]
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        if not answer:
            raise RuntimeError("The process that runs programs has ended.")
        printed = [path.read_text() for path in outputs]
    return subprocess.CompletedProcess(command, json.loads(answer), *printed)


def _started() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.programs"],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _stop() -> None:
    with _server.pop() as server:
        server.stdin.close()


def _serve() -> dict | None:
    """Answers requests with exit statuses; returns only in the process that is to run one."""
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            return json.loads(line)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _become(
    command: Sequence[str], environment: dict[str, str], cwd: str, outputs: Sequence[str]
) -> None:
    """Runs a program in this process, which ends as the program does."""
    os.environ.update(environment)
    os.chdir(cwd)
    streams = [os.open(os.devnull, os.O_RDONLY)]
    streams += [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for path in outputs]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv[:] = command
    sys.path[0] = str(Path(command[0]).parent)
    status = 1
    try:
        runpy.run_path(command[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Python would spend a second on taking down all that was imported.


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    if request := _serve():
        _become(**request)
