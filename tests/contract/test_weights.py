"""Weights exist from the start; a step moves what it trains, and nothing else."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases
from tfgen.core import random
from tfgen.latent import LatentTable
from tfgen.training.averages import move_averages
from tfgen.training.update import Update, apply_update, joined, mean_terms


def layers_of(group: keras.layers.Layer, kind: type) -> list[keras.layers.Layer]:
    return [layer for layer in group._flatten_layers() if isinstance(layer, kind)]


def updates_of(case, model) -> Iterator[tuple]:
    """Yields each stage that trains, its batch, and each update of one step on it."""
    for _, stage, batch in case.batches(model):
        seed = random.step_seed(stage.seed, stage.step.value)
        for update in stage.updates(batch, seed):
            yield stage, batch, update


def apply(stage, update: Update) -> dict[str, tf.Tensor]:
    groups = [stage.group(group) for group in update.trains]
    optimizers = [stage.optimizer_of(group) for group in update.trains]
    return apply_update(update, groups, optimizers)


def layers_in(stage, update: Update) -> list[keras.layers.Layer]:
    """Returns the layers that an update trains."""
    return [layer for group in update.trains for layer in stage.group(group).layers]


def values(model) -> dict[int, tuple[str, np.ndarray]]:
    return {id(weight): (weight.path, weight.numpy()) for weight in model.weights}


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_all_weights_exist_after_construction(case, trained):
    new = case.compiled()
    assert new.weights
    used = trained(case)
    if case.samples:
        used.sample(2, seed=0)
    assert [weight.shape for weight in used.weights] == [weight.shape for weight in new.weights]
    assert list(cases.training_state(case, used)) == list(cases.training_state(case, new))


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_groups_hold_all_trainable_weights_once(case):
    model = case.compiled()
    stages = [stage.model for stage in case.stages(model).values()]
    for _, stage, batch in case.batches(model):
        grouped = [id(v) for g in stage.groups for v in stage.group(g).trainable_variables]
        assert len(grouped) == len(set(grouped))
        parts = [s for s in stages if s is not stage and s in stage._flatten_layers()]
        others = {id(weight) for part in parts for weight in part.trainable_variables}
        assert set(grouped) == {id(weight) for weight in stage.trainable_variables} - others
        updates = stage.updates(batch, random.step_seed(0, stage.step.value))
        trained = {group for update in updates for group in update.trains}
        assert trained == set(stage.groups)


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_every_trained_variable_has_a_gradient(case):
    for stage, _, update in updates_of(case, case.compiled()):
        variables = [v for g in update.trains for v in stage.group(g).trainable_variables]
        with tf.GradientTape() as tape:
            loss = mean_terms(update)[0][update.name]
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        idle = {id(v) for v in case.idle(stage)}
        for variable, gradient in zip(variables, gradients, strict=True):
            if id(variable) in idle:
                continue
            assert gradient is not None, variable.path
            gradient = tf.convert_to_tensor(getattr(gradient, "values", gradient))
            assert np.isfinite(gradient).all(), variable.path
            assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_an_update_moves_what_it_trains_and_nothing_else(case):
    model = case.compiled()
    for stage, batch, update in updates_of(case, model):
        before = values(model)
        apply(stage, update)
        groups = layers_in(stage, update)
        trained = {id(v) for group in groups for v in group.trainable_variables}
        # Batch normalisation of what is trained keeps its statistics; that of frozen parts not.
        statistics = {
            id(v)
            for group in groups
            for layer in layers_of(group, keras.layers.BatchNormalization)
            for v in layer.non_trainable_variables
        }
        others = {id(v) for v in (*case.state(stage, update.trains), *case.idle(stage))}
        for key, (path, after) in values(model).items():
            moved = not np.array_equal(before[key][1], after)
            assert moved == (key in trained | statistics) or key in others, path
        for table in (t for group in groups for t in layers_of(group, LatentTable)):
            _, was = before[id(table.codes)]
            moved = (table.codes.numpy() != was).any(axis=1)
            assert set(np.flatnonzero(moved)) == set(batch["index"].numpy())


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_a_step_is_its_updates_the_averages_and_a_count(case):
    model, other = case.compiled(), case.compiled()
    for (_, stage, batch), (_, other_stage, _) in zip(
        case.batches(model), case.batches(other), strict=True
    ):
        logs = stage.train_step(batch)
        seed = random.step_seed(other_stage.seed, other_stage.step.value)
        terms = joined([apply(other_stage, u) for u in other_stage.updates(batch, seed)])
        for name, value in terms.items():
            np.testing.assert_allclose(value, logs[name], rtol=1e-6, err_msg=name)
        if other_stage.averages:
            decay, step = other_stage.ema_decay, other_stage.step.value
            move_averages(other_stage.averages, decay, step)
        other_stage.step.assign_add(1)
    for name, value in cases.training_state(case, model).items():
        expected = cases.training_state(case, other)[name]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_evaluation_moves_nothing(case):
    model = case.compiled()
    for _, stage, batch in case.batches(model):
        before = cases.training_state(case, model)
        logs = stage.test_step(batch)
        stage(batch)
        assert all(np.isfinite(value) for value in logs.values())
        for name, value in cases.training_state(case, model).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)
