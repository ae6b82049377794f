"""The memory that is to be had, of a machine and of the control groups of a process."""

import pytest

from tfgen.core.memory import available_memory

MEMINFO = "MemTotal: 900 kB\nMemFree: 100 kB\nMemAvailable:    800 kB\n"


def tree(root, files):
    for name, content in ({"proc/meminfo": MEMINFO} | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


GROUPS = {
    "none": ({}, 800 * 1024),
    "version 2": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": "500000\n",
            "sys/fs/cgroup/a/b/memory.current": "300000\n",
            "sys/fs/cgroup/a/b/memory.stat": "anon 7\ninactive_file 1000\n",
        },
        201_000,
    ),
    "no limit": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "max\n",
            "sys/fs/cgroup/memory.current": "300000\n",
        },
        800 * 1024,
    ),
    "a group around it": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/memory.max": "5000\n",
            "sys/fs/cgroup/a/memory.current": "3000\n",
        },
        2000,
    ),
    "version 1, as a container sees it": (
        {
            "proc/self/cgroup": "5:cpu:/docker/x\n4:memory:/docker/x\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "5000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "3000\n",
            "sys/fs/cgroup/memory/memory.stat": "inactive_file 5\ntotal_inactive_file 10\n",
        },
        2010,
    ),
    "used up": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "5000\n",
            "sys/fs/cgroup/memory.current": "6000\n",
        },
        0,
    ),
}


@pytest.mark.parametrize("files, expected", GROUPS.values(), ids=GROUPS)
def test_the_smallest_limit_counts(tmp_path, files, expected):
    assert available_memory(tree(tmp_path, files)) == expected


def test_this_machine_has_some():
    assert available_memory() > 2**20


def test_without_proc_it_is_the_memory_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.get)
    assert available_memory(tmp_path) == 40_960

    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", unknown)
    assert available_memory(tmp_path) is None
