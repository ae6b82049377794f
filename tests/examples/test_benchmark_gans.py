"""The comparison of GANs, on the digits."""

import json
import math
from pathlib import Path

import pytest

from tests import programs

pytestmark = pytest.mark.ci

SCRIPT = Path(__file__).parents[2] / "examples/benchmarks/gans.py"
SMALL = [
    "--dataset=digits",
    "--recipes=lsgan",
    "--num_examples=320",
    "--epochs=2",
    "--units=32",
    "--filters=8",
    "--flags=latent_dim=8,num_scored=100",
]


def run(workdir):
    done = programs.run(SCRIPT, f"--workdir={workdir}", *SMALL)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a benchmark that is done, and what it printed."""
    workdir = tmp_path_factory.mktemp("benchmark")
    return workdir, run(workdir)


def test_the_table_has_the_numbers_of_the_run(finished):
    workdir, printed = finished
    report = json.loads((workdir / "lsgan" / "metrics.json").read_text())
    table = json.loads((workdir / "table.json").read_text())
    assert table == {
        "lsgan": {
            "classifier": report["fid"]["gan"],
            "without EMA": report["fid"]["gan_without_ema"],
            "train / test": report["fid"]["train_vs_heldout"],
            "FID-768": None,
            "published": None,
            "seconds": sum(report["training_seconds"].values()),
        }
    }
    numbers = table["lsgan"].values()
    assert all(0 < number < math.inf for number in numbers if number is not None)
    cells = ["-" if number is None else f"{number:.3f}" for number in numbers]
    assert printed.splitlines()[-1].split() == ["lsgan", *cells]


def test_started_again_it_does_nothing(finished):
    workdir, printed = finished
    files = [path for path in workdir.rglob("*") if path.is_file() and path.name != "table.json"]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert len(before) > 5
    again = run(workdir)
    assert "lsgan is finished" in again and "Epoch" not in again
    assert again.splitlines()[-2:] == printed.splitlines()[-2:]
    assert {path: path.stat().st_mtime_ns for path in files} == before
