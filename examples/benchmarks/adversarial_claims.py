"""Measures what is said of adversarial losses and regularisers, each as a number.

    python examples/benchmarks/adversarial_claims.py

1. Once a discriminator is strong, the minimax loss leaves the generator next to no gradient.
2. The critic's estimate of the Wasserstein distance falls as samples become better, while the
   estimate of the Jensen-Shannon divergence that a discriminator gives need not.
3. Spectral normalisation keeps the largest singular value of each layer at one.
4. Under a gradient penalty the slopes between real and generated images are about one.

GANs with small InfoGAN networks are trained on scikit-learn's embedded digits.

References: Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661; Arjovsky et al., 2017,
https://arxiv.org/abs/1701.07875; Miyato et al., 2018, https://arxiv.org/abs/1802.05957; Gulrajani
et al., 2017, https://arxiv.org/abs/1704.00028.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import tfgen
from tfgen import losses, metrics, networks
from tfgen.adversarial import GAN, recipes
from tfgen.core.random import row_seeds
from tfgen.layers import SpectralNormalization
from tfgen.losses.critic import slopes

FLAGS = flags.FLAGS

flags.DEFINE_multi_enum("claim", list("1234"), list("1234"), "Which to measure, once for each.")
flags.DEFINE_string("dataset", "digits", "Labelled images; digits are embedded.")
flags.DEFINE_integer("num_examples", None, "Use this many training examples only.", 1)
flags.DEFINE_integer("epochs", 150, "Of each GAN; five times as many with five critic steps.", 1)
flags.DEFINE_integer("evaluations", 20, "How often a FID is taken in a training.", 3)
flags.DEFINE_integer("seed", 0, "Of weights, data and noise.", 0)

UNITS, FILTERS = 256, (16, 32)


def made(recipe: Callable[..., GAN], train: tfgen.data.Examples, **discriminator: bool) -> GAN:
    """Returns a GAN of a recipe and small networks."""
    keras.utils.set_random_seed(FLAGS.seed)
    return recipe(
        networks.InfoGANGenerator(train.event_shape, UNITS, FILTERS[::-1]),
        networks.InfoGANDiscriminator(UNITS, FILTERS, **discriminator),
        seed=FLAGS.seed,
    )


def fit(gan: GAN, train: tfgen.data.Examples, judge: Any = None) -> dict[str, list[float]]:
    """Trains a GAN, and returns its history, with FIDs if there is what judges."""
    steps = gan.discriminator_steps
    epochs, callbacks = FLAGS.epochs * steps, []
    if judge is not None:
        fid = metrics.FrechetInceptionDistance(judge, "train")
        fid.update_real(train.as_float(slice(0, 2000)))
        count = min(train.num_examples, 2000)
        every = max(1, epochs // FLAGS.evaluations)
        callbacks = [tfgen.callbacks.Evaluate({"fid": fid}, count, every)]
    data = train.with_batch_size(64 * steps)
    return gan.fit(data, epochs=epochs, callbacks=callbacks, verbose=0).history


def saturation(train: tfgen.data.Examples) -> None:
    """Prints the generator's gradients under two losses, against a discriminator trained alone."""
    gan = made(recipes.non_saturating_gan, train, batch_norm=False)
    images = train.as_float(slice(0, 256))
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(gan.discriminator.trainable_variables)
    fake = gan.sample(256, seed=1)

    def gradient(loss: Callable[[], tf.Tensor], network: keras.layers.Layer) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss())
        return tape.gradient(value, network.trainable_variables)

    def logits() -> tf.Tensor:
        return gan.discriminator(gan.sample(256, seed=1))

    def both() -> tf.Tensor:
        return gan.loss.discriminator(gan.discriminator(images), gan.discriminator(fake))

    @tf.function(autograph=False)
    def learn() -> None:
        optimizer.apply(gradient(both, gan.discriminator), gan.discriminator.trainable_variables)

    for _ in range(200):
        learn()
    norms = {
        type(loss).__name__: float(
            tf.linalg.global_norm(gradient(lambda x=loss: x.generator(logits()), gan.generator))
        )
        for loss in (losses.Minimax(), losses.NonSaturating())
    }
    ratio = norms["NonSaturating"] / norms["Minimax"]
    print(f"1. generator's gradients against a strong discriminator: {norms}, ratio {ratio:.3g}")


def correlation(train: tfgen.data.Examples) -> None:
    """Prints how the estimate of each kind of discriminator goes with the FID over training."""
    from scipy.stats import spearmanr

    classifier = metrics.train_classifier(
        train.as_float(), train.labels, train.num_classes, feature_dim=64, verbose=0
    ).model
    judge = metrics.ClassifierFeatures(classifier)
    gans = {
        "wgan": made(recipes.wgan, train, batch_norm=False),
        "wgan_gp": made(recipes.wgan_gp, train, batch_norm=False),
        "non_saturating": made(recipes.non_saturating_gan, train),
    }
    # The paper's rate is a tenth of this, and its trainings are a hundred times as long.
    rms = keras.optimizers.RMSprop
    gans["wgan"].compile(rms(5e-4))
    for name, gan in gans.items():
        report(name, fit(gan, train, judge), spearmanr)


def report(name: str, history: dict[str, list[float]], spearmanr: Callable) -> None:
    fids = np.array(history["fid"])
    penalty = np.array(history.get("discriminator_gradient_penalty", 0.0))
    estimates = -(np.array(history["discriminator"]) - penalty)
    # Each FID is of the end of some epochs, over which the estimate is averaged.
    parts = np.array([part.mean() for part in np.array_split(estimates, len(fids))])
    print(
        f"2. {name}: rank correlation of the discriminator's estimate with FID over training "
        f"{spearmanr(parts, fids).statistic:.2f} (FID from {fids[0]:.1f} to {fids[-1]:.1f}, "
        f"estimate from {parts[0]:.3g} to {parts[-1]:.3g})",
        flush=True,
    )


def spectral_norms(train: tfgen.data.Examples) -> None:
    """Prints the largest singular value of each normalised kernel of a trained discriminator."""
    gan = made(recipes.sngan, train, spectral_norm=True)
    fit(gan, train)
    layers = gan.discriminator._flatten_layers()
    kernels = [x.normalized_kernel() for x in layers if isinstance(x, SpectralNormalization)]
    norms = [float(tf.linalg.svd(tf.reshape(k, [-1, k.shape[-1]]))[0][0]) for k in kernels]
    print(f"3. spectral norms after training: {', '.join(f'{norm:.4f}' for norm in norms)}")


def slopes_between(train: tfgen.data.Examples) -> None:
    """Prints the slopes of a critic under gradient penalty, at points it has not seen."""
    gan = made(recipes.wgan_gp, train, batch_norm=False)
    before = slopes_of(gan, train)
    fit(gan, train)
    after = slopes_of(gan, train)
    print(f"4. slopes on interpolates: {after} after training, {before} before")


def slopes_of(gan: GAN, train: tfgen.data.Examples) -> str:
    count = min(1000, train.num_examples)
    real, fake = train.as_float(slice(0, count)), gan.sample_rows(row_seeds(count, 7))
    share = np.random.default_rng(FLAGS.seed).random([count, 1, 1, 1], np.float32)
    found = slopes(losses.Critic(gan.discriminator), fake + share * (real - fake)).numpy()
    return f"{found.mean():.3f} ± {found.std():.3f}"


def main(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.ERROR)
    options = {} if FLAGS.num_examples is None else {"num_examples": FLAGS.num_examples}
    train = tfgen.data.load(FLAGS.dataset, split="train", batch_size=64, **options)
    claims = (saturation, correlation, spectral_norms, slopes_between)
    for number, claim in enumerate(claims, start=1):
        if str(number) in FLAGS.claim:
            claim(train)


if __name__ == "__main__":
    app.run(main)
