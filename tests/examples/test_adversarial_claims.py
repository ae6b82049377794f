"""The program that measures the claims of papers, after trainings too short to bear them out."""

import re
from pathlib import Path

import pytest

from tests import programs

SCRIPT = Path(__file__).parents[2] / "examples/benchmarks/adversarial_claims.py"
SMALL = ["--num_examples=320", "--epochs=3", "--evaluations=3"]
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]\d+)?")


def measured(*claims):
    """Returns what the program prints of claims: the numbers of each line, by its title."""
    done = programs.run(SCRIPT, *SMALL, *(f"--claim={claim}" for claim in claims))
    assert done.returncode == 0, done.stderr
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    return {title: list(map(float, NUMBER.findall(rest))) for title, _, rest in lines}


def test_gradients():
    ((minimax, non_saturating, ratio),) = measured(1).values()
    assert 0 < 100 * minimax < non_saturating
    assert ratio == pytest.approx(non_saturating / minimax, rel=0.01)


@pytest.mark.ci
def test_correlations_and_slopes():
    *correlations, slopes = measured(2, 4).items()
    after, _, before, _ = slopes[1]
    assert abs(1 - after) < abs(1 - before)
    assert [title for title, _ in correlations] == ["2. wgan", "2. wgan_gp", "2. non_saturating"]
    for _, (correlation, first, last, start, end) in correlations:
        assert -1 <= correlation <= 1
        assert 0 < last < first
        assert start != end


@pytest.mark.slow
def test_spectral_norms():
    (norms,) = measured(3).values()
    assert norms == pytest.approx([1.0] * 4, abs=0.1)
