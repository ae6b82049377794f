"""Files and directories that are whole or not there, whenever their writer was killed."""

import contextlib
import difflib
import glob
import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfgen.core.checks import expected

_UNFINISHED = re.compile(r"\..+\.unfinished-(?P<writer>([0-9a-f]{12}|0)-[0-9]+-[0-9a-f]{8})(\..*)?")
_ABANDONED = 24 * 3600.0
"""Seconds without a write after which what another machine's writer left is removed."""


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yields another name for a file, which gets its own when the block ends.

    If the block raises, what it wrote is removed, and a file that had the name before stays.

    Args:
        path: of the file; its directory is made if there is none.
    """
    with temporary_sibling(path) as unfinished:
        yield unfinished
        unfinished.replace(path)


@contextlib.contextmanager
def temporary_sibling(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a hidden name beside a path, with its suffix; what still has it at the end is removed.

    The name is that of this writer alone. What killed writers of the same path have left is removed
    first: at once where their processes can be seen to have ended, else when it is a day old. The
    directory may be shared with other containers or machines, whose processes cannot be seen.

    Args:
        path: of a file or a directory; the directory that it is in is made if there is none.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.stem}.unfinished-"
    _remove_abandoned(path.parent.glob(f"{glob.escape(start)}*{glob.escape(path.suffix)}"))
    own = f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    sibling = path.with_name(start + own + path.suffix)
    try:
        yield sibling
    finally:
        _remove(sibling)


def remove_unfinished(directory: Path) -> None:
    """Removes what killed writers of any path have left in a directory, if it is there."""
    if directory.is_dir():
        _remove_abandoned(directory.iterdir())


def _remove_abandoned(paths: Iterable[Path]) -> None:
    """Removes those paths that a writer which has ended left under another name."""
    for path in paths:
        left = _UNFINISHED.fullmatch(path.name)
        if left and (_has_ended(left["writer"]) or _age(path) > _ABANDONED):
            _remove(path)


def _machine() -> str:
    """Returns what processes have in common that see each other; "0" if that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        seen = f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return "0"
    return hashlib.sha256(seen.encode()).hexdigest()[:12]


def _has_ended(writer: str) -> bool:
    """Tells whether a writer is known to have ended."""
    machine, process, _ = writer.split("-")
    if machine == "0" or machine != _machine():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass  # It is another user's.
    return False


def _age(path: Path) -> float:
    """Returns for how many seconds nothing was written to a file, or to a directory."""
    written = [0.0]
    for each in (path, *path.rglob("*")):
        with contextlib.suppress(OSError):  # Another writer may remove it just now.
            written.append(each.stat().st_mtime)
    return time.time() - max(written)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file, whole or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(text)


def check_writable(directory: Path) -> None:
    """Makes a directory, and raises OSError unless files can be written in it.

    What writers that were killed have left in it is removed.
    """
    try:
        remove_unfinished(directory)
        with temporary_sibling(directory / "probe") as probe:
            probe.write_bytes(b"\0" * 4096)
    except OSError as error:
        raise type(error)(
            error.errno, expected("a directory that can be written", error.strerror), str(directory)
        ) from error


def _remove(path: Path) -> None:
    """Removes a file or a directory, if it is there and may be removed."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def close_paths(path: str | os.PathLike, most: int = 3) -> list[str]:
    """Returns paths that exist and are called much like one that does not, the closest first.

    Args:
        path: that does not exist.
        most: how many to return.
    """
    path = Path(path)
    there = next((parent for parent in path.parents if parent.is_dir()), Path())
    missing, *rest = path.relative_to(there).parts
    try:
        names = {name.lower(): name for name in sorted(os.listdir(there))}
    except OSError:
        return []
    close = difflib.get_close_matches(missing.lower(), names, n=most)
    found = [(there / names[name], (there / names[name]).joinpath(*rest)) for name in close]
    return [str(whole if whole.exists() else part) for part, whole in found]
