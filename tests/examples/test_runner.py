"""Parts of the runner by themselves."""

import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.data.test_data_tfds import image, write_data_set
from tests.small_models import small_glo
from tfgen.model.inversion import Inversion


@pytest.fixture
def runner(monkeypatch):
    """The module, with flags for small data."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    import runner

    flags = dict(image_size=None, num_examples=None, batch_size=4, seed=0, skip_unreadable=False)
    monkeypatch.setattr(runner, "FLAGS", SimpleNamespace(**flags, data_dir=None))
    yield runner
    del sys.modules["runner"]


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
def test_held_out_data_are_other_than_those_to_train_on(runner, tmp_path, write, splits, sizes):
    runner.FLAGS.data_dir, runner.FLAGS.dataset = tmp_path, write(tmp_path)
    parts = runner.load_data()
    assert tuple(part.split for part in parts) == splits
    assert tuple(part.num_examples for part in parts) == sizes
    numbers = [number for part in parts for number in part.x[:, 0, 0, 0]]
    assert sorted(numbers) == list(range(20))
    runner.FLAGS.num_examples = 6
    fewer, heldout = runner.load_data()
    assert fewer.num_examples == 6
    np.testing.assert_array_equal(heldout.x, parts[1].x)


def test_an_export_that_was_set_aside_is_no_version(runner, tmp_path):
    runner.FLAGS.mixed_precision = "none"
    (tmp_path / "1.bak").mkdir()
    model = small_glo(inversion=Inversion(1, 1))
    for _ in range(2):  # The second finds that of the first.
        runner.export_and_check(model, tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.bak"]
