"""Models that are trained in stages, with stages that are small fakes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tests.small_models import COMPLAINT, center, position
from tfgen.callbacks import Callback, Checkpoint
from tfgen.core import specs
from tfgen.data.examples import Examples
from tfgen.model.model import GenerativeModel
from tfgen.model.stages import Stage, StagedModel

SGD = keras.optimizers.SGD
X = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)


class _Course(StagedModel):
    """Two centers: that of the data, then that of the first eight, less the first center."""

    closed = False

    def __init__(self):
        super().__init__()
        self.first, self.second = center(), center()
        self.asked = []

    @property
    def event_spec(self):
        return self.first.event_spec

    def stages(self):
        rest = Stage("second", self.second, self._rest, num_examples=8, validated=not self.closed)
        return [Stage("first", self.first), rest]

    def _rest(self, data):
        self.asked.append(self.first.training_steps)
        x = data.as_float() if isinstance(data, Examples) else np.asarray(data)
        return x[:8] - position(self.first)


class _Closed(_Course):
    closed = True


class _Whole(StagedModel):
    """A center, and then, in a stage of its own, how far the data are from it."""

    groups = {"spread": ("spread",)}
    default_optimizers = {"spread": lambda: SGD(0.25)}

    def __init__(self):
        super().__init__()
        self.center = center()
        self.spread = center((1.0, 1.0)).point

    @property
    def event_spec(self):
        return specs.event_spec((2,))

    def stages(self):
        return [Stage("place", self.center), Stage("width", self)]

    def objective(self, x, seed, training):
        squares = (x["x"] - self.center.point.value.value) ** 2
        return {"loss": tf.reduce_sum((squares - self.spread.value.value) ** 2, 1)}


class Watch(Callback):
    """Notes what it is told, and when."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((self.stage, epoch, self.model, self.whole))


def compiled(kind=_Course, *args, **kwargs):
    model = kind()
    model.compile(*args, **kwargs)
    return model


def fitted(model=None, x=X, **kwargs):
    model = model or compiled()
    history = model.fit(x, **({"batch_size": 4, "verbose": 0} | kwargs)).history
    return model, history


def steps(model):
    return model.first.training_steps, model.second.training_steps


def state(model):
    return [v.numpy() for part in (model.first, model.second) for v in part.training_state]


@pytest.fixture(scope="module")
def plain():
    """A model of two epochs a stage; not to be changed."""
    return fitted(epochs=2)[0]


def test_one_stage_after_the_other():
    seen = []
    model, history = fitted(epochs=2, callbacks=[Watch(seen)])
    first, second = model.first, model.second
    assert seen == [
        *(("first", epoch, first, model) for epoch in (0, 1)),
        *(("second", epoch, second, model) for epoch in (0, 1)),
    ]
    assert model.asked == [6]  # When the first was trained.
    assert {name: len(values) for name, values in history.items()} == {
        "first_loss": 2,
        "second_loss": 2,
    }
    assert steps(model) == (6, 4) and model.training_steps == 10


def test_stages_are_trained_as_models_are_alone():
    model, history = fitted(epochs=3)
    alone = center()
    losses = alone.fit(Examples(X, batch_size=4), epochs=3, verbose=0).history["loss"]
    np.testing.assert_array_equal(position(model.first), position(alone))
    assert history["first_loss"] == losses
    rest = center()
    moved = Examples(X[:8] - position(alone), batch_size=4)
    assert history["second_loss"] == rest.fit(moved, epochs=3, verbose=0).history["loss"]
    np.testing.assert_array_equal(position(model.second), position(rest))


@pytest.mark.parametrize(
    "arguments, counts",
    [
        ({"epochs": {"first": 2, "second": 3}}, (2 * 3, 3 * 2)),
        ({"epochs": {"second": 3}}, (3, 6)),
        ({"epochs": 0}, (0, 0)),
        ({"batch_size": {"first": 6, "second": 2}}, (2, 4)),
        ({"batch_size": {"first": 6}}, (2, 1)),  # All eight.
        ({"batch_size": 12}, (1, 1)),  # The second has fewer.
        ({"batch_size": {"second": 3}, "x": Examples(X, batch_size=6)}, (2, 2)),
        ({"batch_size": None, "x": Examples(X, batch_size=6)}, (2, 1)),
        ({"epochs": 3, "initial_epoch": {"second": 1}}, (9, 4)),
        ({"epochs": 3, "initial_epoch": 2}, (3, 2)),
    ],
    ids=str,
)
def test_numbers_of_each_stage(arguments, counts):
    model, _ = fitted(**arguments)
    assert steps(model) == counts


def test_steps_of_a_dataset_are_of_the_first_stage():
    class _Fixed(_Course):
        def stages(self):
            return [Stage("first", self.first), Stage("second", self.second, lambda data: X[:8])]

    data = tf.data.Dataset.from_tensor_slices({"x": X}).repeat().batch(2)
    arguments = {"epochs": 2, "steps_per_epoch": 5}
    model, _ = fitted(compiled(_Fixed), data, batch_size={"second": 4}, **arguments)
    assert steps(model) == (10, 4)


BAD = [
    {"epochs": {"third": 1}},
    {"epochs": {"first": -1}},
    {"epochs": {"second": 1.5}},
    {"epochs": -1},
    {"epochs": "2"},
    {"initial_epoch": {"second": -1}},
    {"initial_epoch": {"last": 1}},
    {"batch_size": {"frist": 4}},
    {"batch_size": {"first": 13}},
    {"batch_size": {"second": 9}},
    {"batch_size": {"second": 0}},
    {"batch_size": {"second": 2.5}},
    {"batch_size": 13},
    {"steps_per_epoch": 2},
    {"shuffle": False},
    {"class_weight": {0: 1.0}},
    {"x": X[:, :1]},
    {"x": np.where(X == X[3], np.nan, X)},
]


@pytest.mark.parametrize("arguments", BAD, ids=[f"{list(a)}, {i}" for i, a in enumerate(BAD)])
def test_mistakes_are_seen_before_any_work(arguments):
    model = compiled()
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        fitted(model, **arguments)
    assert steps(model) == (0, 0) and model.asked == []


def test_fit_before_compile():
    with pytest.raises(ValueError, match="compile"):
        fitted(_Whole())
    model = _Course()  # Its stages come compiled.
    model.first.compiled = False
    with pytest.raises(ValueError, match="compile"):
        fitted(model)


def test_optimizers_go_to_their_stages():
    model = compiled(_Course, first_point_optimizer=SGD(0.5), second_optimizer="adam")
    assert float(model.first.point_optimizer.learning_rate) == 0.5
    assert type(model.second.point_optimizer) is keras.optimizers.Adam
    given = SGD(0.125)
    model.compile(given, steps_per_execution=2)
    parts = model.first.point_optimizer, model.second.point_optimizer
    assert parts[0] is not parts[1]
    assert [float(part.learning_rate) for part in parts] == [0.125] * 2
    assert model.first.steps_per_execution == model.second.steps_per_execution == 2
    model.compile()
    assert float(model.first.point_optimizer.learning_rate) == 0.25  # The model's default.


@pytest.mark.parametrize(
    "name", ["point_optimizer", "third_optimizer", "first_line_optimizer", "jit"]
)
def test_settings_of_no_stage(name):
    with pytest.raises(TypeError, match=COMPLAINT):
        _Course().compile(**{name: "sgd"})


def test_a_stage_that_is_the_model_itself():
    seen = []
    model, history = fitted(compiled(_Whole), epochs=40, callbacks=[Watch(seen)])
    assert set(history) == {"place_loss", "width_loss"}
    assert seen[0] == ("place", 0, model.center, model)
    assert seen[-1] == ("width", 39, model, model) and len(seen) == 80
    assert (model.center.training_steps, int(model.step)) == (120, 120)
    assert model.training_steps == 240
    variance = ((X - position(model.center)) ** 2).mean(0)
    np.testing.assert_allclose(model.spread.value.numpy(), variance, atol=0.6)
    assert history["width_loss"][-1] < history["width_loss"][0]


def test_the_optimizers_of_a_model_that_is_a_stage():
    model = compiled(_Whole, place_optimizer=SGD(0.5), width_spread_optimizer=SGD(0.125))
    assert float(model.spread_optimizer.learning_rate) == 0.125
    assert float(model.center.point_optimizer.learning_rate) == 0.5
    again = _Whole()
    again.compile_from_config(model.get_compile_config())
    assert float(again.spread_optimizer.learning_rate) == 0.125


def test_callbacks_that_know_no_stages_see_each_model():
    seen = []

    class Plain(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.model)

    watch = Watch([])
    model, _ = fitted(callbacks=[Plain(), watch])
    assert seen == [model.first, model.second]
    assert (watch.stage, watch.whole) == ("", None)  # Copies are told, not the callback itself.


def test_a_model_without_stages_has_no_stage():
    seen = []
    center().fit(X, batch_size=4, verbose=0, callbacks=[Watch(seen)])
    assert [(stage, whole) for stage, _, _, whole in seen] == [("", None)]


@pytest.mark.parametrize("x", [X, Examples(X, batch_size=6)], ids=["array", "examples"])
def test_evaluate_goes_through_the_stages(plain, x):
    model, before = plain, state(plain)
    batch_size = 4 if isinstance(x, np.ndarray) else None
    logs = model.evaluate(x, batch_size=batch_size, return_dict=True, verbose=0)
    places = position(model.first), position(model.second)
    expected = {
        "first_loss": ((X - places[0]) ** 2).sum(1).mean(),
        "second_loss": ((X[:8] - places[0] - places[1]) ** 2).sum(1).mean(),
    }
    assert logs == pytest.approx(expected, rel=1e-5)
    values = model.evaluate(x, batch_size=batch_size, verbose=0)
    assert values == pytest.approx(list(expected.values()), rel=1e-5)
    for a, b in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluate_a_model_that_is_a_stage():
    model, _ = fitted(compiled(_Whole))
    logs = model.evaluate(X, batch_size=4, return_dict=True, verbose=0)
    spread, place = model.spread.value.numpy(), position(model.center)
    expected = (((X - place) ** 2 - spread) ** 2).sum(1).mean()
    assert logs["width_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("data", [X, Examples(X, batch_size=4)], ids=["array", "examples"])
def test_validation_data_is_for_all_stages(plain, data):
    model, history = fitted(epochs=2, validation_data=data)
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ["first_loss", "first_val_loss", "second_loss", "second_val_loss"], 2
    )
    place = position(model.first)
    rest = ((X[:8] - place - position(model.second)) ** 2).sum(1).mean()
    assert history["first_val_loss"][-1] == pytest.approx(((X - place) ** 2).sum(1).mean())
    assert history["second_val_loss"][-1] == pytest.approx(rest)
    for a, b in zip(state(model), state(plain), strict=True):
        np.testing.assert_array_equal(a, b)


def test_stages_that_cannot_be_validated_say_so():
    model = compiled(_Closed)
    with pytest.raises(TypeError, match="Expected no `validation_data`: second learn.*Examples"):
        fitted(model, validation_data=Examples(X, batch_size=4))
    assert steps(model) == (0, 0)
    fitted(model, validation_data=None)


def test_weights_are_refused_with_the_reason():
    for given in ({"class_weight": {0: 1.0}}, {"validation_data": (X, None, np.ones(len(X)))}):
        with pytest.raises(ValueError, match="weight`: what is to count more has to occur more"):
            fitted(**given)
    fitted(class_weight=None, validation_split=None)


class Killed(Exception):
    pass


class Kill(Callback):
    """Ends a run as an epoch of a stage begins."""

    def __init__(self, stage, epoch):
        super().__init__()
        self.at = (stage, epoch)

    def on_epoch_begin(self, epoch, logs=None):
        if (self.stage, epoch) == self.at:
            raise Killed


@pytest.mark.parametrize("at", [("first", 1), ("second", 0), ("second", 1)])
def test_a_run_goes_on_in_the_stage_where_it_was_killed(plain, tmp_path, at):
    with pytest.raises(Killed):
        fitted(epochs=2, callbacks=[Checkpoint(tmp_path), Kill(*at)])
    seen = []
    model, _ = fitted(epochs=2, callbacks=[Checkpoint(tmp_path), Watch(seen)])
    done = {"first": at[1], "second": 0} if at[0] == "first" else {"first": 2, "second": at[1]}
    assert [(stage, epoch) for stage, epoch, _, _ in seen] == [
        (stage, epoch) for stage in ("first", "second") for epoch in range(done[stage], 2)
    ]
    assert steps(model) == (6, 4)
    for a, b in zip(state(model), state(plain), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


def test_the_progress_is_told(capsys):
    fitted(verbose=2)
    told = [line for line in capsys.readouterr().out.splitlines() if "stage" in line]
    assert told == ["first, stage 1 of 2", "second, stage 2 of 2"]
    fitted(verbose=0)
    assert capsys.readouterr().out == ""


def test_a_model_that_lists_no_stages():
    class _Empty(StagedModel):
        event_spec = GenerativeModel.event_spec

    with pytest.raises(NotImplementedError, match="_Empty writes no stages"):
        _Empty().compile()


@pytest.mark.parametrize("form", [lambda x: x, lambda x: (x,)], ids=["array", "tuple"])
def test_a_model_that_is_a_stage_of_itself_can_be_validated(form):
    case = cases.named("codebook")
    model = case.compiled()
    history = case.train(model, validation_data=form(case.data())).history.history
    assert {"codes_val_loss", "prior_val_loss"} <= set(history)
