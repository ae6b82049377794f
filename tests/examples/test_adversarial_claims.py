"""The program that measures the claims of papers, after trainings too short to bear them out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples/benchmarks/adversarial_claims.py"
SMALL = ["--num_examples=320", "--epochs=3", "--evaluations=3"]
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]\d+)?")


def measured(*claims):
    """Returns what the program prints of claims: the numbers of each line, by its title."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *SMALL, *(f"--claim={claim}" for claim in claims)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    return {title: list(map(float, NUMBER.findall(rest))) for title, _, rest in lines}


def test_gradients_and_slopes():
    gradients, slopes = measured(1, 4).values()
    minimax, non_saturating, ratio = gradients
    assert 0 < 100 * minimax < non_saturating
    assert ratio == pytest.approx(non_saturating / minimax, rel=0.01)
    after, _, before, _ = slopes
    assert abs(1 - after) < abs(1 - before)


def test_correlations():
    found = measured(2)
    assert list(found) == ["2. wgan", "2. wgan_gp", "2. non_saturating"]
    for correlation, first, last, start, end in found.values():
        assert -1 <= correlation <= 1
        assert 0 < last < first
        assert start != end


@pytest.mark.slow
def test_spectral_norms():
    (norms,) = measured(3).values()
    assert norms == pytest.approx([1.0] * 4, abs=0.1)
