"""The training step and `compile`, and what they refuse, before any work."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, Point, blocks, center, position, small_glo
from tfgen.callbacks import Checkpoint
from tfgen.core import specs
from tfgen.data.batches import as_batch
from tfgen.data.examples import Examples
from tfgen.latent import RowAdam
from tfgen.model.model import GenerativeModel
from tfgen.training.averages import average_of

X = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)


def dataset(x=X, batch_size=2):
    return tf.data.Dataset.from_tensor_slices({"x": x}).batch(batch_size)


def test_fit_takes_the_steps_of_gradient_descent():
    model = center((0.0, 0.0))
    history = model.fit(dataset(), epochs=1, verbose=0)
    # Steps of 0.25 on mean |x - w|^2 go half of the way to the mean of each batch.
    np.testing.assert_allclose(position(model), [0.5 * (1 + 6), 0.5 * (1.5 + 7)])
    losses = [((X[:2] - [0, 0]) ** 2).sum(1).mean(), ((X[2:] - [1, 1.5]) ** 2).sum(1).mean()]
    assert history.history["loss"] == [pytest.approx(np.mean(losses))]
    assert model.step.numpy() == 2


def test_training_again_goes_on():
    once, twice = center(), center()
    losses = once.fit(dataset(), epochs=2, verbose=0).history["loss"]
    again = [twice.fit(dataset(), verbose=0).history["loss"][0] for _ in range(2)]
    assert again == pytest.approx(losses) and losses[0] != losses[1]
    np.testing.assert_array_equal(position(once), position(twice))
    assert twice.step.numpy() == 4


@pytest.mark.parametrize(
    "arguments", [{"x": dataset()}, {"x": X, "batch_size": 2}, {"x": Examples(X, batch_size=1)}]
)
@pytest.mark.parametrize("trained", [False, True])
def test_evaluate_averages_over_all_and_moves_nothing(arguments, trained):
    model = center((1.0, 1.0))
    if trained:
        model.compile(optimizer=keras.optimizers.SGD(0.0))
        model.fit(dataset(X - 1), validation_data=dataset(), verbose=0)
    steps = model.step.numpy()
    logs = model.evaluate(**arguments, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(((X - 1) ** 2).sum(1).mean())
    assert position(model).tolist() == [1, 1] and model.step.numpy() == steps


@pytest.mark.parametrize("validation_data", [dataset(), Examples(X, batch_size=1)])
def test_validation_data(validation_data):
    data = dataset(X * 0 + 3)
    model = center((1.0, 1.0))
    history = model.fit(data, epochs=2, validation_data=validation_data, verbose=0).history
    # Two steps go three quarters of the way from 1 to 3, two more 15 sixteenths.
    expected = [((X - place) ** 2).sum(1).mean() for place in (2.5, 2.875)]
    assert history["val_loss"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "data, expected",
    [
        (X, {"x": X}),
        ((X,), {"x": X}),
        ((X, 5), {"x": X, "label": 5}),
        ({"x": X, "index": 3}, {"x": X, "index": 3}),
        (({"x": X, "index": 3}, 5), {"x": X, "index": 3, "label": 5}),
    ],
)
def test_forms_of_a_batch(data, expected):
    batch = as_batch(data)
    assert batch.keys() == expected.keys()
    assert all(batch[key] is expected[key] for key in expected)


BAD_DATA = {
    "nothing": None,
    "a list": [[0.0, 1.0]],
    "a generator": (batch for batch in [X]),
    "integers": X.astype(np.int32),
    "strings": np.array([["a", "b"]] * 4),
    "objects": np.array([[None, None]] * 4),
    "complex numbers": X.astype(np.complex64),
    "no axes": np.float32(3),
    "one axis": X[:, 0],
    "no examples": X[:0],
    "empty examples": X[:, :0],
    "NaN": np.where(X == 3, np.nan, X),
    "infinity": np.where(X == 3, np.inf, X),
    "an empty dataset": dataset().take(0),
    "too few for one full batch": tf.data.Dataset.from_tensor_slices({"x": X}).batch(
        5, drop_remainder=True
    ),
    "no x in the batches": tf.data.Dataset.from_tensor_slices({"image": X}).batch(2),
}


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data(data):
    model = center()
    arguments = {"batch_size": 2} if isinstance(data, (np.ndarray, np.generic)) else {}
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        model.fit(data, verbose=0, **arguments)
    assert model.step.numpy() == 0 and position(model).tolist() == [0, 0]


@pytest.mark.parametrize("steps", [1, 3, 0])
def test_the_steps_of_an_epoch_of_an_array_are_its_batches(steps):
    model = center()
    with pytest.raises(ValueError, match=f"`steps_per_epoch`, or 2.*Received: {steps}"):
        model.fit(X, batch_size=2, steps_per_epoch=steps, verbose=0)
    model.fit(X, batch_size=2, steps_per_epoch=2, verbose=0)
    model.fit(dataset().repeat(), steps_per_epoch=3, verbose=0)
    assert model.step.numpy() == 2 + 3


@pytest.mark.parametrize("batch_size", [5, 0, -1, 1.5, "2"])
def test_bad_batch_size(batch_size):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        center().fit(X, batch_size=batch_size)
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        Examples(blocks(4), batch_size=batch_size)


def test_fewer_examples_than_the_default_batch():
    with pytest.raises(ValueError, match=r"Expected .*32.* Received: 4"):
        center().fit(X)


BAD_LABELS = {
    "too few": np.zeros(3, np.int64),
    "fractions": np.zeros(4),
    "two axes": np.zeros([4, 1], np.int64),
    "negative": np.array([0, 1, -1, 0]),
}


@pytest.mark.parametrize("labels", BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels(labels):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        center().fit(X, labels, batch_size=2)


@pytest.mark.parametrize("arguments", [{"y": np.zeros(4, int)}, {"batch_size": 2}])
def test_arguments_of_arrays_given_with_a_dataset(arguments):
    with pytest.raises(ValueError, match=COMPLAINT):
        center().fit(dataset(), **arguments)


def test_fit_before_compile():
    with pytest.raises(ValueError, match="compile"):
        small_glo().fit(blocks(), batch_size=4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"generator_optimizer": "adan"},
        {"generator_optimizer": 3},
        {"discriminator_optimizer": "adam"},
        {"optimizer": "adam"},  # The latents need a row-wise one.
        {"latents_optimizer": "adam"},
        {"latents_optimizer": keras.optimizers.SGD(0.1)},
        {"latents_optimizer": 3},
    ],
    ids=["no name", "a number", "no group", "all groups", "no row", "no row, made", "row number"],
)
def test_bad_optimizer(arguments):
    model = small_glo()
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        model.compile(**arguments)
    assert not model.compiled


def test_optimizers_by_name_value_and_default():
    model = small_glo()
    rows = RowAdam(0.125)
    model.compile(generator_optimizer="rmsprop", latents_optimizer=rows)
    assert isinstance(model.generator_optimizer, keras.optimizers.RMSprop)
    assert model.latents_optimizer is rows
    model.compile()
    assert isinstance(model.generator_optimizer, keras.optimizers.Adam)
    assert float(model.generator_optimizer.learning_rate) == pytest.approx(1e-3)
    assert isinstance(model.latents_optimizer, RowAdam)


def test_the_optimizer_of_one_group_goes_by_a_short_name():
    model = center()
    model.compile(optimizer=keras.optimizers.SGD(0.5))
    model.fit(dataset(), epochs=1, verbose=0)
    np.testing.assert_allclose(position(model), X[2:].mean(0))


def test_compile_configuration_returns():
    model = small_glo()
    assert model.get_compile_config() == {}
    model.compile(latents_optimizer=RowAdam(0.125), steps_per_execution=2, jit_compile=True)
    again = small_glo()
    again.compile_from_config(model.get_compile_config())
    assert float(again.latents_optimizer.learning_rate) == 0.125
    assert again.steps_per_execution == 2 and again.jit_compile


def test_training_state_is_all_that_a_step_changes():
    model = small_glo()
    model.compile()
    state = {id(variable) for variable in model.training_state}
    for part in (model.step, model.latents.codes, *model.generator.weights):
        assert id(part) in state
    for optimizer in (model.generator_optimizer, model.latents_optimizer):
        others = [v.name for v in optimizer.variables if id(v) not in state]
        assert others == ["learning_rate"]  # It is what `compile` says.


@pytest.mark.parametrize("verb", ["predict", "predict_on_batch"])
def test_there_is_no_prediction(verb):
    with pytest.raises(NotImplementedError) as error:
        getattr(small_glo(), verb)(blocks())
    assert str(error.value) == "GLO has no predict; it has sample, decode, encode, reconstruct"
    with pytest.raises(NotImplementedError, match="_Center has no predict; it has no verb"):
        getattr(center(), verb)(X, verbose=0)


@pytest.mark.parametrize("num_points", [1, 0, 2.5])
def test_bad_number_of_points(num_points):
    with pytest.raises((TypeError, ValueError), match=f"`num_points`.*{COMPLAINT[9:]}"):
        small_glo().interpolate(tf.zeros([1, 3]), tf.ones([1, 3]), num_points=num_points)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_bad_seed(seed):
    with pytest.raises((TypeError, ValueError), match=f"`seed`.*{COMPLAINT[9:]}"):
        small_glo(seed=seed)


class _Prepared(GenerativeModel):
    """Begins from the mean of the first batch, and keeps an average."""

    ema_decay = 0.5

    def __init__(self):
        super().__init__()
        self.place = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")
        self.place.build((None, 1))
        self.average = average_of(self.place, self.ema_decay)
        self.given = []

    @property
    def event_spec(self):
        return specs.event_spec((2,))

    @property
    def averages(self):
        return [(self.average, self.place)]

    def prepare(self, x, examples):
        self.given.append((x, examples, self.training_steps))
        self.place.kernel.assign(tf.reduce_mean(x["x"], 0, keepdims=True))

    def objective(self, x, seed, training):
        return {"loss": tf.reduce_sum((x["x"] - self.place.kernel.value[0]) ** 2, 1)}


def prepared(rate=0.0):
    model = _Prepared()
    model.compile(keras.optimizers.SGD(rate))
    return model


def test_prepare_is_given_the_first_batch_before_the_first_step():
    model, examples = prepared(), Examples(X, batch_size=2)
    model.fit(examples, epochs=2, verbose=0)
    ((batch, given, steps),) = model.given
    first = next(iter(examples))
    assert (given, steps) == (examples, 0) and batch.keys() == first.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(batch[name], value)
    np.testing.assert_allclose(model.place.kernel.numpy()[0], first["x"].numpy().mean(0))
    model = prepared()
    model.fit(dataset(), verbose=0)
    ((batch, given, _),) = model.given
    assert given is None
    np.testing.assert_array_equal(batch["x"], X[:2])


def test_prepare_runs_once_in_the_life_of_a_model(tmp_path):
    model = prepared()
    checkpoint = {"callbacks": [Checkpoint(tmp_path / "run")], "verbose": 0}
    model.fit(dataset(), **checkpoint)
    model.fit(dataset(X + 5), verbose=0)
    assert len(model.given) == 1
    resumed, fresh = prepared(), prepared()
    resumed.fit(dataset(X + 5), epochs=2, **checkpoint)
    fresh.fit(dataset(X + 5), verbose=0)
    assert len(resumed.given) == 0 and len(fresh.given) == 1
    np.testing.assert_array_equal(resumed.place.kernel.numpy()[0], X[:2].mean(0))
    fresh.set_weights(model.get_weights())  # Of one that is prepared.
    fresh.prepare_once(dataset())
    assert len(fresh.given) == 1
    fresh.evaluate(dataset(), verbose=0)
    prepared().evaluate(dataset(), verbose=0)


def test_averages_begin_from_the_prepared_weights():
    model = prepared(rate=0.25)
    begin = X[:2].mean(0)
    model.fit(dataset(X[:2]), epochs=0, verbose=0)
    np.testing.assert_array_equal(model.average.kernel.numpy()[0], begin)
    model.fit(dataset(X[2:]), verbose=0)
    moved = begin + 0.5 * (X[2:].mean(0) - begin)
    np.testing.assert_allclose(model.place.kernel.numpy()[0], moved)
    np.testing.assert_allclose(  # The first decay is 1 / 10.
        model.average.kernel.numpy()[0], 0.1 * begin + 0.9 * moved, rtol=1e-6
    )


class _Noisy(GenerativeModel):
    """Its loss is noise."""

    def __init__(self, seed=0):
        super().__init__(seed=seed)
        self.point = Point([1.0])

    @property
    def event_spec(self):
        return specs.event_spec((2,))

    def objective(self, x, seed, training):
        noise = tf.random.stateless_normal(tf.shape(x["x"])[:1], seed)
        return {"loss": noise + 0.0 * self.point.value.value}


class Losses(keras.callbacks.Callback):
    """Keeps the loss of each batch; the logs are the means so far."""

    def __init__(self):
        super().__init__()
        self.passes = []

    def on_test_begin(self, logs=None):
        self.passes.append([])

    def on_test_batch_end(self, batch, logs=None):
        self.passes[-1].append((batch + 1) * logs["loss"] - sum(self.passes[-1]))


def test_evaluation_noise_is_of_the_batch_of_the_pass_and_of_the_seed():
    def evaluated(model, data=dataset()):  # noqa: B008
        losses = Losses()
        model.evaluate(data, verbose=0, callbacks=[losses])
        return losses.passes[0]

    model, other = _Noisy(), _Noisy(seed=1)
    for each in (model, other):
        each.compile(keras.optimizers.SGD(0.1))
    first, again = evaluated(model), evaluated(model)
    assert first == again and len(set(first)) == 2
    assert evaluated(model, dataset(X[:2]))[0] == first[0]
    watch = Losses()
    history = model.fit(
        dataset(), epochs=3, validation_data=dataset(), verbose=0, callbacks=[watch]
    ).history
    assert watch.passes == [first] * 3 and len(set(history["val_loss"])) == 1
    assert len({*history["loss"], *history["val_loss"]}) == 4  # Training noise is of its step.
    assert evaluated(model) == first != evaluated(other)
    assert not any(v.name.startswith("evaluated") for v in model.training_state)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_means_of_data_of_unknown_length():
    x = np.random.default_rng(0).normal(size=[8, 2]).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices(x).batch(4)
    unknown = data.filter(lambda x: True)
    known = center().fit(data, epochs=2, verbose=0).history
    assert center().fit(unknown, epochs=2, verbose=0).history["loss"] == pytest.approx(
        known["loss"]
    )
