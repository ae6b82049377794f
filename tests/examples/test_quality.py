"""Short real trainings: whether the recipes reach what docs/results says."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfgen
from tests.examples.test_train_glann import run
from tfgen import latent, losses, metrics, networks

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.py"


@pytest.mark.slow
def test_the_quickstart_makes_digits_and_serves_them(tmp_path):
    command = [sys.executable, str(QUICKSTART)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=4 * 3600)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/quickstart"
    for name in ("samples_0100.png", "model.keras", "serving/1/saved_model.pb"):
        assert (folder / name).is_file()
    judge = metrics.train_classifier(
        *digits_of("train"), num_classes=10, feature_dim=64, seed=2
    ).model
    fid = metrics.FrechetInceptionDistance(metrics.ClassifierFeatures(judge), "test")
    fid.update_real(digits_of("test")[0])
    fid.update_fake(tfgen.load_model(folder / "model.keras").sample(360, seed=0).numpy())
    assert fid.result().value < 10


def digits_of(split):
    """Returns the images and labels of a split."""
    digits = tfgen.data.load("digits", split=split, batch_size=1)
    return digits.as_float(), digits.labels


@pytest.mark.slow
def test_glann_samples_digits_far_better_than_glo(tmp_path):
    workdir = tmp_path / "glann"
    done = run(workdir, "--verbose=2")
    assert done.returncode == 0, done.stderr
    fid = json.loads((workdir / "metrics.json").read_text())["fid"]
    assert fid["glann"] <= 0.6 * fid["glo_gaussian"]
    assert fid["reconstruction"] <= 1.5 * fid["train_vs_heldout"]


@pytest.mark.slow
def test_the_laplacian_pyramid_gives_sharper_reconstructions_than_squared_errors():
    """Through latents too small for the digits, so that each loss chooses what is lost."""
    digits = tfgen.data.load("digits", batch_size=64)
    real = sharpness(digits.as_float())
    pyramid = sharpness(reconstructions(digits, losses.LaplacianPyramid()))
    squared = sharpness(reconstructions(digits, losses.SquaredError()))
    print(f"real {real:.3f}, LaplacianPyramid {pyramid:.3f}, SquaredError {squared:.3f}")
    assert abs(pyramid - real) <= 0.85 * abs(squared - real)


def reconstructions(digits, loss):
    """Returns what a small GLO makes of the digits after 30 epochs."""
    keras.utils.set_random_seed(0)
    generator = networks.InfoGANGenerator(digits.event_shape, 64, (32, 16))
    glo = latent.GLO(generator, len(digits), latent_dim=4, loss=loss)
    glo.compile()
    glo.fit(digits, epochs=30, verbose=0)
    return glo.decode(glo.codes).numpy()


def sharpness(images):
    """Returns the mean absolute difference of neighbouring pixels."""
    return np.mean([np.abs(np.diff(images, axis=axis)).mean() for axis in (1, 2)])
