"""Training on one batch makes its loss fall, in every mode that `compile` offers."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tfgen.core import random
from tfgen.data import Examples

FALLING = tuple(case for case in cases.MODELS if case.falls)


def traced(step: Callable) -> Callable:
    """Returns a training step as a graph."""
    return tf.function(step, autograph=False)


@pytest.mark.parametrize("case", **cases.by_name(FALLING))
def test_loss_falls_on_a_fixed_batch(case):
    for name, stage, batch in case.batches(case.compiled()):
        step = traced(stage.train_step)
        losses = [float(step(batch)["loss"]) for _ in range(200)]
        assert np.isfinite(losses).all(), name
        assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5]), name


@pytest.mark.ci
@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_a_step_compiled_by_xla_is_the_same(case):
    models = [case.compiled(exact=True, optimizers=cases.descent) for _ in range(2)]
    pairs = zip(*map(case.batches, models), strict=True)
    for (_, stage, batch), (_, compiled, _) in pairs:
        logs = stage.train_step(batch)
        compiled_logs = tf.function(compiled.train_step, autograph=False, jit_compile=True)(batch)
        for name, value in logs.items():
            np.testing.assert_allclose(compiled_logs[name], value, rtol=1e-5, err_msg=name)
    states = [cases.training_state(case, model) for model in models]
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.ci
@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
@pytest.mark.parametrize("wrap", [lambda step: step, traced], ids=["eager", "graph"])
def test_steps_in_half_precision(case, wrap, mixed_float16):
    """Losses are finite and weights stay in full precision; early steps may be skipped."""
    model = case.compiled()
    for _, stage, batch in case.batches(model):
        moving = stage.trainable_variables or case.state(stage, ())
        before = [v.numpy() for v in moving]
        step = wrap(stage.train_step)
        logs = [step(batch) for _ in range(5)]
        assert all(np.isfinite(value).all() for terms in logs for value in terms.values())
        after = [v.numpy() for v in moving]
        assert all(v.dtype in (np.float32, np.float64) and np.isfinite(v).all() for v in after)
        assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_history_names_every_term(case, trained):
    model = trained(case)
    history = model.history.history
    epochs = case.fit["epochs"]
    for stage in case.stages(model).values():
        batch = next(iter(Examples(stage.data(case.data()), case.labels(), batch_size=8)))
        prefix = "" if stage.name == "all" else f"{stage.name}_"
        expected = epochs if isinstance(epochs, int) else epochs[stage.name]
        seed = random.step_seed(0, stage.model.step.value)
        for update in stage.model.updates(batch, seed):
            losses = history[f"{prefix}{update.name}"]
            assert len(losses) == expected
            assert np.isfinite(losses).all()
