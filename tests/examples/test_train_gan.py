"""The runner of the GANs from the outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "train_gan.py"
SMALL = [
    "--num_examples=320",
    "--epochs=2",
    "--batch_size=16",
    "--units=32",
    "--filters=8",
    "--latent_dim=8",
    "--num_scored=100",
    "--verbose=2",
]
ARTIFACTS = {
    "samples.png",
    "interpolation.png",
    "metrics.json",
    "history.csv",
    "model.keras",
    "serving/1/saved_model.pb",
    "sheets/samples_0002.png",
}


def run(workdir, *flags):
    return subprocess.run(
        [sys.executable, str(SCRIPT), f"--workdir={workdir}", *SMALL, *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=900,
    )


@pytest.mark.parametrize(
    "flags",
    [
        ["--recipe=wgan_gp", "--augment", "--prior=uniform"],
        ["--recipe=sngan", "--conditional"],
        ["--recipe=bigan", "--ema_decay=0"],
        ["--recipe=began"],
    ],
    ids=lambda flags: flags[0].partition("=")[2],
)
def test_recipes(tmp_path, flags):
    done = run(tmp_path / "run", *flags)
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / "run" / name).is_file() for name in ARTIFACTS)
    report = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {"train_vs_heldout", "gan"} <= set(report["fid"])
    assert ("gan_without_ema" in report["fid"]) == ("--ema_decay=0" not in flags)
    assert ("classified_as_asked" in report) == ("--conditional" in flags)
    assert "through the C++ loader" in done.stdout


def test_what_cannot_be_trained_leaves_the_directory_alone(tmp_path):
    done = run(tmp_path / "run", "--architecture=resnet", "--conditional", "--image_size=18")
    assert done.returncode == 1
    assert "Expected" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "flags.json").exists()
