"""The runner of the GANs from the outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags as absl_flags
from absl.testing import flagsaver

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
        [
            "--recipe=gan",
            "--loss=hellinger",
            "--penalties=gradient_penalty,r1:5,r2:5,dragan,consistency:0.1,orthogonal",
            "--lazy=2",
            "--augment",
            "--prior=uniform",
            "--evaluate_every=2",
        ],
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
    history = (tmp_path / "run" / "history.csv").read_text()
    terms = [row.split(",")[2] for row in history.splitlines()]
    assert terms.count("fid") == (1 if "--evaluate_every=2" in flags else 0)
    assert ("discriminator_r2" in terms) == ("--lazy=2" in flags)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--loss=hinge"], "--loss goes with --recipe=gan"),
        (["--recipe=gan"], "--recipe=gan needs it"),
        (["--penalties=r3"], "gradient_penalty"),
        (["--penalties=r1:-1"], "Expected"),
        (["--penalties=r1:x"], "Expected r1:WEIGHT, a number"),
        (["--lazy=4"], "--lazy goes with --penalties"),
        (["--recipe=began", "--penalties=r1"], "began takes no --penalties"),
        (["--recipe=began", "--conditional"], "began takes no --conditional"),
        (["--recipe=bigan", "--augment"], "bigan takes no --augment"),
        (["--recipe=bigan", "--architecture=dcgan"], "bigan takes no --architecture"),
    ],
)
def test_flags_that_cannot_be_are_refused(monkeypatch, flags, message):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import gan_models

    with flagsaver.flagsaver(), pytest.raises(absl_flags.IllegalFlagValueError) as refusal:
        gan_models.FLAGS(["train_gan.py", *flags])
    assert message in str(refusal.value)


def test_what_cannot_be_trained_leaves_the_directory_alone(tmp_path):
    done = run(tmp_path / "run", "--architecture=resnet", "--conditional", "--image_size=18")
    assert done.returncode == 1
    assert "Expected" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "flags.json").exists()
