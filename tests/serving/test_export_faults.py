"""Exports that cannot be made or loaded, and calls that a signature does not take."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.faults import cut, flip, largest_file
from tests.small_models import COMPLAINT, blocks, center, compiled_glo, small_glo
from tfgen.distributions import Gaussian
from tfgen.model.inversion import Inversion
from tfgen.serving import SessionLoader, export


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = small_glo(inversion=Inversion(2, 1))
    return export(model, tmp_path_factory.mktemp("serving"), {"loss": 0.5}), model


@pytest.fixture(scope="module")
def served(exported):
    with SessionLoader(exported[0]) as loaded:
        yield loaded


@pytest.fixture
def copy(exported, tmp_path):
    """Another such version, to be spoiled."""
    return Path(shutil.copytree(exported[0], tmp_path / "1"))


def test_whole(exported, served):
    path, model = exported
    images = served("sample", seed=[3, 3 + 2**32])["images"]
    np.testing.assert_allclose(images, model.sample(2, seed=3), rtol=1e-5)
    assert path.name == "1"
    assert {"saved_model.pb", "variables", "assets.extra"} <= {p.name for p in path.iterdir()}


FAULTS = {
    "no graph": lambda path: (path / "saved_model.pb").unlink(),
    "half of the graph": lambda path: cut(path / "saved_model.pb", 5000),
    "an empty graph": lambda path: cut(path / "saved_model.pb", 0),
    "no variables": lambda path: shutil.rmtree(path / "variables"),
    "no index": lambda path: (path / "variables" / "variables.index").unlink(),
    "an empty index": lambda path: cut(path / "variables" / "variables.index", 0),
    "half of the variables": lambda path: cut(data_of(path), 100),
    "no data of the variables": lambda path: data_of(path).unlink(),
    "a changed bit": lambda path: flip(data_of(path), 50),
}


def data_of(path):
    return path / "variables" / "variables.data-00000-of-00001"


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_missing_or_truncated(copy, spoil):
    spoil(copy)
    with pytest.raises(ValueError, match=COMPLAINT) as error:
        SessionLoader(copy)
    assert str(copy) in str(error.value)


def test_no_such_directory(tmp_path):
    with pytest.raises(ValueError, match=f"{COMPLAINT}{tmp_path / '7'}"):
        SessionLoader(tmp_path / "7")


def test_unknown_signature(served):
    with pytest.raises(ValueError, match="'sample'.*Received: 'smaple'"):
        served("smaple", seed=[1])


@pytest.mark.parametrize("inputs", [{}, {"seeds": [1]}, {"seed": [1], "temperature": [1.0]}])
def test_other_inputs(served, inputs):
    with pytest.raises(ValueError, match=r"Expected inputs \['seed'\]. Received: "):
        served("sample", **inputs)


@pytest.mark.parametrize(
    "signature, inputs",
    [
        ("sample", {"seed": 1}),
        ("sample", {"seed": [[1]]}),
        ("sample", {"seed": ["one"]}),
        ("decode", {"z": np.zeros([1, 4])}),
        ("reconstruct", {"images": np.zeros([2, 4, 4, 3])}),
        ("reconstruct", {"images": np.zeros([4, 4, 1])}),
    ],
)
def test_inputs_of_another_shape_or_type(served, signature, inputs):
    with pytest.raises((TypeError, ValueError)):
        served(signature, **inputs)


def test_versions_count_up_from_the_largest(tmp_path):
    for name in ("3", "11", "notes", "2x"):
        (tmp_path / name).mkdir()
    assert export(small_glo(), tmp_path).name == "12"


def test_what_is_no_model(tmp_path):
    for model in (tf.keras.Sequential(), None, "model.keras"):
        with pytest.raises(TypeError, match=COMPLAINT):
            export(model, tmp_path / "serving")
    assert not (tmp_path / "serving").exists()


def test_a_model_that_can_do_nothing_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="Expected a model with one of the capab"):
        export(center(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "serving").write_text("")
    with pytest.raises(OSError, match=COMPLAINT):
        export(small_glo(), tmp_path / "serving")


def test_a_full_disk_leaves_the_earlier_version_alone(exported, tmp_path):
    base = tmp_path / "serving"
    shutil.copytree(exported[0], base / "1")
    with largest_file(6000), pytest.raises((OSError, tf.errors.OpError)):
        export(exported[1], base)
    assert [path.name for path in base.iterdir()] == ["1"]
    with SessionLoader(base / "1") as loaded:
        assert loaded("sample", seed=[1])["images"].shape == (1, 4, 4, 1)


def test_model_card(exported):
    path, model = exported
    card = json.loads((path / "assets.extra" / "model_card.json").read_text())
    assert card["model"] == "GLO" and card["event_shape"] == [4, 4, 1]
    assert card["training_metrics"] == {"loss": 0.5} and card["training_steps"] == 0
    assert card["capabilities"] == sorted(model.capabilities())
    assert card["signatures"]["sample"] == {"seed": {"dtype": "int64", "shape": [None]}}
    assert card["versions"]["tensorflow"] == tf.__version__


def test_an_export_while_training_samples_the_latents_as_they_are(tmp_path):
    class Export(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            density = Gaussian(3).fit(self.model.codes.numpy())
            seeds = tf.constant([[5, 0], [5, 1]])
            expected = self.model.decode(density.sample_rows(seeds))
            with SessionLoader(export(self.model, tmp_path)) as loaded:
                images = loaded("sample", seed=[5, 5 + 2**32])["images"]
            np.testing.assert_allclose(images, expected, rtol=1e-4)

    model = compiled_glo(inversion=Inversion(1, 1))
    model.fit(blocks(), batch_size=8, epochs=2, verbose=0, callbacks=[Export()])
