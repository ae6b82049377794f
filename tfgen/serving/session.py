"""Runs an exported model as a server does, through the C++ loader and a session."""

import contextlib
import os
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_member, expected


class SessionLoader:
    """A SavedModel in a session of the C++ runtime, for checking exports without a server.

    `tf.saved_model.load` rebuilds Python objects and finds variables that a server does not; this
    goes the server's way.

    Args:
        path: a version directory, e.g. `serving/1`.

    Attributes:
        signatures: the SignatureDef of each signature, by name.

    Raises:
        ValueError: when there is no SavedModel, or it is truncated.

    Example:
        with SessionLoader("serving/1") as served:
            images = served("sample", seed=[0, 1, 2])["images"]
    """

    def __init__(self, path: str | os.PathLike) -> None:
        if not (Path(path) / "saved_model.pb").is_file():
            raise ValueError(expected("a directory with a saved_model.pb", str(path)))
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default(), _without_warnings():
                loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
        except (tf.errors.OpError, OSError, RuntimeError, ValueError) as error:
            self._session.close()
            raise ValueError(
                expected("a whole SavedModel", f"{path}: {str(error).splitlines()[0]}")
            ) from error
        self.signatures = {
            name: signature
            for name, signature in loaded.signature_def.items()
            if not name.startswith("__")  # TensorFlow's own.
        }

    def __call__(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: its name, one of `signatures`.
            **inputs: its inputs by name, arrays, tensors or lists [batch, ...].

        Returns:
            Its outputs by name, arrays [batch, ...].

        Raises:
            TypeError: when an input holds values of another kind than its own.
            ValueError: when there is no such signature, it takes other inputs, or one has another
                shape or values that its type cannot hold.
            tf.errors.InvalidArgumentError: when the signature itself refuses a value.
        """
        feeds = self.checked(signature, inputs)
        definition = self.signatures[signature]
        fetches = {name: info.name for name, info in definition.outputs.items()}
        names = {definition.inputs[name].name: value for name, value in feeds.items()}
        return self._session.run(fetches, names)

    def checked(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns the inputs of a signature as arrays of its types, or raises as a call does.

        Args:
            signature: its name, one of `signatures`.
            inputs: by name, arrays, tensors or lists [batch, ...].
        """
        check_member("signature", signature, self.signatures)
        wanted = self.signatures[signature].inputs
        if set(inputs) != set(wanted):
            raise ValueError(expected(f"inputs {sorted(wanted)}", sorted(inputs)))
        return {name: _as_input(value, wanted[name], name) for name, value in inputs.items()}

    def close(self) -> None:
        """Frees the session."""
        self._session.close()

    def __enter__(self) -> "SessionLoader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_TAKEN_FOR = {"i": "iu", "u": "iu", "f": "iuf", "b": "b"}
"""The kinds of NumPy's types from which values of a kind are taken."""


def _as_input(value: Any, info: Any, name: str) -> np.ndarray:
    """Returns a value as an array that an input of a signature takes.

    Integers become floats, and numbers others of another width, where they fit.

    Args:
        value: an array, a tensor or nested lists.
        info: the input's TensorInfo in the signature.
        name: of the input.
    """
    wanted = tf.as_dtype(info.dtype)
    try:
        array = np.asarray(value)
    except (NotImplementedError, TypeError, ValueError) as error:
        what = f"`{name}`, an array or lists of one shape"
        raise ValueError(expected(what, reprlib.repr(value))) from error
    if wanted == tf.string:
        kind_fits = all(isinstance(each, str | bytes) for each in array.flat)
    else:
        kind_fits = array.dtype.kind in _TAKEN_FOR.get(np.dtype(wanted.as_numpy_dtype).kind, "")
    if array.size and not kind_fits:
        received = reprlib.repr(value) if array.dtype == object else array.dtype
        raise TypeError(expected(f"`{name}` of type {wanted.name}", received))
    shape = tf.TensorShape(info.tensor_shape)
    if not shape.is_compatible_with(array.shape):
        raise ValueError(expected(f"`{name}` of shape {shape}", f"shape {array.shape}"))
    return _cast(array, wanted, name)


def _cast(array: np.ndarray, wanted: tf.DType, name: str) -> np.ndarray:
    """Returns an array of a type; raises ValueError when a value does not fit into it."""
    if not array.size or wanted in (tf.string, tf.bool):
        return array.astype(wanted.as_numpy_dtype)
    finite = array[np.isfinite(array)]
    if finite.size and not (wanted.min <= finite.min() and finite.max() <= wanted.max):
        received = f"values from {finite.min()} to {finite.max()}"
        raise ValueError(expected(f"`{name}` that {wanted.name} can hold", received))
    return array.astype(wanted.as_numpy_dtype)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps TensorFlow from recommending `tf.saved_model.load`, which is not what a server does."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)
