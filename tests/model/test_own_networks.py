"""Networks of one's own: subclasses of Keras' classes, and policies of other types of numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks
from tfgen import serving
from tfgen.adversarial import BEGAN, GAN, BiGAN
from tfgen.core.config import build_once, output_shape, register
from tfgen.distributions import StandardNormal
from tfgen.implicit import MomentMatching
from tfgen.latent import GLANN, GLO, IMLE
from tfgen.losses import SquaredError
from tfgen.model.inversion import Inversion
from tfgen.model.saving import load_model
from tfgen.networks import MLP, ConditionalGenerator, ProjectionDiscriminator

ENCODE = {"inversion": Inversion(2, 2)}


@register
class Plain(keras.Model):
    """Dense layers, without a word of shapes."""

    def __init__(self, *layers):
        super().__init__()
        self.inner = list(layers)

    def call(self, inputs, training=False):
        for part in keras.tree.flatten(inputs):
            inputs = keras.ops.reshape(part, [-1, int(np.prod(part.shape[1:]))])
        for layer in self.inner:
            inputs = layer(inputs)
        return inputs


@register
class Pair(Plain):
    """One that takes two inputs."""

    def call(self, inputs, training=False):
        x, z = inputs
        return super().call(keras.ops.concatenate([keras.ops.reshape(x, [-1, 16]), z], axis=1))


@register
class Saved(Plain):
    """One that says what it is made with."""

    def __init__(self, units):
        super().__init__(keras.layers.Dense(units))
        self.units = units

    def get_config(self):
        return {"units": self.units}


def own_generator():
    dense = keras.layers.Dense(16, activation="sigmoid")
    return Plain(keras.layers.BatchNormalization(), dense, keras.layers.Reshape((4, 4, 1)))


def own_mapping():
    return Plain(keras.layers.Dense(3))


def own_discriminator():
    return Plain(keras.layers.Dense(4, "relu"), keras.layers.Dense(1))


def glo():
    return GLO(own_generator(), 16, 3, loss=SquaredError(), **ENCODE)


MODELS = {
    "gan": lambda: GAN(own_generator(), own_discriminator(), prior=StandardNormal(3), **ENCODE),
    "began": lambda: BEGAN(own_generator(), own_generator(), prior=StandardNormal(3), **ENCODE),
    "bigan": lambda: BiGAN(
        own_generator(), own_mapping(), Pair(keras.layers.Dense(1)), prior=StandardNormal(3)
    ),
    "glo": glo,
    "imle": lambda: IMLE(own_generator(), 16, 3),
    "glann": lambda: GLANN(glo(), IMLE(own_mapping(), 16, 3)),
    "moments": lambda: MomentMatching(own_generator(), prior=StandardNormal(3)),
}
over_models = pytest.mark.parametrize("create", MODELS.values(), ids=MODELS)


@over_models
def test_networks_that_do_not_tell_their_shapes(create):
    model = create()
    assert model.event_shape == (4, 4, 1) and model.trainable_variables
    kernels = [weight.path for weight in model.trainable_variables if "kernel" in weight.path]
    assert len(kernels) >= 1 and model.event_spec is model.event_spec


def test_a_network_within_one_that_takes_labels():
    generator = ConditionalGenerator(own_generator(), 2, 4)
    judge = ProjectionDiscriminator(MLP((1,), (4,)), 2)
    model = GAN(generator, judge, prior=StandardNormal(3), num_classes=2)
    assert model.event_shape == (4, 4, 1)
    assert model.sample(2, seed=0, condition=[0, 1]).shape == (2, 4, 4, 1)


def test_a_network_is_called_once_to_be_built():
    """On zeros: nothing moves, and it has the shapes of any batch."""
    network = own_generator()
    build_once(network, (None, 3))
    weights = network.get_weights()
    assert len(weights) == 4 + 2 and output_shape(network, (None, 3)) == (None, 4, 4, 1)
    build_once(network, (None, 3))
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    pair = Pair(keras.layers.Dense(2))
    build_once(pair, ((None, 4, 4, 1), (None, 3)))
    assert pair.inner[0].kernel.shape == (19, 2)


def test_a_network_that_says_what_it_is_made_with_is_saved(tmp_path):
    model = GAN(MLP((4, 4, 1)), Saved(1), prior=StandardNormal(3))
    model.compile()
    model.save(tmp_path / "gan.keras")
    again = load_model(tmp_path / "gan.keras")
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_network_that_does_not_is_refused_when_it_is_saved(tmp_path):
    for name in ("gan", "glann"):
        with pytest.raises(ValueError, match=f"`get_config` of Plain.*{COMPLAINT[9:]}"):
            MODELS[name]().save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"`get_config` of Plain.*{COMPLAINT[9:]}"):
        GAN(own_generator(), own_discriminator(), prior=StandardNormal(3), ema_decay=0.9)


@pytest.fixture
def policy(request):
    """Sets a policy of Keras for a test."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "float64"], indirect=True)
@over_models
def test_weights_of_other_types_are_refused(policy, create):
    better = "float32" if policy == "float64" else f"mixed_{policy}"
    with pytest.raises(ValueError, match=f"set_dtype_policy.'{better}'.*Received: .*'{policy}'"):
        create()


@pytest.mark.parametrize(
    ("policy", "name"),
    [*(("mixed_float16", name) for name in MODELS), ("mixed_bfloat16", "gan")],
    indirect=["policy"],
)
def test_own_networks_in_16_bits(policy, name):
    """They end in 16 bits, if their last layer is not told otherwise."""
    model = MODELS[name]()
    model.compile(run_eagerly=True)
    model.fit(blocks(), batch_size=16, verbose=0)
    z = tf.zeros([2, 3])
    assert model.sample(2, seed=0).dtype == model.decode(z).dtype == tf.float32
    if "encode" in model.capabilities():
        assert model.reconstruct(blocks(2)).dtype == tf.float32


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
@pytest.mark.parametrize("name", ["bigan"])
def test_own_networks_in_16_bits_are_served_in_floats(policy, name, tmp_path):
    model = MODELS[name]()
    path = serving.export(model, tmp_path)
    loaded = tf.saved_model.load(path)
    signatures = loaded.signatures
    for name, signature in signatures.items():
        for output in signature.structured_outputs.values():
            assert output.dtype in (tf.float32, tf.string), name
    images = signatures["serving_default"](seed=tf.constant([4, 5], tf.int64))["images"]
    assert images.shape == (2, 4, 4, 1) and np.isfinite(images).all()
