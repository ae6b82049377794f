"""Loading of saved models, with errors that say what is wrong with a file."""

import json
import os
import random
import zipfile
from pathlib import Path
from typing import TypeVar

import keras

from tfgen.core.checks import expected
from tfgen.core.config import PACKAGE, Configurable, arguments, is_registered, made_again
from tfgen.model.rows import Rows
from tfgen.training.keras_compat import flatten_layers

Model = TypeVar("Model", bound=keras.Model)


def check_registered(model: keras.Model) -> None:
    """Raises ValueError unless files can name the class of a model, and of models inside it.

    Layers may be others: whoever loads them gives Keras their classes.
    """
    parts = [part for part in flatten_layers(model) if isinstance(part, Configurable)]
    if unknown := sorted({type(part).__name__ for part in parts if not is_registered(type(part))}):
        what = "classes that files can name (put @tfgen.core.config.register above them)"
        raise ValueError(expected(what, ", ".join(unknown)))


def check_configurations(model: keras.Model) -> None:
    """Raises ValueError unless the networks of other packages can be made again."""
    for part in arguments(model).values():
        if isinstance(part, Rows):
            check_configurations(part)
        elif isinstance(part, keras.layers.Layer) and any(map(_is_own, flatten_layers(part))):
            made_again(part)


def _is_own(layer: keras.layers.Layer) -> bool:
    """Tells whether the class of a layer is neither Keras' nor of this library."""
    return type(layer).__module__.partition(".")[0] not in ("keras", PACKAGE)


def check_rebuilt(model: keras.Model) -> None:
    """Raises ValueError unless a model made of the same configuration has the same weights."""
    shapes = [tuple(weight.shape) for weight in model.weights]
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    state = random.getstate()  # Keras draws the seeds of initial weights with it.
    known = {type(part).__name__: type(part) for part in flatten_layers(model)}
    try:
        again = keras.saving.deserialize_keras_object(config, custom_objects=known)
    finally:
        random.setstate(state)
    made = [tuple(weight.shape) for weight in again.weights]
    if made != shapes:
        what = "layers that the constructor builds, since loading calls nothing else"
        received = f"{len(shapes)} weights, of which the constructor makes {len(made)}"
        raise ValueError(expected(what, received))


def load_model(path: str | os.PathLike, cls: type[Model] = keras.Model) -> Model:
    """Loads a model that `model.save` wrote, and sees to it that it is what is expected.

    Args:
        path: of a `.keras` file.
        cls: the class, or a base of the class, that the file must hold.

    Returns:
        The model, compiled if it was when it was saved.

    Raises:
        ValueError: when there is no such file, it is truncated or damaged, or it holds a model of
            another class, or of one that is not known here.
    """
    path = Path(path)
    if not path.is_file():
        found = "is not a file" if path.exists() else "does not exist"
        raise ValueError(expected("a `.keras` file", f"{path}, which {found}"))
    try:
        name = _saved_class(path)
        saved = keras.saving.get_registered_object(name)
        model = None
        if saved is None or issubclass(saved, cls):  # None: one of Keras' own.
            model = keras.saving.load_model(path)
    except Exception as error:  # Keras raises what comes of damage, of any class.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(expected("a whole `.keras` file", f"{path}: {reason}")) from error
    if not isinstance(model, cls):
        raise ValueError(expected(f"a saved {cls.__name__}", f"{path}, a saved {name}"))
    return model


def _saved_class(path: Path) -> str:
    """Returns the registered name of the class of a saved model, e.g. "tfgen>GLO"."""
    with zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            raise zipfile.BadZipFile("there is no config.json in it")
        config = json.loads(archive.read("config.json"))
    return config.get("registered_name") or config["class_name"]
