"""Short real trainings: whether the recipes reach what the README says."""

import json

import pytest

from tests.examples.test_train_glann import run


@pytest.mark.slow
def test_glann_samples_digits_far_better_than_glo(tmp_path):
    workdir = tmp_path / "glann"
    done = run(workdir, "--verbose=2")
    assert done.returncode == 0, done.stderr
    fid = json.loads((workdir / "metrics.json").read_text())["fid"]
    assert fid["glann"] <= 0.6 * fid["glo_gaussian"]
    assert fid["reconstruction"] <= 1.5 * fid["train_vs_heldout"]
