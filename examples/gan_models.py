"""The GANs that train_gan.py can train, and the flags that choose among them."""

from collections.abc import Callable
from typing import Any

import keras
from absl import flags

import tfgen
from tfgen import adversarial, distributions, layers, losses, networks
from tfgen.adversarial import recipes

FLAGS = flags.FLAGS


def plain_gan(*networks: keras.layers.Layer, **options: Any) -> adversarial.GAN:
    """Returns a GAN of --loss with the optimizers that `compile` has by default."""
    gan = adversarial.GAN(*networks, LOSSES[FLAGS.loss], **options)
    gan.compile()
    return gan


RECIPES = {
    "gan": plain_gan,
    "minimax": recipes.minimax_gan,
    "non_saturating": recipes.non_saturating_gan,
    "lsgan": recipes.lsgan,
    "wgan": recipes.wgan,
    "wgan_gp": recipes.wgan_gp,
    "dragan": recipes.dragan,
    "sngan": recipes.sngan,
    "relativistic": recipes.relativistic,
    "dcgan": recipes.dcgan,
    "began": recipes.began,
    "bigan": recipes.bigan,
}
NO_BATCH_NORM = ("wgan", "wgan_gp", "dragan", "sngan", "began")
"""Recipes whose discriminators have no batch normalisation."""

NOT_TAKEN = {
    "began": ("penalties", "augment", "conditional", "architecture"),
    "bigan": ("augment", "conditional", "architecture"),
}
"""Flags that a recipe cannot heed: both have networks of their own."""

LOSSES = {
    "minimax": losses.Minimax(),
    "non_saturating": losses.NonSaturating(),
    "least_squares": losses.LeastSquares(),
    "hinge": losses.Hinge(),
    "wasserstein": losses.Wasserstein(),
    "relativistic": losses.Relativistic(losses.NonSaturating()),
    "relativistic_average": losses.RelativisticAverage(losses.NonSaturating()),
    "kl": losses.FGAN(losses.KL()),
    "reverse_kl": losses.FGAN(losses.ReverseKL()),
    "pearson": losses.FGAN(losses.PearsonChiSquared()),
    "hellinger": losses.FGAN(losses.SquaredHellinger()),
    "jensen_shannon": losses.FGAN(losses.JensenShannon()),
    "total_variation": losses.FGAN(losses.TotalVariation()),
}
PENALTIES: dict[str, Callable[..., losses.Penalty]] = {
    "gradient_penalty": losses.GradientPenalty,
    "r1": losses.R1,
    "r2": losses.R2,
    "dragan": losses.DRAGAN,
    "consistency": lambda *weight: losses.Consistency(layers.DiffAugment(), *weight),
    "orthogonal": losses.Orthogonal,
}

flags.DEFINE_enum(
    "recipe",
    "non_saturating",
    sorted(RECIPES),
    "The loss and all that goes with it; gan for any --loss.",
)
flags.DEFINE_enum("loss", None, sorted(LOSSES), "Of --recipe=gan.")
flags.DEFINE_list(
    "penalties",
    [],
    f"On the discriminator, in place of the recipe's: any of {', '.join(PENALTIES)}, each with its "
    "weight if another than its default is wanted, such as r1:5,orthogonal.",
)
flags.DEFINE_integer("lazy", 1, "Apply --penalties every so many steps, so much more strongly.", 1)
flags.DEFINE_enum(
    "architecture",
    None,
    ["infogan", "dcgan", "resnet"],
    "Of both networks; dcgan for the recipe of that name, else infogan, unless given.",
)
flags.DEFINE_integer("units", 1024, "Of the dense layers of infogan.", 1)
flags.DEFINE_integer("filters", 64, "Of the narrowest convolution.", 1)
flags.DEFINE_integer("latent_dim", 64, "Size of the noise.", 1)
flags.DEFINE_enum("prior", "normal", ["normal", "uniform"], "Of the noise; uniform on [-1, 1].")
flags.DEFINE_float("ema_decay", 0.999, "Of the average of the generator; 0 for none.", 0.0, 1.0)
flags.DEFINE_bool("conditional", False, "Give both networks the labels of the data.")
flags.DEFINE_bool("augment", False, "Show the discriminator augmented images (DiffAugment).")
flags.register_multi_flags_validator(
    ["penalties", "lazy"],
    lambda given: given["penalties"] or given["lazy"] == 1,
    "--lazy goes with --penalties",
)
flags.register_multi_flags_validator(
    ["recipe", "loss"],
    lambda given: (given["recipe"] == "gan") == (given["loss"] is not None),
    "--loss goes with --recipe=gan, and --recipe=gan needs it",
)


@flags.multi_flags_validator(["recipe", "penalties", "augment", "conditional", "architecture"])
def _check_recipe(given: dict[str, Any]) -> bool:
    """Raises, when flags are parsed, if the recipe does not take another flag."""
    for name in NOT_TAKEN.get(given["recipe"], ()):
        if given[name]:
            raise flags.ValidationError(f"{given['recipe']} takes no --{name}")
    return True


@flags.validator("penalties")
def _check_penalties(texts: list[str]) -> bool:
    """Raises, when flags are parsed, unless these can be made."""
    for text in texts:
        if text.partition(":")[0] not in PENALTIES:
            raise flags.ValidationError(f"--penalties has {text!r}; there are {list(PENALTIES)}")
        try:
            penalty(text)
        except ValueError as error:
            raise flags.ValidationError(f"{text!r} of --penalties: {error}") from error
    return True


def penalty(text: str) -> losses.Penalty:
    """Returns the penalty that a name, or a name and a weight, describe."""
    name, _, weight = text.partition(":")
    try:
        given = [float(weight)] if weight else []
    except ValueError as error:
        raise ValueError(f"Expected {name}:WEIGHT, a number. Received: {text}") from error
    return PENALTIES[name](*given)


def penalties() -> list[losses.Penalty]:
    """Returns those that --penalties names, lazy ones if they are to be."""
    made = [penalty(text) for text in FLAGS.penalties]
    return made if FLAGS.lazy == 1 else [losses.Lazy(one, FLAGS.lazy) for one in made]


def make_gan(train: tfgen.data.Examples) -> Any:
    """Returns the model that the flags describe, compiled."""
    prior = {"normal": distributions.StandardNormal, "uniform": distributions.Uniform}[FLAGS.prior]
    options: dict[str, Any] = {"prior": prior(FLAGS.latent_dim), "seed": FLAGS.seed}
    options["ema_decay"] = FLAGS.ema_decay or None
    if FLAGS.conditional:
        if train.num_classes is None:
            raise ValueError(f"Expected data with labels. Received: {train}")
        options["num_classes"] = train.num_classes
    if FLAGS.augment:
        options["augmentation"] = layers.DiffAugment()
    if FLAGS.penalties:
        options["penalties"] = penalties()
    gan = RECIPES[FLAGS.recipe](*make_networks(train), **options)
    if FLAGS.jit_compile is not None:
        optimizers = {f"{group}_optimizer": gan.optimizer_of(group) for group in gan.groups}
        gan.compile(jit_compile=FLAGS.jit_compile, **optimizers)
    if FLAGS.learning_rate is not None:
        set_learning_rate(gan, FLAGS.learning_rate)
    return gan


def set_learning_rate(gan: tfgen.GenerativeModel, rate: float) -> None:
    """Gives all optimizers of a model one rate."""
    for group in gan.groups:
        gan.optimizer_of(group).learning_rate = rate


def make_networks(train: tfgen.data.Examples) -> list[keras.layers.Layer]:
    """Returns the networks that the recipe takes, in its order."""
    shape, recipe = train.event_shape, FLAGS.recipe
    narrow, wide = FLAGS.filters, 2 * FLAGS.filters
    batch_norm = recipe not in NO_BATCH_NORM and not any(p.bounds_slopes for p in penalties())
    norms = {"batch_norm": batch_norm, "spectral_norm": recipe == "sngan"}
    architecture = FLAGS.architecture or ("dcgan" if recipe == "dcgan" else "infogan")
    if recipe == "began":
        autoencoder = networks.InfoGANAutoencoder(shape, filters=(narrow, wide))
        return [networks.InfoGANGenerator(shape, FLAGS.units, (wide, narrow)), autoencoder]
    if recipe == "bigan":
        maps = (narrow, wide)
        return [
            networks.InfoGANGenerator(shape, FLAGS.units, (wide, narrow)),
            networks.InfoGANEncoder(FLAGS.latent_dim, FLAGS.units, maps, batch_norm=True),
            networks.JointDiscriminator(maps, hidden_units=(FLAGS.units,)),
        ]
    if architecture == "dcgan":
        generator = networks.DCGANGenerator(shape, narrow)
        discriminator = networks.DCGANDiscriminator(shape, narrow, **norms)
    elif architecture == "resnet":
        generator = networks.ResNetGenerator(shape, 4 * narrow)
        discriminator = networks.ResNetDiscriminator(wide, spectral_norm=norms["spectral_norm"])
    else:
        generator = networks.InfoGANGenerator(shape, FLAGS.units, (wide, narrow))
        discriminator = networks.InfoGANDiscriminator(FLAGS.units, (narrow, wide), **norms)
    if FLAGS.conditional:
        generator = networks.ConditionalGenerator(generator, train.num_classes)
        discriminator = networks.ProjectionDiscriminator(
            discriminator, train.num_classes, spectral_norm=norms["spectral_norm"]
        )
    return [generator, discriminator]
