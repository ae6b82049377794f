"""The version directories under a base path, as TensorFlow Serving reads their names."""

import re
from pathlib import Path

from tfgen.core.checks import expected

LARGEST = 2**63 - 1
"""A server holds versions in 64 bits with a sign."""

_NUMBER = re.compile(r"\s*[0-9]+\s*", re.ASCII)  # str.isdigit is true of other digits, too.


def versions(base: Path) -> dict[int, Path]:
    """Returns what a server takes for versions, by number, the smallest first.

    A server goes by the names alone: "7" and "007" are version 7, a file may be one, and "1.bak",
    "-1" or a number that does not fit into 64 bits is not one.

    Args:
        base: the directory that a server is given; there may be none.
    """
    if not base.is_dir():
        return {}
    found = {
        int(child.name): child
        for child in sorted(base.iterdir())
        if _NUMBER.fullmatch(child.name) and int(child.name) <= LARGEST
    }
    return dict(sorted(found.items()))


def next_version(base: Path) -> int:
    """Returns the version after the largest, which a server prefers to all others.

    Raises:
        ValueError: when there is no larger one.
    """
    largest = max(versions(base), default=0)
    if largest == LARGEST:
        raise ValueError(
            expected("a version below 2**63 - 1 to count up from", base / str(largest))
        )
    return largest + 1
