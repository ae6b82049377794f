"""Runs an exported model as a server does, through the C++ loader and a session."""

import contextlib
import os
from collections.abc import Iterator
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

    def __call__(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: its name, one of `signatures`.
            **inputs: its inputs by name, arrays [batch, ...].

        Returns:
            Its outputs by name, arrays [batch, ...].

        Raises:
            TypeError: when an input is of another kind, e.g. floats rather than integers.
            ValueError: when there is no such signature, it takes other inputs, or an integer is out
                of the range of the type that it has there.
        """
        check_member("signature", signature, self.signatures)
        definition = self.signatures[signature]
        if set(inputs) != set(definition.inputs):
            raise ValueError(expected(f"inputs {sorted(definition.inputs)}", sorted(inputs)))
        fetches = {name: info.name for name, info in definition.outputs.items()}
        feeds = {
            definition.inputs[name].name: _as_type(value, definition.inputs[name].dtype, name)
            for name, value in inputs.items()
        }
        return self._session.run(fetches, feeds)

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


def _as_type(value: Any, dtype: int, name: str) -> np.ndarray:
    """Returns an input as an array of a type, or raises; a session would cast whatever it is."""
    value, wanted = np.asarray(value), tf.as_dtype(dtype)
    if not np.can_cast(value.dtype, wanted.as_numpy_dtype, "same_kind"):
        raise TypeError(expected(f"`{name}` of {wanted.name}", value.dtype))
    if (
        wanted.is_integer
        and value.size
        and not wanted.min <= value.min() <= value.max() <= wanted.max
    ):
        what = f"`{name}` within {wanted.name}"
        raise ValueError(expected(what, f"{value.min()} to {value.max()}"))
    return value.astype(wanted.as_numpy_dtype)


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
