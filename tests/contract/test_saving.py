"""What is saved and loaded trains on as if nothing had happened."""

import pickle

import keras
import numpy as np
import pytest

from tests.contract import cases


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return [k for k in a if not np.array_equal(a[k], b[k])] == [] and a.keys() == b.keys()


@pytest.fixture(scope="module", params=cases.MODELS, ids=lambda case: case.name)
def saved(request, trained, tmp_path_factory):
    """A case, its trained model, and the same from its file."""
    case = request.param
    model = trained(case)
    path = tmp_path_factory.mktemp(case.name) / "model.keras"
    model.save(path)
    keras.utils.set_random_seed(1)
    return case, model, keras.models.load_model(path)


def outputs(model) -> list[np.ndarray]:
    """Returns what a model gives for seeds and rows that are always the same."""
    given = cases.condition(model, 3) or None
    if "sample" in model.capabilities():
        return [model.sample(3, seed=4).numpy()]
    return [model.decode(cases.latents(model, 3), given).numpy()]


def test_the_next_step_is_the_same(saved, changed):
    case, _, loaded = saved
    model = changed(case)
    before = cases.training_state(case, loaded)
    counter = "iteration" if model.groups else "step"
    assert any(counter in name and value > 0 for name, value in before.items())
    assert equal(cases.training_state(case, model), before)
    pairs = zip(case.batches(model), case.batches(loaded), strict=True)
    for (_, stage, batch), (_, loaded_stage, _) in pairs:
        stage.reset_metrics()
        logs, loaded_logs = stage.train_step(batch), loaded_stage.train_step(batch)
        for name, value in logs.items():
            np.testing.assert_allclose(value, loaded_logs[name], rtol=1e-6)
    after, loaded_after = cases.training_state(case, model), cases.training_state(case, loaded)
    assert not equal(after, before)
    for name, value in after.items():
        np.testing.assert_allclose(value, loaded_after[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_copies_are_the_same(saved):
    """Pickles go through a file, and `copy.deepcopy` makes one."""
    _, model, _ = saved
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(outputs(model), outputs(copied))
    for weight, again in zip(model.weights, copied.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), again.numpy(), err_msg=weight.path)
    if "encode" in model.capabilities():
        x, given = cases.rows(model.event_spec, 2), cases.condition(model, 2) or None
        first, again = (keras.tree.flatten(m.encode(x, given))[0] for m in (model, copied))
        np.testing.assert_allclose(first, again, rtol=1e-5)


def test_weights_alone_fill_a_new_model(saved, tmp_path):
    case, model, _ = saved
    model.save_weights(tmp_path / "model.weights.h5")
    keras.utils.set_random_seed(1)
    again = case.create()
    assert not np.array_equal(outputs(model), outputs(again))
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(outputs(model), outputs(again))
