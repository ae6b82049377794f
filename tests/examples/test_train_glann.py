"""The runner from the outside: what a shell sees."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import tfgen  # noqa: F401  (registers what the .keras files hold)
from tests import programs

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "train_glann.py"
SMALL = [
    "--num_examples=200",
    "--epochs=2",
    "--imle_epochs=2",
    "--latent_dim=8",
    "--noise_dim=8",
    "--mixture_components=4",
    "--num_scored=100",
    "--classifier_epochs=2",
    "--generator_units=16",
    "--generator_filters=8,4",
    "--mapping_units=16",
    "--verbose=2",
]
ARTIFACTS = [
    "samples.png",
    "interpolation.png",
    "metrics.json",
    "history.csv",
    "model.keras",
    "serving/1/saved_model.pb",
    "serving/1/assets.extra/model_card.json",
]


def run(workdir, *flags):
    return programs.run(SCRIPT, f"--workdir={workdir}", *flags, TFGEN_INCEPTION_WEIGHTS="")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "glann"
    done = run(workdir, *SMALL)
    assert done.returncode == 0, done.stderr
    return workdir, done.stdout


def test_it_writes_all_that_it_promises(finished):
    workdir, _ = finished
    assert [name for name in ARTIFACTS if not (workdir / name).is_file()] == []


def test_it_prints_the_table_and_how_to_call_the_export(finished):
    _, printed = finished
    for row in ("train_vs_heldout", "reconstruction", "glo_gaussian", "glo_mixture", "glann"):
        assert f"\n{row}" in printed
    assert "\nOn digits:\ntrain_vs_heldout: FID " in printed
    assert "(classifier[64], 100 real test vs 100 fake)" in printed
    assert "curl -s localhost:8501/v1/models/glann:predict" in printed


def test_metrics_json_holds_the_scores_and_their_protocol(finished):
    workdir, _ = finished
    report = json.loads((workdir / "metrics.json").read_text())
    kinds = {"train_vs_heldout", "reconstruction", "glo_gaussian", "glo_mixture", "glann"}
    assert set(report["fid"]) == kinds == set(report["protocol"])
    for kind, (score,) in report["protocol"].items():
        assert score["value"] == report["fid"][kind] > 0
        assert (score["num_real"], score["num_fake"]) == (100, 100)
        assert score["extractor"] == "classifier[64]"


def test_history_has_a_line_for_each_term_and_epoch(finished):
    workdir, _ = finished
    lines = (workdir / "history.csv").read_text().splitlines()
    assert lines[0] == "stage,epoch,term,value"
    stages = [line.split(",")[:3] for line in lines[1:]]
    for stage in ("glo", "imle"):
        for epoch in ("1", "2"):
            assert [stage, epoch, "loss"] in stages


def test_a_second_run_says_that_it_is_finished(finished):
    workdir, _ = finished
    again = run(workdir, *SMALL)
    assert again.returncode == 0
    assert "is finished" in again.stdout


def test_another_run_in_the_same_place_is_refused(finished):
    workdir, _ = finished
    other = run(workdir, *SMALL, "--seed=1")
    assert other.returncode != 0
    assert "other values of seed" in other.stderr + other.stdout


@pytest.mark.ci
def test_a_run_killed_at_any_moment_ends_with_the_same_weights(finished, tmp_path):
    """Kills the run as soon as each of the files appears, then lets it end."""
    workdir, _ = finished
    killed = tmp_path / "glann"
    moments = [
        "perceptual.keras",
        "checkpoints/glo/ckpt-1.index",
        "checkpoints/imle/ckpt-1.index",
        "model.keras",
    ]
    for moment in moments:
        kill_when(killed / moment, [SCRIPT, f"--workdir={killed}", *SMALL])
    done = run(killed, *SMALL)
    assert done.returncode == 0, done.stderr
    assert [name for name in ARTIFACTS if not (killed / name).is_file()] == []
    assert sorted(p.name for p in (killed / "serving").iterdir()) == ["1"]
    models = [keras.models.load_model(folder / "model.keras") for folder in (workdir, killed)]
    for expected, found in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_array_equal(expected.numpy(), found.numpy(), expected.path)
    reports = [json.loads((f / "metrics.json").read_text())["fid"] for f in (workdir, killed)]
    assert reports[0] == reports[1]


def kill_when(path, arguments):
    """Starts Python in a process and kills it, with SIGKILL, as soon as a file exists."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=quiet,
    ) as process:
        while not path.exists():
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)


VARIANTS = {
    "mirrored, laplacian": ["--strategy=mirrored", "--logical_cpus=2", "--loss=laplacian"],
    "bfloat16, pixels": [
        "--mixed_precision=bfloat16",
        "--loss=l1",
        "--pixel_imle_epochs=1",
        "--scores=fid,kid,precision_recall,density_coverage,inception_score",
    ],
}


@pytest.mark.ci
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_a_run_end(tmp_path, variant):
    small = ["--epochs=1", "--imle_epochs=1", "--noexport"]
    done = run(tmp_path, *SMALL, *small, *VARIANTS[variant])
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert np.isfinite(list(report["fid"].values())).all()
    if "pixels" in variant:
        found = [score["metric"] for score in report["protocol"]["pixel_imle"]]
        assert found == ["FID", "KID", "precision", "recall", "density", "coverage", "IS"]
        assert re.search(r"\nglann: KID \S+ ± \S+ \(.*subset", done.stdout)
        assert re.search(r"\nglann: IS \S+ ± \S+ \(.*, 10 splits, 100 fake\)", done.stdout)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--dataset=no_such_data"], "no_such_data"),
        (["--num_examples=2"], "--latent_dim <= 2"),
        (["--num_examples=1"], "2 images or more"),
        (["--features=inception"], "--inception_weights"),
        (["--features=nowhere.keras"], "nowhere.keras"),
        (["--scores=fid,lpips"], "expected some of fid, kid"),
        (["--scores=inception_score", "--features=keras_inception"], "class probabilities"),
        (["--jit_compile"], "--jit_compile needs --nodeterministic"),
        (["--generator_filters=a,b"], "expected integers > 0"),
        (["surplus"], "surplus"),
    ],
)
def test_bad_flags_are_named(tmp_path, flags, message):
    failed = run(tmp_path / "run", *SMALL, "--batch_size=128", *flags)
    assert failed.returncode == 1
    assert message in failed.stderr + failed.stdout
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--generator_filters=8"], "two `filters`"),
        (["--image_size=10"], "divisible by 4"),
        (["--imle_subset=201"], "`subset_size` <= 200"),
        (["--latent_dim=65"], "--latent_dim <= 64"),
        (["--image_size=4", "--loss=laplacian", "--nopca"], "large enough for 3 levels"),
        (["--latent_learning_rate=0", "--schedule=constant"], "learning_rate"),
    ],
)
def test_a_start_that_is_refused_leaves_the_earlier_run(tmp_path, flags, message):
    earlier = {"flags.json": "{}", "finished": "", "model.keras": "weights"}
    for name, text in earlier.items():
        (tmp_path / name).write_text(text)
    failed = run(tmp_path, *SMALL, "--overwrite", *flags)
    assert failed.returncode == 1
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == earlier


@pytest.mark.parametrize("flag", ["--loss=perceptual", "--features=classifier"])
def test_images_without_labels_are_refused_where_a_classifier_is_needed(tmp_path, flag):
    np.save(tmp_path / "images.npy", np.zeros((200, 8, 8, 1), np.uint8))
    data = ["--num_examples=150", f"--dataset={tmp_path / 'images.npy'}"]
    failed = run(tmp_path / "run", *SMALL, "--loss=l1", *data, flag)
    assert failed.returncode == 1
    assert "has no labels" in failed.stderr
    assert list((tmp_path / "run").iterdir()) == []


def test_a_workdir_that_is_a_file_is_named(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    failed = run(path, *SMALL)
    assert failed.returncode != 0
    assert str(path) in failed.stderr


def test_overwrite_removes_nothing_but_runs(tmp_path):
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    failed = run(tmp_path, *SMALL, "--overwrite")
    assert failed.returncode != 0
    assert "neither empty nor a run" in failed.stderr
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize("flag", ["--dataset=no_such_data", "--imle_subset=201"])
def test_a_start_that_failed_does_not_hold_the_place(tmp_path, flag):
    failed = run(tmp_path, *SMALL, flag)
    assert failed.returncode == 1
    assert list(tmp_path.iterdir()) == []  # Hence any other flags are as good as at first.


def test_help_names_the_shared_flags(tmp_path):
    shown = run(tmp_path, "--help").stdout
    for flag in ("--dataset", "--workdir", "--[no]overwrite", "--strategy", "--features"):
        assert flag in shown
