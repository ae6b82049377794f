"""The files of checkpoints: which there are, how one is written whole, and how one is removed.

A checkpoint is whole when its index is there, which gets its name last. What else is in the
directory, such as the list of checkpoints that TensorFlow's manager keeps, is not heeded: names of
files cannot lead out of the directory, and it may be moved.
"""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfgen.core.files import temporary_sibling

_NAME = re.compile(r"ckpt-(\d+)\.(index|json|data-\d+-of-\d+)")
_PATTERN = frozenset("*?[\\")
"""Characters with which TensorFlow takes the name of a file for a pattern."""


def prefix(directory: Path, number: int) -> Path:
    """Returns what the names of the files of a checkpoint begin with."""
    return directory / f"ckpt-{number}"


def whole(directory: Path) -> list[int]:
    """Returns the numbers of the checkpoints in a directory, rising; none if it is not there."""
    found = [name for name in _files(directory) if name[2] == "index"]
    return sorted(int(name[1]) for name in found)


def _files(directory: Path) -> list[re.Match]:
    names = os.listdir(directory) if directory.is_dir() else []
    return [found for name in names if (found := _NAME.fullmatch(name))]


def remove(directory: Path, keep: list[int]) -> None:
    """Removes the files of all checkpoints but some, the index of each first."""
    gone = [name for name in _files(directory) if int(name[1]) not in keep]
    for name in sorted(gone, key=lambda name: name[2] != "index"):
        (directory / name.group()).unlink(missing_ok=True)


def write(
    directory: Path, number: int, save: Callable[[str], Any], made_with: Mapping[str, Any]
) -> None:
    """Writes a checkpoint, which is there as a whole or not at all.

    Args:
        directory: that it is in.
        number: of the checkpoint; one that has it is replaced.
        save: writes TensorFlow's files of a prefix.
        made_with: what a run that goes on from it is to be made with.
    """
    with temporary_sibling(prefix(directory, number)) as folder:
        folder.mkdir()
        save(str(folder / "ckpt"))
        (folder / "ckpt.json").write_text(json.dumps(made_with, default=str))
        remove(directory, [n for n in whole(directory) if n != number])
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix == ".index"):
            path.replace(directory / f"ckpt-{number}{path.suffix}")


def made_with(directory: Path, number: int) -> dict[str, Any]:
    """Returns what a checkpoint was made with; nothing if it does not say."""
    try:
        found = json.loads(prefix(directory, number).with_suffix(".json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def readable(directory: Path, number: int) -> Iterator[str]:
    """Yields a prefix by which TensorFlow, which takes some names for patterns, finds the files."""
    path = prefix(directory.absolute(), number)
    if not _PATTERN & set(str(path)):
        yield str(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in _files(directory):
            if int(name[1]) == number:
                os.symlink(path.with_name(name.group()), Path(folder, name.group()))
        yield str(prefix(Path(folder), number))
