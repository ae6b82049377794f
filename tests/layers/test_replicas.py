"""Layers whose norms the power method finds, on several replicas."""

import pickle

import numpy as np
import pytest

from tests.contract import processes


@pytest.mark.ci
@pytest.mark.parametrize(("kind", "norm"), [("spectral", 1.0), ("lipschitz", 0.98)])
def test_replicas_keep_the_same_vector(kind, norm, tmp_path):
    path = tmp_path / "results.pickle"
    processes.run("-m", "tests.layers.replicas", kind, path)
    found = pickle.loads(path.read_bytes())
    for weights in found["mirrored"]:
        first, second = weights
        np.testing.assert_array_equal(first, second)
    for (mirrored, _), alone in zip(found["mirrored"], found["alone"], strict=True):
        np.testing.assert_allclose(mirrored, alone, rtol=1e-4, atol=1e-6)
    assert not np.allclose(found["alone"][0], found["start"][0])
    np.testing.assert_allclose(found["norm"], norm, atol=0.01)
