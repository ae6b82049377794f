"""How much main memory is to be had."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

# The root of each kind of control group, then its limit, its usage, and what could be given back.
_GROUPS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": (
        "sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}


def available_memory(root: Path = Path("/")) -> int | None:
    """Returns the bytes that this process can still have without swapping; None if unknown.

    On Linux the limits of the control groups that the process is in count, as in a container.
    Elsewhere it is the memory of the machine.

    Args:
        root: where /proc and /sys are.
    """
    found = [*_of_machine(root), *_of_groups(root)]
    return max(0, min(found)) if found else None


def _of_machine(root: Path) -> Iterator[int]:
    available = re.search(r"MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"))
    if available:
        yield 1024 * int(available[1])
        return
    try:
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf.
        return


def _of_groups(root: Path) -> Iterator[int]:
    """Yields what is left to each control group that the process is in, directly or not."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, kinds, group = line.split(":", 2)
        for kind in kinds.split(","):
            if kind not in _GROUPS:
                continue
            base, limit, usage, reclaimable = _GROUPS[kind]
            path = Path(group.strip("/"))
            for inner in (path, *path.parents):
                folder = root / base / inner
                most, used = (_text(folder / name).strip() for name in (limit, usage))
                if most.isdigit() and used.isdigit():  # "max" is no limit.
                    cache = re.search(rf"^{reclaimable} (\d+)", _text(folder / "memory.stat"), re.M)
                    yield int(most) - int(used) + (int(cache[1]) if cache else 0)


def _text(path: Path) -> str:
    """Returns the text of a file, nothing when it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
