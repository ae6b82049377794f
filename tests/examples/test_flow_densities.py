"""The comparison of flows of vectors, a few steps long, without its peers."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests import programs

FOLDER = Path(__file__).parents[2] / "examples/benchmarks"


@pytest.fixture(scope="module")
def targets():
    """The densities, by name."""
    spec = importlib.util.spec_from_file_location("flow_targets", FOLDER / "flow_targets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: make() for name, make in module.TARGETS.items()}


def test_entropies_are_those_of_their_formulas(targets):
    normal = 0.5 * math.log(2 * math.pi * math.e)
    apart = {
        "checkerboard": math.log(8),
        "eight_gaussians": math.log(8) + 2 * (normal + math.log(0.2)),
        "rings": normal + math.log(3 * 0.08) + np.log(2 * np.pi * np.array([1, 2, 3])).mean(),
    }
    for name, entropy in apart.items():
        assert targets[name].entropy == pytest.approx(entropy, abs=5e-3), name


def test_entropies_are_those_of_the_samples(targets):
    first = targets["sine"].sample(40_000, 0)[:, 0]
    stds = 0.05 + 0.2 / (1 + np.exp(-3 * first))
    expected = math.log(2 * math.pi * math.e) + np.log(stds).mean()
    assert targets["sine"].entropy == pytest.approx(expected, abs=0.01)
    x = targets["moons"].sample(4000, 0)
    blurred = stats.gaussian_kde(targets["moons"].sample(4000, 1).T, 0.08)
    assert targets["moons"].entropy == pytest.approx(-np.log(blurred(x.T)).mean(), abs=0.05)


@pytest.mark.ci
def test_a_table_of_points_and_one_of_real_data(tmp_path):
    flags = ["--nopeers", f"--workdir={tmp_path}", "--steps=100", "--epochs=1"]
    points = ["--data=sine", "--recipes=planar", "--drawn=planar"]
    done = programs.run(FOLDER / "flow_densities.py", *flags, *points)
    assert done.returncode == 0, done.stderr
    nats = json.loads((tmp_path / "sine_planar.json").read_text())["nats"]
    assert done.stdout.splitlines()[-1] == f"| planar | {nats:.3f} |"
    assert -3 < nats < -0.7
    assert (tmp_path / "sine.png").is_file()
    real = ["--table=real", "--data=breast_cancer", "--recipes=maf"]
    done = programs.run(FOLDER / "flow_densities.py", *flags, *real)
    assert done.returncode == 0, done.stderr
    assert [line.split(" | ")[0] for line in done.stdout.splitlines()[-2:]] == [
        "| mixture",
        "| maf",
    ]
    kept = json.loads((tmp_path / "breast_cancer_mixture.json").read_text())
    assert math.isfinite(kept["nats"])
