"""The table of values: losses, kernels, spaces, distances, layers, densities and all the others.

`create` functions give arguments that differ from the defaults, so that a forgotten one is seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from tests.contract.adversarial_values import ADVERSARIAL_LOSSES, CLIPS, PENALTIES
from tests.contract.variational_values import LIKELIHOODS, POSTERIORS
from tfgen import adversarial, distributions, latent, layers, losses, metrics, networks


def _frozen_network() -> keras.Model:
    """Returns a classifier's body for images of three channels; its batch norm must not move."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="edges")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="parts")(x)
    return keras.Model(inputs, x)


def perceptual() -> losses.Perceptual:
    """Returns a loss over two layers of a network that batch normalisation is part of."""
    return losses.Perceptual(
        _frozen_network(),
        ("norm", "parts"),
        feature_weights=(2.0, 0.5),
        pixel=losses.SquaredError(),
        pixel_weight=0.5,
        scale=2.0,
        offset=-1.0,
    )


@dataclass(frozen=True)
class LossCase:
    """A reconstruction loss, and numbers worked out by hand.

    Args:
        name: of the case.
        create: returns the loss.
        known: triples of x, its reconstruction, and the loss of each example.
        shape: of an example that it takes.
    """

    name: str
    create: Callable[[], Callable]
    known: Sequence[tuple[np.ndarray, np.ndarray, Sequence[float]]]
    shape: tuple[int, ...] = (8, 8, 1)


def _flat(value: float, shape: Sequence[int]) -> np.ndarray:
    return np.full((1, *shape), value, np.float32)


def _row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def _summing_perceptual() -> losses.Perceptual:
    """Returns a loss whose one feature is twice the sum of the three equal channels."""
    inputs = keras.Input((4, 4, 3))
    ones = keras.initializers.Constant(2.0)
    outputs = keras.layers.Conv2D(1, 1, kernel_initializer=ones, name="sum")(inputs)
    return losses.Perceptual(keras.Model(inputs, outputs), ("sum",), (0.5,), pixel_weight=3.0)


LOSSES = (
    LossCase(
        "squared_error",
        losses.SquaredError,
        # ((1 - 4)^2 + (2 - 0)^2) / 2, and the mean over the event, not its sum.
        [(_row(1, 2), _row(4, 0), [6.5]), (_flat(0, (2, 2, 1)), _flat(0.5, (2, 2, 1)), [0.25])],
    ),
    LossCase(
        "absolute_error",
        losses.AbsoluteError,
        # (3 + 2) / 2, and the mean over the event, not its sum.
        [(_row(1, 2), _row(4, 0), [2.5]), (_flat(0, (2, 2, 1)), _flat(0.5, (2, 2, 1)), [0.5])],
    ),
    LossCase(
        "weighted_sum",
        lambda: losses.WeightedSum((losses.SquaredError(), losses.AbsoluteError()), (0.5, 2.0)),
        # 0.5 * 6.5 + 2 * 2.5, and 0.5 * 0.25 + 2 * 0.5.
        [(_row(1, 2), _row(4, 0), [8.25]), (_flat(0, (2, 2, 1)), _flat(0.5, (2, 2, 1)), [1.125])],
    ),
    LossCase(
        "laplacian_pyramid",
        lambda: losses.LaplacianPyramid(2),
        # A constant difference lives in the low-pass residual alone: 4^1 * 16 pixels * |c|.
        [
            (_flat(0.25, (8, 8, 1)), _flat(0.75, (8, 8, 1)), [32.0]),
            (_flat(0.0, (8, 8, 2)), _flat(0.25, (8, 8, 2)), [32.0]),
        ],
    ),
    LossCase("perceptual", perceptual, []),
    LossCase(
        "perceptual_by_hand",
        _summing_perceptual,
        # Grey differs by 0.5: pixels 3 * 0.5, features 0.5 * (2 * 3 * 0.5); and by 0.1.
        [
            (_flat(0, (4, 4, 1)), _flat(0.5, (4, 4, 1)), [3.0]),
            (_flat(0.3, (4, 4, 1)), _flat(0.2, (4, 4, 1)), [0.6]),
        ],
        shape=(4, 4, 1),
    ),
)


@dataclass(frozen=True)
class KernelCase:
    """A kernel, and numbers worked out by hand.

    Args:
        name: of the case.
        create: returns the kernel.
        known: triples of x [n, d], y [m, d], and the values, [n, m].
    """

    name: str
    create: Callable[[], losses.Kernel]
    known: Sequence[tuple[Sequence, Sequence, Sequence]]


# Squared distances of 1 and 4; of 0 and 25.
NEAR, FAR = ([[0.0]], [[1.0], [-2.0]]), ([[3.0, 0.0]], [[3.0, 0.0], [0.0, 4.0]])

KERNELS = (
    # exp(-1 / 2) and exp(-4 / 2).
    KernelCase("rbf", losses.RBF, [(*NEAR, [[0.606531, 0.135335]]), (*FAR, [[1.0, 3.726653e-6]])]),
    # exp(-1 / 2) + exp(-1 / 8) and exp(-2) + exp(-1 / 2); 2 and exp(-12.5) + exp(-25 / 8).
    KernelCase(
        "rbf_of_two_bandwidths",
        lambda: losses.RBF((1.0, 2.0)),
        [(*NEAR, [[1.489028, 0.741866]]), (*FAR, [[2.0, 0.0439407]])],
    ),
    # 1 / (1 + 1) and 1 / (1 + 4).
    KernelCase(
        "inverse_multiquadratic",
        losses.InverseMultiquadratic,
        [(*NEAR, [[0.5, 0.2]]), (*FAR, [[1.0, 1 / 26]])],
    ),
    # 1 / 2 + 4 / 5 and 1 / 5 + 4 / 8; 2 and 1 / 26 + 4 / 29.
    KernelCase(
        "inverse_multiquadratic_of_two_scales",
        lambda: losses.InverseMultiquadratic((1.0, 4.0)),
        [(*NEAR, [[1.3, 0.7]]), (*FAR, [[2.0, 0.1763926]])],
    ),
)


@dataclass(frozen=True)
class SpaceCase:
    """A set of latents, and whether points of known norms are in it."""

    name: str
    create: Callable[[], Callable]
    norms: Callable[[np.ndarray], np.ndarray]  # Of projected points, from those of the points.


SPACES = (
    SpaceCase("sphere", lambda: latent.Sphere(2.0), lambda norms: np.full_like(norms, 2.0)),
    SpaceCase("ball", lambda: latent.Ball(1.5), lambda norms: np.minimum(norms, 1.5)),
    SpaceCase("euclidean", latent.Euclidean, lambda norms: norms),
)


@dataclass(frozen=True)
class DistanceCase:
    """A distance between vectors, and the same in NumPy, for pairs [batch, d]."""

    name: str
    create: Callable[[], latent.neighbours.Distance]
    reference: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1 - (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))


DISTANCES = (
    DistanceCase("squared_euclidean", latent.SquaredEuclidean, lambda x, y: ((x - y) ** 2).sum(1)),
    DistanceCase("cosine", latent.Cosine, _cosine),
)


@dataclass(frozen=True)
class LayerCase:
    """A layer or network, with a batch that it takes."""

    name: str
    create: Callable[[], keras.layers.Layer]
    inputs: Callable[[], np.ndarray]


def _codes() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


def _small_images() -> np.ndarray:
    return np.random.default_rng(2).uniform(size=(5, 8, 8, 1)).astype(np.float32)


LAYERS = (
    LayerCase(
        "mlp",
        lambda: networks.MLP(
            (2, 3),
            (4, 5),
            "tanh",
            "sigmoid",
            True,
            spectral_norm=True,
            name="net",
            trainable=False,
        ),
        _codes,
    ),
    LayerCase(
        "infogan_generator",
        lambda: networks.InfoGANGenerator((8, 4, 3), 6, (5, 4), False, True, 0.3, name="net"),
        _codes,
    ),
    LayerCase(
        "infogan_discriminator",
        lambda: networks.InfoGANDiscriminator(6, (4, 3), True, True, 0.3, name="net"),
        _small_images,
    ),
    LayerCase(
        "infogan_encoder",
        lambda: networks.InfoGANEncoder(5, 6, (4, 3), True, False, 0.3, name="net"),
        _small_images,
    ),
    LayerCase(
        "infogan_autoencoder",
        lambda: networks.InfoGANAutoencoder((8, 8, 1), 5, (4, 3), True, 0.3, name="net"),
        _small_images,
    ),
    LayerCase(
        "dcgan_generator",
        lambda: networks.DCGANGenerator((8, 8, 3), 4, False, name="net"),
        _codes,
    ),
    LayerCase(
        "dcgan_discriminator",
        lambda: networks.DCGANDiscriminator((8, 8, 1), 4, False, True, 0.3, name="net"),
        _small_images,
    ),
    LayerCase(
        "resnet_generator",
        lambda: networks.ResNetGenerator((8, 12, 3), 4, 2, False, name="net"),
        _codes,
    ),
    LayerCase(
        "resnet_discriminator",
        lambda: networks.ResNetDiscriminator(4, 3, False, name="net"),
        _small_images,
    ),
    LayerCase(
        "residual",
        lambda: networks.Residual(
            [keras.layers.BatchNormalization(), keras.layers.Dense(3)],
            [keras.layers.Dense(3, use_bias=False)],
            name="net",
        ),
        _codes,
    ),
    LayerCase(
        "latent_table",
        lambda: latent.LatentTable(9, 3, latent.Ball(0.7), 0.5, seed=4, name="table"),
        lambda: np.array([8, 0, 3, 3], np.int64),
    ),
    LayerCase(
        "one_of",
        lambda: layers.OneOf([networks.MLP((2,), (4,)) for _ in range(3)], name="members"),
        lambda: np.abs(_codes()) % 1,
    ),
    LayerCase(
        "each_of",
        lambda: layers.EachOf([networks.MLP((2,), (4,)) for _ in range(3)], name="members"),
        _codes,
    ),
    LayerCase("made", lambda: layers.MADE((4, 4), 2, "tanh", True, 3, name="masked"), _codes),
    LayerCase(
        "masked_conv",
        lambda: layers.MaskedConv2D(4, 5, False, 1, "he_uniform", name="masked"),
        _small_images,
    ),
    LayerCase(
        "spectral_normalization",
        lambda: layers.SpectralNormalization(keras.layers.Dense(4), 2, "normalised", False),
        _codes,
    ),
)


@dataclass(frozen=True)
class PairCase:
    """A network of pairs; tests/networks calls it."""

    name: str
    create: Callable[[], keras.layers.Layer]


PAIR_NETWORKS = (
    PairCase(
        "conditional_generator",
        lambda: networks.ConditionalGenerator(networks.MLP((2,), (4,)), 3, 5, name="net"),
    ),
    PairCase(
        "projection_discriminator",
        lambda: networks.ProjectionDiscriminator(networks.MLP((1,), (4,)), 3, True, name="net"),
    ),
    PairCase(
        "joint_discriminator",
        lambda: networks.JointDiscriminator((3, 2), (4,), (5, 6), True, True, 0.3, name="net"),
    ),
)


@dataclass(frozen=True)
class DensityCase:
    """A density of vectors of three numbers that is fitted, not trained."""

    name: str
    create: Callable[[], keras.layers.Layer]


DENSITIES = (
    DensityCase("gaussian", lambda: distributions.Gaussian(3, jitter=1e-5, name="density")),
    DensityCase(
        "gaussian_mixture",
        lambda: distributions.GaussianMixture(3, 2, jitter=1e-4, seed=3, name="density"),
    ),
)


@dataclass(frozen=True)
class OptimizerCase:
    """An optimizer."""

    name: str
    create: Callable[[], keras.optimizers.Optimizer]


ROW_OPTIMIZERS = (
    OptimizerCase("row_sgd", lambda: latent.RowSGD(0.5, name="rows")),
    OptimizerCase(
        "row_adam", lambda: latent.RowAdam(0.3, beta_1=0.5, beta_2=0.9, epsilon=1e-3, name="rows")
    ),
)

SAMPLERS = (
    OptimizerCase(
        "sghmc",
        lambda: adversarial.SGHMC(9, 0.1, 0.3, 2.0, beta_2=0.9, epsilon=0.1, seed=3, name="chain"),
    ),
)


@dataclass(frozen=True)
class MetricCase:
    """A metric of images that arrive in batches."""

    name: str
    create: Callable[[], metrics.score.StreamingMetric]


def _features() -> metrics.ClassifierFeatures:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(4, activation="tanh", name="features")(x)
    outputs = keras.layers.Dense(3, activation="softmax")(x)
    return metrics.ClassifierFeatures(keras.Model(inputs, outputs), "features", title="tiny")


METRICS = (
    MetricCase("fid", lambda: metrics.FrechetInceptionDistance(_features(), "test")),
    MetricCase("kid", lambda: metrics.KernelInceptionDistance(_features(), "test", 5, 7, seed=3)),
    MetricCase("inception_score", lambda: metrics.InceptionScore(_features(), "test", splits=4)),
    MetricCase("density_coverage", lambda: metrics.DensityCoverage(_features(), "test", k=3)),
    MetricCase("precision_recall", lambda: metrics.PrecisionRecall(_features(), "test", k=2)),
)


@dataclass(frozen=True)
class ScoreCase:
    """A number with what a reader needs to compare it."""

    name: str
    create: Callable[[], metrics.Score]


SCORES = (
    ScoreCase("score", lambda: metrics.Score("KID", 0.5, "tiny[4]", 4, 9, 8, "test", 0.1, "k=3")),
)


@dataclass(frozen=True)
class AugmentationCase:
    """A random, differentiable map of images to images of the same shape."""

    name: str
    create: Callable[[], Callable]


AUGMENTATIONS = (
    AugmentationCase("color", lambda: layers.Color(0.25, 0.75, 0.375)),
    AugmentationCase("translate", lambda: layers.Translate(0.25)),
    AugmentationCase("cutout", lambda: layers.Cutout(0.375)),
    AugmentationCase("flip", layers.Flip),
    AugmentationCase(
        "diff_augment", lambda: layers.DiffAugment((layers.Flip(), layers.Cutout(0.25)))
    ),
)

VALUES = (
    *LOSSES,
    *ADVERSARIAL_LOSSES,
    *PENALTIES,
    *CLIPS,
    *KERNELS,
    *SPACES,
    *DISTANCES,
    *LAYERS,
    *AUGMENTATIONS,
    *PAIR_NETWORKS,
    *DENSITIES,
    *LIKELIHOODS,
    *POSTERIORS,
    *ROW_OPTIMIZERS,
    *SAMPLERS,
    *METRICS,
    *SCORES,
)
