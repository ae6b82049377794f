"""MADE: each output sees the inputs before it, all of them, and the condition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers import MADE


def made(dim, *args, condition_dim=None, **kwargs):
    """Returns a network in double precision whose kernels all are random."""
    keras.utils.set_random_seed(0)
    network = MADE(*args, **kwargs, dtype="float64")
    network.build((None, dim), condition_dim and (None, condition_dim))
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return network


def dependencies(network, dim, condition=None):
    """Returns which inputs, and which conditions, the outputs depend on: [output, input]."""
    x = tf.constant(np.random.default_rng(1).normal(size=(8, dim)))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x] if condition is None else [x, condition])
        outputs = tf.reduce_sum(network(x, condition), axis=-1)
    of = [x] if condition is None else [x, condition]
    return [np.abs(tape.batch_jacobian(outputs, each)).max(axis=0) > 0 for each in of]


@pytest.mark.parametrize(
    ("dim", "arguments"),
    [
        (1, {"hidden_units": (3,)}),
        (2, {"hidden_units": (1,)}),
        (5, {"hidden_units": (9, 4), "num_params": 3}),
        (5, {"hidden_units": (8, 8, 8), "residual": True}),
        (7, {"hidden_units": (64, 32), "mask_seed": 4}),
    ],
)
def test_an_output_sees_all_inputs_before_it_and_no_other(dim, arguments):
    network = made(dim, activation="softplus", **arguments)
    expected = np.tril(np.ones((dim, dim), bool), -1)
    np.testing.assert_array_equal(dependencies(network, dim)[0], expected)
    assert network(tf.zeros([2, dim], tf.float64)).shape == (
        2,
        dim,
        arguments.get("num_params", 1),
    )


@pytest.mark.parametrize("dim", [1, 4])
def test_all_outputs_see_the_condition(dim):
    network = made(dim, (8, 8), activation="softplus", condition_dim=2)
    condition = tf.constant(np.random.default_rng(2).normal(size=(8, 2)))
    of_x, of_condition = dependencies(network, dim, condition)
    np.testing.assert_array_equal(of_x, np.tril(np.ones((dim, dim), bool), -1))
    assert of_condition.all()


def test_narrow_layers_see_less_and_never_more():
    network = made(6, (2, 3), activation="softplus")
    seen = dependencies(network, 6)[0]
    assert not np.triu(seen).any()
    assert seen[-1, :-1].all()


def test_the_seed_of_the_masks_decides_them():
    masks = [made(5, (16,), mask_seed=seed)(tf.ones([1, 5], tf.float64)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.allclose(masks[0], masks[2])


def test_it_begins_at_zero_and_masks_are_no_weights():
    network = MADE((4,), 2)
    assert not np.any(network(tf.ones([3, 5])))
    assert [weight.path.split("/")[-1] for weight in network.weights] == [
        "kernel_0",
        "bias_0",
        "kernel_1",
        "bias_1",
    ]


@pytest.mark.parametrize("initializer", ["he_uniform", keras.initializers.HeUniform()])
def test_each_kernel_begins_with_numbers_of_its_own(initializer):
    network = MADE((3, 3, 3), kernel_initializer=initializer)
    network.build((None, 3))
    first, second, third, _ = [kernel.numpy() for kernel in network._kernels]
    for one, other in ((first, second), (second, third)):
        assert not np.any(one == other)


def test_kernels_begin_by_the_initializer_given():
    network = MADE((2,), kernel_initializer=keras.initializers.Constant(0.5))
    network.build((None, 3))
    again = MADE.from_config(network.get_config())
    again.build((None, 3))
    for made_so in (network, again):
        np.testing.assert_array_equal(made_so._kernels[0], np.full((3, 2), 0.5))
    with pytest.raises(TypeError, match="`kernel_initializer` of Keras"):
        MADE((2,), kernel_initializer=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_units": ()}, "`hidden_units`, at least one"),
        ({"hidden_units": (4, 0)}, "`hidden_units` >= 1"),
        ({"hidden_units": (4, 5), "residual": True}, "`hidden_units` of one width"),
        ({"hidden_units": (4,), "num_params": 0}, "`num_params` >= 1"),
        ({"hidden_units": (4,), "mask_seed": -1}, "`mask_seed` >= 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MADE(**arguments)


def test_bad_inputs_are_refused():
    with pytest.raises(ValueError, match=r"`inputs` of rank 2, \[batch, dim\]"):
        MADE((4,)).build((None, 3, 3))
    with pytest.raises(ValueError, match="Expected no `condition`"):
        made(3, (4,))(tf.zeros([2, 3], tf.float64), tf.zeros([2, 2], tf.float64))
    with pytest.raises(ValueError, match="Expected `condition`, as the network was built"):
        made(3, (4,), condition_dim=2)(tf.zeros([2, 3], tf.float64))
