"""What goes wrong with files: they are cut, changed, or do not fit on the disk."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest


def cut(path: Path, size: int) -> None:
    """Leaves the first `size` bytes of a file, or all but the last -size."""
    path.write_bytes(path.read_bytes()[:size])


def flip(path: Path, position: int) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Makes writing fail beyond a file size, as a full disk would, in C++ too."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
