"""Trains GLANN: GLO with a perceptual loss, then IMLE from noise to GLO's latents.

    python examples/train_glann.py

trains on scikit-learn's embedded digits and needs no network. The run writes samples.png,
interpolation.png, metrics.json, history.csv, model.keras and serving/1/ under --workdir, prints its
scores, and goes on where it stopped when it is started again.
"""

from pathlib import Path

import console

console.prepare()  # Before TensorFlow is imported.

import data_flags
import glann_models
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
from tfgen import latent
from tfgen.model import paths

FLAGS = flags.FLAGS

runner.define_flags(
    "digits", "glann", glann_models.EPOCHS, glann_models.BATCH_SIZE, learning_rate=1e-3
)
flags.adopt_module_key_flags(runner)
flags.adopt_module_key_flags(scoring)
flags.adopt_module_key_flags(glann_models)
flags.DEFINE_integer("pixel_imle_epochs", 0, "Also train IMLE on pixels, to compare.", 0)
flags.DEFINE_integer("mixture_components", 20, "Of the Gaussian mixture over GLO's latents.", 1)

Images = dict[str, np.ndarray]


def main(workdir: Path, strategy: tf.distribute.Strategy) -> None:
    """Trains, scores, draws and exports one GLANN."""
    with runner.errors_as_messages():
        train, heldout = data_flags.load_both()
        size = data_flags.batch_size(FLAGS.batch_size, glann_models.BATCH_SIZE, len(train))
        train = train.with_batch_size(size)
        ready_loss = glann_models.ready_loss_for(train)
        scorer = scoring.Scorer(train, heldout)
        resets = glann_models.reference_resets() if FLAGS.reset_optimizers else []
        budget = glann_models.make_budget(train)
        glann_models.check_sizes(train, budget)
    runner.claim_workdir(workdir, strategy)
    keras.utils.set_random_seed(FLAGS.seed)  # Whatever the checks have drawn.
    print(f"{train}\n{heldout}")
    classifiers = judges.Classifiers(workdir, train)
    loss = ready_loss or glann_models.perceptual_loss(classifiers, train)
    scorer.prepare(classifiers)
    verbose, bars = progress(max(budget.epochs, budget.imle_epochs))
    with strategy.scope():
        glann = glann_models.make_glann(train, loss)
        glann_models.compile_glann(glann, train, budget)
    glann.fit(
        train,
        epochs={"glo": budget.epochs, "imle": budget.imle_epochs},
        batch_size={"imle": budget.imle_batch_size},
        callbacks=[*resets, *bars, *records(workdir, budget)],
        verbose=verbose,
    )
    pixel_imle = train_pixel_imle(workdir, strategy, train) if FLAGS.pixel_imle_epochs else None
    if not runner.is_chief():
        return
    images = generate(glann, pixel_imle, train, heldout)
    report = scoring.report(scorer.score(images))
    report["training_seconds"] = training_seconds(workdir / "history.csv")
    print("seconds of training:", report["training_seconds"])
    draw(workdir, glann, images, heldout)
    runner.finish(workdir, glann, report)


def records(workdir: Path, budget: glann_models.Budget) -> list[tfgen.callbacks.Callback]:
    """Returns what keeps the history of a run, and what it goes on from."""
    every = max(1, min(budget.epochs, budget.imle_epochs) // 60)
    return [
        HistoryFile(workdir / "history.csv"),
        tfgen.callbacks.Checkpoint(workdir / "checkpoints", every),
    ]


def train_pixel_imle(
    workdir: Path, strategy: tf.distribute.Strategy, train: tfgen.data.Examples
) -> latent.IMLE:
    """Trains IMLE on the pixels, with the same generator and as many candidates."""
    with strategy.scope():
        imle = latent.IMLE(
            glann_models.make_generator(train.event_shape),
            num_examples=train.num_examples,
            noise_dim=FLAGS.noise_dim,
            num_candidates=glann_models.num_candidates(train.num_examples),
            seed=FLAGS.seed,
        )
        steps = FLAGS.pixel_imle_epochs * train.steps_per_epoch
        imle.compile(
            optimizer=keras.optimizers.Adam(
                glann_models.scheduled(FLAGS.learning_rate, steps), beta_1=0.5
            )
        )
    imle.fit(
        train,
        epochs=FLAGS.pixel_imle_epochs,
        callbacks=[
            HistoryFile(workdir / "history.csv", "pixel_imle"),
            tfgen.callbacks.Checkpoint(workdir / "checkpoints" / "pixel_imle"),
        ],
        verbose=FLAGS.verbose,
    )
    return imle


def generate(
    glann: latent.GLANN,
    pixel_imle: latent.IMLE | None,
    train: tfgen.data.Examples,
    heldout: tfgen.data.Examples,
) -> Images:
    """Returns as many images of each kind as there are on the held-out side of the scores."""
    count = min(FLAGS.num_scored, heldout.num_examples, train.num_examples)
    chosen = scoring.chosen_rows(train, count)
    seeds = tfgen.core.random.row_seeds(count, FLAGS.seed)
    glo = glann.glo
    gaussian = runner.in_batches(glo.sample_rows, seeds)
    mixture = tfgen.distributions.GaussianMixture(
        glo.latent_dim,
        max(1, min(FLAGS.mixture_components, train.num_examples // 10)),
        seed=FLAGS.seed,
    ).fit(glo.codes.numpy())
    images = {
        "train_vs_heldout": train.as_float(chosen),
        "reconstruction": runner.in_batches(glo.decode, tf.gather(glo.codes, chosen)),
        "glo_gaussian": gaussian,
        "glo_mixture": runner.in_batches(lambda rows: glo.decode(mixture.sample_rows(rows)), seeds),
        "glann": runner.in_batches(glann.sample_rows, seeds),
    }
    if pixel_imle is not None:
        images["pixel_imle"] = runner.in_batches(pixel_imle.sample_rows, seeds)
    return images


def draw(workdir: Path, glann: latent.GLANN, images: Images, heldout: tfgen.data.Examples) -> None:
    """Draws samples.png and interpolation.png."""
    names = {
        "train_vs_heldout": "real",
        "reconstruction": "reconstructed",
        "glo_gaussian": "GLO, Gaussian",
        "glann": "GLANN",
    }
    grid = tfgen.callbacks.image_grid
    panels = {title: grid(images[name][:64]) for name, title in names.items()}
    sheet(workdir / "samples.png", panels)
    unseen = heldout.as_float(np.arange(12) % len(heldout))  # Again where there are fewer.
    z = glann.encode(unseen).z
    panels = {}
    for title, path in (("linear", paths.linear), ("spherical", paths.spherical)):
        strips = glann.interpolate(z[:6], z[6:], num_points=10, path=path).numpy()
        flat = strips.reshape(-1, *strips.shape[2:])
        panels[f"{title}, between unseen images"] = grid(flat, columns=10)
    rows = zip(
        unseen[0:3],
        unseen[3:6],
        unseen[6:9],
        glann.latent_arithmetic(z[0:3], z[3:6], z[6:9]).numpy(),
        strict=True,
    )
    panels["a, b, c and a - b + c"] = grid([image for row in rows for image in row], columns=4)
    sheet(workdir / "interpolation.png", panels)


if __name__ == "__main__":
    runner.run(main, "glann")
