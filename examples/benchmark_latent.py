"""Measures the latent models' parts against their usual peers, on this machine.

    python examples/benchmark_latent.py --sections=b

Section b needs `pip install faiss-cpu`. Peers are measured in turn, in the same run and with the
same number of threads, and medians are compared. A ratio above 1 says that tfgen is faster.
"""

import multiprocessing
import os
import re
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from absl import app, flags

from tfgen import latent

FLAGS = flags.FLAGS

flags.DEFINE_list("sections", ["b"], "Which to run; b: nearest neighbours against FAISS.")
flags.DEFINE_integer("repeats", 5, "How often each candidate is measured.", 1)
flags.DEFINE_integer("threads", 2, "Threads of TensorFlow and of its peers.", 1)

# Queries, candidates, dimensions: a chunk of latents, all latents of GLANN on MNIST, and pixels.
SEARCHES = [(10_000, 20_000, 64), (60_000, 120_000, 64), (4_000, 20_000, 784)]


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


def search_data(num_queries: int, num_candidates: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(
        rng.standard_normal((n, dim), dtype=np.float32) for n in (num_queries, num_candidates)
    )


def search_memory(num_queries: int, num_candidates: int, dim: int) -> float:
    """Returns the extra memory of one search in MB, TensorFlow itself not counted."""
    queries, candidates = search_data(num_queries, num_candidates, dim)
    latent.nearest(queries[:10], candidates[:10])
    return extra_memory(lambda: latent.nearest(queries, candidates))


def nearest_in_float64(
    queries: np.ndarray, candidates: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[int, int]:
    """Returns how often the first candidate is the nearer of two, and how often the second."""
    queries, candidates = queries.astype(np.float64), candidates.astype(np.float64)
    a, b = (np.sum((queries - candidates[chosen]) ** 2, axis=1) for chosen in (first, second))
    return int(np.sum(a < b)), int(np.sum(b < a))


def section_b() -> None:
    """Exact nearest neighbours, against FAISS' IndexFlatL2; both begin with NumPy arrays."""
    import faiss

    faiss.omp_set_num_threads(FLAGS.threads)

    def faiss_search(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        index = faiss.IndexFlatL2(queries.shape[1])
        index.add(candidates)
        return index.search(queries, 1)[1][:, 0]

    for sizes in SEARCHES:
        data = search_data(*sizes)
        searches = {"tfgen": partial(latent.nearest, *data), "faiss": partial(faiss_search, *data)}
        seconds = interleaved(searches, FLAGS.repeats)
        ours, theirs = searches["tfgen"]()[0].numpy(), searches["faiss"]()
        memory = in_new_process(search_memory, *sizes)
        print(
            f"search {'x'.join(map(str, sizes))}: tfgen {seconds['tfgen']:.3f} s, "
            f"faiss {seconds['faiss']:.3f} s, ratio {seconds['faiss'] / seconds['tfgen']:.2f}, "
            f"same indices {np.sum(ours == theirs)}/{sizes[0]}, extra memory {memory:.0f} MB",
            flush=True,
        )
        if np.any(ours != theirs):
            other = ours != theirs
            nearer = nearest_in_float64(data[0][other], data[1], ours[other], theirs[other])
            print(f"  nearer in float64 where they differ: tfgen {nearer[0]}, faiss {nearer[1]}")


SECTIONS = {"b": section_b}


def main(argv: Sequence[str]) -> None:
    del argv
    unknown = set(FLAGS.sections) - set(SECTIONS)
    if unknown:
        raise app.UsageError(f"--sections has {sorted(unknown)}; there are {sorted(SECTIONS)}.")
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    for section in FLAGS.sections:
        SECTIONS[section]()


if __name__ == "__main__":
    app.run(main)
