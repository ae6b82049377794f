"""Files and directories that are whole or not there, whenever their writer was killed."""

import contextlib
import difflib
import glob
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from tfgen.core.checks import expected


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

    What such writers of the same path have left that were killed is removed first.

    Args:
        path: of a file or a directory; the directory that it is in is made if there is none.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    start, own = f".{path.stem}.unfinished-", str(threading.get_native_id())
    for other in path.parent.glob(f"{glob.escape(start)}*{glob.escape(path.suffix)}"):
        writer = other.name.removeprefix(start).removesuffix(path.suffix)
        # After a restart of the machine, or in a container, this thread may have their number, too.
        if writer.isdigit() and (writer == own or not Path("/proc", writer).exists()):
            _remove(other)
    sibling = path.with_name(start + own + path.suffix)
    try:
        yield sibling
    finally:
        _remove(sibling)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file, whole or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(text)


def check_writable(directory: Path) -> None:
    """Makes a directory, and raises OSError unless files can be written in it."""
    try:
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
