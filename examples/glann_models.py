"""The GLANN that train_glann.py trains: the flags that describe it, and what is made of them."""

import math
import sys
from functools import partial
from typing import Any, NamedTuple

import data_flags
import judges
import keras
import runner
from absl import flags

import tfgen
from tfgen import latent, losses, metrics, networks

FLAGS = flags.FLAGS

EPOCHS, IMLE_EPOCHS, BATCH_SIZE, IMLE_BATCH_SIZE = 60, 200, 64, 128
STEPS = {"glo": 1_300, "imle": data_flags.STEPS}
"""That each stage makes at least, unless flags say otherwise."""

flags.DEFINE_integer(
    "imle_epochs",
    None,
    f"Passes of IMLE over the latents; {IMLE_EPOCHS}, and more of few, unless given.",
    1,
)
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
    None,
    ["perceptual", "vgg16", "laplacian", "l1", "l2"],
    "GLO's loss: perceptual (a classifier trained on the data's labels), vgg16 (ImageNet weights), "
    "...; perceptual where the data have labels, else laplacian, unless given.",
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
flags.DEFINE_integer(
    "imle_batch_size",
    None,
    f"Latents in a batch of IMLE; {IMLE_BATCH_SIZE}, and fewer of few, unless given.",
    1,
)
flags.DEFINE_float("imle_learning_rate", 1e-3, "Of IMLE's Adam.", 0.0)
flags.DEFINE_float("imle_beta_1", 0.9, "Of IMLE's Adam.", 0.0, 1.0)
flags.DEFINE_float("imle_weight_decay", 0.0, "Of IMLE's Adam.", 0.0)


class Budget(NamedTuple):
    """How long both stages are trained, and in which batches of IMLE's latents."""

    epochs: int
    imle_epochs: int
    imle_batch_size: int


def make_budget(train: tfgen.data.Examples) -> Budget:
    """Returns what the flags say, or what suits the number of examples."""
    count = FLAGS.imle_subset or len(train)
    batch = min(FLAGS.imle_batch_size or min(IMLE_BATCH_SIZE, max(count // 8, 8)), count)
    return Budget(
        data_flags.num_epochs(
            FLAGS.epochs, EPOCHS, STEPS["glo"], train.batch_size, len(train), "of GLO"
        ),
        data_flags.num_epochs(
            FLAGS.imle_epochs, IMLE_EPOCHS, STEPS["imle"], batch, count, "of IMLE"
        ),
        batch,
    )


def ready_loss_for(train: tfgen.data.Examples) -> Any:
    """Returns the loss that --loss names, tried on an image; None if it must first be trained."""
    name, image = FLAGS.loss, train.as_float(slice(0, 1))
    if name is None:
        name = "perceptual" if judges.can_be_classified(train) else "laplacian"
        print(
            f"GLO's loss is {name}, as the data have {'' if name == 'perceptual' else 'no '}labels."
        )
    if name == "perceptual":
        judges.check_labels(train, "another --loss than perceptual")
        return None
    make = {
        "vgg16": partial(losses.vgg16_features, pixel_weight=FLAGS.pixel_weight),
        "laplacian": losses.LaplacianPyramid,
        "l1": losses.AbsoluteError,
        "l2": losses.SquaredError,
    }
    loss = make[name]()
    loss(image, image)
    return loss


def perceptual_loss(
    classifiers: judges.Classifiers, train: tfgen.data.Examples
) -> losses.Perceptual:
    """Returns the loss over a classifier of the data, which is trained if need be."""
    network = classifiers.perceptual()
    return losses.Perceptual.balanced(
        network,
        metrics.feature_levels(network),
        train.as_float(slice(0, 512)),
        pixel_weight=FLAGS.pixel_weight,
    )


def check_sizes(train: tfgen.data.Examples, budget: Budget) -> None:
    """Exits or raises an error unless the flags fit each other and the data."""
    most = min(len(train), math.prod(train.event_shape))
    if FLAGS.pca and FLAGS.latent_dim > most:
        sys.exit(
            f"Expected --latent_dim <= {most}, the principal components of the data, or --nopca. "
            f"Received: {FLAGS.latent_dim}"
        )
    # Its parts check themselves.
    compile_glann(make_glann(train, losses.SquaredError()), train, budget)


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


def compile_glann(glann: latent.GLANN, train: tfgen.data.Examples, budget: Budget) -> None:
    """Gives both stages their optimizers."""
    steps = budget.epochs * train.steps_per_epoch
    imle_examples = FLAGS.imle_subset or train.num_examples
    imle_steps = budget.imle_epochs * (imle_examples // budget.imle_batch_size)
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
