"""Measures flows against zuko and normflows, on this machine.

    pip install torch zuko normflows
    python examples/benchmarks/flows.py

Rows per second of `Flow.fit` and of `Flow.sample`, both as they are by default, against the same
flow of zuko (RealNVP, MAF, splines) or normflows (Glow, residual flow), in eager PyTorch with
fused Adam and with `torch.compile`: the same transforms, widths, rows and batches, the same number
of threads, measured in turn, in medians. A ratio above 1 says that tfgen is faster. normflows'
residual flow takes five steps of the power method after each step, as its examples do.

Then: what a sample of a MAF costs beside a density, by the number of dimensions; the seconds that a
Glow of 3 x 16 steps takes until its first step is done; and `log_prob` of an exported SavedModel
beside that in process. Ten minutes on two cores.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import torch_flows  # Before TensorFlow, after which some of Torch's parts do not load.  # isort: skip
import keras
import numpy as np
import tensorflow as tf
import torch
from absl import app, flags, logging
from measure import interleaved, print_served

import tfgen
from tfgen.flows import Flow, recipes

FLAGS = flags.FLAGS

PARTS = ("training", "sampling", "inverse", "tracing", "serving")
flags.DEFINE_list("parts", list(PARTS), "What to measure.")
flags.DEFINE_list("cases", [], "Which flows; all unless given.")
flags.DEFINE_integer("repeats", 7, "How often each candidate is measured.", 1)
flags.DEFINE_integer("threads", 2, "Threads of TensorFlow and of its peers.", 1)

DIM, DEPTH, WIDTH, BINS = 8, 5, 64, 8
SIZES = (WIDTH, WIDTH)
IMAGE = (16, 16, 3)


@dataclass(frozen=True)
class Case:
    """A flow, its peer, the rows of a batch and of a call that samples, and the steps measured."""

    ours: Callable[[], Flow]
    peer: Callable[[], torch.nn.Module]
    shape: tuple[int, ...] = (DIM,)
    batch_size: int = 256
    num_samples: int = 1024
    steps: int = 200

    def rows(self, count: int) -> np.ndarray:
        """Returns rows to train on: images on 256 levels, or points."""
        rng = np.random.default_rng(0)
        if len(self.shape) == 3:
            return np.float32(rng.integers(0, 256, (count, *self.shape)) / 255)
        return np.float32(rng.standard_normal((count, *self.shape)))


def of_vectors(ours: Callable[..., Flow], name: str, **sizes: Any) -> Case:
    """Returns the case of a flow of vectors."""
    peer = lambda: torch_flows.flow(name, DIM, DEPTH, WIDTH, BINS)  # noqa: E731
    return Case(lambda: ours((DIM,), **sizes), peer)


CASES = {
    "realnvp": of_vectors(recipes.realnvp, "realnvp", num_couplings=DEPTH, hidden_units=SIZES),
    "maf": of_vectors(recipes.maf, "maf", num_layers=DEPTH, hidden_units=SIZES),
    "spline": of_vectors(recipes.spline, "spline", depth=DEPTH, filters=WIDTH, num_bins=BINS),
    "residual_flow": of_vectors(recipes.residual_flow, "residual_flow", depth=DEPTH, filters=WIDTH),
    "glow": Case(
        lambda: recipes.glow(IMAGE, 2, 4, 32),
        lambda: torch_flows.Glow(IMAGE, 2, 4, 32),
        IMAGE,
        batch_size=64,
        num_samples=64,
        steps=20,
    ),
}


def ready(case: Case) -> Flow:
    """Returns a new flow, compiled with the optimizer of its peer."""
    model = case.ours()
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def in_torch(case: Case, rows: np.ndarray) -> torch.Tensor:
    """Returns rows as PyTorch wants them: the shape of images, with channels last in memory."""
    x = torch.from_numpy(rows)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return x


def measured(candidates: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Returns the seconds of candidates that work; torch.compile may not."""
    working = {}
    for name, call in candidates.items():
        try:
            call()
            working[name] = call
        except Exception as error:  # Whatever a compiler may raise.
            if name == "tfgen":
                raise
            print(f"  {name} does not work: {type(error).__name__}", flush=True)
    return interleaved(working, FLAGS.repeats)


def training(case: Case) -> tuple[dict[str, float], int]:
    """Returns the seconds of an epoch of each candidate, and its rows."""
    rows = case.rows(case.steps * case.batch_size)
    data = tfgen.data.Examples(rows, batch_size=case.batch_size)
    model, jit, x = ready(case), ready(case), in_torch(case, rows)
    jit.compile(jit.optimizer, jit_compile=True)
    eager, compiled = case.peer(), case.peer()
    candidates = {
        "tfgen": lambda: model.fit(data, verbose=0),
        "tfgen, jit_compile": lambda: jit.fit(data, verbose=0),
        "eager": torch_flows.epoch(eager, x, case.batch_size, compiled=False),
        "compiled": torch_flows.epoch(compiled, x, case.batch_size, compiled=True),
    }
    return measured(candidates), len(rows)


def sampling(case: Case) -> tuple[dict[str, float], int]:
    """Returns the seconds of a call that samples of each candidate, and its rows."""
    count = case.num_samples
    rows = case.rows(4 * case.batch_size)
    model = ready(case)
    model.fit(rows, batch_size=case.batch_size, verbose=0)
    peer = case.peer()
    torch_flows.epoch(peer, in_torch(case, rows), case.batch_size, compiled=False)()
    compiled = torch.compile(peer.sample)

    def drawn(sample: Callable[[int], torch.Tensor]) -> Callable[[], np.ndarray]:
        def call() -> np.ndarray:
            with torch.no_grad():
                return sample(count).numpy()

        return call

    graph = tf.function(model.sample_rows, input_signature=[tf.TensorSpec([None, 2], tf.int32)])
    seeds = tfgen.core.random.row_seeds(count, 0)
    candidates = {
        "tfgen": lambda: model.sample(count, seed=0, batch_size=count).numpy(),
        "tfgen, in a tf.function": lambda: graph(seeds).numpy(),
        "eager": drawn(peer.sample),
        "compiled": drawn(compiled),
    }
    return measured(candidates), count


def compare(part: str, measure: Callable[[Case], tuple[dict[str, float], int]]) -> None:
    """Prints rows per second of each flow and its peers, and the ratios."""
    ratios: dict[str, list[float]] = {}
    for name, case in CASES.items():
        if FLAGS.cases and name not in FLAGS.cases:
            continue
        seconds, count = measure(case)
        ours = seconds["tfgen"]
        shown = [f"{kind} {count / value:,.0f} rows/s" for kind, value in seconds.items()]
        others = {kind: value / ours for kind, value in seconds.items() if kind != "tfgen"}
        for kind, ratio in others.items():
            ratios.setdefault(kind, []).append(ratio)
        shown += [f"ratio to {kind} {ratio:.2f}" for kind, ratio in others.items()]
        print(f"{part}, {name}: {', '.join(shown)}", flush=True)
    for kind, values in ratios.items():
        print(f"{part}, median ratio to {kind}: {statistics.median(values):.2f}", flush=True)


def inverse() -> None:
    """Prints what sampling costs beside a density in a MAF, by the number of dimensions."""
    for dim in (8, 16, 32, 64):
        seconds = density_and_sample(dim)
        print(
            f"inverse of MAF, {dim} dimensions, 256 rows: a density {1e3 * seconds['density']:.1f} "
            f"ms, a sample {1e3 * seconds['sample']:.1f} ms, "
            f"{seconds['sample'] / seconds['density']:.1f} as long",
            flush=True,
        )


def density_and_sample(dim: int) -> dict[str, float]:
    """Returns the seconds of the densities and of the samples of 256 rows of a MAF."""
    flow = recipes.maf((dim,), DEPTH, SIZES)
    x = tf.random.stateless_normal([256, dim], [0, 0])
    flow.fit(x.numpy(), batch_size=256, verbose=0)
    density, sample = tf.function(flow.log_prob_rows), tf.function(flow.sample_rows)
    seeds = tfgen.core.random.row_seeds(256, 0)
    candidates = {"density": lambda: density(x).numpy(), "sample": lambda: sample(seeds).numpy()}
    return interleaved(candidates, FLAGS.repeats)


def tracing() -> None:
    """Prints how long it takes until the first step of a Glow of 3 x 16 steps is done."""
    start = time.perf_counter()
    flow = recipes.glow((32, 32, 3), 3, 16, 64)
    made = time.perf_counter()
    images = np.float32(np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3)) / 255)
    flow.fit(images, batch_size=16, verbose=0)
    print(
        f"Glow of 3 x 16 steps on 32 x 32 x 3: made in {made - start:.1f} s, its first step after "
        f"{time.perf_counter() - made:.1f} s more",
        flush=True,
    )


def serving() -> None:
    """Prints the speed of `log_prob` of a SavedModel beside that in process."""
    case = CASES["realnvp"]
    flow, x = ready(case), case.rows(20_000)
    flow.fit(x, batch_size=case.batch_size, verbose=0)
    spec = tf.TensorSpec([None, DIM], tf.float32)
    in_process = tf.function(flow.log_prob_rows, input_signature=[spec])
    parts = np.split(x, 20)
    with tempfile.TemporaryDirectory() as folder:
        version = tfgen.serving.export(flow, folder)
        with tfgen.serving.SessionLoader(version) as served:
            print_served(
                "log_prob of realnvp",
                "rows",
                len(x),
                lambda: [in_process(part).numpy() for part in parts],
                lambda: [
                    served("log_prob", **{flow.event_spec.name: part})["log_prob"] for part in parts
                ],
                3 * FLAGS.repeats,
            )


def main(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.ERROR)
    for given, there in ((FLAGS.parts, PARTS), (FLAGS.cases, CASES)):
        if unknown := set(given) - set(there):
            raise app.UsageError(f"There is no {sorted(unknown)}; there are {sorted(there)}.")
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    torch.set_num_threads(FLAGS.threads)
    measures = {
        "training": lambda: compare("training", training),
        "sampling": lambda: compare("sampling", sampling),
        "inverse": inverse,
        "tracing": tracing,
        "serving": serving,
    }
    for part in FLAGS.parts:
        measures[part]()


if __name__ == "__main__":
    app.run(main)
