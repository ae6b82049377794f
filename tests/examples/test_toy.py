"""Figures of the toy chapter, and the table of mixtures."""

import json
import subprocess
from pathlib import Path

import pytest
from matplotlib import image
from PIL import Image

from tests import programs

EXAMPLES = Path(__file__).parents[2] / "examples"

ANIMATE = """
import json, pathlib, sys
sys.path.insert(0, {figures!r})
import toy, toy_mixtures
game = toy_mixtures.PLAIN["hinge"]
figure, numbers, frames = toy_mixtures.training("GAN", toy_mixtures.MIXTURES["line"], game, 60, 0)
toy.save(pathlib.Path({path!r}), figure, frames)
print(json.dumps(numbers))
"""


def run(program: str | Path, *flags: str) -> subprocess.CompletedProcess:
    return programs.run(EXAMPLES / program, *flags)


def test_figures_are_written_with_their_numbers(tmp_path):
    done = run("figures/toy.py", "--figure=parallel_lines,output_density", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    names = ("output_density", "parallel_lines")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.{kind}" for name in names for kind in ("json", "png")
    )
    for name in names:
        assert image.imread(tmp_path / f"{name}.png").std() > 0.05
    lines, density = (json.loads((tmp_path / f"{name}.json").read_text()) for name in names[::-1])
    assert lines["largest_error"] < 1e-12
    errors = [found["roots"]["relative"] for found in density.values() if "roots" in found]
    assert len(errors) >= 3 and max(errors) < 1e-9


@pytest.mark.ci
def test_an_animation_ends_with_its_figure(tmp_path):
    program = tmp_path / "animate.py"
    program.write_text(
        ANIMATE.format(figures=str(EXAMPLES / "figures"), path=str(tmp_path / "line"))
    )
    done = run(program)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout.splitlines()[-1])
    assert list(numbers)[0] == "step 0" and all(0 <= n["covered"] <= 5 for n in numbers.values())
    assert image.imread(tmp_path / "line.png").std() > 0.05
    with Image.open(tmp_path / "line.gif") as gif:
        assert gif.n_frames == len(numbers) >= 2
        gif.seek(gif.n_frames - 1)
        assert gif.info["duration"] >= 2000  # It rests at its end, in milliseconds.


def test_an_unknown_figure_is_refused_with_those_there_are(tmp_path):
    done = run("figures/toy.py", "--figure=parallel_line", f"--workdir={tmp_path / 'toy'}")
    assert done.returncode != 0
    assert "no figure ['parallel_line']" in done.stderr
    for name in ("all", "parallel_lines", "output_density", "training_collapse"):
        assert name in done.stderr
    assert not (tmp_path / "toy").exists()


def test_an_empty_figure_is_refused_with_those_there_are(tmp_path):
    done = run("figures/toy.py", "--figure=", f"--workdir={tmp_path / 'toy'}")
    assert done.returncode != 0
    assert "no figure named" in done.stderr and "training_collapse" in done.stderr
    assert not (tmp_path / "toy").exists()


def test_a_stray_word_is_refused(tmp_path):
    done = run("figures/toy.py", "ratio", f"--workdir={tmp_path / 'toy'}")
    assert done.returncode != 0
    assert "['ratio']" in done.stdout + done.stderr
    assert not (tmp_path / "toy").exists()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The directory of a small table that is done, its flags, and what it printed."""
    workdir = tmp_path_factory.mktemp("mixtures")
    flags = (
        "--mixtures=line",
        "--models=non_saturating,bayesian_1x1",
        "--seeds=1",
        "--steps=40",
        "--workers=1",
        f"--workdir={workdir}",
    )
    done = run("benchmarks/mixtures.py", *flags)
    assert done.returncode == 0, done.stderr
    return workdir, flags, done.stdout


@pytest.mark.ci
def test_the_table_has_the_scores_of_the_runs(table):
    workdir, _, printed = table
    for model in ("non_saturating", "bayesian_1x1"):
        scores = json.loads((workdir / f"line-{model}-0-40.json").read_text())
        assert 0 <= scores["covered"] <= 5
        row = next(line for line in printed.splitlines() if line.startswith(f"{model} "))
        names = ("high_quality", "reverse_kl", "precision", "recall", "coverage")
        numbers = [scores[name] for name in names]
        cells = [str(scores["covered"]), *(f"{number:.3f}" for number in numbers)]
        assert row.split() == [model, *cells]


@pytest.mark.ci
def test_a_table_that_is_done_trains_nothing(table):
    workdir, flags, printed = table
    before = {path: path.stat().st_mtime_ns for path in workdir.iterdir()}
    again = run("benchmarks/mixtures.py", *flags)
    assert again.returncode == 0, again.stderr
    assert printed.endswith(again.stdout)
    assert {path: path.stat().st_mtime_ns for path in workdir.iterdir()} == before


@pytest.mark.parametrize("flag", ["--models=gan", "--mixtures=circle", "--models="])
def test_unknown_names_are_refused_with_those_there_are(flag, tmp_path):
    done = run("benchmarks/mixtures.py", flag, f"--workdir={tmp_path / 'mixtures'}")
    assert done.returncode != 0
    assert "there are [" in done.stderr + done.stdout
    assert not (tmp_path / "mixtures").exists()
