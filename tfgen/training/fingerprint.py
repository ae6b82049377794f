"""What a run is made with, so that a checkpoint of another run can be told from its own."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from tfgen.core.config import arguments
from tfgen.training.optimize import without_scale

_OF_ONE_PROCESS = ("name", "seed", "module", "registered_name")
"""What Keras numbers or draws by process, or calls by the place of a file."""
_REFERENCES = ("keras_history", "input_layers", "output_layers")
_WRAPPERS = ("config", "class_name")


def fingerprint(model: Any) -> dict[str, Any]:
    """Returns what a compiled model is made with: plain values by name.

    Names of layers and seeds that Keras draws are left out, and so is all of the optimizers but
    their classes: a run may go on with another learning rate.

    Args:
        model: compiled, with `groups`.
    """
    settings = {name: _settings(value) for name, value in arguments(model).items()}
    settings.pop("name", None)
    optimizers = {
        group or "all": type(without_scale(model.optimizer_of(group))).__name__
        for group in model.groups
    }
    return {"model": {"class_name": type(model).__name__, **settings}, "optimizers": optimizers}


def differences(there: Any, here: Any, where: str = "") -> Iterator[str]:
    """Yields what differs between two fingerprints, where both say something of it.

    Args:
        there: as read from JSON.
        here: the other.
        where: the name of what is compared.
    """
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        if there.get("class_name") != here.get("class_name"):
            there, here = there.get("class_name"), here.get("class_name")
            yield _difference(where, there, here)
            return
        for name in there:
            if name in here:
                inner = where if name in _WRAPPERS else f"{where}.{name}".lstrip(".")
                yield from differences(there[name], here[name], inner)
    elif _is_list(there) and _is_list(here) and len(there) == len(here):
        for number, pair in enumerate(zip(there, here, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif there != here and not (_is_list(there) and list(there) == here):
        yield _difference(where, there, here)


def _difference(where: str, there: Any, here: Any) -> str:
    return f"{where}: {_short(there)} there, {_short(here)} here"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _settings(value: Any) -> Any:
    """Returns what makes a value; of one that cannot say what makes it, the name of its class."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of lambdas, which are not to be loaded again.
            return _plain(keras.saving.serialize_keras_object(value), {})
    except (NotImplementedError, TypeError, ValueError):
        return {"class_name": type(value).__name__}


def _plain(node: Any, numbers: Mapping[str, int]) -> Any:
    """Returns a configuration without what depends on the process that it was made in.

    Args:
        node: a part of a configuration.
        numbers: of the layers of the graph that it is in, by their names.
    """
    if isinstance(node, Mapping):
        kind = node.get("class_name")
        if kind == "__lambda__":  # Its code begins with the place of its file.
            return kind
        if isinstance(kind, str) and kind.endswith("DTypePolicy"):
            return node["config"]["name"]
        numbers = _numbers(node) or numbers
        return {
            name: _referred(part, numbers) if name in _REFERENCES else _plain(part, numbers)
            for name, part in node.items()
            if name not in _OF_ONE_PROCESS and not name.startswith(("build_", "compile_"))
        }
    return [_plain(part, numbers) for part in node] if isinstance(node, list | tuple) else node


def _numbers(node: Mapping[str, Any]) -> dict[str, int]:
    """Returns the numbers of the layers of a graph, by their names."""
    layers = node.get("layers")
    if not isinstance(layers, list | tuple) or not all(isinstance(x, Mapping) for x in layers):
        return {}
    return {layer.get("name"): number for number, layer in enumerate(layers)}


def _referred(node: Any, numbers: Mapping[str, int]) -> Any:
    if isinstance(node, list | tuple):
        return [_referred(part, numbers) for part in node]
    return numbers.get(node, node) if isinstance(node, str) else node
