"""Groups of layers and their optimizers: which moves what, and what `compile` refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, Point
from tfgen.core import specs
from tfgen.model.model import GenerativeModel
from tfgen.training import keras_compat
from tfgen.training.update import Update

SGD, Adam = keras.optimizers.SGD, keras.optimizers.Adam
X = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)


class _Sum(GenerativeModel):
    """|x - (a + b)|^2: the slopes of both points are the same."""

    def __init__(self, groups=None, part=None):
        super().__init__()
        self.a, self.b = Point([0.0, 0.0]), Point([1.0, 1.0]) if part is None else part
        self.number = 3
        if groups is not None:
            self.groups = groups

    @property
    def event_spec(self):
        return specs.event_spec((2,))

    def objective(self, x, seed, training):
        return {"loss": tf.reduce_sum((x["x"] - self.a.value.value - self.b.value.value) ** 2, 1)}


class _Both(_Sum):
    groups = {"": ("a", "b")}


class _Each(_Sum):
    groups = {"left": ("a",), "right": ("b",)}
    default_optimizers = {"right": lambda: SGD(0.5)}


def compiled(kind, *args, **kwargs):
    model = kind()
    model.compile(*args, **kwargs)
    return model


def positions(model):
    return model.a.value.numpy(), model.b.value.numpy()


def step(model):
    model.train_step({"x": tf.constant(X)})
    return positions(model)


SLOPE = 2 * (1 - X.mean(0))  # Of the mean loss, at a + b = 1.


@pytest.mark.parametrize("kind", [_Sum, _Both], ids=["all", "both"])
def test_one_optimizer_moves_two_layers(kind):
    model = compiled(kind, SGD(0.25))
    a, b = step(model)
    np.testing.assert_allclose(a, -0.25 * SLOPE)
    np.testing.assert_allclose(b, 1 - 0.25 * SLOPE)
    assert model.optimizer is model.optimizer_of("")
    assert model.optimizer.iterations == 1 and model.training_steps == 1


@pytest.mark.parametrize("kind", [_Sum, _Both], ids=["all", "both"])
def test_the_optimizer_of_two_layers_has_the_moments_of_both(kind):
    model = compiled(kind, "adam")
    moments = [v.shape for v in model.optimizer.variables if v.ndim]
    assert moments == [(2,)] * 4
    ids = {id(variable) for variable in model.training_state}
    assert all(id(v) in ids for v in (*model.weights, *model.optimizer.variables[2:]))


@pytest.mark.parametrize("kind", [_Sum, _Each], ids=["one", "each"])
def test_a_compiled_model_prints_its_summary(kind):
    model, lines = compiled(kind), []
    model.summary(print_fn=lines.append)
    assert "Total params" in "".join(lines)


def test_a_layer_that_two_attributes_name_is_trained_once():
    model = _Both()
    keras_compat.untrack(model, model.b)
    model.b = model.a
    assert [id(v) for v in model.group("").trainable_variables] == [id(model.a.value)]
    model.compile(SGD(0.25))
    a, _ = step(model)
    np.testing.assert_allclose(a, 0.25 * 4 * X.mean(0))  # The slope is that of |x - 2a|^2.


class _Left(_Sum):
    groups = {"": ("a",)}


def test_only_the_layers_of_a_group_are_moved():
    model = _Left()
    model.b.trainable = False
    model.compile(SGD(0.25))
    a, b = step(model)
    np.testing.assert_allclose(a, -0.25 * SLOPE)
    np.testing.assert_array_equal(b, 1)


@pytest.mark.parametrize("groups", [{"": ("a",)}, {}], ids=str)
def test_a_part_that_no_group_trains_is_refused(groups):
    with pytest.raises(ValueError, match="Expected each part in a group.*, which no group trains"):
        _Sum(groups).compile("adam")


def test_groups_that_share_a_layer_are_refused():
    with pytest.raises(ValueError, match="Expected groups that share no layer"):
        _Sum({"left": ("a",), "right": ("a", "b")}).compile("adam")


def test_an_optimizer_of_two_groups_is_refused():
    optimizer = SGD(0.1)
    with pytest.raises(ValueError, match="Expected an optimizer of its own for each group"):
        _Each().compile(left_optimizer=optimizer, right_optimizer=optimizer)


@pytest.mark.parametrize("groups", [("a", "b"), {"": "ab"}], ids=str)
def test_groups_of_another_form_are_refused(groups):
    with pytest.raises(TypeError, match="Expected groups such as"):
        _Sum(groups).compile("adam")


@pytest.mark.parametrize("shape", [[4, 4], [4, 1]], ids=str)
def test_a_loss_of_more_axes_is_refused(shape):
    """As of a[:, None] + b, which would be averaged over all pairs."""

    class _Wide(_Sum):
        def objective(self, x, seed, training):
            return {"loss": super().objective(x, seed, training)["loss"][0] * tf.ones(shape)}

    with pytest.raises(ValueError, match=r"Expected `objective` to return a loss \[batch\]"):
        step(compiled(_Wide, "adam"))


def test_the_default_group_is_all_that_a_model_holds():
    model = _Sum()
    assert dict(model.groups) == {"": ()}
    found = model.group("").trainable_variables
    assert {id(v) for v in found} == {id(model.a.value), id(model.b.value)} and len(found) == 2
    model.compile()
    assert type(model.optimizer) is Adam


@pytest.mark.parametrize("given", ["adam", Adam(0.125, clipnorm=1.0)], ids=["name", "value"])
def test_each_group_gets_a_copy_of_its_own(given):
    model = compiled(_Each, given)
    left, right = model.left_optimizer, model.right_optimizer
    assert type(left) is type(right) is Adam and left is not right
    assert left is not given and right is not given
    wanted = keras.optimizers.get(given).get_config()
    for optimizer, layer in ((left, model.a), (right, model.b)):
        assert {**optimizer.get_config(), "name": 0} == {**wanted, "name": 0}
        assert [v.shape for v in optimizer.variables if v.ndim] == [layer.value.shape] * 2
    step(model)
    assert left.iterations == right.iterations == 1


def test_an_optimizer_of_one_group_comes_before_that_of_all():
    right = SGD(0.125)
    model = compiled(_Each, SGD(0.25), right_optimizer=right)
    assert model.right_optimizer is right
    a, b = step(model)
    np.testing.assert_allclose(a, -0.25 * SLOPE)
    np.testing.assert_allclose(b, 1 - 0.125 * SLOPE)


def test_groups_without_an_optimizer_take_their_default():
    model = compiled(_Each)
    assert type(model.left_optimizer) is Adam and type(model.right_optimizer) is SGD
    assert float(model.right_optimizer.learning_rate) == 0.5
    model = compiled(_Each, left_optimizer="sgd")
    assert type(model.left_optimizer) is SGD
    assert float(model.right_optimizer.learning_rate) == 0.5


def test_schedules_are_copied():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    model = compiled(_Each, SGD(schedule))
    for _ in range(2):
        step(model)
    for optimizer in (model.left_optimizer, model.right_optimizer):
        assert float(optimizer.learning_rate) == 0.125


@pytest.mark.parametrize("kind", [_Sum, _Both, _Each])
def test_compile_configuration_returns(kind):
    model = compiled(kind, SGD(0.125), steps_per_execution=3)
    again = kind()
    again.compile_from_config(model.get_compile_config())
    assert again.steps_per_execution == 3
    for group in kind.groups:
        assert type(again.optimizer_of(group)) is SGD
        assert float(again.optimizer_of(group).learning_rate) == 0.125


def test_an_update_may_train_some_groups():
    class _Turns(_Each):
        def updates(self, x, seed, training=True):
            terms = lambda: self.objective(x, seed, training)  # noqa: E731
            return [Update("first", terms, ("right",)), Update("second", terms, ("right", "left"))]

    model = compiled(_Turns, SGD(0.25))
    a, b = step(model)
    after_one = 1 - 0.25 * SLOPE
    slope = 2 * (after_one - X.mean(0))
    np.testing.assert_allclose(a, -0.25 * slope)
    np.testing.assert_allclose(b, after_one - 0.25 * slope)


UNBUILT = {
    "a layer": lambda: keras.layers.Dense(2),
    "layers in a row": lambda: keras.Sequential([keras.layers.Dense(2)]),
}


@pytest.mark.parametrize("make", UNBUILT.values(), ids=UNBUILT)
@pytest.mark.parametrize(
    "groups",
    [{"": ()}, {"": ("a", "b")}, {"left": ("a",), "right": ("b",)}],
    ids=str,
)
def test_a_layer_that_is_not_built(make, groups):
    model = _Sum(groups, part=make())
    with pytest.raises(ValueError, match=f"Expected `{model.b.name}` to be built.*no weights yet"):
        model.compile("adam")
    assert not model.compiled
    model.b.build((None, 2))
    model.compile("adam")


@pytest.mark.parametrize("attribute", ["number", "groups", "nothing"])
def test_a_group_that_names_no_layer(attribute):
    model = _Sum({"": ("a", attribute)})
    with pytest.raises(ValueError, match=f"'' to name layers of _Sum. Received: '{attribute}', "):
        model.compile("adam")
    assert not model.compiled


def test_an_unknown_group():
    class _Lost(_Each):
        def updates(self, x, seed, training=True):
            return [Update("loss", lambda: self.objective(x, seed, training), ("middle",))]

    what = r"Expected a group among \['left', 'right'\]. Received: 'middle'"
    with pytest.raises(ValueError, match=what):
        _Each().group("middle")
    model = compiled(_Lost, "adam")
    with pytest.raises(ValueError, match=what):
        model.fit(X, batch_size=2, verbose=0)
    assert model.training_steps == 0


@pytest.mark.parametrize(
    "kind, arguments, message",
    [
        (_Each, {"middle_optimizer": "adam"}, r"\['left_optimizer', 'optimizer', 'right_opt"),
        (_Both, {"a_optimizer": "adam"}, r"optimizers among \['optimizer'\].*\['a_optimizer'\]"),
        (_Each, {"left_optimizer": "adan"}, "`left_optimizer` to be a Keras optimizer.*'adan'"),
        (_Both, {"optimizer": 3}, "`optimizer` to be a Keras optimizer or the name of one.*3"),
        (_Each, {"optimizer": "adan"}, "`left_optimizer` to be a Keras optimizer.*'adan'"),
    ],
)
def test_bad_optimizers(kind, arguments, message):
    model = kind()
    with pytest.raises((TypeError, ValueError), match=f"{message}"):
        model.compile(**arguments)
    assert not model.compiled


DICTIONARY = "`objective` to return a dictionary"
OBJECTIVES = {
    "a tensor": (
        lambda loss: loss,
        TypeError,
        DICTIONARY + r", {\"loss\": \[batch\]",
    ),
    "a scalar": (
        tf.reduce_mean,
        TypeError,
        DICTIONARY + ".* Received: SymbolicTensor",
    ),
    "a list": (
        lambda loss: [loss],
        TypeError,
        DICTIONARY + ".* Received: list",
    ),
    "nothing": (
        lambda loss: None,
        TypeError,
        DICTIONARY + ".* Received: NoneType",
    ),
    "no loss": (
        lambda loss: {"kl": loss},
        ValueError,
        r"terms with 'loss' among them.*\['kl'\]",
    ),
    "a pair of tensors": (
        lambda loss: (loss, loss),
        TypeError,
        DICTIONARY,
    ),
    "three": (
        lambda loss: (loss, loss, loss),
        TypeError,
        DICTIONARY + ".*: tuple",
    ),
}


@pytest.mark.parametrize("change, error, message", OBJECTIVES.values(), ids=OBJECTIVES)
def test_objectives_without_terms_by_name(change, error, message):
    class _Bad(_Sum):
        def objective(self, x, seed, training):
            return change(super().objective(x, seed, training)["loss"])

    model = compiled(_Bad, "adam")
    with pytest.raises(error, match=message) as raised:
        model.fit(X, batch_size=2, verbose=0)
    assert COMPLAINT[:9] in str(raised.value) and "Received: " in str(raised.value)
    assert model.training_steps == 0


def test_a_loss_of_the_whole_batch_is_fine():
    class _Whole(_Sum):
        def objective(self, x, seed, training):
            return {"loss": tf.reduce_mean(super().objective(x, seed, training)["loss"])}

    np.testing.assert_allclose(step(compiled(_Whole, SGD(0.25))), step(compiled(_Sum, SGD(0.25))))


def test_a_model_without_an_objective():
    class _Idle(_Sum):
        objective = GenerativeModel.objective

    with pytest.raises(NotImplementedError, match="_Idle writes neither objective nor updates"):
        compiled(_Idle).fit(X, batch_size=2, verbose=0)


def test_a_model_without_a_specification():
    class _Vague(_Sum):
        event_spec = GenerativeModel.event_spec

    with pytest.raises(NotImplementedError, match="Expected a property `event_spec`.*_Vague"):
        compiled(_Vague).fit(X, batch_size=2, verbose=0)
