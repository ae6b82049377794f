"""The program that bounds the likelihood of binarised images."""

import json
from pathlib import Path

import pytest

from tests import programs

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "vae_likelihoods.py"
SMALL = [
    "--dataset=digits",
    "--num_examples=300",
    "--num_test=50",
    "--epochs=1",
    "--num_importance=20",
]


@pytest.mark.ci
@pytest.mark.parametrize("binarization", ["stochastic", "threshold"])
def test_each_model_gets_a_line_and_is_trained_once(tmp_path, binarization):
    flags = [*SMALL, "--models=vae,iwae_5", f"--binarization={binarization}"]
    flags.append(f"--workdir={tmp_path}")
    done = programs.run(SCRIPT, *flags)
    assert done.returncode == 0, done.stderr
    for name in ("vae", "iwae_5"):
        found = json.loads((tmp_path / f"{name}_{binarization}_1_0.json").read_text())
        assert 0 < found["all"] < found["1"]
        assert f"| {name}, seed 0 | {found['1']:.2f} | {found['all']:.2f} |" in done.stdout
    assert programs.run(SCRIPT, *flags).stdout == done.stdout


def test_a_model_that_is_not_there_is_refused(tmp_path):
    done = programs.run(SCRIPT, "--models=nade", f"--workdir={tmp_path}")
    assert done.returncode != 0
    assert "There is no ['nade']" in done.stdout + done.stderr
