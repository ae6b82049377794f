"""Measures the latent models' parts against their usual peers, on this machine.

    pip install -e ".[faiss]" && python examples/benchmarks/latent.py

Sections: a, row-wise against Keras' Adam on latent tables; b, nearest neighbours against FAISS; c,
`GLO.fit` against a loop by hand; d, the time of `import tfgen`; e, FID against SciPy's sqrtm. Peers
are measured in the same run and with the same number of threads, in b, c and e in turn, and medians
are compared. A ratio above 1 says that tfgen is faster.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from measure import extra_memory, in_new_process, interleaved

import tfgen
from tfgen import latent, losses, metrics, networks

FLAGS = flags.FLAGS

flags.DEFINE_list("sections", ["a", "b", "c", "d", "e"], "Which to run.")
flags.DEFINE_integer("repeats", 5, "How often each candidate is measured.", 1)
flags.DEFINE_integer("threads", 2, "Threads of TensorFlow and of its peers.", 1)

TABLES = (10_000, 100_000, 1_000_000)  # Rows of 64 numbers.

# Queries, candidates, dimensions: a chunk of latents, all latents of GLANN on MNIST, and pixels.
SEARCHES = [(10_000, 20_000, 64), (60_000, 120_000, 64), (4_000, 20_000, 784)]


def section_a() -> None:
    """A step of row-wise Adam on latent tables of growing size, and of Keras' Adam on the same."""
    calls = {f"row_{n}": latent_step(n, latent.RowAdam()) for n in TABLES}
    seconds = interleaved(calls, 20 * FLAGS.repeats)
    for n in TABLES:
        keras_step = latent_step(n, keras.optimizers.Adam())
        whole = interleaved({"keras": keras_step}, FLAGS.repeats)["keras"]
        row = seconds[f"row_{n}"]
        print(
            f"latent update, {n} rows: RowAdam {1e3 * row:.3f} ms, Keras Adam {1e3 * whole:.1f} ms"
        )
    print(
        f"slowest/fastest RowAdam: {max(seconds.values()) / min(seconds.values()):.2f}", flush=True
    )


def latent_step(num_examples: int, optimizer: keras.optimizers.Optimizer) -> Callable[[], Any]:
    """Returns a step on 128 rows of 64 numbers, drawn anew at each call."""
    table = latent.LatentTable(num_examples, 64)
    optimizer.build(table.trainable_variables)
    slope = tf.random.stateless_normal([128, 64], [0, 0])

    @tf.function
    def step(rows: tf.Tensor) -> None:
        gradient = tf.IndexedSlices(slope, rows, table.codes.value.shape)
        optimizer.apply([gradient], table.trainable_variables)

    rng = np.random.default_rng(0)
    return lambda: step(tf.constant(rng.choice(num_examples, 128, replace=False)))


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


def section_c() -> None:
    """`GLO.fit` against a loop by hand that does the same and nothing else."""
    images = np.random.default_rng(0).integers(0, 256, (4096, 28, 28, 1), dtype=np.uint8)
    examples = tfgen.data.from_arrays(images, batch_size=128)
    glo = latent.GLO(
        networks.InfoGANGenerator((28, 28, 1)), len(images), 64, losses.AbsoluteError()
    )
    glo.compile()
    seconds = interleaved(
        {"fit": lambda: glo.fit(examples, verbose=0), "bare": bare_glo(images)}, FLAGS.repeats
    )
    print(
        f"GLO, an epoch of {examples.steps_per_epoch} steps: fit {seconds['fit']:.3f} s, bare loop "
        f"{seconds['bare']:.3f} s, ratio {seconds['bare'] / seconds['fit']:.2f}",
        flush=True,
    )


def bare_glo(images: np.ndarray) -> Callable[[], float]:
    """Returns an epoch of GLO without the library: InfoGAN's generator, L1, Adam on both sides."""
    generator = networks.InfoGANGenerator((28, 28, 1))
    generator.build((None, 64))
    optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
    optimizer.build(generator.trainable_variables)
    rng, data = np.random.default_rng(0), tf.constant(images)
    codes, m, v = (tf.Variable(tf.zeros([len(images), 64])) for _ in range(3))
    codes.assign(tf.math.l2_normalize(tf.random.stateless_normal(codes.shape, [0, 0]), axis=1))
    visits = tf.Variable(tf.zeros([len(images)], tf.int32))

    @tf.function
    def step(rows: tf.Tensor) -> tf.Tensor:
        x, z = tf.cast(tf.gather(data, rows), tf.float32) / 255.0, tf.gather(codes, rows)
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = tf.reduce_mean(tf.abs(x - generator(z, training=True)))
        weights = generator.trainable_variables
        slopes, slope = tape.gradient(loss, (weights, z))
        optimizer.apply(slopes, weights)
        first = 0.5 * tf.gather(m, rows) + 0.5 * slope
        second = 0.999 * tf.gather(v, rows) + 0.001 * slope**2
        count = tf.gather(visits, rows) + 1
        t = tf.cast(count, tf.float32)[:, tf.newaxis]
        moved = z - 0.01 * first / (1 - 0.5**t) / (tf.sqrt(second / (1 - 0.999**t)) + 1e-8)
        moved = tf.math.l2_normalize(moved, axis=1)
        for variable, values in ((codes, moved), (m, first), (v, second), (visits, count)):
            variable.scatter_update(tf.IndexedSlices(values, rows))
        return loss

    def epoch() -> float:
        order = rng.permutation(len(images)).reshape(-1, 128)
        return float(tf.add_n([step(tf.constant(rows)) for rows in order]))

    return epoch


def section_d() -> None:
    """What `import tfgen` costs beyond `import tensorflow`."""
    lines = [
        "import time, tensorflow",
        "start = time.perf_counter()",
        "import tfgen",
        "print(time.perf_counter() - start)",
    ]

    def seconds() -> float:
        return float(subprocess.check_output([sys.executable, "-c", "\n".join(lines)], text=True))

    seconds()
    median = statistics.median(seconds() for _ in range(FLAGS.repeats))
    print(f"import tfgen beyond tensorflow: {median:.2f} s", flush=True)


def section_e() -> None:
    """FID of 10,000 x 2048 features, against NumPy's covariances and SciPy's sqrtm."""
    from scipy import linalg

    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((2048, 2048)) / 45
    real = np.maximum(rng.standard_normal((10_000, 2048)) @ mixing, 0).astype(np.float32)
    fake = np.maximum(rng.standard_normal((10_000, 2048)) @ mixing + 0.1, 0).astype(np.float32)

    def usual() -> float:
        (m1, c1), (m2, c2) = (
            (x.mean(0), np.cov(x, rowvar=False)) for x in map(np.float64, (real, fake))
        )
        root = linalg.sqrtm(c1 @ c2)
        return float(((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * root.real))

    calls = {"tfgen": lambda: metrics.fid(real, fake), "sqrtm": usual}
    seconds = interleaved(calls, FLAGS.repeats)
    ours, theirs = (call() for call in calls.values())
    print(
        f"FID from 10000x2048 features: tfgen {seconds['tfgen']:.2f} s, "
        f"sqrtm {seconds['sqrtm']:.2f} s, ratio {seconds['sqrtm'] / seconds['tfgen']:.2f}, "
        f"{ours:.9g} against {theirs:.9g}, relative difference {abs(ours / theirs - 1):.1e}",
        flush=True,
    )


SECTIONS = {"a": section_a, "b": section_b, "c": section_c, "d": section_d, "e": section_e}


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
