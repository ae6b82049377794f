"""Saved models that are missing, truncated, or not what is expected."""

import random
import zipfile

import keras
import numpy as np
import pytest

from tests.small_models import COMPLAINT, small_glo
from tfgen.core import specs
from tfgen.core.config import register
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


class _Unregistered(GLO):
    """No file can name it."""


@register
class Late(GenerativeModel):
    """Leaves its layer to be built by the first call."""

    def __init__(self, seed=0, name=None):
        super().__init__(seed, name)
        self.late = keras.layers.Dense(2)

    @property
    def event_spec(self):
        return specs.event_spec((2,))

    def objective(self, x, seed, training):
        return {"loss": self.late(x["x"])[:, 0] ** 2}


@register
class Forgetful(Late):
    """Does not keep an argument of its constructor."""

    def __init__(self, width, seed=0, name=None):
        super().__init__(seed, name)


def test_a_class_that_files_cannot_name(tmp_path):
    small = small_glo()
    model = _Unregistered(small.generator, 16, latent_dim=3, loss=small.loss)
    with pytest.raises(ValueError, match="register.*Received: _Unregistered"):
        model.save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_a_layer_that_the_constructor_does_not_build(tmp_path):
    model = Late()
    with pytest.raises(ValueError, match="to be built"):
        model.compile("adam")
    model.late(np.zeros([1, 2], np.float32))
    model.compile("adam")
    what = "layers that the constructor builds.*Received: 4 weights.*makes 2"
    with pytest.raises(ValueError, match=what):
        model.save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_an_argument_that_is_not_kept_is_known_before_training():
    model = Forgetful(3)
    model.late.build((None, 2))
    with pytest.raises(TypeError, match="Expected `self.width` of Forgetful.*Received: "):
        model.compile("adam")
    assert not model.compiled


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model", "model.keras.txt"])
def test_other_formats_are_refused(saved, tmp_path, name):
    with pytest.raises(ValueError, match=r"Expected a path that ends in `.keras`"):
        saved[1].save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_missing_folders_are_made_and_files_are_whole(saved, tmp_path, monkeypatch):
    path = tmp_path / "some" / "where" / "model.keras"
    saved[1].save(str(path))
    assert load_model(path, GLO).compiled
    with pytest.raises(FileExistsError, match=COMPLAINT):
        saved[1].save(path, overwrite=False)
    before = path.read_bytes()
    monkeypatch.setattr(GLO, "fit_sampler", None)
    with pytest.raises(TypeError):
        saved[1].save(path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_saving_draws_no_random_number(tmp_path):
    model = small_glo()
    random.seed(5)
    wanted = random.random()
    random.seed(5)
    model.save(tmp_path / "model.keras")
    assert random.random() == wanted


def test_seeds_of_dropout_are_saved(tmp_path):
    layers = [keras.layers.Dense(16), keras.layers.Dropout(0.5), keras.layers.Reshape((4, 4, 1))]
    model = GLO(keras.Sequential(layers), 16, latent_dim=3, loss=small_glo().loss)
    model.generator(np.ones([1, 3], np.float32), training=True)
    (state,) = model.seed_states
    model.compile()
    assert any(variable is state for variable in model.training_state)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert state.numpy()[1] == 1
    np.testing.assert_array_equal(loaded.seed_states[0].numpy(), state.numpy())
