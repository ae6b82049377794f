"""The benchmark of flows of images, and its outliers, on the digits."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests import programs

pytestmark = pytest.mark.ci

BENCHMARKS = Path(__file__).parents[2] / "examples/benchmarks"
SMALL = [
    "--datasets=digits",
    "--recipes=glow",
    "--num_examples=128",
    "--num_scored=32",
    "--num_watched=16",
    "--minutes=0.001",
    "--flags=depth=1,filters=4,batch_size=64,num_levels=17",
]


def run(workdir):
    done = programs.run(BENCHMARKS / "flow_images.py", f"--workdir={workdir}", *SMALL)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a benchmark that is done, and what it printed."""
    workdir = tmp_path_factory.mktemp("benchmark")
    return workdir, run(workdir)


def test_the_table_has_the_numbers_of_the_run(finished):
    workdir, printed = finished
    folder = workdir / "digits_glow"
    report = json.loads((folder / "metrics.json").read_text())
    (row,) = json.loads((workdir / "table.json").read_text())
    assert row["bits"] == report["bits_per_dim"]["heldout"]
    assert row["epochs"] == 1 and row["published"] is None
    assert all(0 < row[name] < math.inf for name in ("bits", "train", "parameters", "seconds"))
    assert printed.splitlines()[-1].startswith(f"| digits | glow | {row['bits']:.2f} |")
    assert (workdir / "curves.png").is_file()
    assert "heldout_bits_per_dim" in (folder / "history.csv").read_text()


def test_started_again_it_trains_nothing(finished):
    workdir, printed = finished
    model = workdir / "digits_glow" / "model.keras"
    before = model.stat().st_mtime_ns
    again = run(workdir)
    assert "is finished" in again
    assert again.splitlines()[-1] == printed.splitlines()[-1]
    assert model.stat().st_mtime_ns == before


def test_outliers_of_its_model(finished, tmp_path):
    workdir, _ = finished
    other = tmp_path / "other.npy"
    np.save(other, np.zeros((40, 8, 8, 1), np.uint8))
    model = workdir / "digits_glow" / "model.keras"
    done = programs.run(
        BENCHMARKS / "flow_outliers.py",
        f"--model={model}",
        "--dataset=digits",
        f"--others={other}",
        "--num_scored=32",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(model.with_name("outliers.json").read_text())
    assert set(found) == {str(other), "noise", "upside down"}
    for scores in found.values():
        assert set(scores) == {"likelihood", "typicality", "complexity"}
        assert all(0 <= area <= 1 for area in scores.values())
        row = " | ".join(f"{area:.3f}" for area in scores.values())
        assert row in done.stdout
    assert model.with_name("outliers.png").is_file()
