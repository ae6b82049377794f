"""The comparison of Gaussians with scikit-learn's, on the digits."""

from pathlib import Path

import pytest

from tests import programs

pytestmark = pytest.mark.ci

SCRIPT = Path(__file__).parents[2] / "examples/benchmarks/gaussians.py"


def test_a_gaussian_is_that_of_scikit_learn():
    done = programs.run(SCRIPT, "--components=1", "--iterations=2", "--num_examples=200")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    names = [row[0].strip() for row in rows[1:]]
    assert names == ["full", "diag", "spherical"]
    for row in rows[1:]:
        _, components, score, its_score, apart, fall, its_fall, *_ = (cell.strip() for cell in row)
        assert components == "1" and score == its_score
        assert max(map(float, (apart, fall, its_fall))) < 1e-9


def test_flags_alone_are_taken():
    done = programs.run(SCRIPT, "digits")
    assert done.returncode == 1 and "Expected flags only" in done.stdout + done.stderr
