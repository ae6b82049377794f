"""The commonest first use of the runners: a folder of one's own few images, without labels."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests import programs

EXAMPLES = Path(__file__).parents[2] / "examples"
GAN = ["--epochs=2", "--units=8", "--filters=4", "--latent_dim=4"]
GLANN = ["--epochs=2", "--imle_epochs=2", "--latent_dim=4", "--generator_filters=8,4"]


def run(folder, program, *flags):
    return programs.run(EXAMPLES / program, *flags, cwd=folder, TFGEN_INCEPTION_WEIGHTS="")


def write(folder, *names, shape=(12, 8, 3), seed=0):
    random = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(path, random.integers(0, 256, shape, np.uint8), scale=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with photos, some grey, and others in folders of their classes."""
    place = tmp_path_factory.mktemp("place")
    write(place / "photos", *(f"{i}.png" for i in range(40)))
    write(place / "photos", "40.png", "41.png", shape=(12, 8, 1))
    write(place / "plain", *(f"{i}.png" for i in range(42)))
    write(place / "pets", *(f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(21)))
    return place


@pytest.mark.parametrize(
    "program, flags, kind",
    [
        ("train_gan.py", GAN, "gan"),
        pytest.param("train_glann.py", GLANN, "glann", marks=pytest.mark.ci),
    ],
    ids=["gan", "glann"],
)
def test_images_without_labels_train_with_no_flag_more(place, program, flags, kind):
    done = run(place, program, "--dataset=plain", *flags)
    assert done.returncode == 0, done.stderr
    assert "Scores compare pixels features, which need no labels" in done.stdout
    assert "Batches of 8 examples, as there are 33 to train on." in done.stdout
    folder = place / "runs" / f"{kind}_plain"
    for name in ("samples.png", "interpolation.png", "model.keras", "serving/1/saved_model.pb"):
        assert (folder / name).is_file()
    report = json.loads((folder / "metrics.json").read_text())
    (score, *_) = report["protocol"][kind]
    assert (score["extractor"].partition("[")[0], score["num_real"]) == ("pixels", 9)
    assert len(done.stdout.splitlines()) < 60


@pytest.mark.ci
def test_the_judge_of_few_labelled_images_is_trained_briefly_and_quietly(place):
    done = run(place, "train_gan.py", "--dataset=pets", "--noexport", *GAN)
    assert done.returncode == 0, done.stderr
    assert "training the judge classifier for 100 epochs" in done.stdout
    assert len(done.stdout.splitlines()) < 60
    report = json.loads((place / "runs/gan_pets/metrics.json").read_text())
    assert report["protocol"]["gan"][0]["extractor"] == "classifier[64]"


@pytest.mark.ci
def test_images_of_other_channels_are_refused_with_the_flag_that_converts_them(place):
    refused = run(place, "train_gan.py", "--dataset=photos", *GAN)
    assert refused.returncode == 1
    assert "--channels converts" in refused.stderr and "Traceback" not in refused.stderr
    assert not any((place / "runs/gan_photos").iterdir())
    done = run(place, "train_gan.py", "--dataset=photos", "--channels=3", "--noexport", *GAN)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "program, flags, message",
    [
        ("train_gan.py", ["--architecture=dcgan"], "size 8, 16, 32, 64 ... (--image_size resizes"),
        ("train_gan.py", ["--image_size=10"], "divisible by 4 (--image_size resizes them)"),
        ("train_gan.py", ["--features=classifier"], "pets has no labels"),
        (
            "train_gan.py",
            ["--scores=inception_score"],
            "Expected 10 images or more",
        ),
        ("train_gan.py", ["--scores=lpips"], "expected some of fid, kid"),
        ("train_gan.py", ["--channels=2"], "value should be one of <1|3|4>"),
        ("train_gan.py", ["--recipe=wgan_gp", "--num_examples=4"], "Expected 5 examples or more"),
        ("train_glann.py", ["--loss=perceptual"], "Give another --loss than perceptual"),
        ("train_glann.py", ["--latent_dim=40"], "--latent_dim <= 33"),
    ],
)
def test_what_flags_and_data_cannot_do_is_refused_before_any_training(
    place, program, flags, message
):
    name = "plain" if "has no labels" not in message else "pets/cat"
    message = message.replace("pets has", "pets/cat has")
    failed = run(place, program, f"--dataset={name}", "--workdir=refused", *flags)
    assert failed.returncode == 1
    assert message in failed.stderr + failed.stdout
    assert "Traceback" not in failed.stderr and "training" not in failed.stdout
    assert not any((place / "refused").iterdir()) if (place / "refused").exists() else True


def test_the_fid_network_judges_where_its_weights_are_at_hand(place):
    """By weights that are damaged, which an error tells."""
    (place / "weights.npz").write_bytes(b"no weights")
    flags = ("--dataset=plain", "--workdir=refused", "--architecture=dcgan")
    weights = {"TFGEN_INCEPTION_WEIGHTS": "weights.npz"}
    failed = programs.run(EXAMPLES / "train_gan.py", *flags, cwd=place, **weights)
    assert "Scores compare inception features, which need no labels." in failed.stdout
    assert "Expected a complete .npz file. Received: weights.npz" in failed.stderr
    weights = {"TFGEN_INCEPTION_WEIGHTS": "nowhere.npz"}
    failed = programs.run(EXAMPLES / "train_gan.py", *flags, cwd=place, **weights)
    assert "Scores compare pixels features" in failed.stdout and "size 8, 16" in failed.stderr


@pytest.mark.ci
def test_an_interrupted_run_says_where_it_goes_on_and_does(tmp_path):
    command = [sys.executable, str(EXAMPLES / "train_gan.py"), "--workdir=run", "--noexport"]
    flags = ["--epochs=4", "--units=8", "--filters=4", "--num_examples=64", "--features=pixels"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    with subprocess.Popen([*command, *flags], **pipes) as process:
        while not (tmp_path / "run/checkpoints/ckpt-1.index").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130 and "Traceback" not in err
    assert err.splitlines()[-1].startswith("Interrupted; the same command goes on after epoch ")
    done = run(tmp_path, "train_gan.py", *command[2:], *flags)
    assert done.returncode == 0, done.stderr
    assert "of 4 epochs are done already" in done.stdout


@pytest.mark.ci
def test_streamed_images_train_alike(place):
    flags = ("--dataset=pets", "--classifier_epochs=1", *GAN)
    reports = []
    for flag in ("--in_memory", "--noin_memory"):
        done = run(place, "train_gan.py", f"--workdir=runs/{flag}", flag, *flags)
        assert done.returncode == 0, done.stderr
        assert (" streamed," in done.stdout) == (flag == "--noin_memory")
        reports.append(json.loads((place / "runs" / flag / "metrics.json").read_text()))
    assert reports[0]["fid"] == reports[1]["fid"]
