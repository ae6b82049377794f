"""The table of models that the contract tests run over, tiny.

`create` functions give arguments that differ from the defaults, so that a forgotten one is seen.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.contract.models import (
    adversarial_models,
    codebook,
    coded_models,
    flow_models,
    levels_vae,
    moments,
    parts,
    regularized,
    token_model,
    vae_models,
    variational_models,
)
from tests.contract.values import perceptual
from tfgen import adversarial, distributions, latent, losses, networks
from tfgen.core import specs
from tfgen.data.examples import Batch, Examples
from tfgen.model import GenerativeModel, Inversion, Stage, StagedModel
from tfgen.model.groups import optimizer_name

NUM_EXAMPLES = 24
BATCH_SIZE = 8


def images() -> np.ndarray:
    """Returns smooth spots, float32 [24, 8, 8, 1] in [0, 1]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:8, :8]
    centers = rng.uniform(1, 6, size=(NUM_EXAMPLES, 2, 1, 1))
    distances = (rows - centers[:, 0]) ** 2 + (columns - centers[:, 1]) ** 2
    return np.exp(-distances / 4).astype(np.float32)[..., np.newaxis]


def levels() -> np.ndarray:
    """Returns spots of four levels, float32 [24, 8, 8, 1] on k / 3."""
    return np.round(3 * images()) / np.float32(3)


def vectors() -> np.ndarray:
    """Returns a ring in the plane, float32 [24, 2]."""
    angles = 2 * np.pi * np.arange(NUM_EXAMPLES) / NUM_EXAMPLES
    return np.stack([np.cos(angles), 1 + np.sin(angles)], axis=1).astype(np.float32)


def tokens() -> np.ndarray:
    """Returns rising and falling runs of three tokens, int32 [24, 4]."""
    up = np.arange(4)[None] + np.arange(NUM_EXAMPLES)[:, None]
    return np.int32(np.where(np.arange(NUM_EXAMPLES)[:, None] % 2, up, -up) % 3)


def _tables(model: GenerativeModel) -> list[keras.Variable]:
    return [weight for weight in model.weights if weight.shape[:1] == (NUM_EXAMPLES,)]


@dataclass(frozen=True)
class ModelCase:
    """A model and the data it is trained on.

    Args:
        name: of the case.
        create: returns a new model; `create(exact=True)` one without batch normalisation and noise,
            whose values depend on how a batch is divided among replicas.
        data: returns examples.
        fit: arguments of `fit`.
        falls: whether training on one batch makes the loss fall; not where `prepare` has it done,
            or the end of an epoch does it.
        labels: returns those of the examples, of a conditional model.
        samples: whether it can sample; not without a part that some model of its class has.
        state: variables, not trained, that an update of some groups may move: statistics of a
            network that another update trains, moving averages.
        unserved: variables that only training needs, and an export leaves out; None if there are
            none.
        variant: whether another case has a model of the same class, so that CI alone looks at the
            properties of this one.
        idle: variables whose gradient may be zero, such as the last bias of a critic whose loss is
            linear in its logits.
    """

    name: str
    create: Callable[..., GenerativeModel]
    data: Callable[[], np.ndarray]
    fit: dict[str, Any] = field(default_factory=lambda: {"epochs": 2})
    falls: bool = True
    labels: Callable[[], np.ndarray | None] = lambda: None
    samples: bool = True
    state: Callable[[GenerativeModel, Sequence[str]], Sequence[keras.Variable]] = (
        lambda model, groups: ()
    )
    unserved: Callable[[GenerativeModel], Sequence[keras.Variable]] | None = _tables
    idle: Callable[[GenerativeModel], Sequence[keras.Variable]] = lambda model: ()
    variant: bool = False

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
            model.compile(
                **{
                    ("" if name == "all" else f"{name}_") + optimizer_name(group): optimizers(group)
                    for name, stage in self.stages(model).items()
                    for group in stage.model.groups
                }
            )
        return model

    def stages(self, model: GenerativeModel) -> dict[str, Stage]:
        """Returns the stages of training by name; a model without stages is one itself."""
        stages = model.stages() if isinstance(model, StagedModel) else [Stage("all", model)]
        return {stage.name: stage for stage in stages}

    def train(self, model: GenerativeModel, **kwargs: Any) -> GenerativeModel:
        """Fits a model to the case's data for a few epochs, and returns it."""
        arguments = {"batch_size": BATCH_SIZE, "verbose": 0, **self.fit, **kwargs}
        model.fit(self.data(), self.labels(), **arguments)
        return model

    def batches(self, model: GenerativeModel) -> Iterator[tuple[str, GenerativeModel, Batch]]:
        """Yields each stage's name, its model readied for an epoch, and a batch of that epoch."""
        for stage in self.stages(model).values():
            x, trained = stage.data(self.data()), stage.model
            examples = Examples(x, self.labels(), batch_size=BATCH_SIZE, seed=trained.seed)
            examples = trained.training_data(examples)
            trained.prepare_once(examples)
            trained.begin_epoch(0, examples)
            yield stage.name, trained, next(iter(examples.dataset()))


def named(name: str) -> ModelCase:
    """Returns the model case of a name."""
    return next(case for case in MODELS if case.name == name)


def condition(model: GenerativeModel, num_rows: int) -> dict[str, np.ndarray]:
    """Returns what a conditional model's verbs take beside their rows, by the name of the input."""
    return {
        name: np.arange(num_rows) % spec.num_values for name, spec in model.condition_specs.items()
    }


def rows(spec: tf.TensorSpec, num_rows: int, seed: int = 2) -> np.ndarray:
    """Returns rows that agree with a specification and differ from each other."""
    rng, shape = np.random.default_rng(seed), (num_rows, *spec.shape)
    low, high = specs.bounds(spec) or (-1.0, 1.0)
    if spec.dtype.is_integer:
        return rng.integers(low, high + 1, shape).astype(spec.dtype.as_numpy_dtype)
    return rng.uniform(low, high, shape).astype(np.float32)


def latents(model: GenerativeModel, num_rows: int, seed: int = 1) -> Any:
    """Returns latents of a model, a nest like its `latent_spec`; None of one without latents."""
    if model.latent_spec is None:
        return None
    return keras.tree.map_structure(lambda spec: rows(spec, num_rows, seed), model.latent_spec)


def training_state(case: ModelCase, model: GenerativeModel) -> dict[str, np.ndarray]:
    """Returns the values of all that training depends on, of all stages."""
    return {name: v.numpy() for name, v in state_variables(case, model).items()}


def state_variables(case: ModelCase, model: GenerativeModel) -> dict[str, keras.Variable]:
    """Returns the variables that training depends on, of all stages.

    Names are the same for every model of a case: Keras counts the layers that it names itself, and
    names the variables of optimizers by the layers around them as it made them.
    """
    return {
        f"{name}/{i}/{'_'.join(re.sub(r'_[0-9]+', '', variable.name).split('_')[-2:])}": variable
        for name, stage in case.stages(model).items()
        for i, variable in enumerate(stage.model.training_state)
    }


def descent(group: str) -> keras.optimizers.Optimizer:
    """Returns plain gradient descent, whose steps are as exact as the gradients."""
    return latent.RowSGD(0.05) if group == "latents" else keras.optimizers.SGD(0.05)


def _glo_sphere(exact: bool = False) -> latent.GLO:
    return latent.GLO(
        parts.image_net(batch_norm=not exact),
        num_examples=NUM_EXAMPLES,
        latent_dim=4,
        loss=losses.SquaredError(),
        space=latent.Sphere(2.0),
        prior=distributions.Gaussian(4, jitter=1e-5),
        **parts.ENCODE,
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
        inversion=Inversion(4, 3),
    )


def _glo_perceptual(exact: bool = False) -> latent.GLO:
    generator = networks.InfoGANGenerator(
        (8, 8, 1), 16, (8, 4), batch_norm=not exact, first_batch_norm=False
    )
    return latent.GLO(
        generator,
        num_examples=NUM_EXAMPLES,
        latent_dim=4,
        loss=perceptual(),
        inversion=Inversion(3, 1, losses.SquaredError()),
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
        parts.image_net(batch_norm=not exact),
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


def _tokens(exact: bool = False) -> token_model.TokenModel:
    return token_model.TokenModel(4, 3, num_classes=2, seed=3)


def _codebook(exact: bool = False) -> codebook.Codebook:
    return codebook.Codebook(6, token_model.TokenModel(4, 6), seed=4)


def _codebook_alone(exact: bool = False) -> codebook.Codebook:
    """One that cannot sample, though its class can."""
    return codebook.Codebook(5, decay=0.5)


def _parities() -> np.ndarray:
    return np.arange(NUM_EXAMPLES) % 2


def _code_state(model: GenerativeModel, groups: Sequence[str]) -> list[keras.Variable]:
    return [model.counts, model.sums] if isinstance(model, codebook.Codebook) else []


def _labels() -> np.ndarray:
    return np.arange(NUM_EXAMPLES) % 3


def _not_trained(model: GenerativeModel, groups: Sequence[str]) -> list[keras.Variable]:
    """Returns the statistics of both networks and, for the generator's update, the balance."""
    following = [model.balance] if isinstance(model, adversarial.BEGAN) else []
    ids = () if "generator" in groups else {id(variable) for variable in following}
    return [v for v in model.non_trainable_variables if id(v) not in ids]


def _discriminator(model: GenerativeModel) -> list[keras.Variable]:
    return model.discriminator.trainable_variables


def _trained_decoder(model: GenerativeModel) -> list[keras.Variable]:
    """Returns what a model trains, and the average of which it exports."""
    return model.decoder.trainable_variables


def _bijector(model: GenerativeModel) -> list[keras.Variable]:
    """Returns what a flow trains, and the average of which it exports."""
    return model.bijector.trainable_variables


def _last_bias(model: GenerativeModel) -> list[keras.Variable]:
    return [variable for variable in _discriminator(model) if variable.shape == (1,)]


_adversarial = partial(ModelCase, falls=False, state=_not_trained, unserved=_discriminator)

_components = partial(
    ModelCase,
    falls=False,
    state=lambda model, groups: model.statistics,
    # The running means end an epoch as the means, which are served.
    unserved=lambda model: [v for v in model.statistics if v is not model.running_means],
)

_codebooks = partial(ModelCase, data=images, state=_code_state, unserved=None)

MODELS = (
    ModelCase("glo_sphere", _glo_sphere, images),
    ModelCase("glo_ball_mixture", _glo_ball, images, variant=True),
    ModelCase("glo_perceptual", _glo_perceptual, images, variant=True),
    ModelCase("imle_vectors", _imle_vectors, vectors),
    ModelCase("imle_pixels", _imle_pixels, images, fit={"epochs": 3}, variant=True),
    ModelCase("glann", _glann, images, fit={"epochs": {"glo": 2, "imle": 3}}),
    _adversarial("gan", adversarial_models.gan, images),
    _adversarial("gan_critic", adversarial_models.critic, images, idle=_last_bias, variant=True),
    _adversarial(
        "gan_conditional", adversarial_models.conditional, images, labels=_labels, idle=_last_bias
    ),
    _adversarial("gan_relativistic", adversarial_models.relativistic, vectors, idle=_last_bias),
    _adversarial("began", adversarial_models.began, images),
    _adversarial("bigan", adversarial_models.bigan, images),
    _adversarial("gan_bayesian", adversarial_models.bayesian, vectors, variant=True),
    _adversarial("gan_regularized", regularized.gan, vectors, idle=_last_bias, variant=True),
    ModelCase("moments", moments.matching, images, unserved=None),
    ModelCase("mmd", moments.mmd, vectors, unserved=None, variant=True),
    ModelCase("ratio", moments.ratio, vectors, unserved=None),
    ModelCase(
        "levels_vae",
        levels_vae.images,
        images,
        falls=False,
        unserved=_trained_decoder,
        variant=True,
    ),
    ModelCase(
        "vae_labels",
        vae_models.labels,
        images,
        falls=False,
        labels=_labels,
        unserved=_trained_decoder,
    ),
    ModelCase("vae_flow", vae_models.flow, vectors, falls=False, unserved=None, variant=True),
    ModelCase(
        "vae_vamp", vae_models.vamp, levels, falls=False, unserved=_trained_decoder, variant=True
    ),
    ModelCase(
        "autoencoder",
        coded_models.autoencoder,
        images,
        labels=_labels,
        samples=False,
        state=lambda model, groups: model.non_trainable_variables,  # Of the frozen network.
        unserved=_trained_decoder,
    ),
    ModelCase("wae", coded_models.wae, vectors, unserved=_trained_decoder),
    ModelCase(
        "fitted_sampler",
        coded_models.fitted_sampler,
        images,
        fit={"epochs": {"autoencoder": 2, "sampler": 3}},
        falls=False,
        labels=_labels,
        unserved=None,
    ),
    _adversarial("vaegan", coded_models.vaegan, images, labels=_labels),
    _adversarial(
        "vae_of_features", coded_models.vae_of_features, vectors, idle=_last_bias, variant=True
    ),
    ModelCase(
        "flow_labels", flow_models.labels, vectors, falls=False, labels=_labels, unserved=_bijector
    ),
    ModelCase(
        "flow_residual",
        flow_models.residual,
        vectors,
        falls=False,
        state=lambda model, groups: model.bijector.non_trainable_variables,
        unserved=lambda model: model.bijector.variables,
    ),
    ModelCase(
        "flow_on_flow", flow_models.on_flow, vectors, falls=False, unserved=None, variant=True
    ),
    ModelCase(
        "flow_images", flow_models.images, levels, falls=False, unserved=_bijector, variant=True
    ),
    ModelCase(
        "hybrid_flow", flow_models.hybrid, levels, falls=False, labels=_labels, unserved=_bijector
    ),
    # Of one epoch: after two, in which its noisy divergence is small, a model would warn.
    ModelCase(
        "levels_points",
        levels_vae.points,
        vectors,
        {"epochs": 1},
        falls=False,
        unserved=None,
    ),
    ModelCase("tokens", _tokens, tokens, labels=_parities, unserved=None),
    _codebooks("codebook", _codebook),
    _codebooks("codebook_alone", _codebook_alone, samples=False, variant=True),
    _components("gaussian", variational_models.gaussian, images),
    _components(
        "gaussian_labels", variational_models.labels, vectors, labels=_labels, variant=True
    ),
    _components("mixture", variational_models.mixture, vectors, fit={"epochs": 4}),
    _components("mixture_images", variational_models.mixture_of_images, images, variant=True),
)


SAMPLERS = tuple(case for case in MODELS if case.samples)


def by_name(cases: Sequence[Any]) -> dict[str, Any]:
    """Returns the arguments of `pytest.mark.parametrize` for a table."""
    return {"argvalues": cases, "ids": [case.name for case in cases]}
