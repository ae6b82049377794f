"""Measures GAN training and serving against their usual peers, on this machine.

    pip install -e ".[torch]" && python examples/benchmarks/adversarial.py

Images per second of `GAN.fit`, as it is by default, where XLA compiles the optimizers' steps alone,
with XLA for the whole step, and without any, against a Keras training step written by hand
with the same networks and mathematics, and against eager PyTorch where it is installed; then
sampling through an exported SavedModel against sampling in process. All are measured in one run,
in turn, with the same number of threads, and medians are compared. A ratio above 1 says that tfgen
is faster. Peak memory is that of a process of its own.
"""

import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from measure import extra_memory, in_new_process, interleaved

import tfgen
from tfgen import networks
from tfgen.adversarial import recipes

FLAGS = flags.FLAGS

flags.DEFINE_list("cases", ["infogan", "dcgan", "wgan_gp"], "Which to train.")
flags.DEFINE_integer("repeats", 5, "How often each candidate is measured.", 1)
flags.DEFINE_integer("steps", 10, "Steps of the generator in a measurement.", 1)
flags.DEFINE_integer("threads", 2, "Threads of TensorFlow and of its peers.", 1)
flags.DEFINE_bool("sampling", True, "Measure sampling through a SavedModel, and the noise.")

LATENT_DIM = 64


@dataclass(frozen=True)
class Case:
    """One GAN: its images, the examples of a discriminator's step, and those steps."""

    image_shape: tuple[int, int, int]
    batch_size: int
    discriminator_steps: int = 1
    penalty: float = 0.0

    def networks(self) -> tuple[keras.layers.Layer, keras.layers.Layer]:
        """Returns a new generator and a new discriminator."""
        if self.image_shape[0] == 64:
            return (
                networks.DCGANGenerator(self.image_shape),
                networks.DCGANDiscriminator(self.image_shape),
            )
        batch_norm = not self.penalty
        return (
            networks.InfoGANGenerator(self.image_shape),
            networks.InfoGANDiscriminator(batch_norm=batch_norm),
        )

    def images(self, steps: int) -> np.ndarray:
        """Returns the examples of so many steps of the generator."""
        count = steps * self.batch_size * self.discriminator_steps
        shape = (count, *self.image_shape)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


CASES = {
    "infogan": Case((28, 28, 1), 64),
    "dcgan": Case((64, 64, 3), 32),
    "wgan_gp": Case((28, 28, 1), 64, discriminator_steps=5, penalty=10.0),
}


def ours(case: Case, steps: int, jit: bool | None) -> Callable[[], Any]:
    """Returns an epoch of `GAN.fit`."""
    make = recipes.wgan_gp if case.penalty else recipes.non_saturating_gan
    gan = make(*case.networks())
    optimizers = {f"{group}_optimizer": getattr(gan, f"{group}_optimizer") for group in gan.groups}
    gan.compile(jit_compile=jit, **optimizers)
    batch_size = case.batch_size * case.discriminator_steps
    data = tfgen.data.from_arrays(case.images(steps), batch_size=batch_size)
    return lambda: gan.fit(data, verbose=0)


class ByHand(keras.Model):
    """The same GAN as a Keras user would write it."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.generator, self.discriminator = case.networks()
        self.generator.build((None, LATENT_DIM))
        self.discriminator.build((None, *case.image_shape))
        self.built = True

    def compile(self) -> None:
        super().compile(jit_compile=False)
        first, second = (1e-4, 0.0) if self.case.penalty else (2e-4, 0.5)
        beta_2 = 0.9 if self.case.penalty else 0.999
        self.g_optimizer, self.d_optimizer = (
            keras.optimizers.Adam(first, beta_1=second, beta_2=beta_2) for _ in range(2)
        )
        self.g_optimizer.build(self.generator.trainable_variables)
        self.d_optimizer.build(self.discriminator.trainable_variables)

    def train_step(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        for part in tf.split(x, self.case.discriminator_steps):
            z = tf.random.normal([self.case.batch_size, LATENT_DIM])
            fake = tf.stop_gradient(self.generator(z, training=True))
            with tf.GradientTape() as tape:
                d_loss = self.judge(part, fake)
            weights = self.discriminator.trainable_variables
            self.d_optimizer.apply(tape.gradient(d_loss, weights), weights)
        z = tf.random.normal([self.case.batch_size, LATENT_DIM])
        with tf.GradientTape() as tape:
            logits = self.discriminator(self.generator(z, training=True), training=True)
            g_loss = tf.reduce_mean(-logits if self.case.penalty else tf.nn.softplus(-logits))
        weights = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)
        return {"discriminator": d_loss, "generator": g_loss}

    def judge(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        d = self.discriminator
        if not self.case.penalty:
            yes, no = d(real, training=True), d(fake, training=True)
            return tf.reduce_mean(tf.nn.softplus(-yes) + tf.nn.softplus(no))
        share = tf.random.uniform([self.case.batch_size, 1, 1, 1])
        between = fake + share * (real - fake)
        with tf.GradientTape() as tape:
            tape.watch(between)
            logits = d(between, training=True)
        slopes = tape.gradient(logits, between)
        slopes = tf.norm(tf.reshape(slopes, [self.case.batch_size, -1]), axis=1)
        penalty = self.case.penalty * tf.reduce_mean((slopes - 1.0) ** 2)
        return tf.reduce_mean(d(fake, training=True) - d(real, training=True)) + penalty


def by_hand(case: Case, steps: int) -> Callable[[], Any]:
    """Returns an epoch of a Keras model written by hand."""
    model = ByHand(case)
    model.compile()
    size = case.batch_size * case.discriminator_steps
    images = case.images(steps)
    data = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).batch(size, True)
    data = data.map(lambda x: tf.cast(x, tf.float32) / 255.0).prefetch(2)
    return lambda: model.fit(data, shuffle=False, verbose=0)


def in_torch(case: Case, steps: int) -> Callable[[], Any]:
    """Returns an epoch of eager PyTorch."""
    from torch_gan import epoch

    return epoch(case, case.images(steps), LATENT_DIM, FLAGS.threads)


def memory(name: str, kind: str, steps: int, threads: int) -> float:
    """Returns the extra memory in MB of an epoch, its first included, in a process of its own."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    case = CASES[name]
    make = {
        "fit": lambda: ours(case, steps, jit=None),
        "fit, jit": lambda: ours(case, steps, jit=True),
        "fit, no jit": lambda: ours(case, steps, jit=False),
        "by hand": lambda: by_hand(case, steps),
    }[kind]
    return extra_memory(make())


def train(name: str) -> None:
    """Prints the images per second of each way to train a GAN."""
    case, steps = CASES[name], FLAGS.steps
    candidates = {
        "fit": ours(case, steps, jit=None),
        "fit, jit": ours(case, steps, jit=True),
        "fit, no jit": ours(case, steps, jit=False),
        "by hand": by_hand(case, steps),
    }
    if importlib.util.find_spec("torch"):
        candidates["torch"] = in_torch(case, steps)
    seconds = interleaved(candidates, FLAGS.repeats)
    count = steps * case.batch_size * case.discriminator_steps
    best = min(seconds["fit"], seconds["fit, jit"])
    for kind, value in seconds.items():
        used = "" if kind == "torch" else memory_text(name, kind)
        print(
            f"{name}, {kind}: {count / value:.0f} images/s{used}, ratio of fit "
            f"{value / seconds['fit']:.2f}, of its faster setting {value / best:.2f}",
            flush=True,
        )


def memory_text(name: str, kind: str) -> str:
    extra = in_new_process(memory, name, kind, 2, FLAGS.threads)
    return f", {extra:.0f} MB at its peak"


def sample() -> None:
    """Prints the images per second of sampling in process and through a SavedModel."""
    case = CASES["infogan"]
    gan = recipes.non_saturating_gan(*case.networks())
    count, size = 10_000, 500
    rows = tfgen.core.random.row_seeds(count, 0).numpy()
    seeds = rows[:, 0].astype(np.int64) + (rows[:, 1].astype(np.int64) << 32)
    in_process = tf.function(gan.sample_rows, input_signature=[tf.TensorSpec([None, 2], tf.int32)])
    with tempfile.TemporaryDirectory() as folder:
        version = tfgen.serving.export(gan, folder)
        served = tfgen.serving.SessionLoader(version)
        with served:
            seconds = interleaved(
                {
                    "in process": lambda: [
                        in_process(rows[i : i + size]).numpy() for i in range(0, count, size)
                    ],
                    "served": lambda: [
                        served("sample", seed=seeds[i : i + size])["images"]
                        for i in range(0, count, size)
                    ],
                },
                FLAGS.repeats,
            )
    print(
        f"{count} samples: in process {count / seconds['in process']:.0f} images/s, SavedModel "
        f"{count / seconds['served']:.0f}, ratio {seconds['in process'] / seconds['served']:.2f}",
        flush=True,
    )


def noise() -> None:
    """Prints what drawing the noise of a batch by rows adds to decoding it."""
    generator, _ = CASES["infogan"].networks()
    generator.build((None, LATENT_DIM))
    rows = tfgen.core.random.row_seeds(256, 0)
    draw = tf.function(lambda seeds: tfgen.core.random.normal(seeds, (LATENT_DIM,)))
    decode = tf.function(lambda z: generator(z, training=False))
    z = draw(rows)
    candidates = {"draw": lambda: draw(rows).numpy(), "decode": lambda: decode(z).numpy()}
    seconds = interleaved(candidates, 20 * FLAGS.repeats)
    print(
        f"256 rows of {LATENT_DIM} normals: {1e3 * seconds['draw']:.2f} ms, "
        f"{seconds['draw'] / seconds['decode']:.1%} of InfoGAN's decoding",
        flush=True,
    )


def main(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.ERROR)
    if unknown := set(FLAGS.cases) - set(CASES):
        raise app.UsageError(f"--cases has {sorted(unknown)}; there are {sorted(CASES)}.")
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    for name in FLAGS.cases:
        train(name)
    if FLAGS.sampling:
        sample()
        noise()


if __name__ == "__main__":
    app.run(main)
