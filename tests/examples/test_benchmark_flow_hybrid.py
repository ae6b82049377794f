"""The benchmark of flows that classify, on the digits."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests import programs

pytestmark = pytest.mark.ci

SCRIPT = Path(__file__).parents[2] / "examples/benchmarks/flow_hybrid.py"
SMALL = [
    "--dataset=digits",
    "--num_examples=200",
    "--num_scored=50",
    "--num_levels=17",
    "--epochs=1",
    "--batch_size=50",
    "--scales=1",
    "--depth=2",
    "--filters=4",
]


def run(workdir, *flags):
    return programs.run(SCRIPT, f"--workdir={workdir}", *SMALL, *flags)


def test_each_training_is_done_once_and_is_in_the_table(tmp_path):
    first = run(tmp_path, "--weights=0")
    assert first.returncode == 0, first.stderr
    done = run(tmp_path, "--weights=0,1/D", "--flows=coupling,residual")
    assert done.returncode == 0, done.stderr
    assert "coupling, weight 0:" not in done.stdout and "coupling, weight 1/D:" in done.stdout
    table = json.loads((tmp_path / "table.json").read_text())
    assert list(table) == ["coupling", "residual"]
    for flow, rows in table.items():
        assert list(rows) == ["0", "1/D"]
        numbers = [value for row in rows.values() for value in row.values()]
        assert np.isfinite(numbers).all()
        row = rows["1/D"]
        cells = f"{100 * row['accuracy']:.2f} % | {row['bits_per_dim']:.2f}"
        assert f"| {flow} | " in done.stdout and cells in done.stdout


def test_what_does_not_fit_is_refused(tmp_path):
    done = run(tmp_path, "--flows=planar")
    assert done.returncode == 1 and "--flows has ['planar']" in done.stdout + done.stderr
    (tmp_path / "coupling_0.json").write_text('{"settings": {"epochs": 7}, "accuracy": 1}')
    done = run(tmp_path, "--flows=coupling", "--weights=0")
    assert done.returncode == 1 and "is of other settings" in done.stderr
