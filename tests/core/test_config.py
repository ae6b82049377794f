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

    with pytest.raises(AttributeError, match="size"):
        Forgetful(3).get_config()
