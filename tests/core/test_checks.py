"""Argument checks: what passes, and what the errors say."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.core import checks


@pytest.mark.parametrize("value", [1e-30, 1, 2.5, np.float32(3)])
def test_positive_numbers_pass(value):
    checks.check_positive("x", value)
    checks.check_not_negative("x", value)
    checks.check_not_negative("x", 0.0)


@pytest.mark.parametrize("value", [0, -1, -1e-30, float("nan"), float("inf")])
def test_numbers_that_are_not_positive(value):
    with pytest.raises(ValueError, match=rf"Expected `x` .* finite .*> 0. Received: {value}"):
        checks.check_positive("x", value)


@pytest.mark.parametrize("value", [-1, -1e-30, float("nan"), float("inf")])
def test_negative_numbers(value):
    with pytest.raises(ValueError, match=rf"Expected `x` .* finite .*>= 0. Received: {value}"):
        checks.check_not_negative("x", value)


@pytest.mark.parametrize("value", [2, np.int64(2), np.array(2)])
def test_integers_pass(value):
    checks.check_integer("x", value, minimum=2)


@pytest.mark.parametrize("value", [2.0, "2", True, None, np.float32(2), [2]])
def test_what_is_no_integer(value):
    with pytest.raises(TypeError, match="Expected `x` to be an integer. Received: "):
        checks.check_integer("x", value)


def test_integer_below_the_minimum():
    with pytest.raises(ValueError, match="Expected `x` >= 3. Received: 2"):
        checks.check_integer("x", 2, minimum=3)


def test_member():
    checks.check_member("x", "a", {"a", "b"})
    with pytest.raises(ValueError, match=r"Expected `x` to be one of \['a', 'b'\]. Received: 'c'"):
        checks.check_member("x", "c", {"b", "a"})


def test_rank():
    checks.check_rank("x", (2, 3), 2, "[batch, dim]")
    with pytest.raises(ValueError, match=r"`x` of rank 2, \[batch, dim\]. Received: shape \(2,\)"):
        checks.check_rank("x", (2,), 2, "[batch, dim]")


@pytest.mark.parametrize(
    "value", [np.zeros(2), np.float32(1), tf.zeros(2), tf.TensorSpec([2]), keras.KerasTensor((2,))]
)
def test_what_has_a_shape_and_a_dtype(value):
    assert isinstance(value, checks.Shaped)


@pytest.mark.parametrize("value", [[1.0], 2, "a", None, tf.data.Dataset.range(2)])
def test_what_has_none(value):
    assert not isinstance(value, checks.Shaped)
