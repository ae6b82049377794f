"""Saved models that are missing, truncated, or not what is expected."""

import zipfile

import keras
import numpy as np
import pytest

from tests.small_models import COMPLAINT, small_glo
from tfgen.latent import GLANN, GLO, IMLE
from tfgen.model.model import GenerativeModel
from tfgen.model.saving import load_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = small_glo()
    model.compile()
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path, model


@pytest.mark.parametrize("cls", [GLO, GenerativeModel, keras.Model, None])
def test_whole(saved, cls):
    path, model = saved
    loaded = load_model(path, cls) if cls else load_model(str(path))
    assert type(loaded) is GLO and loaded.compiled
    np.testing.assert_array_equal(loaded.sample(3, seed=1), model.sample(3, seed=1))


@pytest.mark.parametrize("cls", [IMLE, GLANN])
def test_another_class(saved, cls):
    with pytest.raises(ValueError, match=f"Expected a saved {cls.__name__}. .*a saved tfgen>GLO"):
        load_model(saved[0], cls)


def test_another_class_is_not_even_made(saved, monkeypatch):
    monkeypatch.setattr(GLO, "from_config", None)
    with pytest.raises(ValueError, match="Expected a saved IMLE"):
        load_model(saved[0], IMLE)


def test_a_model_of_keras(tmp_path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").count_params() == 3
    with pytest.raises(ValueError, match="Expected a saved GLO. .*Functional"):
        load_model(tmp_path / "model.keras", GLO)


def test_missing(tmp_path):
    for path in (tmp_path / "no.keras", tmp_path):
        with pytest.raises(ValueError, match=f"{COMPLAINT}{path}"):
            load_model(path)


@pytest.mark.parametrize("fraction", [0, 0.5, 0.99])
def test_truncated(saved, tmp_path, fraction):
    content = saved[0].read_bytes()
    path = tmp_path / "model.keras"
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(ValueError, match=f"Expected a whole `.keras` file. Received: {path}"):
        load_model(path)


def test_damaged(saved, tmp_path):
    content = bytearray(saved[0].read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"Expected a whole `.keras` file. Received: {path}"):
        load_model(path)


def test_another_kind_of_file(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "none")
    with pytest.raises(ValueError, match=f"Expected a whole `.keras` file. Received: {path}"):
        load_model(path)
