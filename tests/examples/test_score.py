"""The program that scores models and images: of a model and by a classifier without training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfgen
from tfgen import adversarial, distributions, metrics, networks

SCRIPT = Path(__file__).parents[2] / "examples" / "score.py"
SMALL = ["--num_examples=200", "--num_scored=50", "--verbose=2"]


def run(folder, *flags):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *SMALL, *flags],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=4 * 3600,
    )


def small_gan(*event_shape):
    return adversarial.GAN(
        networks.MLP(event_shape, (8,), output_activation="sigmoid"),
        networks.MLP((1,), (8,)),
        prior=distributions.StandardNormal(4),
    )


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A folder with a model, the classifier of the data and scores, and what was printed."""
    folder = tmp_path_factory.mktemp("score")
    small_gan(8, 8, 1).save(folder / "model.keras")
    judge = metrics.ClassifierFeatures(metrics.build_classifier((8, 8, 1), num_classes=10))
    judge.save(folder / "runs/score_digits/judge.keras")
    done = run(folder, "--model=model.keras", "--scores=fid,kid", "--output=out/scores.json")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_model_is_scored_beside_training_images(scored):
    folder, printed = scored
    report = json.loads((folder / "out/scores.json").read_text())
    assert list(report["fid"]) == ["train_vs_heldout", "gan"]
    assert 0 < report["fid"]["train_vs_heldout"] < report["fid"]["gan"]
    for name, scores in report["protocol"].items():
        assert [score["metric"] for score in scores] == ["FID", "KID"]
        assert {(score["num_real"], score["num_fake"]) for score in scores} == {(50, 50)}
        cells = [f"{score['value']:.3f}" for score in scores]
        assert [name, *cells] in [line.split() for line in printed.splitlines()]
    assert "training the judge" not in printed


def test_its_samples_as_images_have_its_scores(scored):
    folder, _ = scored
    model = tfgen.load_model(folder / "model.keras", adversarial.GAN)
    np.save(folder / "samples.npy", model.sample(50, seed=0).numpy())
    done = run(folder, "--images=samples.npy", "--scores=fid,kid", "--output=images.json")
    assert done.returncode == 0, done.stderr
    of_model, of_images = (
        json.loads((folder / name).read_text())["fid"]
        for name in ("out/scores.json", "images.json")
    )
    assert of_images["images"] == pytest.approx(of_model["gan"], rel=1e-3)
    assert of_images["train_vs_heldout"] == of_model["train_vs_heldout"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "one of (model, images) must"),
        (["--model=other.keras"], "Expected images (8, 8, 1), as digits has. Received: (4, 4, 1)"),
    ],
    ids=["nothing", "another shape"],
)
def test_what_cannot_be_scored_is_refused(tmp_path, flags, message):
    small_gan(4, 4, 1).save(tmp_path / "other.keras")
    failed = run(tmp_path, *flags, "--output=out/scores.json")
    assert failed.returncode == 1
    assert message in failed.stderr and "Traceback" not in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other.keras"]
