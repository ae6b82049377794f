"""Of 3,000 damaged files, each loads or is refused by the error that is documented."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ci

ROOT = Path(__file__).parents[2]
COUNTS = {
    "images": 1000,
    "npy": 400,
    "npz": 600,
    "keras": 350,
    "checkpoint": 300,
    "graph": 250,
    "served": 100,
}


def outcomes(folder: Path, kind: str, count: int) -> list[str]:
    """Returns a line for each damaged file; a process that dies of one is followed by another."""
    lines: list[str] = []
    while len(lines) < count:
        begin = [sys.executable, "-m", "tests.fuzz.worker", str(folder / str(len(lines))), kind]
        run = subprocess.run(
            [*begin, str(len(lines)), str(count - 1)], cwd=ROOT, capture_output=True, text=True
        )
        found = re.findall(r"^\d+ \w+ of .*$", run.stdout, re.MULTILINE)
        if not found:
            raise RuntimeError(run.stderr)
        lines += found
        if len(lines) < count or run.returncode:
            lines[-1] += f"FAULT, status {run.returncode}: {run.stderr[-500:]}"
    return lines


@pytest.mark.parametrize(("kind", "count"), COUNTS.items())
def test_each_loads_or_is_refused(tmp_path, kind, count):
    lines = outcomes(tmp_path, kind, count)
    faults = [line for line in lines if not line.endswith((": loaded", ": refused"))]
    assert not faults, f"{len(faults)} of {count}:\n" + "\n".join(faults)
    refused = sum(line.endswith(": refused") for line in lines)
    assert count / 10 < refused, "few of the files were damaged"
