"""A configuration is JSON, says every constructor argument, and makes the like."""

import inspect
import json

import keras
import pytest

from tests.contract import cases, values
from tfgen.model import StagedModel
from tfgen.model.groups import optimizer_name

CASES = (*cases.MODELS, *values.VALUES)


def constructor_arguments(cls: type) -> set[str]:
    parameters = inspect.signature(cls.__init__).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name for p in parameters if p.kind in kinds} - {"self"}


@pytest.mark.parametrize("case", **cases.by_name(CASES))
def test_configuration_round_trip(case):
    value = case.create()
    config = value.get_config()
    text = json.dumps(config)
    again = type(value).from_config(json.loads(text))
    assert type(again) is type(value)
    assert json.dumps(again.get_config()) == text
    assert json.dumps(config) == text, "from_config changed the configuration"
    for name in constructor_arguments(type(value)):
        argument = getattr(value, name, None)
        if isinstance(argument, bool | int | float | str | tuple):
            assert getattr(again, name) == argument, name


@pytest.mark.parametrize("case", **cases.by_name(CASES))
def test_configuration_says_every_argument(case):
    value = case.create()
    assert constructor_arguments(type(value)) <= set(value.get_config())


@pytest.mark.parametrize("case", **cases.by_name(CASES))
def test_a_file_can_name_it(case):
    value = case.create()
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(value)))
    kind = type(value)
    package = "tfgen" if kind.__module__.startswith("tfgen.") else kind.__module__
    assert serialized["registered_name"] == f"{package}>{kind.__name__}"
    again = keras.saving.deserialize_keras_object(serialized)
    assert json.dumps(again.get_config()) == json.dumps(value.get_config())


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_models_keep_their_optimizers_arguments(case):
    model = case.create()
    for name, stage, _ in case.batches(model):
        prefix = f"{name}_" if isinstance(stage, StagedModel) else ""
        groups = list(stage.groups)[:1]
        optimizers = {prefix + optimizer_name(g): keras.optimizers.SGD(0.25) for g in groups}
        stage.compile(steps_per_execution=3, **optimizers)
        config = json.loads(json.dumps(stage.get_compile_config()))
        again = type(stage).from_config(stage.get_config())
        again.compile_from_config(config)
        assert again.get_compile_config() == config
        assert all(float(again.optimizer_of(g).learning_rate) == 0.25 for g in groups)
        assert again.steps_per_execution == 3
