"""The runner of the flows from the outside."""

import json
from pathlib import Path

import numpy as np
import pytest

import tfgen
from tests import programs

SCRIPT = Path(__file__).parents[2] / "examples" / "train_flow.py"
SMALL = [
    "--num_examples=128",
    "--epochs=2",
    "--batch_size=64",
    "--depth=1",
    "--filters=4",
    "--hidden_units=8",
    "--num_scored=64",
    "--verbose=2",
]
ARTIFACTS = {
    "samples.png",
    "interpolation.png",
    "metrics.json",
    "history.csv",
    "model.keras",
    "serving/1/saved_model.pb",
}


def run(workdir, *flags):
    return programs.run(SCRIPT, f"--workdir={workdir}", *SMALL, *flags)


def check(done, workdir) -> dict:
    """Raises unless a run left what it has to, and returns its numbers."""
    assert done.returncode == 0, done.stderr
    assert all((workdir / name).is_file() for name in ARTIFACTS)
    assert "through the C++ loader" in done.stdout
    report = json.loads((workdir / "metrics.json").read_text())
    assert set(report["bits_per_dim"]) == {"train", "heldout"}
    assert np.isfinite(list(report["bits_per_dim"].values())).all()
    return report


@pytest.mark.parametrize(
    "flags",
    [
        ["--scales=1", "--conditional", "--temperature=0.7,1"],
        pytest.param(["--recipe=realnvp"], marks=pytest.mark.ci),
        pytest.param(["--recipe=nice", "--depth=2"], marks=pytest.mark.ci),
        pytest.param(["--recipe=spline"], marks=pytest.mark.ci),
        pytest.param(["--recipe=maf", "--ema_decay=0"], marks=pytest.mark.ci),
        pytest.param(["--recipe=iaf"], marks=pytest.mark.ci),
    ],
    ids=["glow", "realnvp", "nice", "spline", "maf", "iaf"],
)
def test_images(tmp_path, flags):
    workdir = tmp_path / "run"
    report = check(run(workdir, *flags), workdir)
    assert (workdir / "sheets" / "samples_0002.png").is_file()
    recipe = next((flag for flag in flags if "recipe" in flag), "--recipe=glow")
    assert f"--recipe={report['recipe']}" == recipe


@pytest.mark.ci
def test_a_flow_that_classifies(tmp_path):
    workdir = tmp_path / "run"
    quick = ["--num_examples=500", "--epochs=20", "--warmup_steps=0", "--ema_decay=0.9"]
    flags = ["--hybrid", "--likelihood_weight=0.01", "--num_watched=64", "--learning_rate=0.01"]
    report = check(run(workdir, *flags, *quick), workdir)
    assert set(report["accuracy"]) == {"train", "heldout"}
    assert report["accuracy"]["heldout"] > 0.5
    assert "heldout_bits_per_dim" in (workdir / "history.csv").read_text()
    flow = tfgen.load_model(workdir / "model.keras")
    assert flow.likelihood_weight == 0.01
    heldout = tfgen.data.load("digits", split="test", batch_size=1)
    x = heldout.as_float(slice(0, 64))
    probabilities = flow.classify(x).numpy()
    right = np.mean(probabilities.argmax(axis=1) == heldout.labels[:64])
    assert right == report["accuracy"]["heldout"]
    with tfgen.serving.SessionLoader(workdir / "serving/1") as served:
        found = served("classify", images=x)["probabilities"]
    np.testing.assert_allclose(found, probabilities, atol=1e-5)


@pytest.mark.ci
@pytest.mark.parametrize("recipe", ["planar", "radial", "maf", "spline"])
def test_points(tmp_path, recipe):
    x = np.random.default_rng(0).normal(size=(200, 2))
    np.save(tmp_path / "points.npy", x)
    workdir = tmp_path / "run"
    check(run(workdir, f"--dataset={tmp_path / 'points.npy'}", f"--recipe={recipe}"), workdir)
    log_prob = tfgen.load_model(workdir / "model.keras").log_prob(np.float32(x[:3]))
    assert log_prob.shape == (3,) and np.isfinite(log_prob).all()


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--temperature=0", "--temperature takes numbers > 0"),
        pytest.param("--temperature=hot", "takes numbers > 0", marks=pytest.mark.ci),
        pytest.param("--num_classes=3", "goes with --conditional", marks=pytest.mark.ci),
        pytest.param("--likelihood_weight=1", "goes with --hybrid", marks=pytest.mark.ci),
        pytest.param("--hidden_units=8,x", "expected integers > 0", marks=pytest.mark.ci),
    ],
)
def test_flags_that_cannot_be_are_refused(tmp_path, flag, message):
    done = run(tmp_path / "run", flag)
    assert done.returncode == 1
    assert message in done.stdout + done.stderr and "Traceback" not in done.stderr


@pytest.mark.ci
@pytest.mark.parametrize(
    "flags", [["--recipe=planar"], ["--num_levels=2"], ["--scales=9"]], ids=lambda flags: flags[0]
)
def test_what_cannot_be_trained_is_refused(tmp_path, flags):
    done = run(tmp_path / "run", *flags)
    assert done.returncode == 1
    assert "Expected" in done.stderr and "Traceback" not in done.stderr
