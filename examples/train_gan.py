"""Trains a GAN by the name of its recipe, scores it, draws it and exports its sampler.

    python examples/train_gan.py --recipe=wgan_gp --dataset=fashion_mnist --num_examples=10000

Without flags it trains a non-saturating GAN on scikit-learn's embedded digits and needs no network.
The run writes samples.png, interpolation.png, sheets/, metrics.json, history.csv, model.keras and
serving/1/ under --workdir, prints its scores, and goes on where it stopped when started again.
"""

from pathlib import Path
from typing import Any

import console

console.prepare()  # Before TensorFlow is imported.

import data_flags
import gan_models
import judges
import keras
import numpy as np
import runner
import scoring
import tensorflow as tf
from absl import flags
from drawing import sheet
from history import HistoryFile, progress, training_seconds

import tfgen
from tfgen import adversarial
from tfgen.model import paths

FLAGS = flags.FLAGS

EPOCHS, BATCH_SIZE = 100, 64
RATE_OF_FEW = 1e-3
"""The learning rate where batches are smaller since there are few images, unless given."""

runner.define_flags("digits", "gan", EPOCHS, BATCH_SIZE, learning_rate=None)
flags.adopt_module_key_flags(runner)
flags.adopt_module_key_flags(scoring)
flags.adopt_module_key_flags(gan_models)
flags.DEFINE_integer(
    "evaluate_every", 0, "Log the FID of the first --features each so many epochs; 0 for never.", 0
)


def main(workdir: Path, strategy: tf.distribute.Strategy) -> None:
    """Trains, scores, draws and exports one GAN."""
    with runner.errors_as_messages():
        train, heldout = data_flags.load_both()
        scorer = scoring.Scorer(train, heldout)
        with strategy.scope():
            gan = gan_models.make_gan(train)
        # A batch gives each step of the discriminator as many examples as --batch_size says.
        steps = getattr(gan, "discriminator_steps", 1)
        size = data_flags.batch_size(FLAGS.batch_size, BATCH_SIZE, len(train), steps)
        train = train.with_batch_size(size * steps)
        gan.checked_data(train)
    runner.claim_workdir(workdir, strategy)
    print(f"{train}\n{heldout}")
    epochs = data_flags.num_epochs(FLAGS.epochs, EPOCHS, data_flags.STEPS, size, len(train))
    if size < BATCH_SIZE and FLAGS.batch_size is None and FLAGS.learning_rate is None:
        print(f"A learning rate of {RATE_OF_FEW}, at which few steps show shapes.")
        gan_models.set_learning_rate(gan, RATE_OF_FEW)
    scorer.prepare(judges.Classifiers(workdir, train))
    verbose, bars = progress(epochs)
    gan.fit(
        train,
        epochs=epochs,
        callbacks=[
            *evaluation(scorer.judges[0], heldout),
            *bars,
            HistoryFile(workdir / "history.csv"),
            tfgen.callbacks.SampleGrid(workdir / "sheets", every=max(1, epochs // 20)),
            tfgen.callbacks.Checkpoint(workdir / "checkpoints", every=max(1, epochs // 100)),
        ],
        verbose=verbose,
    )
    if not runner.is_chief():
        return
    images, labels = generate(gan, train, heldout)
    report = scoring.report(scorer.score(images)) | {
        "training_seconds": training_seconds(workdir / "history.csv"),
        **agreement(scorer.judges, images["gan"], labels),
        **reconstruction(gan, images["gan"], heldout),
    }
    draw(workdir, gan, images, heldout)
    runner.finish(workdir, gan, report)


def evaluation(
    judge: tfgen.metrics.FeatureExtractor, heldout: tfgen.data.Examples
) -> list[tfgen.callbacks.Evaluate]:
    """Returns the callback that --evaluate_every asks for, if it does."""
    if not FLAGS.evaluate_every:
        return []
    fid = tfgen.metrics.FrechetInceptionDistance(judge, heldout.split)
    count = min(scoring.at_most(judge), heldout.num_examples)
    fid.update_real(heldout.as_float(slice(0, count)))
    return [tfgen.callbacks.Evaluate({"fid": fid}, count, FLAGS.evaluate_every, FLAGS.seed)]


def generate(
    gan: Any, train: tfgen.data.Examples, heldout: tfgen.data.Examples
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Returns as many images of each kind as there are held-out ones, and the labels asked for.

    Of training images there may be fewer.
    """
    count = min(FLAGS.num_scored, heldout.num_examples)
    seeds = tfgen.core.random.row_seeds(count, FLAGS.seed)
    chosen = scoring.chosen_rows(train, count)
    labels = np.arange(count) % gan.num_classes if FLAGS.conditional else None
    z = runner.in_batches(gan.prior.sample_rows, seeds)

    def through(network: keras.layers.Layer) -> np.ndarray:
        def decoded(rows: np.ndarray) -> tf.Tensor:
            inputs = z[rows] if labels is None else (z[rows], tf.constant(labels[rows]))
            return network(inputs, training=False)

        return runner.in_batches(decoded, np.arange(count))

    images = {"train_vs_heldout": train.as_float(chosen), "gan": through(gan.sampler)}
    if gan.ema_generator is not None:
        images["gan_without_ema"] = through(gan.generator)
    return images, labels


def agreement(judges: list, images: np.ndarray, labels: np.ndarray | None) -> dict[str, float]:
    """Returns, and prints, how many conditional samples a classifier takes for what was asked."""
    able = [judge for judge in judges if isinstance(judge, tfgen.metrics.ClassifierFeatures)]
    if labels is None or not able:
        return {}
    said = np.asarray(able[0].probabilities(images)).argmax(axis=1)
    share = float(np.mean(said == labels))
    print(f"classified as asked: {share:.1%} of {len(labels)} conditional samples")
    return {"classified_as_asked": share}


def reconstruction(gan: Any, samples: np.ndarray, heldout: tfgen.data.Examples) -> dict[str, float]:
    """Returns, and prints, how far an encoder's reconstructions are, and the nearest samples."""
    if not isinstance(gan, adversarial.BiGAN):
        return {}
    unseen = heldout.as_float(slice(0, 1000))
    rebuilt = runner.in_batches(gan.reconstruct, unseen)
    flat, others, nearest = (x.reshape(len(x), -1) for x in (unseen, rebuilt, samples[:1000]))
    chosen = tfgen.latent.nearest(flat, nearest)[0].numpy()
    errors = {
        "reconstruction_error": float(((flat - others) ** 2).mean()),
        "nearest_sample_error": float(((flat - nearest[chosen]) ** 2).mean()),
    }
    print(f"mean squared error on {len(unseen)} held-out images:", errors)
    return errors


def draw(workdir: Path, gan: Any, images: dict[str, np.ndarray], heldout: Any) -> None:
    """Draws samples.png and interpolation.png."""
    grid = tfgen.callbacks.image_grid
    names = {"train_vs_heldout": "real", "gan": FLAGS.recipe, "gan_without_ema": "without average"}
    panels = {title: grid(images[name][:64]) for name, title in names.items() if name in images}
    sheet(workdir / "samples.png", panels)
    z = gan.prior.sample_rows(tfgen.core.random.row_seeds(12, FLAGS.seed))
    label = tf.zeros([6], tf.int32) if FLAGS.conditional else None
    few = None if label is None else label[:3]
    strips = gan.interpolate(z[:6], z[6:], num_points=10, path=paths.spherical, condition=label)
    flat = strips.numpy().reshape(-1, *gan.event_shape)
    panels = {"interpolation": grid(flat, columns=10)}
    rows = [gan.decode(part, few) for part in (z[0:3], z[3:6], z[6:9])]
    rows.append(gan.latent_arithmetic(z[0:3], z[3:6], z[6:9], few))
    cells = np.stack([np.asarray(row) for row in rows], axis=1).reshape(-1, *gan.event_shape)
    panels["a, b, c and a - b + c"] = grid(cells, columns=4)
    if not FLAGS.conditional:
        unseen = heldout.as_float(slice(0, 6))
        pairs = np.stack([unseen, np.asarray(gan.reconstruct(unseen))], axis=1)
        panels["unseen, reconstructed"] = grid(pairs.reshape(-1, *gan.event_shape), columns=2)
    sheet(workdir / "interpolation.png", panels)


if __name__ == "__main__":
    runner.run(main, "gan")
