"""Exports that cannot be made or loaded, and calls that a signature does not take."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.faults import cut, flip, largest_file
from tests.small_models import COMPLAINT, blocks, center, compiled_glo, small_glo, small_imle
from tfgen.distributions import Gaussian
from tfgen.model.inversion import Inversion
from tfgen.serving import SessionLoader, export
from tfgen.serving.versions import next_version, versions


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


REFUSED = {
    "a scalar": ("sample", {"seed": 1}, ValueError, r"`seed` of shape \(None,\)"),
    "two axes": ("sample", {"seed": [[1]]}, ValueError, "`seed` of shape"),
    "text": ("sample", {"seed": ["one"]}, TypeError, "`seed` of type int64. Received: <U3"),
    "half a seed": ("sample", {"seed": [1.5]}, TypeError, "int64. Received: float64"),
    "a truth": ("sample", {"seed": [True]}, TypeError, "int64. Received: bool"),
    "beyond 63 bits": ("sample", {"seed": [2**63]}, ValueError, "`seed` that int64 can hold"),
    "beyond 64 bits": ("sample", {"seed": [2**64]}, TypeError, r"int64. Received: \[1844"),
    "None": ("decode", {"z": None}, TypeError, "`z` of type float32. Received: None"),
    "lists that differ": ("decode", {"z": [[1, 2, 3], [1]]}, ValueError, "lists of one shape"),
    "complex": ("decode", {"z": np.ones([1, 3]) * 1j}, TypeError, "Received: complex128"),
    "beyond float32": ("decode", {"z": np.full([1, 3], 1e39)}, ValueError, "float32 can hold"),
    "four latents": ("decode", {"z": np.zeros([1, 4])}, ValueError, r"\(None, 3\). Rec"),
    "colours": ("reconstruct", {"images": np.zeros([2, 4, 4, 3])}, ValueError, "`images` of sh"),
    "one image": ("reconstruct", {"images": np.zeros([4, 4, 1])}, ValueError, "`images` of sh"),
}


@pytest.mark.parametrize("signature, inputs, kind, message", REFUSED.values(), ids=REFUSED)
def test_inputs_of_another_shape_or_type(served, signature, inputs, kind, message):
    with pytest.raises(kind, match=f"Expected {message}|Expected `.*{message}"):
        served(signature, **inputs)


def test_tensors_and_numbers_of_another_width_are_taken(served):
    images = served("sample", seed=[3])["images"]
    for seed in (tf.constant([3], tf.int64), np.array([3], np.uint8)):
        np.testing.assert_array_equal(served("sample", seed=seed)["images"], images)
    z = [[0, 1, 2]]
    expected = served("decode", z=np.array(z, np.float32))["images"]
    for given in (z, np.array(z, np.float64), tf.constant(z, tf.float16)):
        np.testing.assert_array_equal(served("decode", z=given)["images"], expected)


BAD_VALUES = {
    "no images": ("encode", "images", np.zeros([0, 4, 4, 1]), "at least one row of `images`"),
    "no seeds": ("sample_png", "seed", [], "at least one row of `seed`"),
    "bytes": ("reconstruct", "images", np.full([1, 4, 4, 1], 255.0), r"`images` in \[0, 1\]"),
    "NaN": ("encode", "images", np.full([1, 4, 4, 1], np.nan), r"`images` in \[0, 1\]"),
    "infinity": ("decode", "z", [[0, np.inf, 0]], "`z` to be finite"),
}


@pytest.mark.parametrize("signature, name, value, message", BAD_VALUES.values(), ids=BAD_VALUES)
def test_rows_that_cannot_be_right_are_refused_alike(
    exported, served, signature, name, value, message
):
    """By the served signature and, in process, by the verb."""
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"Expected {message}"):
        served(signature, **{name: value})
    if name != "seed":
        with pytest.raises(ValueError, match=f"Expected {message}"):
            getattr(exported[1], signature)(np.asarray(value, np.float32))


VERSIONS = {
    "the largest": (("3", "11", "notes", "2x"), "12"),
    "what only looks like one": (("2", "7.bak", "\u00b2", "\u0663", "-9", "1e3", ".8"), "3"),
    "more than 63 bits": (("4", str(2**63), "9" * 40), "5"),
    "zeros in front": (("007",), "8"),
    "none": ((), "1"),
}


@pytest.mark.parametrize("names, following", VERSIONS.values(), ids=VERSIONS)
def test_the_next_version_is_what_a_server_prefers(tmp_path, names, following):
    for name in names:
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == int(following)
    assert str(max(versions(tmp_path), default=0) + 1) == following


def test_a_file_may_stand_for_a_version(tmp_path):
    (tmp_path / "5").write_text("")
    assert export(small_imle(), tmp_path) == tmp_path / "6"


def test_no_version_is_larger_than_the_largest(tmp_path):
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(ValueError, match="Expected a version below"):
        export(small_imle(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unfinished_version_of_another_container_is_let_be(tmp_path):
    """Its process cannot be seen from here, whatever number it has."""
    other = tmp_path / ".version.unfinished-0123456789ab-1-89abcdef"
    other.mkdir()
    assert export(small_imle(), tmp_path) == tmp_path / "1"
    assert other.exists()


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
    images = {"dtype": "float32", "shape": [None, 4, 4, 1], "range": [0.0, 1.0]}
    assert card["signatures"]["sample"] == {
        "inputs": {"seed": {"dtype": "int64", "shape": [None], "range": None}},
        "outputs": {"images": images},
    }
    assert card["signatures"]["encode"]["inputs"] == {"images": images}
    assert card["versions"]["tensorflow"] == tf.__version__


def test_scores_that_json_lacks_are_texts(tmp_path):
    scores = {"fid": float("nan"), "kid": [np.float32("inf"), -np.inf], "n": np.int64(3)}
    path = export(small_imle(), tmp_path, scores) / "assets.extra" / "model_card.json"

    def refuse(constant):
        raise ValueError(constant)

    card = json.loads(path.read_text(), parse_constant=refuse)
    assert card["training_metrics"] == {"fid": "NaN", "kid": ["Infinity", "-Infinity"], "n": 3}


def test_scores_that_are_no_numbers_are_refused_first(tmp_path):
    with pytest.raises(TypeError, match="Expected numbers or texts for the model card"):
        export(small_glo(), tmp_path / "base", {"fid": object()})
    assert not (tmp_path / "base").exists()


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
