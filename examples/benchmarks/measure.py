"""How the benchmarks measure: candidates in turn, medians, memory in a process of its own."""

import multiprocessing
import re
import statistics
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any


def interleaved(candidates: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Returns the median seconds of each candidate, measured in turn after a call of each."""
    seconds = {name: [] for name in candidates}
    for call in candidates.values():
        call()
    for _ in range(repeats):
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def in_new_process(function: Callable[..., Any], *args: Any) -> Any:
    """Returns what `function`, of a module, returns in a fresh Python process."""
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def extra_memory(call: Callable[[], Any]) -> float:
    """Returns by how many MB memory rose at its highest during a call (Linux; nan elsewhere)."""

    def status(field: str) -> int:
        return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])

    try:
        Path("/proc/self/clear_refs").write_text("5")  # Forgets the high-water mark.
    except OSError:
        return float("nan")
    before = status("VmRSS")
    call()
    return (status("VmHWM") - before) / 1024


def print_served(
    name: str,
    unit: str,
    count: int,
    inside: Callable[[], Any],
    served: Callable[[], Any],
    repeats: int,
) -> None:
    """Prints the speed of what a SavedModel answers beside that in process.

    Args:
        name: of what is asked.
        unit: what is counted, e.g. "rows".
        count: how many of them a call answers.
        inside, served: calls of both.
        repeats: of each.
    """
    seconds = interleaved({"inside": inside, "served": served}, repeats)
    speeds = [count / seconds[kind] for kind in ("inside", "served")]
    print(
        f"{name}: in process {speeds[0]:,.0f} {unit}/s, SavedModel {speeds[1]:,.0f}, "
        f"ratio {speeds[1] / speeds[0]:.2f}",
        flush=True,
    )
