"""What all networks have in common, over a table of small ones."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen import networks

BATCH = 4


def uniform(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).uniform(size=shape), tf.float32)


def latents() -> tf.Tensor:
    return 4 * uniform(BATCH, 3) - 2


def images() -> tf.Tensor:
    return uniform(BATCH, 8, 8, 2)


def labels() -> tf.Tensor:
    return tf.constant([2, 0, 1, 2])


@dataclass(frozen=True)
class Case:
    """A network, what it takes, and the shape of an example of what it returns.

    `idle` is how many biases a normalisation further on takes away: their gradients are rounding.
    """

    name: str
    create: Callable[[], keras.layers.Layer]
    inputs: Callable[[], tf.Tensor]
    shape: tuple[int, ...]
    idle: int = 0


IMAGE = (8, 8, 2)


def projection(discriminator: networks.Network) -> networks.ProjectionDiscriminator:
    return networks.ProjectionDiscriminator(discriminator, num_classes=3, spectral_norm=True)


def labelled(inputs: Callable[[], tf.Tensor]) -> Callable[[], tuple]:
    return lambda: (inputs(), labels())


GENERATORS = (
    Case("mlp_generator", lambda: networks.MLP(IMAGE, (5,)), latents, IMAGE),
    Case("infogan_g", lambda: networks.InfoGANGenerator(IMAGE, 6, (4, 3)), latents, IMAGE),
    Case("dcgan_g", lambda: networks.DCGANGenerator(IMAGE, 3), latents, IMAGE),
    Case("resnet_g", lambda: networks.ResNetGenerator(IMAGE, 4, 2), latents, IMAGE),
    Case("resnet_g_no_bn", lambda: networks.ResNetGenerator(IMAGE, 4, 1, False), latents, IMAGE),
    Case(
        "conditional",
        lambda: networks.ConditionalGenerator(networks.DCGANGenerator(IMAGE, 3), 3, 2),
        labelled(latents),
        IMAGE,
    ),
)
DISCRIMINATORS = (
    Case("mlp", lambda: networks.MLP((1,), (5, 4), "leaky_relu"), images, (1,)),
    Case("mlp_sn", lambda: networks.MLP((1,), (5, 4), spectral_norm=True), images, (1,)),
    Case("infogan_d", lambda: networks.InfoGANDiscriminator(6, (4, 3)), images, (1,)),
    Case(
        "infogan_d_sn_bn",
        lambda: networks.InfoGANDiscriminator(6, (4, 3), batch_norm=True, spectral_norm=True),
        images,
        (1,),
    ),
    Case("infogan_e", lambda: networks.InfoGANEncoder(5, 6, (4, 3)), images, (5,)),
    Case("infogan_ae", lambda: networks.InfoGANAutoencoder(IMAGE, 5, (4, 3)), images, IMAGE),
    Case(
        "infogan_ae_bn",
        lambda: networks.InfoGANAutoencoder(IMAGE, 5, (4, 3), True),
        images,
        IMAGE,
        idle=1,
    ),
    Case("dcgan_d", lambda: networks.DCGANDiscriminator(IMAGE, 3), images, (1,)),
    Case("dcgan_d_sn", lambda: networks.DCGANDiscriminator(IMAGE, 3, False, True), images, (1,)),
    Case("resnet_d", lambda: networks.ResNetDiscriminator(4, 4), images, (1,)),
    Case("resnet_d_no_sn", lambda: networks.ResNetDiscriminator(4, 3, False), images, (1,)),
    Case(
        "joint",
        lambda: networks.JointDiscriminator((4, 3), (5,), (6, 5)),
        lambda: (images(), latents()),
        (1,),
    ),
    Case(
        "joint_vectors_sn_bn",
        lambda: networks.JointDiscriminator((), (), (6,), batch_norm=True, spectral_norm=True),
        lambda: (images(), latents()),
        (1,),
    ),
    Case(
        "projection_of_vectors",
        lambda: projection(networks.InfoGANDiscriminator(6, (4, 3))),
        labelled(images),
        (1,),
    ),
    Case(
        "projection_of_maps",
        lambda: projection(networks.ResNetDiscriminator(4, 3)),
        labelled(images),
        (1,),
    ),
)
TELLING = (*DISCRIMINATORS, *GENERATORS[:-1])
"""Those that tell their features."""


def over(cases: tuple[Case, ...]) -> Callable:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def built(case: Case) -> keras.layers.Layer:
    network = case.create()
    network.build(keras.tree.map_structure(lambda x: (None, *x.shape[1:]), case.inputs()))
    return network


@over(GENERATORS + DISCRIMINATORS)
def test_outputs(case):
    network = built(case)
    shapes = keras.tree.map_structure(lambda x: x.shape, case.inputs())
    for training in (False, True):
        outputs = network(case.inputs(), training=training)
        assert outputs.shape == (BATCH, *case.shape) and outputs.dtype == tf.float32
        assert tuple(network.compute_output_shape(shapes)) == outputs.shape


@over(GENERATORS[1:])
def test_images_are_in_the_unit_interval(case):
    inputs = case.inputs()
    far = (1e3 * inputs[0], inputs[1]) if isinstance(inputs, tuple) else 1e3 * inputs
    pictures = built(case)(far).numpy()
    assert 0 <= pictures.min() and pictures.max() <= 1


@over(GENERATORS + DISCRIMINATORS)
def test_every_trained_variable_has_a_gradient(case):
    network = built(case)
    target = uniform(BATCH, *case.shape)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((network(case.inputs(), training=True) - target) ** 2)
    variables, small = network.trainable_variables, []
    for variable, gradient in zip(
        variables, tape.gradient(loss, [v.value for v in variables]), strict=True
    ):
        assert gradient is not None, variable.path
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all(), variable.path
        small += [variable.path] if np.abs(gradient).max() <= 1e-7 else []
    assert len(small) <= case.idle, small


@over(DISCRIMINATORS)
def test_slopes_have_gradients(case):
    """What a gradient penalty needs."""
    network = built(case)
    inputs = case.inputs()
    x = inputs[0] if isinstance(inputs, tuple) else inputs
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(network((x, *inputs[1:]) if isinstance(inputs, tuple) else x))
        slope = inner.gradient(total, x)
        penalty = tf.reduce_sum(slope**2)
    kernels = [v.value for v in network.trainable_variables if len(v.shape) >= 2]
    gradients = [g for g in outer.gradient(penalty, kernels) if g is not None]
    assert penalty > 0
    assert any(np.abs(g).max() > 0 for g in gradients)
    assert all(np.isfinite(g).all() for g in gradients)


@over(TELLING)
def test_features(case):
    network = built(case)
    features = network.features(case.inputs())
    shapes = keras.tree.map_structure(lambda x: (None, *x.shape[1:]), case.inputs())
    assert features
    assert [f.shape[1:] for f in features] == [s[1:] for s in network.feature_shapes(shapes)]
    outputs, again = network.outputs_and_features(case.inputs())
    np.testing.assert_array_equal(outputs, network(case.inputs()))
    for one, other in zip(features, again, strict=True):
        np.testing.assert_array_equal(one, other)


@over(TELLING)
def test_features_may_come_first(case):
    """A network that is asked for features before its first call is built once."""
    keras.utils.set_random_seed(2)
    network = case.create()
    network.features(case.inputs())
    weights = len(network.weights)
    outputs = network(case.inputs())
    assert len(network.weights) == weights > 0
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(built(case)(case.inputs()), outputs)


@over(GENERATORS + DISCRIMINATORS)
def test_calls_outside_training_move_nothing_and_are_by_row(case):
    network = built(case)
    before = network.get_weights()
    inputs = case.inputs()
    outputs = network(inputs)
    for i in range(BATCH):
        row = keras.tree.map_structure(lambda x, i=i: x[i : i + 1], inputs)
        np.testing.assert_allclose(network(row)[0], outputs[i], rtol=1e-4, atol=1e-6)
    for was, now in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@over(GENERATORS + DISCRIMINATORS)
def test_a_seed_makes_the_weights(case):
    outputs = []
    for seed in (4, 4, 5):
        keras.utils.set_random_seed(seed)
        outputs.append(built(case)(case.inputs(), training=True).numpy())
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


@over(GENERATORS + DISCRIMINATORS)
def test_float16_ends_in_floats(case):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(6)
        network = built(case)
        halves = network(case.inputs())
        keras.config.set_dtype_policy("float32")
        keras.utils.set_random_seed(6)
        singles = built(case)(case.inputs())
    finally:
        keras.config.set_dtype_policy(before)
    assert halves.dtype == tf.float32
    assert all(v.dtype == "float32" for v in network.trainable_variables)
    np.testing.assert_allclose(halves, singles, rtol=0.05, atol=0.02)
    assert not np.array_equal(halves, singles)


@over(GENERATORS + DISCRIMINATORS)
def test_configuration_makes_the_like(case):
    network = built(case)
    again = type(network).from_config(network.get_config())
    again.build(keras.tree.map_structure(lambda x: (None, *x.shape[1:]), case.inputs()))
    again.set_weights(network.get_weights())
    np.testing.assert_array_equal(again(case.inputs()), network(case.inputs()))


@over(GENERATORS + DISCRIMINATORS)
def test_weights_in_a_file(case, tmp_path):
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), case.inputs()
    )
    models = [keras.Model(inputs, case.create()(inputs)) for _ in range(2)]
    models[0].save_weights(tmp_path / "network.weights.h5")
    assert not np.array_equal(models[1](case.inputs()), models[0](case.inputs()))
    models[1].load_weights(tmp_path / "network.weights.h5")
    np.testing.assert_array_equal(models[1](case.inputs()), models[0](case.inputs()))


@over(GENERATORS + DISCRIMINATORS)
def test_a_summary_shows_each_layer_and_its_shape(case):
    network, lines = built(case), []
    network.summary(print_fn=lines.append, line_length=200)
    text = "\n".join(lines)
    assert network.layers and all(layer.name in text for layer in network.layers)
    assert "?" not in text and f"Total params: {network.count_params():,}" in text


@over(GENERATORS + DISCRIMINATORS)
def test_a_network_alone_in_a_file(case, tmp_path):
    network = built(case)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    assert type(again) is type(network)
    np.testing.assert_array_equal(again(case.inputs()), network(case.inputs()))


EXPORTED = {"mlp", "dcgan_g", "resnet_d", "joint", "conditional", "projection_of_maps"}


@pytest.mark.ci
@over(tuple(case for case in GENERATORS + DISCRIMINATORS if case.name in EXPORTED))
def test_a_network_alone_is_exported(case, tmp_path):
    network = built(case)
    outputs = network(case.inputs())  # Keras exports what was called.
    network.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    np.testing.assert_allclose(loaded.serve(case.inputs()), outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.ci
@over(GENERATORS + DISCRIMINATORS)
def test_xla_gives_the_same(case):
    network = built(case)
    compiled = tf.function(network, jit_compile=True)
    np.testing.assert_allclose(
        compiled(case.inputs()), network(case.inputs()), rtol=1e-4, atol=1e-5
    )


UNKNOWN = (None, None, None, 1)


@pytest.mark.parametrize(
    ("create", "shape"),
    [
        (lambda: networks.InfoGANDiscriminator(4, (2, 2)), UNKNOWN),
        (lambda: networks.InfoGANDiscriminator(4, (2, 2)), (None, 28, 28)),
        (lambda: networks.InfoGANEncoder(3, 4, (2, 2)), (None, 28, 28, None)),
        (lambda: networks.InfoGANAutoencoder((8, 8, 1)), UNKNOWN),
        (lambda: networks.InfoGANAutoencoder((8, 8, 1)), (None, 8, 8, 3)),
        (lambda: networks.DCGANDiscriminator((8, 8, 1)), UNKNOWN),
        (lambda: networks.DCGANDiscriminator((8, 8, 1)), (None, 16, 16, 1)),
        (lambda: networks.ResNetDiscriminator(2), UNKNOWN),
        (lambda: networks.ResNetDiscriminator(2, 4), (None, 6, 8, 1)),
        (lambda: networks.MLP((1,)), UNKNOWN),
        (lambda: networks.JointDiscriminator((2,)), (UNKNOWN, (None, 3))),
        (lambda: networks.JointDiscriminator((2,)), ((None, 8), (None, 3))),
        (lambda: networks.JointDiscriminator(()), ((None, None), (None, 3))),
        (lambda: networks.JointDiscriminator(()), ((None, 8), (None, 3, 1))),
        (lambda: networks.JointDiscriminator(()), (None, 8, 8, 1)),
        (lambda: networks.ConditionalGenerator(networks.MLP((2,)), 3), (None, 3)),
        (lambda: networks.ConditionalGenerator(networks.MLP((2,)), 3), ((None, 3, 1), (None,))),
        (lambda: projection(networks.MLP((1,))), (None, 3)),
        (lambda: projection(networks.MLP((1,), ())), ((None, 3), (None,))),
        (lambda: projection(networks.ResNetDiscriminator(2)), (UNKNOWN, (None,))),
    ],
)
def test_inputs_of_other_shapes_are_refused(create, shape):
    with pytest.raises(ValueError, match=COMPLAINT):
        create().build(shape)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (networks.InfoGANDiscriminator, {"hidden_units": 0}),
        (networks.InfoGANDiscriminator, {"filters": (4,)}),
        (networks.InfoGANDiscriminator, {"filters": (4, 0)}),
        (networks.InfoGANDiscriminator, {"slope": -0.1}),
        (networks.InfoGANEncoder, {"latent_dim": 0}),
        (networks.InfoGANAutoencoder, {"image_shape": (10, 8, 1)}),
        (networks.InfoGANAutoencoder, {"image_shape": (8, 8, 1), "code_dim": 0}),
        (networks.DCGANGenerator, {"image_shape": (4, 4, 1)}),
        (networks.DCGANGenerator, {"image_shape": (28, 28, 1)}),
        (networks.DCGANGenerator, {"image_shape": (8, 16, 1)}),
        (networks.DCGANGenerator, {"image_shape": (None, None, 1)}),
        (networks.DCGANGenerator, {"image_shape": (8, 8, 1), "filters": 0}),
        (networks.DCGANDiscriminator, {"image_shape": (24, 24, 1)}),
        (networks.DCGANDiscriminator, {"image_shape": (8, 8)}),
        (networks.DCGANDiscriminator, {"image_shape": (8, 8, 1), "slope": float("nan")}),
        (networks.ResNetGenerator, {"image_shape": (28, 28, 1)}),
        (networks.ResNetGenerator, {"image_shape": (32, 32, 3), "num_blocks": 0}),
        (networks.ResNetGenerator, {"image_shape": (32, 32, 3), "filters": 2.5}),
        (networks.ResNetDiscriminator, {"num_blocks": 2}),
        (networks.ResNetDiscriminator, {"filters": 0}),
        (networks.MLP, {"event_shape": (1,), "linear_skip": True, "spectral_norm": True}),
        (networks.JointDiscriminator, {"filters": (0,)}),
        (networks.JointDiscriminator, {"latent_units": ("5",)}),
        (networks.JointDiscriminator, {"hidden_units": (-1,)}),
        (networks.JointDiscriminator, {"slope": -1.0}),
        (networks.ConditionalGenerator, {"generator": networks.MLP((2,)), "num_classes": 0}),
        (
            networks.ConditionalGenerator,
            {"generator": networks.MLP((2,)), "num_classes": 2, "embedding_dim": 0},
        ),
        (networks.ProjectionDiscriminator, {"discriminator": None, "num_classes": 2}),
        (
            networks.ProjectionDiscriminator,
            {"discriminator": networks.MLP((1,)), "num_classes": True},
        ),
    ],
)
def test_bad_arguments(kind, arguments):
    with pytest.raises((TypeError, ValueError), match=COMPLAINT):
        kind(**arguments)
