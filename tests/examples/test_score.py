"""The program that scores: of what it takes, against what, and what it keeps."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import tfgen
from tests import programs
from tfgen import adversarial, distributions, metrics, networks

SCRIPT = Path(__file__).parents[2] / "examples" / "score.py"
SMALL = ["--num_examples=200", "--num_scored=50", "--verbose=2"]


def run(folder, *flags):
    return programs.run(SCRIPT, *flags, cwd=folder, TFGEN_INCEPTION_WEIGHTS="")


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
    flags = ("--model=model.keras", "--scores=fid,kid", "--output=out/scores.json")
    done = run(folder, *SMALL, *flags)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_model_is_scored_beside_training_images(scored):
    folder, printed = scored
    report = json.loads((folder / "out/scores.json").read_text())
    assert list(report["fid"]) == ["train_vs_heldout", "model"]
    assert 0 < report["fid"]["train_vs_heldout"] < report["fid"]["model"]
    for name, scores in report["protocol"].items():
        assert [score["metric"] for score in scores] == ["FID", "KID"]
        assert {(score["num_real"], score["num_fake"]) for score in scores} == {(50, 50)}
        cells = [f"{score['value']:.4g}" for score in scores]
        assert [name, *cells] in [line.split() for line in printed.splitlines()]
    assert "training the judge" not in printed


def test_its_samples_as_images_have_its_scores(scored):
    folder, _ = scored
    model = tfgen.load_model(folder / "model.keras", adversarial.GAN)
    np.save(folder / "samples.npy", model.sample(50, seed=0).numpy())
    flags = ("--images=samples.npy", "--scores=fid,kid", "--output=images.json")
    done = run(folder, *SMALL, *flags)
    assert done.returncode == 0, done.stderr
    of_model, of_images = (
        json.loads((folder / name).read_text())["fid"]
        for name in ("out/scores.json", "images.json")
    )
    assert of_images["images"] == pytest.approx(of_model["model"], rel=1e-3)
    assert of_images["train_vs_heldout"] == of_model["train_vs_heldout"]
    assert done.stdout.count(": from runs/features/") >= 2  # What the other program left.


SCORES = ["FID", "KID", "precision", "recall", "density", "coverage"]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A folder with images of two sizes, a model and what was exported of it."""
    folder = tmp_path_factory.mktemp("sides")
    random = np.random.default_rng(0)
    np.save(folder / "small.npy", random.integers(0, 256, [40, 8, 8, 1], np.uint8))
    (folder / "photos").mkdir()
    for number in range(30):
        image = random.integers(0, 128, [12, 16, 3], np.uint8)
        keras.utils.save_img(folder / f"photos/{number}.png", image, scale=False)
    gan = small_gan(8, 8, 1)
    gan.save(folder / "model.keras")
    tfgen.serving.export(gan, folder / "served")
    (folder / "served" / "1.bak").mkdir()
    return folder


@pytest.mark.parametrize("first, second", [("small.npy", "photos"), ("photos", "model.keras")])
def test_any_two_are_compared_by_all_scores(sides, first, second):
    done = run(sides, first, second, "--output=scores.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((sides / "scores.json").read_text())
    assert report["real"] == first and list(report["fid"]) == [second]
    (scores,) = report["protocol"].values()
    assert [score["metric"] for score in scores] == SCORES
    assert {score["extractor"].partition("[")[0] for score in scores} == {"pixels"}
    assert "Scores compare pixels features, which need no labels" in done.stdout
    sizes = {"small.npy": "8x8x1", "photos": "12x16x3", "model.keras": "8x8x1"}
    made = f"{second}: images of {sizes[second]} are made {sizes[first]}, as the real ones are"
    assert made in done.stdout


def test_the_scores_are_those_of_the_features(sides):
    done = run(sides, "digits:test", "small.npy", "--num_scored=40", "--output=digits.json")
    assert done.returncode == 0, done.stderr
    digits = tfgen.data.load("digits", split="test", batch_size=1)
    chosen = np.sort(np.random.default_rng(0).permutation(len(digits))[:40])
    real = digits.as_float(chosen).reshape(40, 64)  # As small as the reduced images are.
    fake = np.load(sides / "small.npy").reshape(40, 64) / np.float32(255)
    with pytest.warns(UserWarning, match="singular"):
        fid = metrics.fid(real, fake)
    expected = [
        fid,
        metrics.kid(real, fake, subset_size=20)[0],
        *metrics.precision_recall(real, fake),
        *metrics.density_coverage(real, fake),
    ]
    (scores,) = json.loads((sides / "digits.json").read_text())["protocol"].values()
    np.testing.assert_allclose([score["value"] for score in scores], expected, rtol=1e-4)
    assert "Note: FID from 40 examples" in done.stdout


def test_a_model_and_what_was_exported_of_it_are_the_same(sides):
    done = run(sides, "model.keras", "served", "--num_scored=60", "--output=same.json")
    assert done.returncode == 0, done.stderr
    (scores,) = json.loads((sides / "same.json").read_text())["protocol"].values()
    values = {score["metric"]: score["value"] for score in scores}
    assert values["FID"] < 1e-4 and values["precision"] == values["coverage"] == 1
    assert {score["num_fake"] for score in scores} == {60}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Expected two things to compare, or one of --model and --images. Received: []"),
        (["digits:test"], "Received: ['digits:test']"),
        (["digits:test", "--model=other.keras"], "Received: ['digits:test']"),
        (["digits:test", "nowhere/images"], "nowhere/images"),
        (["digits:all", "digits:rest"], "Expected `split`"),
        (["digits:test", "other.keras", "--num_scored=5"], "num_scored"),
        (["digits:test", "other.keras", "--features=classifier.keras"], "classifier.keras"),
        (
            ["digits:test", "other.keras", "--scores=inception_score"],
            "Expected --features with class probabilities for inception_score. Received: pixels",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_scored_is_refused(tmp_path, flags, message):
    (tmp_path / "other.keras").write_text("")
    if any("inception_score" in flag for flag in flags):
        small_gan(4, 4, 1).save(tmp_path / "other.keras")
    failed = run(tmp_path, *flags, "--output=out/scores.json")
    assert failed.returncode == 1
    assert message in failed.stderr and "Traceback" not in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other.keras"]
