"""Configuration is the constructor's arguments: one `get_config` for every public class."""

import inspect
import sys
from pathlib import Path
from typing import Any, TypeVar

import keras
import tensorflow as tf

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


def is_registered(cls: type) -> bool:
    """Tells whether files can name a class."""
    return keras.saving.get_registered_name(cls) != cls.__name__


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
        serialize = keras.saving.serialize_keras_object
        return {name: serialize(value) for name, value in arguments(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Configurable":
        """Returns a new object from what `get_config` returned."""
        return cls(**{key: keras.saving.deserialize_keras_object(v) for key, v in config.items()})


def arguments(owner: Any) -> dict[str, Any]:
    """Returns the constructor's arguments of an object that keeps them as attributes, by name."""
    return {name: _plain(_argument(owner, name)) for name in _argument_names(type(owner))}


def check_keras_settings() -> None:
    """Raises ValueError unless Keras puts channels last, and keeps weights in float32."""
    order, policy = keras.config.image_data_format(), keras.config.dtype_policy()
    if order != "channels_last":
        what = 'images with channels last, keras.config.set_image_data_format("channels_last")'
        raise ValueError(expected(what, order))
    if policy.variable_dtype != "float32":
        other = f"mixed_{policy.compute_dtype}" if policy.compute_dtype != "float64" else "float32"
        what = f"weights in float32, keras.config.set_dtype_policy({other!r})"
        raise ValueError(expected(what, f"the policy {policy.name!r}"))


def build_once(layer: keras.layers.Layer, shape: Any) -> None:
    """Builds a layer unless it is built, as one is that was given by a configuration.

    A layer without a `build` of its own, such as many a subclass of `keras.Model`, makes its
    weights when it is called: it is called on zeros.
    """
    if layer.built:
        return
    if type(layer).build is keras.layers.Layer.build:
        layer(_zeros(shape))
    else:
        layer.build(shape)


def made_again(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a new layer like one that is built, with weights of its own.

    Raises:
        ValueError: when the configuration of the layer does not make its like.
    """
    try:
        again = type(layer).from_config(layer.get_config())
        if not again.built:
            again.build_from_config(layer.get_build_config())
        shapes = [[tuple(weight.shape) for weight in each.weights] for each in (layer, again)]
        reason = f"weights of shapes {shapes[1]} in place of {shapes[0]}"
        fits = shapes[0] == shapes[1]
    except (NotImplementedError, TypeError, ValueError, AttributeError) as error:
        reason, fits = " ".join(str(error).split()), False
    if not fits:
        what = f"`get_config` of {type(layer).__name__} to return all arguments of its constructor"
        raise ValueError(expected(what, reason))
    return again


def output_shape(layer: keras.layers.Layer, shape: Any) -> tuple[int | None, ...]:
    """Builds a layer once, and returns the shape of what it makes.

    One that cannot say what that is is called on zeros.

    Args:
        layer: to be built unless it is.
        shape: of its inputs [batch, ...], or of each of them; labels [batch] are integers.
    """
    build_once(layer, shape)
    if type(layer).compute_output_shape is not keras.layers.Layer.compute_output_shape:
        return tuple(layer.compute_output_shape(shape))
    return (None, *layer(_zeros(shape)).shape[1:])


def made_shape(role: str, network: keras.layers.Layer, shape: Any) -> tuple[int | None, ...]:
    """Builds a network, and returns the shape of what it makes.

    Args:
        role: what the model calls it.
        network: to be built unless it is.
        shape: of its inputs, or of each of them.

    Raises:
        ValueError: when it does not take such inputs.
    """
    try:
        return output_shape(network, shape)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        what = f"a {role} of inputs {shape} (or are two networks swapped?)"
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ValueError(expected(what, f"{type(network).__name__}: {reason}")) from error


def _zeros(shape: Any) -> Any:
    """Returns one row of zeros for each input."""

    def zeros(shape: tuple[int | None, ...]) -> Any:
        return keras.ops.zeros((1, *shape[1:]), "float32" if shape[1:] else "int32")

    return keras.tree.map_shape_structure(zeros, shape)


def check_kept(owner: Configurable) -> None:
    """Raises TypeError unless an object keeps its constructor's arguments as attributes."""
    if type(owner).get_config is Configurable.get_config:
        arguments(owner)


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
    try:
        return getattr(owner, name)
    except AttributeError as error:
        what = f"`self.{name}` of {type(owner).__name__}, as it has an argument of that name"
        raise TypeError(expected(what, str(error))) from error


def _plain(value: Any) -> Any:
    """Undoes Keras' wrapping of containers kept as attributes."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
