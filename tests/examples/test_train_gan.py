"""The runner of the GANs from the outside."""

import json
from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags
from absl.testing import flagsaver

from tests import programs

SCRIPT = Path(__file__).parents[2] / "examples" / "train_gan.py"
SMALL = [
    "--num_examples=320",
    "--epochs=2",
    "--batch_size=16",
    "--units=32",
    "--filters=8",
    "--latent_dim=8",
    "--num_scored=100",
    "--classifier_epochs=2",
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
    return programs.run(SCRIPT, f"--workdir={workdir}", *SMALL, *flags)


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
        pytest.param(["--recipe=lsgan", "--conditional"], marks=pytest.mark.ci),
        pytest.param(["--recipe=sngan", "--conditional"], marks=pytest.mark.ci),
        pytest.param(["--recipe=bigan", "--ema_decay=0"], marks=pytest.mark.ci),
        pytest.param(["--recipe=began"], marks=pytest.mark.ci),
    ],
    ids=["gan", "lsgan", "sngan", "bigan", "began"],
)
def test_runs(tmp_path, flags):
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


STEPS = """
import json, sys
sys.path.insert(0, {examples!r})
from absl.testing import flagsaver
import tfgen, train_gan
from train_gan import gan_models

train = tfgen.data.load("digits", batch_size=20)
for recipe in sorted(gan_models.RECIPES):
    for loss in sorted(gan_models.LOSSES) if recipe == "gan" else [None]:
        flags = ["--recipe=" + recipe, "--units=8", "--filters=4", "--latent_dim=3"]
        with flagsaver.flagsaver():
            train_gan.FLAGS(["train_gan.py", *flags, *([f"--loss={{loss}}"] if loss else [])])
            gan = gan_models.make_gan(train)
        gan.run_eagerly = True
        logs = gan.train_step(next(iter(train.dataset())))
        layers = {{type(layer).__name__ for layer in gan.discriminator._flatten_layers()}}
        terms = {{name: float(value) for name, value in logs.items()}}
        print(json.dumps([recipe, loss, terms, sorted(layers)]))
"""


@pytest.mark.ci
def test_every_recipe_and_loss_trains_the_networks_that_it_wants(tmp_path):
    program = tmp_path / "steps.py"
    program.write_text(STEPS.format(examples=str(SCRIPT.parent)))
    done = programs.run(program)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"wgan", "sngan", "bigan", "began"} < {recipe for recipe, *_ in found}
    assert {"hinge", "total_variation"} < {loss for _, loss, *_ in found}
    for recipe, _, terms, layers in found:
        assert terms and np.isfinite(list(terms.values())).all(), recipe
        assert ("SpectralNormalization" in layers) == (recipe == "sngan")
        # Of 8 pixels, DCGAN has one convolution, which the first goes without.
        without = ("wgan", "wgan_gp", "dragan", "sngan", "began", "bigan", "dcgan")
        assert ("BatchNormalization" in layers) == (recipe not in without), recipe


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
