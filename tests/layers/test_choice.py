"""Rows through one of several members, or through each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers import EachOf, OneOf
from tfgen.networks import MLP


def members(count: int = 3) -> list[MLP]:
    return [MLP((2,), (4,)) for _ in range(count)]


@pytest.fixture
def inputs():
    """Rows whose first numbers are spread over [0, 1), [20, 4]."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(20, 4)).astype(np.float32)
    rows[:, 0] = random.uniform(size=20)
    return rows


def test_one_of_sends_each_row_through_the_member_that_its_first_number_names(inputs):
    layer = OneOf(members())
    outputs = layer(inputs)
    for row, output in zip(inputs, outputs, strict=True):
        alone = layer.members[int(row[0] * 3)](row[np.newaxis, 1:])
        np.testing.assert_allclose(output, alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("u", "member"), [(0.0, 0), (0.999999, 2), (1.0, 2), (1 / 3 + 1e-6, 1)])
def test_ends_of_the_interval(u, member):
    layer = OneOf(members())
    row = np.array([[u, 1.0, -1.0]], np.float32)
    np.testing.assert_allclose(layer(row), layer.members[member](row[:, 1:]), rtol=1e-6)


def test_one_of_takes_batches_without_a_row_for_a_member(inputs):
    layer = OneOf(members(40))
    assert np.isfinite(layer(inputs)).all()
    assert layer(inputs[:0]).shape == (0, 2)


def test_gradients_reach_the_members_that_rows_went_through(inputs):
    layer = OneOf(members())
    few = inputs[inputs[:, 0] < 1 / 3]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(few)))
    gradients = tape.gradient(loss, [v.value for v in layer.trainable_variables])
    largest = [float(np.abs(g).max()) for g in gradients]
    assert min(largest[:4]) > 0
    assert max(largest[4:]) == 0


def test_each_of_puts_the_outputs_side_by_side(inputs):
    layer = EachOf(members())
    outputs = layer(inputs)
    assert outputs.shape == (20, 3, 2) == layer.compute_output_shape((20, 4))
    for index, member in enumerate(layer.members):
        np.testing.assert_allclose(outputs[:, index], member(inputs), rtol=1e-6)


def test_shapes_are_known_in_graphs():
    one_of, each_of = OneOf(members()), EachOf(members())

    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def call(x: tf.Tensor) -> tuple:
        outputs = one_of(x), each_of(x)
        assert outputs[0].shape.as_list() == [None, 2]
        assert outputs[1].shape.as_list() == [None, 3, 2]
        return outputs

    call.get_concrete_function()


class Plain(keras.Model):
    """A network without a word of shapes."""

    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(2)

    def call(self, inputs, training=False):
        return self.inner(inputs)


def test_members_need_not_tell_their_shapes(inputs):
    for kind, shape in ((OneOf, (20, 2)), (EachOf, (20, 2, 2))):
        layer = kind([Plain(), Plain()])
        layer.build(inputs.shape)
        assert len(layer.trainable_variables) == 4
        assert layer.compute_output_shape((None, 4)) == (None, *shape[1:])
        assert layer(inputs).shape == shape


def test_xla_compiles_them(inputs):
    layer = OneOf(members())
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_allclose(compiled(inputs), layer(inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [OneOf, EachOf])
def test_members_are_layers_of_their_own(kind):
    with pytest.raises(
        ValueError, match=r"Expected `members`, at least one layer\. Received: \[\]"
    ):
        kind([])
    with pytest.raises(ValueError, match=r"Expected `members`, at least one layer"):
        kind([lambda x: x])
    one = MLP((2,))
    with pytest.raises(ValueError, match=r"Expected `members` with weights of their own"):
        kind([one, one])


@pytest.mark.parametrize("kind", [OneOf, EachOf])
def test_members_make_outputs_of_one_shape(kind):
    with pytest.raises(ValueError, match=r"outputs of one shape.*\(None, 2\).*\(None, 3\)"):
        kind([MLP((2,)), MLP((3,))]).build((None, 4))


def test_one_of_refuses_batch_normalisation():
    with pytest.raises(ValueError, match=r"Expected `members` without batch normalisation"):
        OneOf([MLP((2,), (4,), batch_norm=True)])


def test_one_of_takes_vectors():
    with pytest.raises(ValueError, match=r"Expected `inputs` of rank 2, \[batch, 1 \+ d\]"):
        OneOf([keras.layers.Flatten()]).build((None, 4, 4))
