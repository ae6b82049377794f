"""Trains GLANN: GLO with a perceptual loss, then IMLE from noise to GLO's latents.

    python examples/train_glann.py

trains on scikit-learn's embedded digits and needs no network. The run writes samples.png,
interpolation.png, metrics.json, history.csv, model.keras and serving/1/ under --workdir, prints its
scores, and goes on where it stopped when it is started again.
"""

import math
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Before TensorFlow is imported.

import keras
import numpy as np
import runner
import scoring
import tensorflow as tf
from absl import flags
from history import HistoryFile, training_seconds

import tfgen
from tfgen import latent, losses, metrics, networks
from tfgen.model import paths

FLAGS = flags.FLAGS

runner.define_flags(
    dataset="digits", workdir="runs/glann_digits", epochs=60, batch_size=64, learning_rate=1e-3
)
flags.adopt_module_key_flags(runner)
flags.adopt_module_key_flags(scoring)
flags.DEFINE_integer("imle_epochs", 200, "Passes of IMLE over the latents.", 1)
flags.DEFINE_integer("latent_dim", 16, "Size of the latents.", 1)
flags.DEFINE_enum("latent_space", "sphere", ["sphere", "ball"], "Where latents are kept.")
flags.DEFINE_bool("pca", True, "Begin with the principal components of the images as latents.")
flags.DEFINE_float("latent_learning_rate", 1e-2, "Of the latents' row-wise Adam.", 0.0)
flags.DEFINE_float("latent_noise", 0.0, "Deviation of noise on latents in training.", 0.0)
flags.DEFINE_integer("generator_units", 256, "The generator's first dense layer.", 1)
runner.define_sizes("generator_filters", ["64", "32"], "The generator's maps.")
flags.DEFINE_bool("batch_norm", True, "Batch normalisation in the generator.")
flags.DEFINE_enum(
    "loss",
    "perceptual",
    ["perceptual", "vgg16", "laplacian", "l1", "l2"],
    "GLO's loss: perceptual (a classifier trained on the data), vgg16 (ImageNet weights), ...",
)
flags.DEFINE_float("pixel_weight", 2.0, "Of the pixels in the losses perceptual and vgg16.", 0.0)
flags.DEFINE_enum("schedule", "cosine", ["cosine", "constant"], "Of all learning rates.")
flags.DEFINE_bool(
    "reset_optimizers",
    False,
    "Begin all optimizers anew at each epoch, as GLANN's "
    "reference code does; the schedule is then --halve_every.",
)
flags.DEFINE_integer("halve_every", 20, "Epochs, with --reset_optimizers.", 1)
flags.DEFINE_integer("noise_dim", 16, "Size of IMLE's noise.", 1)
runner.define_sizes("mapping_units", ["256", "256"], "Hidden layers of IMLE's network.")
flags.DEFINE_bool("mapping_batch_norm", False, "Batch normalisation in IMLE's network.")
flags.DEFINE_bool("mapping_skip", True, "Add an affine map, which begins as GLO's Gaussian.")
flags.DEFINE_float("imle_noise", 0.1, "Deviation of noise on IMLE's noise in training.", 0.0)
flags.DEFINE_float("candidates", 2.0, "IMLE's candidates for each example.", 0.0)
flags.DEFINE_integer(
    "imle_subset", None, "Latents that a round of IMLE trains on; all unless given.", 1
)
flags.DEFINE_integer("staleness", 1, "Epochs between IMLE's searches.", 1)
flags.DEFINE_integer("imle_batch_size", 128, "Latents in a batch of IMLE.", 1)
flags.DEFINE_float("imle_learning_rate", 1e-3, "Of IMLE's Adam.", 0.0)
flags.DEFINE_float("imle_beta_1", 0.9, "Of IMLE's Adam.", 0.0, 1.0)
flags.DEFINE_float("imle_weight_decay", 0.0, "Of IMLE's Adam.", 0.0)
flags.DEFINE_integer("pixel_imle_epochs", 0, "Also train IMLE on pixels, to compare.", 0)
flags.DEFINE_integer("mixture_components", 20, "Of the Gaussian mixture over GLO's latents.", 1)

FEWEST_IMAGES = 12  # Held-out ones are drawn, and a component of the mixture needs ten latents.

Images = dict[str, np.ndarray]


def main(workdir: Path, strategy: tf.distribute.Strategy) -> None:
    """Trains, scores, draws and exports one GLANN."""
    with runner.errors_as_messages():
        train, heldout = runner.load_data()
        ready_loss, ready_extractors = ready_loss_for(train), scoring.ready_extractors(train)
        resets = reference_resets() if FLAGS.reset_optimizers else []
        check_sizes(train, heldout)
    runner.claim_workdir(workdir, strategy)
    keras.utils.set_random_seed(FLAGS.seed)  # Whatever the checks have drawn.
    print(f"{train}\n{heldout}")
    classifiers = scoring.Classifiers(workdir, train)
    loss = ready_loss or perceptual_loss(classifiers, train)
    judges = scoring.extractors(classifiers, ready_extractors)
    callbacks = [
        *resets,
        HistoryFile(workdir / "history.csv"),
        tfgen.callbacks.Checkpoint(workdir / "checkpoints"),
    ]
    with strategy.scope():
        glann = make_glann(train, loss)
        compile_glann(glann, train)
    glann.fit(
        train,
        epochs={"glo": FLAGS.epochs, "imle": FLAGS.imle_epochs},
        batch_size={"imle": imle_batch_size(train)},
        callbacks=callbacks,
        verbose=FLAGS.verbose,
    )
    pixel_imle = train_pixel_imle(workdir, strategy, train) if FLAGS.pixel_imle_epochs else None
    if not runner.is_chief():
        return
    images = generate(glann, pixel_imle, train, heldout)
    scores = scoring.score(judges, heldout, images)
    scoring.print_table(scores)
    seconds = training_seconds(workdir / "history.csv")
    print("seconds of training: " + ", ".join(f"{k} {v:.0f}" for k, v in seconds.items()))
    draw(workdir, glann, images, heldout)
    report = scoring.report(scores) | {"training_seconds": seconds}
    runner.finish(workdir, glann, report)


def ready_loss_for(train: tfgen.data.Examples) -> Any:
    """Returns the loss that --loss names, tried on an image; None if it must first be trained."""
    if FLAGS.loss == "perceptual":
        scoring.check_labels(train, ", and another --loss than perceptual")
        return None
    make = {
        "vgg16": partial(losses.vgg16_features, pixel_weight=FLAGS.pixel_weight),
        "laplacian": losses.LaplacianPyramid,
        "l1": losses.AbsoluteError,
        "l2": losses.SquaredError,
    }
    loss, image = make[FLAGS.loss](), train.as_float(slice(0, 1))
    loss(image, image)
    return loss


def perceptual_loss(
    classifiers: scoring.Classifiers, train: tfgen.data.Examples
) -> losses.Perceptual:
    """Returns the loss over a classifier of the data, which is trained if need be."""
    network = classifiers.perceptual()
    return losses.Perceptual.balanced(
        network,
        metrics.feature_levels(network),
        train.as_float(slice(0, 512)),
        pixel_weight=FLAGS.pixel_weight,
    )


def check_sizes(train: tfgen.data.Examples, heldout: tfgen.data.Examples) -> None:
    """Exits or raises an error unless the flags fit each other and the data."""
    if min(len(train), len(heldout)) < FEWEST_IMAGES:
        sys.exit(
            f"Expected {FEWEST_IMAGES} images or more to train on and as many held out. "
            f"Received: {len(train)} and {len(heldout)}"
        )
    most = min(len(train), math.prod(train.event_shape))
    if FLAGS.pca and FLAGS.latent_dim > most:
        sys.exit(
            f"Expected --latent_dim <= {most}, the principal components of the data, or --nopca. "
            f"Received: {FLAGS.latent_dim}"
        )
    compile_glann(make_glann(train, losses.SquaredError()), train)  # Its parts check themselves.


def make_glann(train: tfgen.data.Examples, loss: Any) -> latent.GLANN:
    """Returns the model that the flags describe."""
    space = {"sphere": latent.Sphere(), "ball": latent.Ball()}[FLAGS.latent_space]
    glo = latent.GLO(
        make_generator(train.event_shape),
        num_examples=train.num_examples,
        latent_dim=FLAGS.latent_dim,
        loss=loss,
        space=space,
        initial_codes=latent.PrincipalComponents() if FLAGS.pca else None,
        latent_noise=FLAGS.latent_noise,
        seed=FLAGS.seed,
        name="glo",
    )
    imle = latent.IMLE(
        networks.MLP(
            (FLAGS.latent_dim,),
            [int(size) for size in FLAGS.mapping_units],
            batch_norm=FLAGS.mapping_batch_norm,
            linear_skip=FLAGS.mapping_skip,
        ),
        num_examples=train.num_examples,
        noise_dim=FLAGS.noise_dim,
        num_candidates=num_candidates(FLAGS.imle_subset or train.num_examples),
        subset_size=FLAGS.imle_subset,
        staleness=FLAGS.staleness,
        noise_std=FLAGS.imle_noise,
        space=space,
        seed=FLAGS.seed,
        name="imle",
    )
    return latent.GLANN(glo, imle, seed=FLAGS.seed, name="glann")


def make_generator(image_shape: tuple[int, int, int]) -> networks.InfoGANGenerator:
    """Returns a generator of such images."""
    return networks.InfoGANGenerator(
        image_shape,
        hidden_units=FLAGS.generator_units,
        filters=[int(size) for size in FLAGS.generator_filters],
        batch_norm=FLAGS.batch_norm,
        first_batch_norm=False,
    )


def compile_glann(glann: latent.GLANN, train: tfgen.data.Examples) -> None:
    """Gives both stages their optimizers."""
    steps = FLAGS.epochs * train.steps_per_epoch
    imle_examples = FLAGS.imle_subset or train.num_examples
    imle_steps = FLAGS.imle_epochs * (imle_examples // imle_batch_size(train))
    adam = keras.optimizers.Adam
    of_latents = scheduled(FLAGS.latent_learning_rate, steps)
    decay = FLAGS.imle_weight_decay or None
    glann.compile(
        glo_generator_optimizer=adam(scheduled(FLAGS.learning_rate, steps), beta_1=0.5),
        glo_latents_optimizer=latent.RowAdam(of_latents, beta_1=0.5),
        imle_optimizer=adam(
            scheduled(FLAGS.imle_learning_rate, imle_steps),
            beta_1=FLAGS.imle_beta_1,
            weight_decay=decay,
        ),
        jit_compile=FLAGS.jit_compile,
    )


def imle_batch_size(train: tfgen.data.Examples) -> int:
    """Returns --imle_batch_size, or all latents that a round trains on when they are fewer."""
    return min(FLAGS.imle_batch_size, FLAGS.imle_subset or train.num_examples)


def num_candidates(num_examples: int) -> int:
    """Returns how many candidates --candidates asks for, at least one."""
    return max(1, round(FLAGS.candidates * num_examples))


def scheduled(rate: float, steps: int) -> Any:
    """Returns a learning rate that decays to zero over the steps, or stays, as --schedule says."""
    if FLAGS.schedule == "constant" or FLAGS.reset_optimizers:
        return rate
    return keras.optimizers.schedules.CosineDecay(rate, max(steps, 1))


def reference_resets() -> list[keras.callbacks.Callback]:
    """Returns what begins the optimizers anew at each epoch, as GLANN's reference code does."""
    rates = {"generator": FLAGS.learning_rate, "latents": FLAGS.latent_learning_rate}
    reset = tfgen.callbacks.ResetOptimizers
    return [
        reset(rates, halve_every=FLAGS.halve_every, stage="glo"),
        reset({"generator": FLAGS.imle_learning_rate}, stage="imle"),
    ]


def train_pixel_imle(
    workdir: Path, strategy: tf.distribute.Strategy, train: tfgen.data.Examples
) -> latent.IMLE:
    """Trains IMLE on the pixels, with the same generator and as many candidates."""
    with strategy.scope():
        imle = latent.IMLE(
            make_generator(train.event_shape),
            num_examples=train.num_examples,
            noise_dim=FLAGS.noise_dim,
            num_candidates=num_candidates(train.num_examples),
            seed=FLAGS.seed,
        )
        steps = FLAGS.pixel_imle_epochs * train.steps_per_epoch
        imle.compile(
            optimizer=keras.optimizers.Adam(scheduled(FLAGS.learning_rate, steps), beta_1=0.5)
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
        glo.latent_dim, min(FLAGS.mixture_components, train.num_examples // 10), seed=FLAGS.seed
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
    panels = {title: grid(images[name][:64], columns=8) for name, title in names.items()}
    runner.sheet(workdir / "samples.png", panels)
    unseen = heldout.as_float(slice(0, 12))
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
    runner.sheet(workdir / "interpolation.png", panels)


if __name__ == "__main__":
    runner.run(main)
