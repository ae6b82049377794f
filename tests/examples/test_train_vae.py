"""The runner of variational models from the outside."""

import json
from pathlib import Path

import numpy as np
import pytest

import tfgen
from tests import programs

SCRIPT = Path(__file__).parents[2] / "examples" / "train_vae.py"
SMALL = [
    "--num_examples=128",
    "--epochs=2",
    "--batch_size=64",
    "--hidden_units=16",
    "--latent_dim=3",
    "--flow_layers=1",
    "--num_components=5",
    "--features=pixels",
    "--num_scored=64",
    "--num_bounded=32",
    "--verbose=2",
]
ARTIFACTS = {
    "samples.png",
    "metrics.json",
    "history.csv",
    "model.keras",
    "serving/1/saved_model.pb",
}
IMPORTANCE = {"iwae", "dreg"}


def run(workdir, *flags):
    return programs.run(SCRIPT, f"--workdir={workdir}", *SMALL, *flags)


def check(done, workdir) -> dict:
    """Raises unless a run left what it has to, and returns its numbers."""
    assert done.returncode == 0, done.stderr
    assert all((workdir / name).is_file() for name in ARTIFACTS)
    assert "through the C++ loader" in done.stdout
    return json.loads((workdir / "metrics.json").read_text())


RECIPES = ["dreg", "iaf", "vamp"]
REST = ["iwae", "full_covariance", "planar", "radial", "flow_prior"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--conditional", "--warmup_steps=3", "--free_bits=0.1"],
        *[pytest.param([f"--recipe={name}"], marks=pytest.mark.ci) for name in RECIPES],
        *[pytest.param([f"--recipe={name}"], marks=pytest.mark.slow) for name in REST],
        pytest.param(["--recipe=mixture_prior", "--ema_decay=0"], marks=pytest.mark.ci),
        pytest.param(["--architecture=infogan", "--units=8", "--filters=4"], marks=pytest.mark.ci),
    ],
    ids=lambda flags: flags[0].removeprefix("--recipe="),
)
def test_images(tmp_path, flags):
    workdir = tmp_path / "run"
    report = check(run(workdir, *flags), workdir)
    assert set(report["fid"]) == {"train_vs_heldout", "samples", "reconstructions"}
    assert (workdir / "interpolation.png").is_file()
    assert (workdir / "sheets" / "samples_0002.png").is_file()
    bounds = report["log_prob_bound"]
    assert set(bounds) == {"1", "500"}
    assert bounds["1"] <= bounds["500"] < 0


@pytest.mark.ci
@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        ("autoencoder", ["--sampler=gaussian"]),
        ("autoencoder", ["--sampler=mixture"]),
        ("autoencoder", ["--sampler=flow"]),
        ("wae", ["--conditional"]),
        ("vaegan", ["--architecture=infogan", "--units=8", "--filters=4"]),
        ("vae_dis", []),
        ("perceptual", ["--classifier_epochs=1"]),
        ("gaussian", []),
        ("mixture", []),
        ("hierarchical", ["--filters=4"]),
    ],
    ids=lambda given: given if isinstance(given, str) else "_".join(given)[:20],
)
def test_other_models(tmp_path, recipe, flags):
    workdir = tmp_path / "run"
    report = check(run(workdir, f"--recipe={recipe}", *flags), workdir)
    assert np.isfinite(report["fid"]["samples"])
    exact = recipe in ("gaussian", "mixture")
    assert ("log_prob" in report) == exact
    assert ("log_prob_bound" in report) == (recipe == "hierarchical")


@pytest.mark.ci
@pytest.mark.parametrize(
    "likelihood", ["bernoulli", "normal", "logistic", "logistic_mixture", "categorical"]
)
def test_likelihoods(tmp_path, likelihood):
    workdir = tmp_path / "run"
    flags = [f"--likelihood={likelihood}", "--draw_samples", "--latent_dim=2"]
    flags += ["--binarize"] if likelihood == "bernoulli" else []
    check(run(workdir, *flags), workdir)
    assert (workdir / "manifold.png").is_file()
    samples = tfgen.load_model(workdir / "model.keras").sample(8, seed=0).numpy()
    levels = {"bernoulli": 2, "normal": 0}.get(likelihood, 17)
    if levels:
        places = samples * (levels - 1)
        np.testing.assert_allclose(places, np.round(places), atol=1e-4)


@pytest.mark.ci
def test_what_is_served(tmp_path):
    workdir = tmp_path / "run"
    check(run(workdir), workdir)
    model = tfgen.load_model(workdir / "model.keras")
    x = tfgen.data.load("digits", split="test", batch_size=1).as_float(slice(0, 5))
    with tfgen.serving.SessionLoader(workdir / "serving/1") as served:
        z = served("encode", images=x)["z"]
        np.testing.assert_allclose(z, model.encode(x), atol=1e-5)
        np.testing.assert_allclose(
            served("decode", z=z)["images"], served("reconstruct", images=x)["images"], atol=1e-5
        )
        bound = served("log_prob_bound", images=x, seed=np.arange(5))["log_prob_bound"]
        assert bound.shape == (5,)
        assert np.isfinite(bound).all()


@pytest.mark.ci
def test_points(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 2))
    np.save(tmp_path / "points.npy", x)
    workdir = tmp_path / "run"
    check(run(workdir, f"--dataset={tmp_path / 'points.npy'}", "--latent_dim=1"), workdir)
    bound = tfgen.load_model(workdir / "model.keras").log_prob_bound(np.float32(x[:3]), 20)
    assert bound.shape == (3,) and np.isfinite(bound).all()


@pytest.mark.ci
def test_the_game_of_points(tmp_path):
    np.save(tmp_path / "points.npy", 3.0 * np.random.default_rng(0).normal(size=(200, 2)))
    flags = [f"--dataset={tmp_path / 'points.npy'}", "--latent_dim=1", "--recipe=vaegan"]
    check(run(tmp_path / "run", *flags), tmp_path / "run")


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--beta=-1", "non-negative"),
        pytest.param(["--recipe=iwae", "--beta=2"], "iwae takes no --beta", marks=pytest.mark.ci),
        pytest.param("--num_draws=0", "positive", marks=pytest.mark.ci),
        pytest.param("--latent_dim=0", "positive", marks=pytest.mark.ci),
        pytest.param("--recipe=vaee", "should be one of", marks=pytest.mark.ci),
    ],
)
def test_flags_that_cannot_be_are_refused(tmp_path, flag, message):
    done = run(tmp_path / "run", *([flag] if isinstance(flag, str) else flag))
    assert done.returncode == 1
    assert message in done.stdout + done.stderr and "Traceback" not in done.stderr
