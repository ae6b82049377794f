"""Parts of the runner by themselves."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.data.test_data_tfds import image, write_data_set
from tests.small_models import small_glo
from tfgen.model.inversion import Inversion

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def data_flags(monkeypatch):
    """The module, with flags for small data."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import data_flags

    flags = dict(image_size=None, num_examples=None, seed=0, skip_unreadable=False, channels=None)
    flags |= dict(data_dir=None, max_pixels=1000, split_folders=True, in_memory=None)
    monkeypatch.setattr(data_flags, "FLAGS", SimpleNamespace(**flags))
    yield data_flags
    del sys.modules["data_flags"]


def write_tfds(folder, **splits):
    import tensorflow_datasets as tfds

    features = {"image": tfds.features.Image(shape=(4, 4, 3))}
    images = [{"image": image(number)} for number in range(20)]
    examples = {name: images[start:stop] for name, (start, stop) in splits.items()}
    write_data_set(folder, "small", features, examples)
    return "small"


def write_npy(folder):
    np.save(folder / "small.npy", np.stack([image(number) for number in range(20)]))
    return str(folder / "small.npy")


def write_folder(folder):
    for number in range(20):
        keras.utils.save_img(folder / f"{number:02d}.png", image(number), scale=False)
    return str(folder)


def with_test_split(folder):
    return write_tfds(folder, train=(0, 15), test=(15, 20))


def without_test_split(folder):
    return write_tfds(folder, train=(0, 20))


@pytest.mark.parametrize(
    "write, splits, sizes",
    [
        (with_test_split, ("train", "test"), (15, 5)),
        (without_test_split, ("train[:90%]", "train[90%:]"), (18, 2)),
        (write_npy, ("train", "test"), (16, 4)),
        (write_folder, ("train", "test"), (16, 4)),
    ],
)
def test_held_out_data_are_other_than_those_to_train_on(data_flags, tmp_path, write, splits, sizes):
    data_flags.FLAGS.data_dir, data_flags.FLAGS.dataset = tmp_path, write(tmp_path)
    parts = data_flags.load_both()
    assert tuple(part.split for part in parts) == splits
    assert tuple(part.num_examples for part in parts) == sizes
    numbers = [number for part in parts for number in part.x[:, 0, 0, 0]]
    assert sorted(numbers) == list(range(20))
    data_flags.FLAGS.num_examples = 6
    fewer, heldout = data_flags.load_both()
    assert fewer.num_examples == 6
    np.testing.assert_array_equal(heldout.x, parts[1].x)


def test_an_export_that_was_set_aside_is_no_version(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    import runner

    monkeypatch.setattr(runner, "FLAGS", SimpleNamespace(mixed_precision="none", seed=0))
    (tmp_path / "1.bak").mkdir()
    model = small_glo(inversion=Inversion(1, 1))
    for _ in range(2):  # The second finds that of the first.
        runner.export_and_check(model, tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.bak"]


@pytest.mark.parametrize(
    "given, num_examples, parts, size",
    [
        (None, 1437, 1, 64),
        (None, 512, 1, 64),
        (None, 160, 1, 20),
        (None, 48, 1, 8),
        (None, 5, 1, 5),
        (None, 48, 5, 8),
        (None, 24, 5, 4),
        (48, 48, 1, 48),
        (64, 48, 1, 48),
        (16, 48, 5, 9),
    ],
)
def test_batches_are_small_where_examples_are_few(
    data_flags, capsys, given, num_examples, parts, size
):
    assert data_flags.batch_size(given, 64, num_examples, parts) == size
    said = capsys.readouterr().out
    assert said == (
        f"Batches of {size} examples, as there are {num_examples} to train on.\n"
        if size != (given or 64)
        else ""
    )


def test_too_few_examples_for_a_step_are_refused(data_flags):
    with pytest.raises(ValueError, match="Expected 5 examples or more.*Received: 4"):
        data_flags.batch_size(None, 64, 4, parts=5)


@pytest.mark.parametrize(
    "given, count, epochs", [(None, 1437, 100), (None, 48, 334), (7, 48, 7), (None, 5, 2000)]
)
def test_few_examples_are_seen_more_often(data_flags, given, count, epochs):
    size = data_flags.batch_size(None, 64, count)
    assert data_flags.num_epochs(given, 100, data_flags.STEPS, size, count) == epochs


def test_a_run_is_called_by_its_data(data_flags, tmp_path):
    (tmp_path / "my cats.v2").mkdir()
    (tmp_path / "faces.npz").write_bytes(b"")
    names = {
        "digits": "digits",
        "cifar10:3.*.*": "cifar10_3",
        "emnist/letters": "emnist_letters",
        f"{tmp_path}/faces.npz": "faces",
        f"{tmp_path}/my cats.v2/": "my_cats_v2",
    }
    assert {name: data_flags.short_name(name) for name in names} == names


def test_errors_name_the_flags_of_arguments(data_flags):
    said = data_flags.with_flags("Expected (`image_size` resizes, `filters`, skip_unreadable=True)")
    assert said == "Expected (--image_size resizes, `filters`, --skip_unreadable=True)"


def test_warnings_name_the_flags_of_arguments(data_flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tfgen.data.sources.available_memory", lambda: 100)
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        write_folder(tmp_path / name)
    assert not data_flags.load(str(tmp_path), "train").in_memory
    said = capsys.readouterr().out
    assert said.startswith("Note: Streaming 20 images") and "(--in_memory=True reads them" in said
    data_flags.FLAGS.split_folders, data_flags.FLAGS.in_memory = False, True
    examples = data_flags.load(str(tmp_path), "all")
    assert examples.class_names == ("test", "train") and examples.in_memory
    assert capsys.readouterr().out == ""


def test_the_history_of_a_run_that_was_killed_goes_on(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    import history

    monkeypatch.setattr(history.runner, "is_chief", lambda: True)
    path = tmp_path / "history.csv"

    def train(first, last):
        lines = history.HistoryFile(path)
        lines.on_train_begin()
        for epoch in range(first, last):
            lines.on_epoch_end(epoch, {"loss": first + epoch})

    train(0, 3)
    path.write_text(path.read_text() + "training,4,lo")  # All that a kill left of the line.
    train(2, 4)
    rows = [row for row in history.read_history(path) if row["term"] == "loss"]
    assert [(row["epoch"], float(row["value"])) for row in rows] == [
        ("1", 0),
        ("2", 1),
        ("3", 4),
        ("4", 5),
    ]
    assert set(history.training_seconds(path)) == {"training"}


def test_few_images_make_no_wide_sheet(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    from drawing import sheet

    sheet(tmp_path / "sheet.png", {str(i): np.zeros((9, 80, 1)) for i in range(4)})
    height, width, _ = tf.io.decode_png((tmp_path / "sheet.png").read_bytes()).shape
    assert width <= 3050 and height < width


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import console
console.prepare()
console.end_with(lambda: "; so it goes on")
try:
    print("ready", flush=True)
    import time
    time.sleep(600)
finally:
    print("cleaned", flush=True)
"""


def test_an_interrupt_ends_a_program_with_one_line():
    command = [sys.executable, "-c", PROGRAM, str(EXAMPLES)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "cleaned\n", "\nInterrupted; so it goes on\n")


def test_an_interrupted_run_goes_on_after_its_last_checkpoint(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    import runner

    assert runner._how_to_go_on(tmp_path) == "the same command begins anew"
    for seconds, name in enumerate(["glo/ckpt-9.index", "glo/ckpt-10.index", "imle/ckpt-2.index"]):
        path = tmp_path / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        os.utime(path, (seconds, seconds))
        said = f"the same command goes on after epoch {path.stem[5:]}"
        assert runner._how_to_go_on(tmp_path) == said


def test_every_program_is_prepared_before_tensorflow_is_imported():
    programs = [*EXAMPLES.glob("*.py"), *(EXAMPLES.parent / "export").glob("*.py")]
    texts = {path.name: path.read_text() for path in programs}
    found = {name for name, text in texts.items() if "app.run(" in text or "runner.run(" in text}
    # The client imports TensorFlow only to speak gRPC.
    found = found - {"runner.py", "client.py"} | {"quickstart.py"}
    assert found >= {
        "train_gan.py",
        "train_glann.py",
        "score.py",
        "sample.py",
        "export_model.py",
        "serve.py",
    }
    for name in found:
        before, prepared, after = texts[name].partition("\nconsole.prepare()")
        assert prepared and "import tfgen" in after, name
        assert not any(f"import {each}" in before for each in ("keras", "tensorflow", "runner"))
