"""Optimizers that begin anew at each epoch."""

import keras
import numpy as np
import pytest

from tests.small_models import COMPLAINT, blocks, small_glo
from tfgen.callbacks import ResetOptimizers
from tfgen.latent import RowAdam

RATES = {"generator": 0.01, "latents": 0.1}


def compiled():
    keras.utils.set_random_seed(0)
    model = small_glo()
    model.compile(generator_optimizer=keras.optimizers.Adam(0.01), latents_optimizer=RowAdam(0.1))
    return model


def state(optimizer):
    return [v.numpy().copy() for v in optimizer.variables if "learning_rate" not in v.path]


def test_an_epoch_begins_with_new_optimizers():
    """Two epochs are as two models, the second with the weights of the first, trained one each."""
    model, twin = compiled(), compiled()
    model.fit(blocks(), batch_size=8, epochs=2, verbose=0, callbacks=[ResetOptimizers(RATES)])
    twin.fit(blocks(), batch_size=8, epochs=1, verbose=0)
    twin.compile(generator_optimizer=keras.optimizers.Adam(0.01), latents_optimizer=RowAdam(0.1))
    twin.fit(blocks(), batch_size=8, epochs=2, initial_epoch=1, verbose=0)
    for weight, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


def test_all_state_is_zero_when_an_epoch_begins():
    model = compiled()
    model.fit(blocks(), batch_size=8, epochs=1, verbose=0)
    assert any(np.any(v) for v in state(model.generator_optimizer))
    reset = ResetOptimizers(RATES)
    reset.set_model(model)
    reset.on_epoch_begin(1)
    for optimizer in (model.generator_optimizer, model.latents_optimizer):
        assert not any(np.any(v) for v in state(optimizer))


def test_rates_are_halved():
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            optimizers = self.model.generator_optimizer, self.model.latents_optimizer
            rates.append([float(optimizer.learning_rate) for optimizer in optimizers])

    reset = ResetOptimizers({"generator": 0.8, "latents": 0.1}, halve_every=2)
    compiled().fit(blocks(), batch_size=8, epochs=5, verbose=0, callbacks=[reset, Watch()])
    expected = [[0.8, 0.1]] * 2 + [[0.4, 0.05]] * 2 + [[0.2, 0.025]]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_groups_that_are_not_named_keep_their_optimizer():
    model = compiled()
    reset = ResetOptimizers({"latents": 0.1})
    model.fit(blocks(), batch_size=8, epochs=3, verbose=0, callbacks=[reset])
    assert model.generator_optimizer.iterations.numpy() == 6
    assert model.latents_optimizer.iterations.numpy() == 2


def test_the_loss_scale_of_float16_is_kept():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled()
        codes = model.codes.numpy()
        reset = ResetOptimizers(RATES, halve_every=1)
        model.fit(blocks(), batch_size=8, epochs=2, verbose=0, callbacks=[reset])
        for optimizer in (model.generator_optimizer, model.latents_optimizer):
            assert optimizer.dynamic_scale.numpy() >= 2.0**10
            assert optimizer.inner_optimizer.iterations.numpy() == 2
        assert float(model.latents_optimizer.learning_rate) == pytest.approx(0.05)
        assert not np.allclose(model.codes, codes)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    "only, stage, resets",
    [(None, "glo", True), (None, "imle", True), ("glo", "glo", True), ("glo", "imle", False)],
)
def test_stages(only, stage, resets):
    model = compiled()
    model.fit(blocks(), batch_size=8, epochs=1, verbose=0)
    reset = ResetOptimizers(RATES, stage=only).within(stage, whole=model)
    reset.set_model(model)
    reset.on_train_begin()
    reset.on_epoch_begin(1)
    for optimizer in (model.generator_optimizer, model.latents_optimizer):
        assert any(np.any(v) for v in state(optimizer)) != resets


def test_a_group_of_another_stage_is_no_mistake():
    reset = ResetOptimizers({"discriminator": 0.1}, stage="gan").within("glo", whole=None)
    reset.set_model(compiled())
    reset.on_train_begin()
    reset.on_epoch_begin(0)


@pytest.mark.parametrize("rate", [0.0, -1e-3, float("nan"), float("inf")])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match=rf"learning_rates\['latents'\].*{COMPLAINT[9:]}"):
        ResetOptimizers({"generator": 0.1, "latents": rate})


@pytest.mark.parametrize("halve_every", [0, -2, 1.5])
def test_bad_interval(halve_every):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        ResetOptimizers(RATES, halve_every)


def test_a_group_that_is_not_there():
    model = compiled()
    with pytest.raises(ValueError, match="'generator', 'latents'.*Received: 'discriminator'"):
        model.fit(
            blocks(), batch_size=8, verbose=0, callbacks=[ResetOptimizers({"discriminator": 0.1})]
        )
    assert model.step.numpy() == 0
