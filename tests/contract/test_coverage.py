"""Every public class of the library is in the table of cases, or is not for a reason given here."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import keras

import tfgen
from tests.contract import cases, values
from tests.contract.bijector_cases import BIJECTORS

BASES = {
    "tfgen.core.config.Configurable": "a base of configurable classes",
    "tfgen.model.rows.Rows": "a base of the models: what they write",
    "tfgen.model.verbs.Verbs": "a base of the models: what users call",
    "tfgen.model.groups.Groups": "a base of the models: optimizers",
    "tfgen.model.steps.Steps": "a base of the models: the training step",
    "tfgen.model.stages.StagedModel": "a base of models",
    "tfgen.training.keras_compat.BuiltWhenMade": "a base of the models: private names of Keras",
    "tfgen.training.callback.Callback": "a base of callbacks",
    "tfgen.model.model.GenerativeModel": "the base of the models",
    "tfgen.adversarial.base.AdversarialModel": "a base of models",
    "tfgen.adversarial.base.EncodedByInversion": "a base of models",
    "tfgen.flows.base.FlowModel": "a base of models",
    "tfgen.variational.components.ComponentsModel": "a base of models",
    "tfgen.variational.base.EncodedModel": "a base of models",
    "tfgen.variational.autoencoder.CodedModel": "a base of models",
}
MACHINERY = {
    "tfgen.training.checkpoint.Checkpoint": "a callback; test_resume.py kills runs that use it",
    "tfgen.data.decoding.Header": "a record",
    "tfgen.data.examples.Examples": "training data; tested in tests/data",
    "tfgen.data.image_files.ImageFiles": "files to decode; tested in tests/data",
    "tfgen.data.folder_files.Skipped": "a list of reasons; tested in tests/data",
    "tfgen.data.records.Records": "of a data set; tested in tests/data",
    "tfgen.data.stores.Decoded": "where examples are; tested in tests/data",
    "tfgen.data.stores.InMemory": "where examples are; tested in tests/data",
    "tfgen.data.stores.InPlace": "where examples are; tested in tests/data",
    "tfgen.training.not_finite.FiniteGuard": "a callback; test_not_finite.py trips it",
    "tfgen.training.optimizers.Optimizers": "a view; tests/model/test_keras_callbacks.py",
    "tfgen.training.update.Update": "a record",
    "tfgen.core.specs.BoundedSpec": "a specification; tested in tests/core/test_specs.py",
    "tfgen.training.optimize.Parts": "a record",
    "tfgen.model.inversion.Inverter": "the search of a model; tested by encode of GLO and GANs",
    "tfgen.model.rows.Verb": "a record",
    "tfgen.model.traces.Traces": "a part of the verbs; tested by those of flows",
    "tfgen.model.stages.Stage": "a record; tests/model/test_stages.py",
    "tfgen.layers.linearised.SmoothMap": "a record",
    "tfgen.losses.critic.Critic": "what penalties see of a network; test_adversarial_losses.py",
    "tfgen.data.toy.Mixture": "data; tested in tests/data",
    "tfgen.metrics.modes.ModeScore": "a named tuple of scores",
    "tfgen.data.sources.Request": "a record",
    "tfgen.data.sources.Source": "a record",
    "tfgen.callbacks.evaluate.Evaluate": "a callback; not saved with a model",
    "tfgen.callbacks.reset.ResetOptimizers": "a callback; not saved with a model",
    "tfgen.callbacks.sample_grid.SampleGrid": "a callback; not saved with a model",
    "tfgen.model.inversion.Encoding": "a named tuple",
    "tfgen.variational.bounds.Evidence": "a named tuple",
    "tfgen.variational.vamp.PosteriorMixture": "what VampPrior is at a step; tested with its cases",
    "tfgen.distributions.arrays.ArrayDistribution": "what tests/metrics and tests/implicit call",
    "tfgen.implicit.curve.Curve": "a function with its slope; tested in tests/implicit",
    "tfgen.implicit.density.OutputDensity": "of a function; tested in tests/implicit",
    "tfgen.implicit.monotone.MonotonePieces": "of a function; tested in tests/implicit",
    "tfgen.implicit.prior.Prior": "a distribution as arrays; tested in tests/implicit",
    "tfgen.latent.neighbours.RunningNearest": "a running search; tested in tests/latent",
    "tfgen.metrics.classifier.TrainedClassifier": "a named tuple",
    "tfgen.metrics.discrete.Density": "what divergences see of a distribution; tests/metrics",
    "tfgen.metrics.discrete.Discrete": "data; tested in tests/metrics/test_discrete.py",
    "tfgen.metrics.discrete.Samples": "data; tested in tests/metrics",
    "tfgen.metrics.frechet.FeatureStatistics": "the state of FID; merged in test_metrics.py",
    "tfgen.metrics.inception_2015.Inception2015Features": "needs weights; tested in tests/metrics",
    "tfgen.metrics.inception_2015.Weights": "arrays of a file",
    "tfgen.metrics.keras_inception.KerasInceptionFeatures": "needs weights; tests/metrics",
    "tfgen.metrics.manifold.DensityCoverageScore": "a named tuple of scores",
    "tfgen.metrics.manifold.PrecisionRecallScore": "a named tuple of scores",
    "tfgen.metrics.score.FeatureStore": "the state of other metrics; merged in test_metrics.py",
    "tfgen.variational.grid_prior.GridNetwork": "a part of TopDown; tests/variational",
    "tfgen.variational.ladder.BottomUp": "made by HierarchicalVAE; tests/variational",
    "tfgen.variational.ladder.TopDown": "made by HierarchicalVAE; tests/variational",
    "tfgen.variational.levels.Blocks": "a part of BottomUp and TopDown; tests/variational",
    "tfgen.variational.levels.Head": "a part of BottomUp and TopDown; tests/variational",
    "tfgen.variational.levels.Resized": "a part of BottomUp and TopDown; tests/variational",
    "tfgen.variational.base.QuietLatents": "a count of epochs; tests/variational",
    "tfgen.serving.batching.Batcher": "a part of the local server; tests/serving",
    "tfgen.serving.batching.Batching": "a record",
    "tfgen.serving.endpoints.Endpoint": "a record",
    "tfgen.serving.local_server.LocalServer": "a server; tested in tests/serving",
    "tfgen.serving.rest.RestServer": "a part of the local server; tests/serving",
    "tfgen.serving.served_model.Poller": "a part of the local server; tests/serving",
    "tfgen.serving.served_model.ServedModel": "a part of the local server; tests/serving",
    "tfgen.serving.session.SessionLoader": "a loader; test_served.py does without it on purpose",
}
FUNCTIONS = {
    "tfgen.losses.mmd.median_bandwidth": "a choice of bandwidth; tested in tests/losses",
    "tfgen.losses.mmd.squared_mmd": "of two samples and a kernel; tested in tests/losses",
    "tfgen.losses.perceptual.vgg16_features": "Perceptual over weights that must be downloaded",
    "tfgen.losses.pyramid.gaussian_blur": "an operation on images; tested in tests/losses",
    "tfgen.losses.pyramid.laplacian_pyramid": "an operation on images; tested in tests/losses",
    "tfgen.losses.reconstruction.mean_absolute_error": "AbsoluteError is it as a value",
    "tfgen.losses.reconstruction.mean_squared_error": "SquaredError is it as a value",
    "tfgen.losses.reconstruction.summed_squared_error": "a number of features times the mean",
}
IGNORED = BASES | MACHINERY | FUNCTIONS


def modules() -> Iterator:
    """Yields every module of the library."""
    for info in pkgutil.walk_packages(tfgen.__path__, "tfgen."):
        yield importlib.import_module(info.name)


def full_name(thing: type | Callable) -> str:
    """Returns the name under which a class or function is defined."""
    return f"{thing.__module__}.{thing.__qualname__}"


def needs_case(thing: object, module: str) -> bool:
    """Tells whether a module defines a public class whose instances a user makes."""
    return (
        inspect.isclass(thing)
        and thing.__module__ == module
        and not thing.__name__.startswith("_")
        and not inspect.isabstract(thing)
        and not issubclass(thing, BaseException)
        and Protocol not in thing.__bases__
    )


def public_classes() -> dict[str, type]:
    """Returns the public concrete classes of the library, by full name."""
    return {
        full_name(thing): thing
        for module in modules()
        for thing in vars(module).values()
        if needs_case(thing, module.__name__)
    }


def public_losses() -> dict[str, Callable]:
    """Returns the public functions of the packages of losses, by full name."""
    found = (getattr(tfgen.losses, name) for name in tfgen.losses.__all__)
    return {full_name(thing): thing for thing in found if inspect.isfunction(thing)}


def nested_types(value: object) -> Iterator[type]:
    """Yields the type of an object and of all that its constructor was given."""
    yield type(value)
    if hasattr(type(value), "get_config") and "tfgen" in type(value).__module__:
        for name in inspect.signature(type(value).__init__).parameters:
            for part in keras.tree.flatten(getattr(value, name, None)):
                yield from nested_types(part)


def covered() -> set[str]:
    """Returns the full names of the classes that the table makes, on their own or in a model."""
    return {
        full_name(kind)
        for case in (*cases.MODELS, *values.VALUES, *BIJECTORS)
        for kind in nested_types(case.create())
    }


def missing(public: Mapping[str, object], listed: set[str]) -> list[str]:
    """Returns the names that are neither in the table nor ignored."""
    return sorted(set(public) - listed - set(IGNORED))


def test_every_public_class_and_loss_is_in_the_table():
    assert missing(public_classes() | public_losses(), covered()) == []


def test_models_are_cases_of_their_own():
    """A model that only occurs inside another would miss the properties of models."""
    models = [case.create() for case in cases.MODELS]
    inside = {
        kind
        for model in models
        for kind in nested_types(model)
        if issubclass(kind, tfgen.GenerativeModel)
    }
    assert inside == {type(model) for model in models}


def test_ignored_names_exist_and_are_not_in_the_table():
    public = public_classes() | public_losses()
    assert sorted(set(IGNORED) - set(public)) == []
    assert sorted(set(IGNORED) & covered()) == []


def test_an_unlisted_class_would_be_found():
    listed = covered()
    for name, kind in public_classes().items():
        if name in listed:
            assert missing({name: kind}, listed - {name}) == [name]


def test_names_in_all_exist_once():
    for module in modules():
        names = getattr(module, "__all__", [])
        assert len(names) == len(set(names)), module.__name__
        assert [name for name in names if not hasattr(module, name)] == [], module.__name__
