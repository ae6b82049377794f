"""Arguments of Keras' `fit` and `evaluate`: heeded, or refused before any work."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, center, position, small_glo, small_imle
from tfgen.callbacks import Checkpoint
from tfgen.data.examples import Examples
from tfgen.latent import GLANN

X = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)


def dataset(x=X, batch_size=2):
    return tf.data.Dataset.from_tensor_slices({"x": x}).batch(batch_size)


def weighted():
    parts = (X, np.zeros(4, np.int64), np.ones(4, np.float32))
    return tf.data.Dataset.from_tensor_slices(parts).batch(2)


REFUSED = {
    "class weights": (X, {"class_weight": {0: 1.0}}, "no `class_weight`: what is to count more"),
    "weights": (X, {"sample_weight": np.ones(4)}, "no `sample_weight`: what is to count more"),
    "a third part": (weighted(), {}, "without weights of the examples"),
    "a split": (X, {"validation_split": 0.5}, r"validation_data=x\[:100\].*0.5"),
    "no order": (X, {"shuffle": False}, "shuffled by the seed and the epoch"),
    "an order": (dataset(), {"shuffle": True}, "`dataset.shuffle`"),
    "validation weights": (X, {"validation_data": (X, None, np.ones(4))}, "no `sample_weight`"),
    "a size": (dataset(), {"validation_data": dataset(), "validation_batch_size": 2}, "only with"),
    "a backup": (
        X,
        {"callbacks": [keras.callbacks.BackupAndRestore("/nowhere")]},
        "tfgen.callbacks.Checkpoint",
    ),
}


@pytest.mark.parametrize("data, arguments, message", REFUSED.values(), ids=REFUSED)
def test_refused(data, arguments, message):
    model = center()
    size = {"batch_size": 2} if data is X else {}
    with pytest.raises(ValueError, match=f"Expected .*{message}") as raised:
        model.fit(data, verbose=0, **size, **arguments)
    assert "Received: " in str(raised.value)
    assert model.training_steps == 0 and position(model).tolist() == [0, 0]


def test_weights_are_refused_by_each_way_in():
    model = center()
    with pytest.raises(ValueError, match=COMPLAINT):
        model.evaluate(X, batch_size=2, sample_weight=np.ones(4))
    with pytest.raises(ValueError, match=COMPLAINT):
        model.train_on_batch(X, sample_weight=np.ones(4))
    with pytest.raises(ValueError, match=COMPLAINT):
        model.evaluate(weighted(), verbose=0)
    assert model.training_steps == 0


def test_values_that_change_nothing_are_fine():
    none = {"class_weight": None, "sample_weight": None, "validation_split": 0.0}
    model = center()
    model.fit(X, batch_size=2, shuffle=True, verbose=0, **none)
    model.fit(dataset(), shuffle=False, verbose=0, **none)
    assert model.training_steps == 4


@pytest.mark.parametrize(
    "data", [X, {"x": X}, (X, np.zeros(4, np.int64)), Examples(X, batch_size=4)], ids=type
)
@pytest.mark.parametrize("size", [None, 2, 3])
def test_batches_of_validation(data, size):
    """Three do not fit in four: one example is left out, as in every pass over an array."""
    sizes, model = [], center((1.0, 1.0))
    model.compile(keras.optimizers.SGD(0.0))
    watch = keras.callbacks.LambdaCallback(
        on_test_batch_end=lambda batch, logs: sizes.append(batch)
    )
    history = model.fit(
        X,
        batch_size=2,
        verbose=0,
        callbacks=[watch],
        validation_data=data,
        validation_batch_size=size,
    ).history
    default = 4 if isinstance(data, Examples) else 2
    assert len(sizes) == 4 // (size or default)
    if size != 3:
        assert history["val_loss"] == [pytest.approx(((X - 1) ** 2).sum(1).mean())]


def test_bytes_are_validated_as_they_are_trained_on():
    images = np.full([4, 2], 255, np.uint8)
    model = center((1.0, 1.0))
    history = model.fit(images, batch_size=2, verbose=0, validation_data=images).history
    assert history["val_loss"] == [pytest.approx(0)]


def test_executions_that_do_not_divide_an_epoch():
    model = center()
    model.compile(steps_per_execution=2)
    wrong = "`steps_per_execution` that divides"
    with pytest.raises(ValueError, match=f"{wrong} 3, the steps of a pass. Received: 2"):
        model.fit(X[:3], batch_size=1, verbose=0)
    with pytest.raises(ValueError, match=f"{wrong} 3"):
        model.fit(dataset().repeat(), steps_per_epoch=3, verbose=0)
    with pytest.raises(ValueError, match=f"{wrong} 1"):
        model.fit(X, batch_size=1, validation_data=X, validation_steps=1, verbose=0)
    with pytest.raises(ValueError, match=f"{wrong} 3"):
        model.evaluate(X, batch_size=1, steps=3, verbose=0)
    assert model.training_steps == 0
    model.fit(X, batch_size=1, epochs=2, verbose=0)
    model.fit(dataset(batch_size=3), verbose=0)  # Data that end are not read over their end.
    assert model.training_steps == 8 + 2


def test_executions_of_a_later_stage_are_checked_before_the_first():
    glann = GLANN(small_glo(6), small_imle(6, dim=3))
    glann.compile(steps_per_execution=2)
    x = np.zeros([6, 4, 4, 1], np.float32)
    with pytest.raises(ValueError, match="`steps_per_execution` that divides 3"):
        glann.fit(x, batch_size={"glo": 3, "imle": 2}, verbose=0)
    assert glann.training_steps == 0


def test_executions_resume_at_their_epoch(tmp_path):
    def trained(epochs, **kwargs):
        model = center()
        model.compile(steps_per_execution=2)
        model.fit(X, batch_size=1, epochs=epochs, verbose=0, **kwargs)
        return model

    whole = trained(3)
    for first in (1, 2):
        directory = tmp_path / str(first)
        trained(first, callbacks=[Checkpoint(directory)])
        again = trained(3, callbacks=[Checkpoint(directory)], initial_epoch=1)
        np.testing.assert_array_equal(position(again), position(whole))
        assert again.training_steps == 12
