"""Trains models on mixtures whose modes are known, and prints which modes they reach.

    python examples/benchmarks/mixtures.py

Mixtures are of 8 modes on a ring, 25 on a grid and 5 on a line. All models have the same networks,
and discriminators as many steps. IMLE and GLANN are given a twentieth of the points; IMLE takes
five times the steps, alone and in GLANN, and GLANN's GLO as many. A Bayesian GAN of five generators
takes batches five times as large, which are divided among them; bayesian_1x1_large takes the same
with one. Each run is written to --workdir when it is done: started again, the benchmark goes on
where it stopped. After a change of the models it needs another --workdir.

A sample within three standard deviations of a mode is of high quality, and a mode with at least 20
of these among 2,500 samples is covered. Reverse KL is that of the modes' shares from their weights.
Precision, recall and coverage look at the nearest neighbours among points and samples, and know no
modes. A dash is a training that diverged; means are over the others.
"""

import itertools
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))  # What programs share is one folder up.

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from mixture_models import MIXTURES, MODELS, NUM_EXAMPLES, NUM_SAMPLES, reached

import tfgen
from tfgen import metrics
from tfgen.core.files import check_writable, write_text

FLAGS = flags.FLAGS

COLUMNS = ("covered", "high_quality", "reverse_kl", "precision", "recall", "coverage")
AGREEMENT = (("high_quality", "precision"), ("covered", "recall"), ("covered", "coverage"))

RUNS_PER_PROCESS = 10
"""What XLA compiles stays in memory until its process ends."""

Run = tuple[str, str, int]
"""A mixture, a model and a seed."""

Scores = dict[str, float | None]
"""By name; None for a model that diverged."""

flags.DEFINE_list("mixtures", list(MIXTURES), "On which to train.")
flags.DEFINE_list("models", list(MODELS), "Which to train.")
flags.DEFINE_integer("seeds", 5, "Of each, from 0.", 1)
flags.DEFINE_integer(
    "steps", 8_000, "Of the discriminator, or of GLO; IMLE takes five times as many.", 1
)
flags.DEFINE_string("workdir", "runs/mixtures", "Where the runs are written.")
flags.DEFINE_integer("workers", 2, "Runs at a time, each on one core.", 1)


def main(argv: Sequence[str]) -> None:
    if argv[1:]:
        raise app.UsageError(f"Expected flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    for name, known in (("mixtures", MIXTURES), ("models", MODELS)):
        unknown = set(getattr(FLAGS, name)) - set(known)
        if unknown or not getattr(FLAGS, name):
            raise app.UsageError(f"--{name} has {sorted(unknown)}; there are {sorted(known)}.")
    folder = Path(FLAGS.workdir)
    check_writable(folder)
    runs = list(itertools.product(FLAGS.mixtures, FLAGS.models, range(FLAGS.seeds)))
    missing = [run for run in runs if not path_of(folder, run).exists()]
    for number, (run, scores) in enumerate(trained(missing), start=1):
        write_text(path_of(folder, run), json.dumps(scores, indent=2) + "\n")
        print(f"{number} of {len(missing)}: {'-'.join(map(str, run))}, {brief(scores)}", flush=True)
    table = {run: json.loads(path_of(folder, run).read_text()) for run in runs}
    print_table(table)
    print_agreement(table)


def path_of(folder: Path, run: Run) -> Path:
    """Returns the file of a run's scores."""
    return folder / f"{'-'.join(map(str, run))}-{FLAGS.steps}.json"


def trained(runs: Sequence[Run]) -> Iterator[tuple[Run, Scores]]:
    """Yields each run and its scores, as they come."""
    context = multiprocessing.get_context("spawn")
    size = FLAGS.workers * RUNS_PER_PROCESS
    for start in range(0, len(runs), size):
        with futures.ProcessPoolExecutor(FLAGS.workers, context, one_core) as pool:
            part = runs[start : start + size]
            try:
                for done in futures.as_completed(
                    pool.submit(train_and_score, run, FLAGS.steps) for run in part
                ):
                    yield done.result()
            finally:  # After an error, or Ctrl-C, the others are not to be waited for.
                pool.shutdown(cancel_futures=True)


def one_core() -> None:
    """Keeps a process to one core: the networks are too small to be divided."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def train_and_score(run: Run, steps: int) -> tuple[Run, Scores]:
    """Returns a run with its scores."""
    mixture, model, seed = run
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    x = MIXTURES[mixture].sample(NUM_EXAMPLES, seed)
    try:
        scores = score(MODELS[model](x, steps, seed), mixture, seed)
    except tfgen.NonFiniteError:  # It diverged.
        scores = dict.fromkeys(COLUMNS)
    return run, scores | {"seconds": round(time.perf_counter() - start, 1)}


def score(model: tfgen.GenerativeModel, name: str, seed: int) -> Scores:
    """Returns the scores of a model's samples."""
    mixture = MIXTURES[name]
    samples = model.sample(NUM_SAMPLES, seed).numpy()
    real = mixture.sample(NUM_SAMPLES, seed + 1_000)
    precision, recall = metrics.precision_recall(real, samples, k=3)
    _, coverage = metrics.density_coverage(real, samples, k=5)
    blind = {"precision": precision, "recall": recall, "coverage": coverage}
    return reached(mixture, samples) | blind


def brief(scores: Scores) -> str:
    return ", ".join(f"{name} {number(value, '.3g')}" for name, value in scores.items())


def number(value: float | None, form: str) -> str:
    """Returns a number as text, or a dash for one that is not known."""
    return "-" if value is None else format(value, form)


def print_table(table: dict[Run, Scores]) -> None:
    """Prints, for each mixture and model, the covered modes of each seed and means of the rest."""
    for mixture in FLAGS.mixtures:
        print(f"\n{mixture}, {MIXTURES[mixture].num_modes} modes")
        print(f"{'':<22}{'covered':<20}" + "".join(f"{name:>14}" for name in COLUMNS[1:]))
        for model in FLAGS.models:
            rows = [table[mixture, model, seed] for seed in range(FLAGS.seeds)]
            covered = " ".join(f"{number(row['covered'], 'd'):>2}" for row in rows)
            means = [mean([row[name] for row in rows]) for name in COLUMNS[1:]]
            cells = "".join(f"{number(value, '.3f'):>14}" for value in means)
            print(f"{model:<22}{covered:<20}{cells}")


def mean(values: Sequence[float | None]) -> float | None:
    """Returns the mean of the numbers that are known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def print_agreement(table: dict[Run, Scores]) -> None:
    """Prints how scores that know the modes go with those that do not, over a mixture's runs."""
    from scipy.stats import spearmanr

    print("\nrank correlations")
    for mixture in FLAGS.mixtures:
        rows = [row for run, row in table.items() if run[0] == mixture]
        known = [row for row in rows if row["covered"] is not None]
        for one, other in AGREEMENT:
            values = ([row[name] for row in known] for name in (one, other))
            correlation = spearmanr(*values).statistic if len(known) > 2 else float("nan")
            print(f"{mixture}: {one} with {other} {correlation:.2f}, over {len(known)} runs")


if __name__ == "__main__":
    app.run(main)
