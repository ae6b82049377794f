"""Training that meets NaN or infinity stops, says where, and leaves what came before unharmed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import blocks, center, position, small_glo
from tfgen.callbacks import Checkpoint
from tfgen.latent import GLO
from tfgen.losses import SquaredError
from tfgen.training.not_finite import NonFiniteError

BATCHES = np.arange(1, 13, dtype=np.float32).reshape(6, 1, 2) / 4  # Six of one example.


def batches_with(value, batch):
    x = BATCHES.copy()
    x[batch, 0, 1] = value
    return tf.data.Dataset.from_tensor_slices({"x": x})


def trained_on(num_batches, **kwargs):
    """Returns where the first batches alone lead."""
    model = center(**kwargs)
    for x in BATCHES[:num_batches]:
        model.train_step({"x": tf.constant(x)})
    return position(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("eagerly", [False, True], ids=["graph", "eager"])
def test_data(value, eagerly):
    model = center()
    model.compile(run_eagerly=eagerly)
    with pytest.raises(NonFiniteError, match="data at epoch 1, batch 3. With a .*Checkpoint"):
        model.fit(batches_with(value, 2), epochs=2, verbose=0)
    np.testing.assert_allclose(position(model), trained_on(2), rtol=1e-6)
    assert model.step.numpy() == 2 == model.point_optimizer.iterations.numpy()


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_loss(value):
    """Of finite data: the logarithm of a negative number is NaN, that of zero -infinity."""
    model = center((1.0, 1.0), logarithm=True)
    message = "in the loss at epoch 1, batch 3. A learning rate that is lower or warms up"
    with pytest.raises(NonFiniteError, match=message):
        model.fit(batches_with(value, 2), verbose=0)
    np.testing.assert_allclose(
        position(model), trained_on(2, start=(1.0, 1.0), logarithm=True), rtol=1e-6
    )
    assert model.step.numpy() == 2


def test_the_loss_of_the_first_step():
    """Which no learning rate has led to."""
    model = center((1.0, 1.0), logarithm=True)
    with pytest.raises(NonFiniteError, match="batch 1. No step was done yet: look at the scale"):
        model.fit(batches_with(-1.0, 0), verbose=0)


def test_a_later_epoch():
    data = batches_with(np.nan, 4).repeat()
    with pytest.raises(NonFiniteError, match="at epoch 2, batch 2"):
        center().fit(data, epochs=3, steps_per_epoch=3, verbose=0)


def test_batches_that_are_executed_together():
    model = center()
    model.compile(steps_per_execution=2)
    with pytest.raises(NonFiniteError, match="at epoch 1, batches 3 to 4"):
        model.fit(batches_with(np.nan, 3), verbose=0)


@pytest.mark.parametrize("logarithm, value", [(False, np.nan), (True, -1.0)], ids=["data", "loss"])
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_the_last_checkpoint_stays(tmp_path, jit, logarithm, value):
    start = (1.0, 1.0)
    model = center(start, logarithm=logarithm)
    model.compile(jit_compile=jit)
    data = batches_with(value, 4)  # The second of the second epoch.
    with pytest.raises(NonFiniteError, match="at epoch 2, batch 2.*checkpoint is unharmed"):
        model.fit(
            data.repeat(),
            epochs=3,
            steps_per_epoch=3,
            verbose=0,
            callbacks=[Checkpoint(tmp_path)],
        )
    again = center(start, logarithm=logarithm)
    assert Checkpoint(tmp_path).restore(again) == 1
    expected = trained_on(3, start=start, logarithm=logarithm)
    np.testing.assert_allclose(position(again), expected, rtol=1e-6)
    assert again.step.numpy() == 3


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_a_variance_that_overflows(tmp_path, jit):
    """The loss stays finite: what is divided by an infinite deviation is zero."""
    images = np.zeros([8, 4, 4, 1], np.float32)
    network = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(stddev=1e25)),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(16, activation="sigmoid"),
            keras.layers.Reshape((4, 4, 1)),
        ]
    )
    model = GLO(network, 8, 3, loss=SquaredError())
    model.compile(jit_compile=jit)
    with pytest.raises(
        NonFiniteError, match="in the variable 'sequential.*/norm/moving_variance' at epoch 1"
    ):
        model.fit(images, batch_size=8, verbose=0, callbacks=[Checkpoint(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_what_is_infinite_from_the_start_is_let_be():
    model = center()
    model.best = model.add_weight(
        shape=(), initializer=keras.initializers.Constant(np.inf), trainable=False
    )
    model.fit(batches_with(1.0, 0), verbose=0)


def test_training_goes_on_from_the_checkpoint(tmp_path):
    model = center()
    fit = {"epochs": 2, "steps_per_epoch": 3, "verbose": 0, "callbacks": [Checkpoint(tmp_path)]}
    with pytest.raises(NonFiniteError):
        model.fit(batches_with(np.nan, 4), **fit)
    repaired = tf.data.Dataset.from_tensor_slices({"x": BATCHES[3:]})
    model.fit(repaired, **fit)
    np.testing.assert_allclose(position(model), trained_on(6), rtol=1e-6)


def test_a_table_and_batch_normalisation_are_unharmed():
    """Moments that a NaN gets into stay NaN."""
    images = blocks()
    images[9] = np.nan
    data = tf.data.Dataset.from_tensor_slices({"x": images, "index": np.arange(16)}).batch(4)
    model = small_glo(loss=_normalised_difference())
    model.compile()
    with pytest.raises(NonFiniteError, match="data at epoch 1, batch 3. With a .*Checkpoint"):
        model.fit(data, verbose=0)
    assert all(np.isfinite(variable).all() for variable in model.training_state)


def _normalised_difference():
    norm = keras.layers.BatchNormalization()
    norm.build((None, 4, 4, 1))
    return lambda x, y: tf.reduce_sum((x - norm(y, training=True)) ** 2, [1, 2, 3])


def test_other_failed_checks_name_the_batch_too():
    data = tf.data.Dataset.from_tensor_slices({"x": blocks(), "index": np.arange(16) + 3})
    model = small_glo()
    model.compile()
    with pytest.raises(ValueError, match=r"latent.* in \[0, 16\).* 18 at epoch 1, batch 4"):
        model.fit(data.batch(4), verbose=0)


@pytest.mark.parametrize("eagerly", [False, True], ids=["graph", "eager"])
def test_a_first_batch_that_is_not_finite(eagerly):
    images = blocks()
    images[1] = np.nan
    data = tf.data.Dataset.from_tensor_slices({"x": images, "index": np.arange(16)}).batch(4)
    model = small_glo()
    model.compile(run_eagerly=eagerly)
    with pytest.raises(ValueError, match="`images` to be finite. Received: nan in example 1"):
        model.fit(data, verbose=0)
    assert model.training_steps == 0
