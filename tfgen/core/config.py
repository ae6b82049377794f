"""Configuration is the constructor's arguments: one `get_config` for every public class."""

import inspect
import sys
from pathlib import Path
from typing import Any, TypeVar

import keras

from tfgen.core.checks import expected

Class = TypeVar("Class", bound=type)

PACKAGE = "tfgen"


def register(cls: Class) -> Class:
    """Registers a class with Keras, so that files can name it.

    Classes of the library go by the package name "tfgen", those of others by the name of the module
    that they are defined in: a GAN of yours does not take the place of ours.

    Raises:
        ValueError: when another class has the name already.
    """
    module = cls.__module__
    package = PACKAGE if module.partition(".")[0] == PACKAGE else _importable(module)
    name = f"{package}>{cls.__name__}"
    other = keras.saving.get_registered_object(name)
    # The same class may be defined again, as in a notebook.
    if other is not None and (other.__module__, other.__qualname__) != (module, cls.__qualname__):
        what = f"a class of another name than {name}, which is taken"
        raise ValueError(expected(what, f"{module}.{cls.__qualname__}"))
    return keras.saving.register_keras_serializable(package=package)(cls)


def _importable(module: str) -> str:
    """Returns the name under which a module would be imported, which a script does not know."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    if spec := getattr(main, "__spec__", None):
        return spec.name
    return Path(getattr(main, "__file__", module)).stem


class Configurable:
    """Gives a class `get_config` and `from_config` from the names of its constructor's arguments.

    The class keeps each constructor argument as an attribute of the same name. Nested layers,
    losses, optimizers and other registered objects are serialised by Keras. It stands first among
    the bases: `class Encoder(Configurable, keras.layers.Layer)`.
    """

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised, by name."""
        return {
            name: keras.saving.serialize_keras_object(_plain(_argument(self, name)))
            for name in _argument_names(type(self))
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Configurable":
        """Returns a new object from what `get_config` returned."""
        return cls(**{key: keras.saving.deserialize_keras_object(v) for key, v in config.items()})


def build_once(layer: keras.layers.Layer, shape: Any) -> None:
    """Builds a layer unless it is built, as one is that was given by a configuration."""
    if not layer.built:
        layer.build(shape)


def _argument_names(cls: type) -> list[str]:
    """Returns the names of the constructor's arguments, and Keras' own where it takes **kwargs."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_more = any(p.kind == p.VAR_KEYWORD for p in parameters)
    if takes_more and issubclass(cls, keras.layers.Layer):
        names += [name for name in ("name", "dtype", "trainable") if name not in names]
    return [name for name in names if name != "self"]


def _argument(owner: Any, name: str) -> Any:
    if name == "dtype" and isinstance(owner, keras.layers.Layer):
        return owner.dtype_policy
    return getattr(owner, name)


def _plain(value: Any) -> Any:
    """Undoes Keras' wrapping of containers kept as attributes."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
