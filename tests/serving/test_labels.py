"""Served integers beyond their type: refused, never taken modulo 2**32."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.core import specs
from tfgen.core.config import register
from tfgen.model.model import GenerativeModel
from tfgen.serving import export
from tfgen.serving.session import SessionLoader


@register
class _Classes(GenerativeModel):
    """Draws the one-hot vector of a label, and encodes it as the label."""

    @property
    def event_spec(self):
        return specs.event_spec((10,))

    @property
    def latent_spec(self):
        return specs.event_spec((1,), tf.int32, num_values=10, name="z")

    @property
    def condition_specs(self):
        return {"label": specs.label_spec(10)}

    def sample_rows(self, row_seeds, condition=None, temperature=None):
        return tf.one_hot(tf.cast(condition["label"], tf.int32), 10)

    def decode_rows(self, z, condition=None):
        return tf.one_hot(z[:, 0], 10)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with SessionLoader(export(_Classes(), tmp_path_factory.mktemp("served"))) as loader:
        yield loader


def test_labels_that_are_classes(served):
    points = served("sample", seed=[0, 1], label=np.array([9, 3], np.uint8))["points"]
    np.testing.assert_array_equal(points.argmax(1), [9, 3])


@pytest.mark.parametrize("label", [2**32, 2**32 + 9, -(2**32) + 9, 2**63 - 1, -(2**63), 10])
def test_labels_beyond_32_bits(served, label):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`label` in \[0, 10\)"):
        served("sample", seed=[0], label=[label])
    with pytest.raises(ValueError, match=rf"`label` in \[0, 10\). Received: {label} in row 0"):
        _Classes().sample(1, condition=np.array([label]))


@pytest.mark.parametrize("value", [2**32 + 9, 2**31, -(2**40)])
def test_codes_beyond_32_bits(served, value):
    """The session would cast them before the signature sees them."""
    codes = {"z": np.array([[value]]), "label": [0]}
    with pytest.raises(ValueError, match=f"`z` that int32 can hold. Received: values from {value}"):
        served("decode", **codes)
    with pytest.raises(ValueError, match=rf"`z` in \[0, 10\). Received: {value} in row 0"):
        _Classes().decode(codes["z"], [0])


def test_labels_of_another_kind(served):
    with pytest.raises(TypeError, match="`label` of type int64. Received: float64"):
        served("sample", seed=[0], label=[9.5])
    with pytest.raises(
        ValueError, match="`label` that int64 can hold. Received: values from 9223372036854775817"
    ):
        served("sample", seed=[0], label=np.array([2**63 + 9], np.uint64))
