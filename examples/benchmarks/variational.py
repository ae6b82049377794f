"""Measures variational models against plain PyTorch, on this machine.

    pip install torch
    python examples/benchmarks/variational.py

Examples per second of `fit` as it is by default, and compiled by XLA, against the same model in
eager PyTorch with fused Adam and with `torch.compile`: the same networks, examples and batches, the
same number of threads, measured in turn, in medians. A ratio above 1 says that tfgen is faster.

Then: the memory of `log_prob_bound`, by the number of draws, and `encode` and `log_prob_bound` of
an exported SavedModel beside those in process. Ten minutes on two cores.
"""

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import torch_vae  # Before TensorFlow, after which some of Torch's parts do not load.  # isort: skip
import keras
import numpy as np
import tensorflow as tf
import torch
from absl import app, flags, logging
from measure import extra_memory, in_new_process, interleaved, print_served

import tfgen
from tfgen import networks, variational

FLAGS = flags.FLAGS

PARTS = ("training", "memory", "serving")
flags.DEFINE_list("parts", list(PARTS), "What to measure.")
flags.DEFINE_list("cases", [], "Which models; all unless given.")
flags.DEFINE_integer("repeats", 7, "How often each candidate is measured.", 1)
flags.DEFINE_integer("threads", 2, "Threads of TensorFlow and of its peers.", 1)

DIM, UNITS, LATENT_DIM = 784, 200, 50
IMAGE, FILTERS, LATENTS = (28, 28, 1), 32, 4


@dataclass(frozen=True)
class Case:
    """A model, its peer, the examples of a batch, and the steps measured."""

    ours: Callable[[], Any]
    peer: Callable[[], torch.nn.Module]
    shape: tuple[int, ...] = (DIM,)
    batch_size: int = 100
    steps: int = 600  # An epoch of MNIST.

    def examples(self) -> np.ndarray:
        """Returns zeros and ones to train on."""
        rng = np.random.default_rng(0)
        return np.float32(rng.random((self.steps * self.batch_size, *self.shape)) > 0.8)


def vae(**options: Any) -> variational.VAE:
    """Returns a VAE of two layers of 200 units on each side, as published for MNIST."""
    nets = [networks.MLP((UNITS,), (UNITS,), "tanh", "tanh") for _ in range(2)]
    return variational.VAE(*nets, LATENT_DIM, event_shape=(DIM,), **options)


def hierarchical() -> variational.HierarchicalVAE:
    """Returns two levels of latents, on grids of 7 x 7 and 14 x 14."""
    levels = [variational.Level((side, side, LATENTS), FILTERS) for side in (7, 14)]
    return variational.HierarchicalVAE(IMAGE, levels)


SIZES = (DIM, UNITS, LATENT_DIM)
CASES = {
    "vae": Case(vae, lambda: torch_vae.VAE(*SIZES)),
    "iwae_50": Case(
        lambda: vae(bound=variational.ImportanceWeighted(50)),
        lambda: torch_vae.VAE(*SIZES, num_draws=50),
        batch_size=20,
        steps=100,
    ),
    "iaf": Case(
        lambda: vae(posterior=variational.posteriors.iaf(2, (320,))),
        lambda: torch_vae.VAE(*SIZES, num_flows=2),
    ),
    "hierarchical": Case(
        hierarchical,
        lambda: torch_vae.Hierarchical(1, LATENTS, FILTERS),
        IMAGE,
        batch_size=64,
        steps=40,
    ),
}


def in_torch(rows: np.ndarray) -> torch.Tensor:
    """Returns examples as PyTorch wants them: images with channels last in memory."""
    x = torch.from_numpy(rows)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return x


def ready(case: Case, jit_compile: bool | None = None) -> Any:
    """Returns a new model, compiled with the optimizer of its peer."""
    model = case.ours()
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=jit_compile)
    return model


def training() -> None:
    """Prints examples per second of each model and its peers, and the ratios."""
    ratios: dict[str, list[float]] = {}
    for name, case in CASES.items():
        if FLAGS.cases and name not in FLAGS.cases:
            continue
        seconds, count = epochs(case)
        shown = [f"{kind} {count / value:,.0f}/s" for kind, value in seconds.items()]
        ours = seconds["tfgen"]
        others = {kind: value / ours for kind, value in seconds.items() if kind != "tfgen"}
        for kind, ratio in others.items():
            ratios.setdefault(kind, []).append(ratio)
        shown += [f"ratio to {kind} {ratio:.2f}" for kind, ratio in others.items()]
        print(f"training, {name}: {', '.join(shown)}", flush=True)
    for kind, values in ratios.items():
        print(f"training, median ratio to {kind}: {statistics.median(values):.2f}", flush=True)


def epochs(case: Case) -> tuple[dict[str, float], int]:
    """Returns the seconds of an epoch of each candidate, and its examples."""
    rows = case.examples()
    data = tfgen.data.Examples(rows, batch_size=case.batch_size)
    model, jit, x = ready(case), ready(case, jit_compile=True), in_torch(rows)
    peers = [case.peer().to(memory_format=torch.channels_last) for _ in range(2)]
    candidates = {
        "tfgen": lambda: model.fit(data, verbose=0),
        "tfgen, jit_compile": lambda: jit.fit(data, verbose=0),
        "eager": torch_vae.epoch(peers[0], x, case.batch_size, compiled=False),
        "compiled": torch_vae.epoch(peers[1], x, case.batch_size, compiled=True),
    }
    return interleaved(candidates, FLAGS.repeats), len(rows)


def memory_of_bound(num_importance: int) -> float:
    """Returns the MB by which memory rises for the bound of 192 examples, once it was asked."""
    model, x = vae(), CASES["vae"].examples()[:192]
    model.log_prob_bound(x, num_importance, seed=0)
    return extra_memory(lambda: model.log_prob_bound(x, num_importance, seed=1).numpy())


def memory() -> None:
    """Prints the memory of `log_prob_bound`, by the number of draws."""
    for count in (50, 500, 5000):
        used = in_new_process(memory_of_bound, count)
        print(f"log_prob_bound of 192 examples, {count} draws: {used:.0f} MB", flush=True)


def serving() -> None:
    """Prints the speed of what a SavedModel answers beside that in process."""
    model, x = vae(), CASES["vae"].examples()[:2000]
    spec, seed_spec = tf.TensorSpec([None, DIM], tf.float32), tf.TensorSpec([None, 2], tf.int32)
    bound = tf.function(
        lambda x, seeds: model.log_prob_bound_rows(x, seeds, {}, 50),
        input_signature=[spec, seed_spec],
    )
    encode = tf.function(model.encode_rows, input_signature=[spec])
    seeds = np.arange(len(x), dtype=np.int64) << 32
    rows, noun = tfgen.core.random.row_seeds(len(x), 0), model.event_spec.name
    with tempfile.TemporaryDirectory() as folder:
        version = tfgen.serving.export(model, folder, num_importance=50)
        with tfgen.serving.SessionLoader(version) as served:
            pairs = {
                "encode": (
                    lambda: encode(x).numpy(),
                    lambda: served("encode", **{noun: x})["z"],
                ),
                "log_prob_bound, 50 draws": (
                    lambda: bound(x, rows).numpy(),
                    lambda: served("log_prob_bound", **{noun: x}, seed=seeds)["log_prob_bound"],
                ),
            }
            for name, (inside, outside) in pairs.items():
                print_served(name, "examples", len(x), inside, outside, 3 * FLAGS.repeats)


def main(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.ERROR)
    for given, there in ((FLAGS.parts, PARTS), (FLAGS.cases, CASES)):
        if unknown := set(given) - set(there):
            raise app.UsageError(f"There is no {sorted(unknown)}; there are {sorted(there)}.")
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    torch.set_num_threads(FLAGS.threads)
    for part in FLAGS.parts:
        {"training": training, "memory": memory, "serving": serving}[part]()


if __name__ == "__main__":
    app.run(main)
