"""The random subset that a round of epochs passes over, columns, and integers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.data.examples import Examples


def examples(num_examples=10, batch_size=2):
    return Examples(np.ones([num_examples, 2, 2, 1], np.float32), batch_size=batch_size, seed=3)


def test_all_are_members_unless_restricted():
    assert examples().members(4).tolist() == list(range(10))


def test_members_are_the_same_within_a_round_and_others_in_the_next():
    restricted = examples().in_rounds(subset_size=6, num_epochs=3)
    members = [restricted.members(epoch).tolist() for epoch in range(9)]
    assert all(len(set(m)) == 6 and set(m) <= set(range(10)) for m in members)
    rounds = [members[first : first + 3] for first in (0, 3, 6)]
    assert all(r[0] == r[1] == r[2] for r in rounds)
    assert len({tuple(sorted(r[0])) for r in rounds}) > 1


def test_an_epoch_passes_over_the_members_once():
    restricted = examples().in_rounds(subset_size=6, num_epochs=2)
    assert restricted.steps_per_epoch == 3
    for first_epoch in (0, 1, 2):
        batches = restricted.dataset(first_epoch).take(3)
        seen = np.concatenate([batch["index"] for batch in batches])
        assert sorted(seen) == sorted(restricted.members(first_epoch))


def test_the_original_is_not_restricted():
    original = examples()
    original.in_rounds(subset_size=6, num_epochs=2)
    assert original.steps_per_epoch == 5


@pytest.mark.parametrize("subset_size", [0, 1, 11])
def test_bad_subset(subset_size):
    with pytest.raises(ValueError, match=COMPLAINT):
        examples().in_rounds(subset_size, 1)


GREY = np.arange(20, dtype=np.float64).reshape(10, 2)
DIGITS = (np.arange(10) % 3).astype(np.uint8)


def with_columns(x=None, **columns):
    x = np.arange(10)[:, None] if x is None else x
    return Examples(x, batch_size=4, columns={"grey": GREY, "digit": DIGITS} | columns)


def test_columns_follow_their_examples():
    examples = with_columns()
    assert examples.element_spec["grey"] == tf.TensorSpec([4, 2], tf.float32, "grey")
    assert examples.element_spec["digit"] == tf.TensorSpec([4], tf.int64, "digit")
    for batch in examples:
        assert batch.keys() == {"x", "index", "grey", "digit"}
        index = batch["index"].numpy()
        np.testing.assert_array_equal(batch["grey"], GREY[index])
        np.testing.assert_array_equal(batch["digit"], DIGITS[index])
        np.testing.assert_array_equal(batch["x"][:, 0], index)


def test_columns_are_read_only_and_kept_by_others_of_the_same_examples():
    examples = with_columns()
    with pytest.raises(ValueError, match="read-only"):
        examples.columns["grey"][0] = 1
    others = (examples.with_batch_size(2), examples.in_rounds(6, 2))
    for other in others:
        assert set(next(iter(other))) == {"x", "index", "grey", "digit"}
        assert np.shares_memory(other.columns["grey"], examples.columns["grey"])


def test_labels_are_a_column():
    examples = Examples(np.zeros([4, 2], np.float32), [0, 2, 1, 0], 2, columns={"grey": GREY[:4]})
    assert set(examples.columns) == {"label", "grey"} and examples.num_classes == 3
    assert examples.labels is examples.columns["label"]
    np.testing.assert_array_equal(examples.labels, [0, 2, 1, 0])
    assert with_columns().labels is None


@pytest.mark.parametrize("name", ["x", "index"])
def test_names_that_columns_cannot_have(name):
    with pytest.raises(ValueError, match=f"names than 'x' and 'index'. Received: '{name}'"):
        Examples(GREY, batch_size=4, columns={name: GREY})


BAD_COLUMNS = {
    "too few": GREY[:9],
    "a number": 3.0,
    "strings": np.array(["a"] * 10),
    "objects": np.array([None] * 10),
    "complex numbers": GREY.astype(np.complex64),
    "NaN": np.where(GREY == 7, np.nan, GREY),
    "infinity": np.where(GREY == 7, np.inf, GREY),
}


@pytest.mark.parametrize("column", BAD_COLUMNS.values(), ids=BAD_COLUMNS)
def test_bad_columns(column):
    with pytest.raises((TypeError, ValueError), match=f"grey.*{COMPLAINT[9:]}"):
        with_columns(grey=column)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_integers_stand_for_themselves(dtype):
    tokens = np.arange(100, 120).reshape(10, 2).astype(dtype)
    examples = with_columns(tokens)
    assert examples.x.dtype == np.int32 and examples.element_spec["x"].dtype == tf.int32
    np.testing.assert_array_equal(examples.as_float(), tokens)
    for batch in examples:
        assert batch["x"].dtype == tf.int32
        np.testing.assert_array_equal(batch["x"], tokens[batch["index"].numpy()])


def test_bytes_stand_for_fractions():
    examples = Examples(np.full([4, 2], 51, np.uint8), batch_size=2)
    assert examples.element_spec["x"].dtype == tf.float32
    np.testing.assert_allclose(next(iter(examples))["x"], 0.2)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**40])
def test_integers_beyond_32_bits(value):
    with pytest.raises(ValueError, match="int32.*Received"):
        with_columns(np.where(np.arange(10) == 3, value, 0)[:, None])


def test_what_is_left_out_and_the_batches_are_an_epoch():
    data = examples(num_examples=11, batch_size=4)
    left = [data.left_out(epoch) for epoch in range(3)]
    assert [len(rows) for rows in left] == [3, 3, 3] and len(set(map(tuple, left))) > 1
    for epoch, rows in enumerate(left):
        batches = data.dataset(epoch).take(data.steps_per_epoch)
        seen = np.concatenate([batch["index"] for batch in batches])
        np.testing.assert_array_equal(np.sort(np.append(seen, rows)), np.arange(11))
    assert len(examples(num_examples=8, batch_size=4).left_out(0)) == 0
