"""`get_config` and `from_config` of classes whose arguments are of every kind."""

import keras
import pytest

from tfgen.core.config import Configurable, register
from tfgen.losses import SquaredError, WeightedSum
from tfgen.networks import MLP


@register
class _Everything(Configurable, keras.layers.Layer):
    def __init__(self, size, sizes, options, inner, *, flag=False, nothing=None, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.sizes = tuple(sizes)
        self.options = options
        self.inner = inner
        self.flag = flag
        self.nothing = nothing


def test_every_argument_returns():
    layer = _Everything(
        3, (1, 2), {"a": [0.5, None]}, MLP((2,), (4,)), flag=True, name="all", dtype="float16"
    )
    again = _Everything.from_config(layer.get_config())
    assert (again.size, tuple(again.sizes), again.flag, again.nothing) == (3, (1, 2), True, None)
    assert dict(again.options) == {"a": [0.5, None]}
    assert isinstance(again.inner, MLP) and again.inner.hidden_units == (4,)
    assert again.name == "all" and again.dtype_policy.name == "float16" and again.trainable


def test_registered_under_the_package_name():
    loss = WeightedSum((SquaredError(), SquaredError()), (1.0, 2.0))
    serialised = keras.saving.serialize_keras_object(loss)
    assert serialised["registered_name"] == "tfgen>WeightedSum"
    again = keras.saving.deserialize_keras_object(serialised)
    assert list(again.weights) == [1.0, 2.0]
    assert all(isinstance(part, SquaredError) for part in again.parts)


def test_an_argument_that_is_not_kept_is_an_error():
    class Forgetful(Configurable):
        def __init__(self, size):
            pass

    with pytest.raises(TypeError, match="Expected `self.size` of Forgetful.* Received: "):
        Forgetful(3).get_config()


def _named_like_ours():
    @register
    class MLP(Configurable, keras.layers.Layer):
        def __init__(self, size, **kwargs):
            super().__init__(**kwargs)
            self.size = size

    return MLP


def test_a_class_of_yours_does_not_take_the_place_of_ours():
    yours, ours = _named_like_ours()(3), MLP((2,), (4,))
    name = keras.saving.get_registered_name(type(yours))
    assert name == f"{__name__}>MLP" and not name.startswith("tfgen>")
    assert keras.saving.get_registered_object(name) is type(yours)
    assert keras.saving.get_registered_object("tfgen>MLP") is MLP
    for layer in (yours, ours):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(again) is type(layer) and again.get_config() == layer.get_config()


def test_a_class_under_a_taken_name_is_refused():
    def other():
        @register
        class _Everything(Configurable):
            pass

    taken = rf"a class of another name than {__name__}>_Everything, which is taken"
    with pytest.raises(ValueError, match=rf"Expected {taken}. Received: {__name__}.*other"):
        other()
    assert keras.saving.get_registered_object(f"{__name__}>_Everything") is _Everything
    intruder = type("MLP", (Configurable,), {"__module__": "tfgen.elsewhere"})
    with pytest.raises(ValueError, match="than tfgen>MLP, .*Received: tfgen.elsewhere.MLP"):
        register(intruder)
    assert keras.saving.get_registered_object("tfgen>MLP") is MLP


def test_a_class_may_be_defined_again():
    """As in a notebook: the latest is what files name."""

    def define(size):
        @register
        class _Again(Configurable, keras.layers.Layer):
            default = size

        return _Again

    first, second = define(1), define(2)
    assert first is not second
    assert keras.saving.get_registered_object(f"{__name__}>_Again") is second


def test_a_module_that_only_begins_like_ours_is_another():
    mine = type("MLP", (Configurable,), {"__module__": "tfgen_extras.networks"})
    register(mine)
    assert keras.saving.get_registered_name(mine) == "tfgen_extras.networks>MLP"
