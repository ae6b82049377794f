"""The table that the contract tests run over: every model and value of the library, tiny.

`create` functions give arguments that differ from the defaults, so that a forgotten one is seen.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen import distributions, latent, losses, metrics, networks
from tfgen.core.examples import Batch, Examples
from tfgen.core.model import GenerativeModel

NUM_EXAMPLES = 24
BATCH_SIZE = 8


def images() -> np.ndarray:
    """Returns smooth spots, float32 [24, 8, 8, 1] in [0, 1]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:8, :8]
    centers = rng.uniform(1, 6, size=(NUM_EXAMPLES, 2, 1, 1))
    distances = (rows - centers[:, 0]) ** 2 + (columns - centers[:, 1]) ** 2
    return np.exp(-distances / 4).astype(np.float32)[..., np.newaxis]


def vectors() -> np.ndarray:
    """Returns a ring in the plane, float32 [24, 2]."""
    angles = 2 * np.pi * np.arange(NUM_EXAMPLES) / NUM_EXAMPLES
    return np.stack([np.cos(angles), 1 + np.sin(angles)], axis=1).astype(np.float32)


def _only_stage(model: GenerativeModel, x: np.ndarray) -> dict[str, tuple]:
    return {"all": (model, x)}


def _glann_stages(model: latent.GLANN, x: np.ndarray) -> dict[str, tuple]:
    return {"glo": (model.glo, x), "imle": (model.imle, model.glo.codes.numpy())}


@dataclass(frozen=True)
class ModelCase:
    """A model and the data it is trained on.

    Args:
        name: of the case.
        create: returns a new model; `create(exact=True)` one without batch normalisation and noise,
            whose values depend on how a batch is divided among replicas.
        data: returns examples.
        stages: the models that are trained, each on its examples: `stages(model, x)`.
        fit: arguments of `fit`.
        falls: whether training on one batch makes the loss fall.
    """

    name: str
    create: Callable[..., GenerativeModel]
    data: Callable[[], np.ndarray]
    stages: Callable[[GenerativeModel, np.ndarray], dict[str, tuple]] = _only_stage
    fit: dict[str, Any] = field(default_factory=lambda: {"epochs": 2})
    falls: bool = True

    def compiled(
        self, exact: bool = False, optimizers: Callable[[str], Any] | None = None
    ) -> GenerativeModel:
        """Returns a new model with the same initial weights each time, compiled.

        Args:
            exact: as for `create`.
            optimizers: group -> its optimizer; those of the model unless given.
        """
        keras.utils.set_random_seed(0)
        model = self.create(exact=exact)
        model.compile()
        if optimizers is not None:
            for stage, _ in self.stages(model, self.data()).values():
                stage.compile(**{f"{group}_optimizer": optimizers(group) for group in stage.groups})
        return model

    def train(self, model: GenerativeModel, **kwargs: Any) -> GenerativeModel:
        """Fits a model to the case's data for a few epochs, and returns it."""
        arguments = {"batch_size": BATCH_SIZE, "verbose": 0, **self.fit, **kwargs}
        model.fit(self.data(), **arguments)
        return model

    def batches(self, model: GenerativeModel) -> Iterator[tuple[str, GenerativeModel, Batch]]:
        """Yields each stage's name, its model readied for an epoch, and a batch of that epoch."""
        for name, (stage, x) in self.stages(model, self.data()).items():
            examples = Examples(x, batch_size=BATCH_SIZE, seed=stage.seed)
            examples = stage.training_data(examples)
            stage.begin_epoch(0, examples)
            yield name, stage, next(iter(examples.dataset()))


def named(name: str) -> ModelCase:
    """Returns the model case of a name."""
    return next(case for case in MODELS if case.name == name)


def training_state(case: ModelCase, model: GenerativeModel) -> dict[str, np.ndarray]:
    """Returns all that training depends on, of all stages.

    Names are the same for every model of a case: Keras counts the layers that it names itself.
    """
    return {
        f"{name}/{i}/{re.sub(r'_[0-9]+', '', variable.name)}": variable.numpy()
        for name, (stage, _) in case.stages(model, case.data()).items()
        for i, variable in enumerate(stage.training_state)
    }


def descent(group: str) -> keras.optimizers.Optimizer:
    """Returns plain gradient descent, whose steps are as exact as the gradients."""
    return latent.RowSGD(0.05) if group == "latents" else keras.optimizers.SGD(0.05)


def _image_net(batch_norm: bool) -> networks.InfoGANGenerator:
    return networks.InfoGANGenerator(
        (8, 8, 1), hidden_units=16, filters=(8, 4), batch_norm=batch_norm, slope=0.1
    )


def _glo_sphere(exact: bool = False) -> latent.GLO:
    return latent.GLO(
        _image_net(batch_norm=not exact),
        num_examples=NUM_EXAMPLES,
        latent_dim=4,
        loss=losses.SquaredError(),
        space=latent.Sphere(2.0),
        prior=distributions.Gaussian(4, jitter=1e-5),
        encode_steps=5,
        encode_restarts=2,
        seed=5,
    )


def _glo_ball(exact: bool = False) -> latent.GLO:
    return latent.GLO(
        networks.MLP((8, 8, 1), hidden_units=(16,), output_activation="sigmoid"),
        num_examples=NUM_EXAMPLES,
        latent_dim=3,
        loss=losses.LaplacianPyramid(2),
        space=latent.Ball(1.5),
        prior=distributions.GaussianMixture(3, num_components=2, jitter=1e-4),
        initial_std=0.5,
        initial_codes=latent.initial_codes.PrincipalComponents(0.25, seed=1),
        latent_noise=0.0 if exact else 0.05,
        encode_steps=4,
        encode_restarts=3,
    )


def frozen_network() -> keras.Model:
    """Returns a classifier's body for images of three channels; its batch norm must not move."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="edges")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="parts")(x)
    return keras.Model(inputs, x)


def _perceptual() -> losses.Perceptual:
    return losses.Perceptual(
        frozen_network(),
        ("norm", "parts"),
        feature_weights=(2.0, 0.5),
        pixel=losses.SquaredError(),
        pixel_weight=0.5,
        scale=2.0,
        offset=-1.0,
    )


def _glo_perceptual(exact: bool = False) -> latent.GLO:
    generator = networks.InfoGANGenerator(
        (8, 8, 1), 16, (8, 4), batch_norm=not exact, first_batch_norm=False
    )
    return latent.GLO(
        generator,
        num_examples=NUM_EXAMPLES,
        latent_dim=4,
        loss=_perceptual(),
        encode_steps=3,
        encode_restarts=1,
    )


def _imle_vectors(exact: bool = False) -> latent.IMLE:
    return latent.IMLE(
        networks.MLP((2,), (16,), activation="tanh", batch_norm=not exact),
        num_examples=NUM_EXAMPLES,
        noise_dim=3,
        num_candidates=40,
        noise_std=0.0 if exact else 0.1,
        seed=2,
    )


def _imle_pixels(exact: bool = False) -> latent.IMLE:
    return latent.IMLE(
        _image_net(batch_norm=not exact),
        num_examples=NUM_EXAMPLES,
        noise_dim=4,
        subset_size=16,
        staleness=2,
        distance=latent.Cosine(),
    )


def _glann(exact: bool = False) -> latent.GLANN:
    imle = latent.IMLE(
        networks.MLP((4,), (8,), batch_norm=not exact),
        num_examples=NUM_EXAMPLES,
        noise_dim=3,
        subset_size=16,
        staleness=2,
    )
    return latent.GLANN(_glo_sphere(exact), imle, seed=3)


MODELS = (
    ModelCase("glo_sphere", _glo_sphere, images),
    ModelCase("glo_ball_mixture", _glo_ball, images),
    ModelCase("glo_perceptual", _glo_perceptual, images),
    ModelCase("imle_vectors", _imle_vectors, vectors),
    ModelCase("imle_pixels", _imle_pixels, images, fit={"epochs": 3}),
    ModelCase(
        "glann",
        _glann,
        images,
        _glann_stages,
        fit={"epochs": 2, "imle_epochs": 3, "imle_batch_size": BATCH_SIZE},
    ),
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
        # (1 - 4)^2 + (2 - 0)^2, and the sum over the event, not its mean.
        [(_row(1, 2), _row(4, 0), [13.0]), (_flat(0, (2, 2, 1)), _flat(0.5, (2, 2, 1)), [1.0])],
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
        # 0.5 * 13 + 2 * 2.5, and 0.5 * 1 + 2 * 0.5.
        [(_row(1, 2), _row(4, 0), [11.5]), (_flat(0, (2, 2, 1)), _flat(0.5, (2, 2, 1)), [1.5])],
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
    LossCase("perceptual", _perceptual, []),
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


LAYERS = (
    LayerCase(
        "mlp",
        lambda: networks.MLP((2, 3), (4, 5), "tanh", "sigmoid", True, name="net", trainable=False),
        _codes,
    ),
    LayerCase(
        "infogan_generator",
        lambda: networks.InfoGANGenerator((8, 4, 3), 6, (5, 4), False, True, 0.3, name="net"),
        _codes,
    ),
    LayerCase(
        "latent_table",
        lambda: latent.LatentTable(9, 3, latent.Ball(0.7), 0.5, seed=4, name="table"),
        lambda: np.array([8, 0, 3, 3], np.int64),
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
    """An optimizer of tables."""

    name: str
    create: Callable[[], keras.optimizers.Optimizer]


ROW_OPTIMIZERS = (
    OptimizerCase("row_sgd", lambda: latent.RowSGD(0.5, name="rows")),
    OptimizerCase(
        "row_adam", lambda: latent.RowAdam(0.3, beta_1=0.5, beta_2=0.9, epsilon=1e-3, name="rows")
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

VALUES = (*LOSSES, *SPACES, *DISTANCES, *LAYERS, *DENSITIES, *ROW_OPTIMIZERS, *METRICS, *SCORES)


def by_name(cases: Sequence[Any]) -> dict[str, Any]:
    """Returns the arguments of `pytest.mark.parametrize` for a table."""
    return {"argvalues": cases, "ids": [case.name for case in cases]}


def table_gradient(rows: Sequence[int], values: Sequence, num_rows: int) -> tf.IndexedSlices:
    """Returns the gradient of a table [num_rows, d], as tf.gather makes it."""
    values = tf.constant(values, tf.float32)
    return tf.IndexedSlices(values, tf.constant(rows), tf.constant([num_rows, values.shape[1]]))
