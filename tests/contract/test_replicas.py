"""Training on two replicas is training on one with the joint batch."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.contract import cases, processes


def from_worker(part: str, folder: Path, chosen: list[cases.ModelCase]) -> dict[str, Any]:
    """Returns what `workers/replicas.py` writes; devices must be made before TensorFlow starts."""
    path, names = folder / f"{part}.pickle", [case.name for case in chosen]
    processes.run("-m", "tests.contract.workers.replicas", part, path, *names)
    return pickle.loads(path.read_bytes())


@pytest.fixture(scope="module")
def results(chosen, tmp_path_factory):
    """What came of single steps."""
    return from_worker("steps", tmp_path_factory.mktemp("replicas"), chosen)


@pytest.fixture(scope="module")
def fits(chosen, tmp_path_factory):
    """What came of `fit`."""
    return from_worker("fits", tmp_path_factory.mktemp("replicas"), chosen)


def assert_close(a: dict[str, np.ndarray], b: dict[str, np.ndarray], **tolerance: float) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], err_msg=name, **tolerance)


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_a_step_equals_that_of_one_replica_on_the_joint_batch(results, case):
    alone, mirrored = (results["steps"][case.name][name] for name in ("alone", "mirrored"))
    assert_close(mirrored["before"], alone["before"], rtol=0, atol=1e-7)
    assert any(
        not np.array_equal(alone["after"][name], value) for name, value in alone["before"].items()
    )
    assert_close(mirrored["after"], alone["after"], rtol=1e-5, atol=1e-6)
    assert mirrored["spread"] == 0


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_the_step_is_not_that_of_one_replica_alone(results, case):
    """A step of twice or half the size would be far outside the tolerance above."""
    alone = results["steps"][case.name]["alone"]
    moves = [
        np.abs(np.float64(alone["after"][name]) - value).max()
        for name, value in alone["before"].items()
        if np.issubdtype(value.dtype, np.floating)
    ]
    assert max(moves) > 1e-3


@pytest.mark.ci
@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_fit_trains_and_replicas_stay_equal(fits, case):
    fitted = fits[case.name]
    history = fitted["history"]
    assert history and all(np.isfinite(values).all() for values in history.values())
    assert np.isfinite(fitted["samples"]).all()
    assert fitted["spread"] == 0


@pytest.mark.parametrize("case", **cases.by_name(cases.MODELS))
def test_replicas_draw_different_noise(results, case):
    stages = results["steps"][case.name]["mirrored"]["seeds"]
    assert stages
    for given in stages:
        assert len(given) == 2
        assert not np.array_equal(*given)
        noise = [tf.random.stateless_normal([4], seed).numpy() for seed in given]
        assert not np.isclose(*noise).any()


def test_dropout_differs_by_replica_and_step_and_goes_on_from_the_first_seed(results):
    *masks, third, fourth = results["dropout"]
    np.testing.assert_array_equal(masks, [third, fourth])
    kept = [mask for step in masks for mask in step]
    for i, mask in enumerate(kept):
        assert 0 < np.mean(mask > 0) < 1
        assert not any(np.array_equal(mask, other) for other in kept[:i])


def test_a_step_that_overflows_on_one_replica_is_skipped_on_all(results):
    assert results["overflow"] == {"values": [2.0, 2.0], "scale": 0.5}


def test_replicas_stay_equal_when_an_optimizer_adds_noise(results):
    assert results["sampler"]["spread"] == 0
    assert np.isfinite(results["sampler"]["loss"])


@pytest.mark.parametrize("kind", ["row_sgd", "row_adam"])
def test_rows_that_several_replicas_hold(results, kind):
    index, rows = results["index"], results["rows"][kind]
    first, second = index[: len(index) // 2], index[len(index) // 2 :]
    assert len(set(first)) < len(first) and set(first) & set(second), "no duplicates to test"
    assert_close(rows["mirrored"]["after"], rows["alone"]["after"], rtol=1e-4, atol=1e-5)
    assert rows["mirrored"]["spread"] == 0
    before, after = rows["mirrored"]["before"], rows["mirrored"]["codes"]
    assert set(np.flatnonzero((before != after).any(axis=1))) == set(index)
