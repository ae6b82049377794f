"""A model directory as a server sees it: versions, of which the largest answers."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.serving.batching import Arrays, Batcher, Batching
from tfgen.serving.session import SessionLoader
from tfgen.serving.versions import versions


class RequestError(Exception):
    """Why a request is not answered.

    Attributes:
        code: the name of the canonical code, such as "INVALID_ARGUMENT".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Loaded:
    """One version, loaded."""

    def __init__(self, number: int, path: Path, batching: Batching) -> None:
        self.number = number
        self.loader = SessionLoader(path)
        self.answer = Batcher(lambda signature, inputs: self.loader(signature, **inputs), batching)


class ServedModel:
    """The largest version of a model that is in a directory.

    Args:
        name: by which requests ask for it.
        base: the directory of its version directories.
        batching: how requests are joined.

    Raises:
        ValueError: when there is no version, or the largest cannot be loaded.
    """

    def __init__(self, name: str, base: Path, batching: Batching) -> None:
        self.name = name
        self._base = base
        self._batching = batching
        self._complaint = ""
        found = versions(base)
        if not found:
            what = "a directory of version directories, such as 1/"
            is_version = (base / "saved_model.pb").is_file()
            raise ValueError(expected(what, f"{base}, which is one itself" if is_version else base))
        self._current = _Loaded(max(found), found[max(found)], batching)

    @property
    def version(self) -> int:
        """The number of the version that answers."""
        return self._current.number

    def refresh(self) -> None:
        """Loads a version that is larger; what it replaces ends what it has begun.

        While it cannot be loaded, which a line on the standard error says, the one before answers.
        """
        try:
            found = versions(self._base)
            largest = max(found, default=-1)
            if largest > self.version:
                self._current = _Loaded(largest, found[largest], self._batching)
        except (OSError, ValueError) as error:
            if str(error) != self._complaint:  # It may be half copied; once is enough to say so.
                print(f"{self.name} stays at version {self.version}: {error}", file=sys.stderr)
            self._complaint = str(error)

    def signatures(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Returns the SignatureDef of each signature, by name.

        Args:
            name, version: of the model that a request asks for; the one that answers for None.

        Raises:
            RequestError: when it is another.
        """
        return dict(self._asked_for(name, version).loader.signatures)

    def predict(
        self, name: str, version: int | None, signature: str, inputs: dict[str, Any]
    ) -> Arrays:
        """Returns the outputs of a signature by name.

        Args:
            name, version: as for `signatures`.
            signature: its name.
            inputs: by name, arrays or lists.

        Raises:
            RequestError: for any reason why there are none.
        """
        loaded = self._asked_for(name, version)
        try:
            return loaded.answer(signature, loaded.loader.checked(signature, inputs))
        except (TypeError, ValueError) as error:
            raise RequestError("INVALID_ARGUMENT", str(error)) from error
        except tf.errors.OpError as error:
            raise RequestError(_code(error), _first_line(error)) from error

    def _asked_for(self, name: str, version: int | None) -> _Loaded:
        loaded = self._current
        if name != self.name or version not in (None, loaded.number):
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            served = f"version {loaded.number} of {self.name} is served"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {asked}; {served}")
        return loaded


def _code(error: tf.errors.OpError) -> str:
    """Returns the name of the canonical code of an error, of which TensorFlow has a class each."""
    kinds = {"INVALID_ARGUMENT": tf.errors.InvalidArgumentError,
             "RESOURCE_EXHAUSTED": tf.errors.ResourceExhaustedError,
             "UNIMPLEMENTED": tf.errors.UnimplementedError}  # fmt: skip
    return next((code for code, kind in kinds.items() if isinstance(error, kind)), "INTERNAL")


def _first_line(error: tf.errors.OpError) -> str:
    """Returns what an error says, without where in the graph it arose."""
    lines = [line.strip() for line in str(error.message).splitlines()]
    said = [line for line in lines if line and line != "Graph execution error:"]
    return said[0] if said else type(error).__name__


def usual_name(base: Path) -> str:
    """Returns what requests call a model unless told otherwise: its class, in small letters.

    Args:
        base: the directory of its version directories. It is "model" where no card tells.
    """
    *_, latest = [base, *versions(base).values()]
    try:
        card = json.loads((latest / "assets.extra" / "model_card.json").read_text())
        return str(card["model"]).lower()
    except (KeyError, OSError, TypeError, ValueError):
        return "model"


class Poller:
    """A thread that looks for newer versions.

    Args:
        model: that is refreshed.
        seconds: from one look to the next, > 0.
    """

    def __init__(self, model: ServedModel, seconds: float) -> None:
        self._model = model
        self._seconds = seconds
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._ends.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._ends.wait(self._seconds):
            self._model.refresh()
