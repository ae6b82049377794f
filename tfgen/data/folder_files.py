"""The files of a folder: which there are, and which are left out."""

import os
import pathlib
import warnings
from collections import Counter
from collections.abc import Collection, Iterator

from tfgen.core.checks import expected

MAX_NAMED = 20

Name = tuple[str, ...]  # The parts of a path below the folder.


class Skipped:
    """The files that are left out, with a warning at the end, if any may be.

    Args:
        is_allowed: whether unreadable files are left out; else the first one raises.
        kind: what the files are called, e.g. "images".

    Attributes:
        kind: the same.
    """

    def __init__(self, is_allowed: bool, kind: str) -> None:
        self._is_allowed = is_allowed
        self.kind = kind
        self._reasons: list[str] = []

    def add(self, reason: str, error: Exception | None = None) -> None:
        """Leaves a file out; raises ValueError if none may be.

        Args:
            reason: what is wrong with it; it names the file.
            error: that said so, if one did.
        """
        if not self._is_allowed:
            what = f"readable {self.kind} (skip_unreadable=True leaves others out)"
            raise ValueError(expected(what, reason)) from error
        self._reasons.append(reason)

    def warn(self) -> None:
        """Warns of the files that were left out, if there are any, and names the first ones."""
        if not self._reasons:
            return
        named = self._reasons[:MAX_NAMED] + ["..."] * (len(self._reasons) > MAX_NAMED)
        message = f"Skipped {len(self._reasons)} unreadable {self.kind}: {'; '.join(named)}"
        warnings.warn(message, UserWarning, stacklevel=2)


def names_in(
    folder: pathlib.Path,
    suffixes: Collection[str],
    other_suffixes: Collection[str],
    what: str,
    skipped: Skipped,
) -> list[Name]:
    """Returns the files of some suffixes below a folder that are not hidden, in order.

    Files of the same kind in formats that are not read are counted in a warning.

    Args:
        folder: to look into.
        suffixes: of the files.
        other_suffixes: of those that are not read.
        what: is expected, for the error.
        skipped: takes broken links that may have been folders.

    Raises:
        ValueError: if there are none, or a folder cannot be read.
    """
    names, passed_over = [], Counter()
    for name in walk(folder, (), frozenset()):
        suffix = pathlib.PurePath(name[-1]).suffix.lower()
        if suffix in suffixes:
            names.append(name)
        elif suffix in other_suffixes:
            passed_over[suffix] += 1
        elif not suffix and not folder.joinpath(*name).exists():  # It may have been a class.
            skipped.add(f"{folder.joinpath(*name)}: a broken link")
    others = ", ".join(f"{count} {suffix}" for suffix, count in sorted(passed_over.items()))
    if not names:
        received = f"none in {folder}"
        if others:
            received += f", but {skipped.kind} of other formats: {others}"
        raise ValueError(expected(what, received))
    if others:
        message = f"Passed over {skipped.kind} of formats that are not read in {folder}: {others}"
        warnings.warn(message, UserWarning, stacklevel=2)
    return sorted(names, key="/".join)


def walk(folder: pathlib.Path, name: Name, above: frozenset[tuple[int, int]]) -> Iterator[Name]:
    """Yields the files in a folder and below it that are not hidden.

    Links to folders are followed, but for those to a folder that they are in.
    """
    try:
        status = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise ValueError(
            expected("folders that can be read", f"{folder}: {error.strerror}")
        ) from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry) if entry.is_symlink() else entry.is_dir():
            yield from walk(folder / entry.name, (*name, entry.name), above | {identity})
        else:
            yield (*name, entry.name)
