"""Trains VAEs of the published sizes on binarised MNIST, and bounds log p(x) of the test set.

    TFDS_DATA_DIR=... python examples/benchmarks/vae_likelihoods.py
    python examples/benchmarks/vae_likelihoods.py --models=vae,iwae_5 --seeds=3 --epochs=100

Prints minus the bound on log p(x) in nats, by one draw and by --num_importance draws, beside the
published numbers. All have two layers of 200 tanh units on each side and 50 latents, as Burda et
al. have; the hierarchical one has levels on grids of 7 x 7 and 14 x 14 pixels. Pixels of training
images are drawn as 0 or 1 in each epoch, with their greys as probabilities (stochastic), or are
rounded (threshold), and so are those of the test set, once. Adam at 1e-3 falls to zero by a cosine.
Each result is a file under --workdir, so that the program goes on where it stopped.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfgen
from tfgen import networks, variational
from tfgen.core.files import write_text
from tfgen.variational import posteriors

FLAGS = flags.FLAGS

flags.DEFINE_list("models", [], "Which; all unless given.")
flags.DEFINE_integer("seeds", 1, "Trainings of each.", 1)
flags.DEFINE_integer("epochs", 60, "Of each training.", 1)
flags.DEFINE_integer("num_examples", 60_000, "Training images.", 100)
flags.DEFINE_integer("num_test", 10_000, "Test images.", 1)
flags.DEFINE_integer("num_importance", 500, "Draws of the bound on test images.", 1)
flags.DEFINE_enum("binarization", "stochastic", ["stochastic", "threshold"], "Of the images.")
flags.DEFINE_string("dataset", "mnist", "Any data set of images.")
flags.DEFINE_string("workdir", "runs/vae_likelihoods", "Of the results.")

UNITS, LATENT_DIM, BATCH_SIZE = 200, 50, 100


def vae(shape: Sequence[int], **options: Any) -> variational.VAE:
    """Returns a VAE of the published networks."""
    nets = [networks.MLP((UNITS,), (UNITS,), "tanh", "tanh") for _ in range(2)]
    return variational.VAE(*nets, LATENT_DIM, event_shape=shape, **options)


def hierarchical(shape: Sequence[int], **options: Any) -> variational.HierarchicalVAE:
    """Returns two levels of latents on grids."""
    levels = [variational.Level((side, side, 4), 32) for side in (7, 14)]
    return variational.HierarchicalVAE(shape, levels, **options)


def with_posterior(make: Callable[[], variational.Posterior]) -> Callable[..., variational.VAE]:
    """Returns what makes a VAE with another posterior."""
    return lambda shape, **options: vae(shape, posterior=make(), **options)


def weighted(count: int) -> Callable[..., variational.VAE]:
    """Returns what makes a VAE with an importance-weighted bound."""
    return lambda shape, **options: vae(
        shape, bound=variational.ImportanceWeighted(count), **options
    )


MODELS: dict[str, Callable[..., Any]] = {
    "vae": vae,
    "iwae_5": weighted(5),
    "iwae_50": weighted(50),
    "planar_10": with_posterior(lambda: posteriors.planar(10)),
    "iaf_2": with_posterior(lambda: posteriors.iaf(2, (320,))),
    "full_covariance": with_posterior(variational.FullCovariancePosterior),
    "vamp_500": lambda shape, **options: vae(
        shape, prior=variational.VampPrior(LATENT_DIM, 500), **options
    ),
    "hierarchical": hierarchical,
}
PUBLISHED = {
    "vae": "86.76 (Burda et al.), 89.8 (pythae)",
    "iwae_5": "85.54 (Burda et al.)",
    "iwae_50": "84.78 (Burda et al.)",
}
"""Nats, by 5,000 draws, of networks trained for thousands of epochs."""


def main(argv: Sequence[str]) -> None:
    del argv
    names = FLAGS.models or list(MODELS)
    if unknown := set(names) - set(MODELS):
        raise app.UsageError(f"There is no {sorted(unknown)}; there are {sorted(MODELS)}.")
    train = tfgen.data.load(FLAGS.dataset, split="train", batch_size=BATCH_SIZE)
    train = train.as_float(slice(0, FLAGS.num_examples))
    test = tfgen.data.load(FLAGS.dataset, split="test", batch_size=1)
    test = test.as_float(slice(0, FLAGS.num_test))
    chance = np.random.default_rng(0).random(test.shape) if is_stochastic() else 0.5
    test = np.float32(chance < test)
    print("| model | 1 draw | all draws | published | seconds |\n|---|---|---|---|---|")
    for name in names:
        for seed in range(FLAGS.seeds):
            found = kept(Path(FLAGS.workdir), name, seed, train, test)
            print(
                f"| {name}, seed {seed} | {found['1']:.2f} | {found['all']:.2f} | "
                f"{PUBLISHED.get(name, '')} | {found['seconds']:.0f} |",
                flush=True,
            )


def is_stochastic() -> bool:
    """Tells whether pixels are drawn."""
    return FLAGS.binarization == "stochastic"


def kept(folder: Path, name: str, seed: int, train: np.ndarray, test: np.ndarray) -> dict:
    """Returns the numbers of one training, which is done once."""
    path = folder / f"{name}_{FLAGS.binarization}_{FLAGS.epochs}_{seed}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(trained(name, seed, train, test)))
    return json.loads(path.read_text())


def trained(name: str, seed: int, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Trains a model, and returns minus its bounds on test images, and the seconds of training."""
    keras.utils.set_random_seed(seed)
    model = MODELS[name](train.shape[1:], seed=seed)
    steps = len(train) // BATCH_SIZE
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, FLAGS.epochs * steps)
    model.compile(keras.optimizers.Adam(schedule, epsilon=1e-4))
    start = time.perf_counter()
    model.fit(batches(train, seed), epochs=FLAGS.epochs, steps_per_epoch=steps, verbose=0)
    seconds = time.perf_counter() - start
    bounds = {"1": 1, "all": FLAGS.num_importance}
    return {
        key: -float(np.mean(model.log_prob_bound(test, count, seed=0)))
        for key, count in bounds.items()
    } | {"seconds": seconds}


def batches(train: np.ndarray, seed: int) -> tf.data.Dataset:
    """Returns batches without end, of images with pixels of 0 and 1, in another order each time."""

    def binary(x: tf.Tensor) -> dict[str, tf.Tensor]:
        chance = tf.random.uniform(tf.shape(x), seed=seed) if is_stochastic() else 0.5
        return {"x": tf.cast(chance < x, tf.float32)}

    data = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train), seed)
    data = data.repeat().batch(BATCH_SIZE, drop_remainder=True)
    return data.map(binary, deterministic=True).prefetch(2)


if __name__ == "__main__":
    app.run(main)
