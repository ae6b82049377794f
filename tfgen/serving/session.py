"""Runs an exported model as a server does, through the C++ loader and a session."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

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
            ValueError: when there is no such signature, or it takes other inputs.
        """
        check_member("signature", signature, self.signatures)
        definition = self.signatures[signature]
        if set(inputs) != set(definition.inputs):
            raise ValueError(expected(f"inputs {sorted(definition.inputs)}", sorted(inputs)))
        fetches = {name: info.name for name, info in definition.outputs.items()}
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
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
