"""Misuse that once went unnoticed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, small_glo, small_imle
from tfgen.callbacks import ResetOptimizers, image_grid
from tfgen.distributions import Gaussian, GaussianMixture
from tfgen.latent import IMLE, LatentTable, RowAdam, RowSGD
from tfgen.networks import MLP, InfoGANGenerator


@pytest.mark.parametrize("optimizer", [RowAdam, RowSGD])
@pytest.mark.parametrize(
    "option",
    [
        {"weight_decay": 0.1},
        {"use_ema": True},
        {"gradient_accumulation_steps": 2},
        {"global_clipnorm": 1.0},
    ],
)
def test_row_optimizers_refuse_what_touches_whole_tables(optimizer, option):
    with pytest.raises(ValueError, match=f"Expected no option.*{next(iter(option))}"):
        optimizer(**option)


@pytest.mark.parametrize("change", [lambda x: 255 * x, lambda x: x - 0.5])
def test_glo_refuses_images_out_of_range(change):
    model = small_glo()
    model.compile()
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        model.fit(change(blocks()), batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        model.encode(change(blocks()))
    assert model.step.numpy() == 0


@pytest.mark.parametrize(
    "prior, fewest",
    [(None, 2), (Gaussian(3), 2), (GaussianMixture(3, 1), 2), (GaussianMixture(3, 5), 5)],
    ids=["default", "gaussian", "one component", "five components"],
)
def test_glo_refuses_fewer_examples_than_its_prior_is_fitted_to(prior, fewest):
    """It would train, and fail when it has."""
    with pytest.raises(ValueError, match=f"`num_examples` >= {fewest}.*Received: {fewest - 1}"):
        small_glo(fewest - 1, prior=prior)
    small_glo(fewest, prior=prior)


def test_imle_refuses_images_out_of_range():
    model = IMLE(MLP((4, 4, 1), (8,)), num_examples=16, noise_dim=3)
    model.compile()
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        model.fit(255 * blocks(), batch_size=8, verbose=0)


@pytest.mark.parametrize("optimizer", [RowAdam, RowSGD])
@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_learning_rates(optimizer, rate):
    with pytest.raises(ValueError, match=COMPLAINT):
        optimizer(rate)


def test_rows_outside_the_table_are_nan_where_checks_are_dropped():
    table = LatentTable(4, 2)
    read = tf.function(table, jit_compile=True)
    rows = read(tf.constant([0, 4, -1])).numpy()
    np.testing.assert_array_equal(np.isnan(rows), [[False] * 2, [True] * 2, [True] * 2])


def test_a_first_round_is_searched_whatever_epoch_it_begins_at():
    model = small_imle(staleness=3)
    model.compile()
    model.fit(np.zeros([16, 2], np.float32), batch_size=8, initial_epoch=1, epochs=2, verbose=0)
    assert np.abs(model.assigned_noise.numpy()).max(axis=1).min() > 0


@pytest.mark.parametrize("make", [small_glo, small_imle])
def test_unconditional_models_refuse_conditions(make):
    with pytest.raises(ValueError, match="Expected no `condition`"):
        make().sample(2, seed=0, condition=tf.zeros([2]))


def test_resets_refuse_schedules():
    model = small_imle()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(optimizer=keras.optimizers.Adam(schedule))
    callback = ResetOptimizers({"generator": 0.1})
    with pytest.raises(ValueError, match="Expected a constant learning rate of generator"):
        model.fit(np.zeros([16, 2], np.float32), callbacks=[callback], batch_size=8, verbose=0)


def test_a_grid_needs_images():
    with pytest.raises(ValueError, match="Expected at least one image"):
        image_grid(np.zeros([0, 4, 4, 1]))


@pytest.mark.parametrize(
    "make", [lambda **k: MLP((4,), **k), lambda **k: InfoGANGenerator((8, 8, 1), **k)]
)
def test_networks_compute_in_their_own_policy(make):
    network = make(dtype="mixed_bfloat16")
    hidden = network._layers_in_order[0]
    assert hidden.compute_dtype == "bfloat16"
    assert hidden.variable_dtype == "float32"
