"""The variational models that train_vae.py can train, and the flags that choose among them."""

from collections.abc import Callable, Sequence
from typing import Any

import image_levels
import judges
import keras
import numpy as np
import runner
from absl import flags

import tfgen
from tfgen import bijectors, distributions, flows, losses, metrics, networks, variational
from tfgen.core.checks import expected
from tfgen.variational import posteriors

FLAGS = flags.FLAGS

LIKELIHOODS: dict[str, Callable[[int], distributions.Likelihood]] = {
    "bernoulli": lambda levels: distributions.Bernoulli(),
    "normal": lambda levels: distributions.Normal(0.1, trained=True, min_scale=0.02),
    "logistic": distributions.DiscretizedLogistic,
    "logistic_mixture": lambda levels: distributions.DiscretizedLogisticMixture(5, levels),
    "categorical": lambda levels: distributions.Categorical(levels, levels=True),
}
"""By name, of a number of levels."""
MAPS = 16
"""Channels of the features that infogan's decoder makes."""
ON_LEVELS = ("logistic", "logistic_mixture", "categorical")

flags.adopt_module_key_flags(image_levels)
flags.DEFINE_integer("latent_dim", 16, "Size of the latents.", 1)
flags.DEFINE_enum(
    "likelihood",
    None,
    sorted(LIKELIHOODS),
    "Of examples given latents; bernoulli for images of two levels, logistic for others and normal "
    "for points unless given.",
)
flags.DEFINE_enum(
    "architecture", "mlp", ["mlp", "infogan"], "Of both networks; infogan is convolutional."
)
runner.define_sizes("hidden_units", ["200", "200"], "Of both networks of mlp.")
flags.DEFINE_integer("units", 1024, "Of the dense layers of infogan.", 1)
flags.DEFINE_integer("filters", 64, "Of the narrowest convolution of infogan.", 1)
flags.DEFINE_integer("num_draws", 5, "Of latents for each example, of iwae and dreg.", 1)
flags.DEFINE_float("beta", 1.0, "Of the KL divergence.", 0.0)
flags.DEFINE_integer("warmup_steps", 0, "Over which beta rises from 0.", 0)
flags.DEFINE_float("free_bits", 0.0, "Nats of the KL divergence that cost nothing.", 0.0)
flags.DEFINE_integer(
    "num_components", 50, "Of vamp, mixture_prior, mixture, and autoencoder's sampler.", 1
)
flags.DEFINE_enum(
    "sampler",
    "mixture",
    ["gaussian", "mixture", "flow"],
    "Of the codes of autoencoder, which is fitted to them once it is trained.",
)
flags.DEFINE_float("mmd_weight", 100.0, "Of the squared MMD between codes and prior, of wae.", 0.0)
flags.DEFINE_float("perceptual_weight", 20.0, "Nats of the distance of perceptual.", 0.0)
flags.DEFINE_float("feature_scale", 0.3, "Deviation of the features of vaegan, vae_dis.", 1e-6)
flags.DEFINE_list(
    "levels", ["2", "4"], "Side of the grids of hierarchical, below a vector of --latent_dim."
)
flags.DEFINE_integer("flow_layers", 4, "Of planar, radial, iaf and flow_prior.", 1)
flags.DEFINE_float("ema_decay", 0.99, "Of the average of the weights; 0 for none.", 0.0, 1.0)
flags.DEFINE_bool("conditional", False, "Give the model the labels of the data.")
flags.DEFINE_bool("draw_samples", False, "Draw samples of p(x | z), not its means.")
flags.DEFINE_bool("binarize", False, "Round the pixels of all images to 0 and 1.")


OF_ELBO = ("beta", "warmup_steps", "free_bits")
NOT_TAKEN = {
    "iwae": OF_ELBO,
    "dreg": OF_ELBO,
    "hierarchical": ("conditional",),
    "wae": OF_ELBO,
    "autoencoder": (*OF_ELBO, "draw_samples"),
    "vaegan": (*OF_ELBO, "draw_samples", "likelihood"),
    "vae_dis": (*OF_ELBO, "draw_samples", "likelihood"),
    "gaussian": (*OF_ELBO, "draw_samples", "likelihood"),
    "mixture": (*OF_ELBO, "draw_samples", "likelihood", "conditional"),
}
"""Flags that a recipe cannot heed."""


def _bound() -> variational.ELBO:
    beta: Any = FLAGS.beta
    if FLAGS.warmup_steps:
        beta = keras.optimizers.schedules.PolynomialDecay(0.0, FLAGS.warmup_steps, FLAGS.beta)
    return variational.ELBO(beta, FLAGS.free_bits)


def _networks(shape: Sequence[int]) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """Returns an encoder and a decoder of features."""
    if FLAGS.architecture == "infogan":
        filters = (FLAGS.filters, 2 * FLAGS.filters)
        maps = (*shape[:2], MAPS)  # Features of each pixel, of which likelihoods are made.
        decoder = networks.InfoGANGenerator(maps, FLAGS.units, filters[::-1])
        return networks.InfoGANEncoder(FLAGS.units, FLAGS.units, filters, True), decoder
    units = [int(size) for size in FLAGS.hidden_units]
    make = lambda: networks.MLP(units[-1:], units[:-1], "tanh", "tanh")  # noqa: E731
    return make(), make()


def _vae(shape: Sequence[int], **options: Any) -> variational.VAE:
    options = {"bound": _bound()} | options
    options |= {"event_shape": shape, "draw_samples": FLAGS.draw_samples}
    return variational.VAE(*_networks(shape), FLAGS.latent_dim, **options)


def _with_posterior(make: Callable[[], variational.Posterior]) -> Callable[..., variational.VAE]:
    return lambda shape, **options: _vae(shape, posterior=make(), **options)


def _importance_weighted(doubly: bool) -> Callable[..., variational.VAE]:
    return lambda shape, **options: _vae(
        shape, bound=variational.ImportanceWeighted(FLAGS.num_draws, doubly), **options
    )


def _with_prior(make: Callable[[], Any]) -> Callable[..., variational.VAE]:
    return lambda shape, **options: _vae(shape, prior=make(), **options)


def _flow_prior() -> flows.Transformed:
    steps: list[bijectors.Bijector] = []
    for _ in range(FLAGS.flow_layers):
        steps += [bijectors.MaskedAutoregressive((64,)), bijectors.Reverse()]
    return flows.Transformed(bijectors.Chain(steps), dim=FLAGS.latent_dim)


def _of_components(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that models without networks have."""
    return {name: options[name] for name in ("num_classes", "seed") if name in options}


def _autoencoder(shape: Sequence[int], **options: Any) -> variational.FittedSampler:
    """Returns an autoencoder, and a density that is fitted to its codes."""
    size = (FLAGS.latent_dim,)
    samplers = {
        "gaussian": lambda: variational.GaussianModel(size),
        "mixture": lambda: variational.MixtureModel(
            size, FLAGS.num_components, regularization=1e-3
        ),
        "flow": lambda: flows.recipes.maf(size, FLAGS.flow_layers, (64, 64)),
    }
    coded = variational.Autoencoder(*_networks(shape), *size, event_shape=shape, **options)
    return variational.FittedSampler(coded, samplers[FLAGS.sampler](), seed=FLAGS.seed)


def _wae(shape: Sequence[int], **options: Any) -> variational.WAE:
    options |= {"event_shape": shape, "weight": FLAGS.mmd_weight}
    options["draw_samples"] = FLAGS.draw_samples
    return variational.WAE(*_networks(shape), FLAGS.latent_dim, **options)


def _vaegan(adversarial_weight: float) -> Callable[..., variational.VAEGAN]:
    def make(shape: Sequence[int], **options: Any) -> variational.VAEGAN:
        # Only the mean of one is asked for, and all of its weights have to move that.
        is_image = len(shape) == 3
        options["likelihood"] = distributions.Bernoulli() if is_image else distributions.Normal()
        if FLAGS.architecture == "infogan":
            filters = (FLAGS.filters, 2 * FLAGS.filters)
            discriminator = networks.InfoGANDiscriminator(FLAGS.units, filters, True)
        else:
            units = [int(size) for size in FLAGS.hidden_units]
            discriminator = networks.MLP((1,), units, activation="leaky_relu")
        return variational.VAEGAN(
            *_networks(shape),
            discriminator,
            FLAGS.latent_dim,
            event_shape=shape,
            feature_scale=FLAGS.feature_scale,
            adversarial_weight=adversarial_weight,
            **options,
        )

    return make


def _hierarchical(shape: Sequence[int], **options: Any) -> variational.HierarchicalVAE:
    """Returns levels of a vector above grids, which double, or of two vectors."""
    top = variational.Level((FLAGS.latent_dim,), 2 * FLAGS.filters)
    below = [variational.Level((FLAGS.latent_dim,), FLAGS.filters)]
    if len(shape) == 3:
        sides = [int(side) for side in FLAGS.levels]
        below = [variational.Level((side, side, 4), FLAGS.filters) for side in sides]
    options |= {"bound": _bound(), "draw_samples": FLAGS.draw_samples}
    return variational.HierarchicalVAE(shape, [top, *below], **options)


RECIPES: dict[str, Callable[..., Any]] = {
    "vae": _vae,
    "iwae": _importance_weighted(False),
    "dreg": _importance_weighted(True),
    "full_covariance": _with_posterior(variational.FullCovariancePosterior),
    "planar": _with_posterior(lambda: posteriors.planar(FLAGS.flow_layers)),
    "radial": _with_posterior(lambda: posteriors.radial(FLAGS.flow_layers)),
    "iaf": _with_posterior(lambda: posteriors.iaf(FLAGS.flow_layers, (128,))),
    "vamp": _with_prior(lambda: variational.VampPrior(FLAGS.latent_dim, FLAGS.num_components)),
    "mixture_prior": _with_prior(
        lambda: distributions.DiagonalMixture(FLAGS.latent_dim, FLAGS.num_components)
    ),
    "flow_prior": _with_prior(_flow_prior),
    "perceptual": _vae,
    "hierarchical": _hierarchical,
    "autoencoder": _autoencoder,
    "wae": _wae,
    "vaegan": _vaegan(1.0),
    "vae_dis": _vaegan(0.0),
    "gaussian": lambda shape, **options: variational.GaussianModel(
        shape, regularization=1e-3, **_of_components(options)
    ),
    "mixture": lambda shape, **options: variational.MixtureModel(
        shape, FLAGS.num_components, regularization=1e-3, **_of_components(options)
    ),
}

flags.DEFINE_enum(
    "recipe", "vae", sorted(RECIPES), "Posterior, prior and bound, or the model itself."
)


@flags.multi_flags_validator(["recipe", *OF_ELBO, "conditional", "draw_samples", "likelihood"])
def _check_recipe(given: dict[str, Any]) -> bool:
    """Raises, when flags are parsed, if the recipe does not take another flag."""
    for name in NOT_TAKEN.get(given["recipe"], ()):
        if given[name] != FLAGS[name].default:
            raise flags.ValidationError(f"{given['recipe']} takes no --{name}")
    return True


def _likelihood(train: tfgen.data.Examples) -> distributions.Likelihood:
    """Returns what --likelihood says, or what suits the data."""
    name, is_image = FLAGS.likelihood, len(train.event_shape) == 3
    levels = 0
    if is_image and (name is None or name in ON_LEVELS):
        levels = image_levels.num_levels(train)
    if name is None:
        name = ("bernoulli" if levels == 2 else "logistic") if is_image else "normal"
    return LIKELIHOODS[name](levels)


def make_model(train: tfgen.data.Examples, distance: Any = None) -> Any:
    """Returns the model that the flags describe, compiled.

    Args:
        train: the data.
        distance: of perceptual, between images, [batch]; any will do to try the flags.

    Raises:
        ValueError: when the data do not suit it.
    """
    shape = train.event_shape
    if len(shape) not in (1, 3):
        raise ValueError(expected("images, or points [num_examples, dim] of floats", train))
    options: dict[str, Any] = {
        "likelihood": _likelihood(train),
        "ema_decay": FLAGS.ema_decay or None,
        "seed": FLAGS.seed,
    }
    if FLAGS.recipe == "perceptual":
        judges.check_labels(train, "another recipe than perceptual")
        given = (options["likelihood"], distance or losses.SquaredError())
        options["likelihood"] = distributions.PerceptualLikelihood(*given, FLAGS.perceptual_weight)
    if FLAGS.conditional:
        if train.num_classes is None:
            raise ValueError(expected("data with labels", train))
        options["num_classes"] = train.num_classes
    model = RECIPES[FLAGS.recipe](shape, **options)
    optimizer = None if FLAGS.learning_rate is None else keras.optimizers.Adam(FLAGS.learning_rate)
    model.compile(optimizer, jit_compile=FLAGS.jit_compile)
    return model


def perceptual_distance(
    classifiers: judges.Classifiers, train: tfgen.data.Examples
) -> losses.Perceptual:
    """Returns the distance over a classifier of the data, which is trained if need be."""
    network = classifiers.perceptual()
    levels = metrics.feature_levels(network)
    return losses.Perceptual.balanced(
        network, levels, train.as_float(slice(0, 512)), pixel_weight=0.0
    )


def binarized(examples: tfgen.data.Examples) -> tfgen.data.Examples:
    """Returns images whose pixels are rounded to 0 and 1, if --binarize says so."""
    if not FLAGS.binarize:
        return examples
    x = np.round(examples.as_float(slice(0, len(examples))))
    return tfgen.data.Examples(
        x,
        examples.labels,
        batch_size=examples.batch_size,
        seed=examples.seed,
        name=examples.name,
        split=examples.split,
    )
