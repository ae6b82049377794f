"""Keras' callbacks, one by one, on models of one group, of several, and of stages."""

import csv
import sys
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import Point, blocks, center, small_glo, small_imle
from tfgen.adversarial import GAN
from tfgen.distributions import StandardNormal
from tfgen.latent import GLANN, RowAdam
from tfgen.networks import MLP
from tfgen.training.optimizers import Optimizers

SGD, Adam = keras.optimizers.SGD, keras.optimizers.Adam
X = np.linspace(0, 1, 16, dtype=np.float32).reshape(8, 2)


def gan():
    model = GAN(MLP((2,), (4,)), MLP((1,), (4,)), prior=StandardNormal(3))
    model.compile(generator_optimizer=Adam(0.01), discriminator_optimizer=Adam(0.04))
    return model


def glo():
    model = small_glo(8)
    model.compile(generator_optimizer=Adam(0.01), latents_optimizer=RowAdam(0.04))
    return model


def one():
    model = center()
    model.compile(Adam(0.01))
    return model


MODELS = {"one": (one, X), "gan": (gan, X), "glo": (glo, blocks(8))}
KINDS = pytest.mark.parametrize(
    "make, x",
    [
        pytest.param(*made, id=kind, marks=[] if kind == "gan" else pytest.mark.ci)
        for kind, made in MODELS.items()
    ],
)


def fit(model, x, *callbacks, **kwargs):
    return model.fit(x, batch_size=4, verbose=0, callbacks=list(callbacks), **kwargs).history


def rates(model):
    return [float(model.optimizer_of(group).learning_rate) for group in model.groups]


def loss_of(model):
    return "generator" if isinstance(model, GAN) else "loss"


@KINDS
def test_learning_rate_scheduler(make, x):
    model = make()
    before = rates(model)
    half = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = fit(model, x, half, epochs=2)
    assert rates(model) == pytest.approx([rate / 4 for rate in before])
    for group, rate in zip(model.groups, before, strict=True):
        assert history[f"learning_rate_{group}"] == pytest.approx([rate / 2, rate / 4])


@KINDS
def test_reduce_on_plateau(make, x):
    model = make()
    before = rates(model)
    reduce = keras.callbacks.ReduceLROnPlateau(
        loss_of(model), factor=0.5, patience=1, min_delta=1e9, mode="min"
    )
    fit(model, x, reduce, epochs=3)
    assert rates(model) == pytest.approx([rate / 4 for rate in before])


@KINDS
def test_early_stopping_puts_the_best_weights_back(make, x):
    model, seen = make(), []
    name = loss_of(model)
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    stop = keras.callbacks.EarlyStopping(
        name, patience=2, min_delta=1e9, mode="min", restore_best_weights=True
    )
    history = fit(model, x, keep, stop, epochs=9)
    assert len(history[name]) == 3
    for weight, variable in zip(seen[0], model.weights, strict=True):
        if "prior" not in variable.path and "gaussian" not in variable.path:
            np.testing.assert_array_equal(weight, variable.numpy(), err_msg=variable.path)


@pytest.mark.parametrize(
    "make, x",
    [MODELS["gan"], pytest.param(*MODELS["glo"], marks=pytest.mark.ci)],
    ids=["gan", "glo"],
)
def test_model_checkpoint(make, x, tmp_path):
    model = make()
    save = keras.callbacks.ModelCheckpoint(tmp_path / "made" / "{epoch}.keras")
    weights = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True
    )
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", loss_of(model), save_best_only=True, mode="min"
    )
    fit(model, x, save, weights, best, epochs=2)
    loaded = keras.models.load_model(tmp_path / "made" / "2.keras")
    again = make()
    again.load_weights(tmp_path / "2.weights.h5")
    for other in (loaded, again):
        np.testing.assert_array_equal(other.sample(3, seed=0), model.sample(3, seed=0))
    assert (tmp_path / "best.keras").exists()


@KINDS
def test_tensorboard_logs_learning_rates(make, x, tmp_path, monkeypatch):
    """What it would write, as TensorBoard itself need not be installed."""
    tags = []
    board = types.ModuleType("tensorboard.summary.v2")
    board.scalar = board.histogram = lambda name, **kwargs: tags.append(name)
    for name in ("tensorboard", "tensorboard.summary", board.__name__):
        monkeypatch.setitem(sys.modules, name, board)
    model = make()
    board = keras.callbacks.TensorBoard(
        tmp_path, histogram_freq=1, update_freq=1, write_graph=False, write_steps_per_second=True
    )
    fit(model, x, board, epochs=2, validation_data=x)
    wanted = {f"epoch_learning_rate_{group}" for group in model.groups}
    assert wanted | {f"epoch_{loss_of(model)}", "epoch_steps_per_second"} <= set(tags)


@KINDS
def test_csv_logger_and_terminate_on_nan(make, x, tmp_path):
    model = make()
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(model, x, log, keras.callbacks.TerminateOnNaN(), epochs=2)
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    name = loss_of(model)
    assert [float(row[name]) for row in rows] == pytest.approx(history[name])


def averaged(model):
    model.compile(Adam(0.1, use_ema=True, ema_momentum=0.5))
    return model


@pytest.mark.parametrize("kind", ["one", "gan"])
def test_optimizers_that_keep_averages_end_with_them(kind):
    make, x = MODELS[kind]
    weights = {}
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.update(last=model.get_weights())
    )
    model = averaged(make())
    fit(model, x, keep, epochs=2)
    moved = [
        not np.array_equal(a, b) for a, b in zip(weights["last"], model.get_weights(), strict=True)
    ]
    assert sum(moved) >= len(model.trainable_variables) / 2


@pytest.mark.parametrize("kind", ["one", "gan"])
def test_swap_ema_weights(kind):
    make, x = MODELS[kind]
    model = averaged(make())
    fit(model, x, keras.callbacks.SwapEMAWeights(swap_on_epoch=True), epochs=2, validation_data=x)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    with pytest.raises(ValueError, match="use_ema"):
        fit(make(), x, keras.callbacks.SwapEMAWeights(swap_on_epoch=True), epochs=2)


def test_stages_have_their_own_rates():
    glann = GLANN(small_glo(8), small_imle(8, dim=3))
    glann.compile(glo_generator_optimizer=Adam(0.01), imle_optimizer=Adam(0.04))
    assert glann.optimizer is None
    half = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = glann.fit(blocks(8), batch_size=4, verbose=0, callbacks=[half]).history
    assert history["glo_learning_rate_generator"] == pytest.approx([0.005])
    assert history["imle_learning_rate_generator"] == pytest.approx([0.02])


def test_a_schedule_for_each_group():
    model = gan()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    model.compile(generator_optimizer=SGD(schedule), discriminator_optimizer=SGD(0.25))
    fit(model, X, epochs=1)
    assert rates(model) == [0.125, 0.25]


def test_one_learning_rate_is_read_and_set():
    """As by loggers that know of one optimizer."""
    model = gan()
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    first, second = rates(model)
    model.optimizer.learning_rate = first / 2
    assert rates(model) == pytest.approx([first / 2, second / 2])
    model.compile("adam")
    model.optimizer.learning_rate = 0.5
    assert rates(model) == [0.5, 0.5]
    assert int(model.optimizer.iterations) == 0
    assert len(model.optimizer.variables) == sum(
        len(model.optimizer_of(group).variables) for group in model.groups
    )


def test_the_view_is_no_part_of_the_model(tmp_path):
    model = gan()
    assert isinstance(model.optimizer, Optimizers)
    fit(model, X)
    model.save(tmp_path / "model.keras")
    names = []
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as file:
        names = sorted(name for name in file if "optimizer" in name)
    assert names == ["discriminator_optimizer", "generator_optimizer"]
    held = tf.train.Checkpoint(model=model)
    assert "optimizer" not in dict(held.model._trackable_children())
    assert len(model.training_state) == len({id(v) for v in model.training_state})


def test_one_group_without_a_name_has_its_optimizer():
    class _All(type(center())):
        groups = {"": ()}

    model = _All([0.0], logarithm=False)
    model.compile(SGD(0.5))
    assert isinstance(model.optimizer, SGD) and isinstance(model.point, Point)
