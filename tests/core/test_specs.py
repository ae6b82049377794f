"""What specifications say, and which values agree with them."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.core import specs

IMAGES = specs.event_spec((2, 2, 1))
POINTS = specs.event_spec((2,))
TOKENS = specs.event_spec((2,), tf.int32, num_values=5)
LABEL = {"label": specs.label_spec(3)}
BOTH = {**LABEL, "grey": tf.TensorSpec((2,), tf.float32, "grey")}


def in_graph(function):
    return tf.function(function, autograph=False)


@pytest.mark.parametrize(
    "arguments, name, bounds",
    [
        (((28, 28, 1),), "images", (0, 1)),
        (((8, 9, 3),), "images", (0, 1)),
        (((8, 8, 4),), "images", (0, 1)),
        (((8, 8, 2),), "examples", None),
        (((5,),), "points", None),
        (((5, 1),), "examples", None),
        (((2, 8, 8, 1),), "examples", None),
        (((),), "examples", None),
        (((9,), tf.int32, 4), "tokens", (0, 3)),
        (((8, 8, 1), tf.int64, 2), "tokens", (0, 1)),
        (((16, 1), tf.float32, None, "audio"), "audio", (-1, 1)),
        (((6,), tf.int32, 3, "codes"), "codes", (0, 2)),
        (((6, 6, 1), tf.float32, None, "examples"), "examples", None),
    ],
)
def test_nouns_and_bounds_of_examples(arguments, name, bounds):
    spec = specs.event_spec(*arguments)
    assert (spec.name, tuple(spec.shape)) == (name, arguments[0])
    assert spec.dtype == (arguments[1] if len(arguments) > 1 else tf.float32)
    assert specs.bounds(spec) == bounds
    assert specs.is_image(spec) == (name == "images")


@pytest.mark.parametrize(
    "num_values, error", [(None, TypeError), (2.5, TypeError), (0, ValueError), (-1, ValueError)]
)
def test_integers_have_a_number_of_values(num_values, error):
    with pytest.raises(error, match=f"`num_values`.*{COMPLAINT[9:]}"):
        specs.event_spec((3,), tf.int32, num_values)


def test_labels_and_latents():
    label, z = specs.label_spec(3), specs.latent_spec(7)
    assert (label.name, label.dtype, tuple(label.shape)) == ("label", tf.int64, ())
    assert specs.bounds(label) == (0, 2) and label.num_values == 3
    assert specs.label_spec(2, "digit").name == "digit"
    assert (z.name, z.dtype, tuple(z.shape), specs.bounds(z)) == ("z", tf.float32, (7,), None)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda spec: pickle.loads(pickle.dumps(spec))])
def test_bounds_outlive_copies(again):
    spec = again(TOKENS)
    assert spec == TOKENS and specs.bounds(spec) == (0, 4) and spec.num_values == 5


def test_a_batch_has_one_more_axis():
    spec = specs.batched(IMAGES)
    assert (spec.name, spec.shape.as_list(), spec.dtype) == ("images", [None, 2, 2, 1], tf.float32)
    assert specs.batched(LABEL["label"], "digit").name == "digit"


@pytest.mark.parametrize("spec", [IMAGES, POINTS, TOKENS, LABEL["label"], specs.label_spec(2)])
def test_rows_agree_with_their_specification(spec):
    rows = specs.rows(spec, 3)
    assert rows.shape == (3, *spec.shape) and rows.dtype == spec.dtype
    np.testing.assert_array_equal(specs.checked(rows, spec, "x"), rows)
    low, high = specs.bounds(spec) or (0, 0)
    assert abs(rows.numpy() - (low + high) / 2).max() <= 0.5


A, B = tf.TensorSpec((1,), name="a"), tf.TensorSpec((2,), name="b")


@pytest.mark.parametrize(
    "nest, named",
    [
        (A, {"z": A}),
        ((A, B), {"z_0": A, "z_1": B}),
        ([B, A], {"z_0": B, "z_1": A}),
        ({"low": A, "top": B}, {"z_low": A, "z_top": B}),
        ({"top": B, "low": A}, {"z_low": A, "z_top": B}),
    ],
)
def test_parts_of_nests_by_name(nest, named):
    found = specs.by_name(nest, "z")
    assert found == named
    # In the order in which Keras takes nests apart, by which they are put together again.
    assert list(found.values()) == keras.tree.flatten(nest)
    assert specs.like_nest(nest, list(found.values())) == nest


@pytest.mark.parametrize(
    "value, spec, dtype",
    [
        (np.ones([3, 2]), POINTS, tf.float32),
        ([[0.5, -1.5]], POINTS, tf.float32),
        (tf.ones([3, 2], tf.float16), POINTS, tf.float32),
        (np.full([1, 2, 2, 1], 1.0), IMAGES, tf.float32),
        (np.zeros([0, 2, 2, 1]), IMAGES, tf.float32),
        (np.array([[0, 4]], np.uint8), TOKENS, tf.int32),
        ([[4, 0]], TOKENS, tf.int32),
        ([0, 2], LABEL["label"], tf.int64),
        ([[-1e30]], tf.TensorSpec((1,), tf.float32), tf.float32),
        ([[-7]], tf.TensorSpec((1,), tf.int32), tf.int32),
    ],
)
@pytest.mark.parametrize("wrap", [lambda f: f, in_graph], ids=["eager", "graph"])
def test_what_agrees_is_cast(value, spec, dtype, wrap):
    found = wrap(lambda x: specs.checked(x, spec, "x"))(tf.convert_to_tensor(value))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, value, rtol=1e-6)


@pytest.mark.parametrize(
    "value, spec, message",
    [
        (np.ones([1, 2], np.int32), POINTS, "`x` of floats. Received: int32"),
        (np.ones([1, 2], bool), POINTS, "`x` of floats. Received: bool"),
        (np.ones([1, 2]), TOKENS, "`x` of integers. Received: float64"),
        (np.ones([1, 2], bool), TOKENS, "`x` of integers. Received: bool"),
        ([["a", "b"]], POINTS, "`x` of floats. Received: string"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda f: f, in_graph], ids=["eager", "graph"])
def test_another_kind(value, spec, message, wrap):
    with pytest.raises(TypeError, match=f"Expected {message}"):
        wrap(lambda x: specs.checked(x, spec, "x"))(tf.convert_to_tensor(value))


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 1), ()])
@pytest.mark.parametrize("wrap", [lambda f: f, in_graph], ids=["eager", "graph"])
def test_another_shape(shape, wrap):
    with pytest.raises(ValueError, match=r"Expected `x` of shape \[batch, 2\]. Received: shape \("):
        wrap(lambda x: specs.checked(x, POINTS, "x"))(tf.ones(shape))


WRONG = {
    "NaN": ([[0.0, 1.0], [np.nan, 0.0]], POINTS, "to be finite numbers", "nan in row 1"),
    "infinity": ([[-np.inf, 0.0]], POINTS, "to be finite numbers", "-inf in row 0"),
    "too much": (np.full([3, 2, 2, 1], 255.0), IMAGES, r"in \[0, 1\]", "255.0 in row 0"),
    "too little": ([[[[0.5]] * 2] * 2, [[[-0.5]] * 2] * 2], IMAGES, r"in \[0, 1\]", "-0.5 in row"),
    "a dark hole": (np.full([1, 2, 2, 1], np.nan), IMAGES, r"in \[0, 1\]", "nan in row 0"),
    "one too many": ([[1, 1], [0, 5]], TOKENS, r"in \[0, 5\)", "5 in row 1"),
    "negative": ([0, 1, -1], LABEL["label"], r"in \[0, 3\)", "-1 in row 2"),
    "loud": ([[[1.0], [-2.0]]], specs.event_spec((2, 1), name="audio"), r"in \[-1, 1\]", "-2.0 in"),
}


@pytest.mark.parametrize("value, spec, what, received", WRONG.values(), ids=WRONG)
def test_values_out_of_range_name_the_input_and_the_row(value, spec, what, received):
    with pytest.raises(ValueError, match=f"^Expected `x` {what}. Received: {received}"):
        specs.checked(value, spec, "x")


@pytest.mark.parametrize("value, spec, what, received", WRONG.values(), ids=WRONG)
def test_a_graph_checks_when_it_runs(value, spec, what, received):
    check = in_graph(lambda x: specs.checked(x, spec, "x"))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"Expected `x` {what}. Received: from"
    ):
        check(tf.convert_to_tensor(value))


def test_integers_are_checked_before_they_are_cast():
    """2**32 would become 0."""
    for value in (np.array([[0, 2**32]]), np.array([[2**40 + 1, 1]])):
        with pytest.raises(ValueError, match=r"^Expected `x` in \[0, 5\). Received: \d+ in row 0"):
            specs.checked(value, TOKENS, "x")


def test_shape_alone():
    found = specs.with_shape([[np.nan, 3.0]], POINTS, "x")
    assert found.dtype == tf.float32 and found.shape == (1, 2)
    for value, error in (([[1]], TypeError), ([[1.0]], ValueError)):
        with pytest.raises(error, match=f"`x`.*{COMPLAINT[9:]}"):
            specs.with_shape(value, POINTS, "x")


def test_no_condition():
    assert specs.as_conditions(None, {}) == {} == specs.as_conditions(None, BOTH)
    with pytest.raises(ValueError, match="Expected no `condition`: the model is unconditional"):
        specs.as_conditions([1, 2], {})


@pytest.mark.parametrize("given", [[1, 0], {"label": [1, 0]}, np.array([1, 0], np.uint8)])
def test_a_bare_condition_goes_by_the_only_name(given):
    found = specs.as_conditions(given, LABEL, num_rows=2)
    assert set(found) == {"label"} and found["label"].dtype == tf.int64
    np.testing.assert_array_equal(found["label"], [1, 0])


def test_conditions_by_name():
    found = specs.as_conditions({"grey": np.ones([1, 2]), "label": [2]}, BOTH, num_rows=1)
    assert found["label"].numpy() == [2] and found["grey"].numpy().tolist() == [[1, 1]]
    assert set(specs.as_conditions({"label": [2]}, BOTH)) == {"label"}  # Others may be drawn.


@pytest.mark.parametrize(
    "given, conditions, error, message",
    [
        ([0], BOTH, TypeError, r"`condition`, a mapping with keys \['grey', 'label'\]"),
        ({"labels": [0]}, LABEL, ValueError, r"conditions among \['label'\]. .*\['labels'\]"),
        ({"label": [0, 0, 0]}, LABEL, ValueError, "`label` of 2 rows. Received: 3 rows"),
        ({"grey": np.ones([1, 2])}, BOTH, ValueError, "`grey` of 2 rows. Received: 1 rows"),
        (0, LABEL, ValueError, r"`label` of shape \[batch\]. Received: shape \(\)"),
        ([[0], [0]], LABEL, ValueError, r"`label` of shape \[batch\]"),
        ([0, 3], LABEL, ValueError, r"`label` in \[0, 3\). Received: 3 in row 1"),
        ([0.0, 1.0], LABEL, TypeError, "`label` of integers. Received: float32"),
        ({"grey": np.full([2, 2], np.nan)}, BOTH, ValueError, "`grey` to be finite .*nan in row 0"),
    ],
)
def test_wrong_conditions(given, conditions, error, message):
    with pytest.raises(error, match=f"Expected {message}"):
        specs.as_conditions(given, conditions, num_rows=2)


def test_missing_conditions():
    specs.check_all_given({"label": 0, "grey": 0}, BOTH)
    specs.check_all_given({}, {})
    with pytest.raises(ValueError, match=r"with \['grey'\]: .* conditional. Received: \['label'\]"):
        specs.check_all_given({"label": 0}, BOTH)
    with pytest.raises(ValueError, match=r"with \['grey', 'label'\].* Received: None"):
        specs.check_all_given({}, BOTH)


@pytest.mark.parametrize("wrap", [lambda f: f, in_graph], ids=["eager", "graph"])
def test_integers_beyond_64_bits(wrap):
    """2**64 - 1 would become -1."""
    spec = tf.TensorSpec((1,), tf.int64)
    check = wrap(lambda x: specs.checked(x, specs.event_spec((1,), tf.int32, 5), "x"))
    for value in (2**63, 2**64 - 1):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=r"`x` in \[0, 5\)"):
            check(tf.constant([[value]], tf.uint64))
    found = wrap(lambda x: specs.checked(x, spec, "x"))(tf.constant([[7]], tf.uint64))
    assert found.numpy().tolist() == [[7]]
