"""What adversarial models refuse or warn of."""

import math
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.adversarial.helpers import (
    LABELS,
    conditional,
    small_gan,
    values,
)
from tests.small_models import COMPLAINT, blocks, small_glo
from tfgen.callbacks import Checkpoint
from tfgen.distributions import Uniform
from tfgen.layers import EachOf
from tfgen.losses import (
    R1,
    GradientPenalty,
    Hinge,
    LeastSquares,
    Wasserstein,
    WeightClip,
)
from tfgen.networks import (
    MLP,
    DCGANGenerator,
    InfoGANDiscriminator,
    InfoGANGenerator,
    ProjectionDiscriminator,
)
from tfgen.training.not_finite import NonFiniteError


def test_a_discriminator_that_ends_in_a_sigmoid():
    net = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid", name="verdict"),
        ]
    )
    with pytest.warns(UserWarning, match="'verdict'.*sigmoid.*Hinge.*logits"):
        small_gan(discriminator=net, loss=Hinge())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_gan(discriminator=net, loss=LeastSquares())
        small_gan(loss=Hinge())


@pytest.mark.parametrize(
    "network",
    [
        lambda: MLP((1,), (8,), output_activation="sigmoid"),
        lambda: MLP((1,), (8,), output_activation="sigmoid", spectral_norm=True),
        lambda: keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.Conv2D(1, 4),
                keras.layers.Activation(tf.sigmoid),
                keras.layers.Flatten(),
            ]
        ),
    ],
    ids=["mlp", "normalised", "an activation before flattening"],
)
def test_other_discriminators_that_end_in_a_sigmoid(network):
    with pytest.warns(UserWarning, match="is a sigmoid, but Hinge"):
        small_gan(discriminator=network(), loss=Hinge())


def test_a_sigmoid_within_a_conditional_discriminator():
    inner = MLP((1,), (8,), output_activation="sigmoid")
    with pytest.warns(UserWarning, match="is a sigmoid, but NonSaturating"):
        conditional(discriminator=ProjectionDiscriminator(inner, 4))


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": "hinge"},
        {"loss": Hinge},
        {"penalties": R1()},
        {"penalties": ["r1"]},
        {"penalties": [R1]},
        {"weight_clip": -0.01},
        {"weight_clip": WeightClip},
        {"augmentation": "flip"},
    ],
    ids=str,
)
def test_parts_that_are_none(arguments):
    with pytest.raises(TypeError, match=COMPLAINT):
        small_gan(**arguments)


def test_networks_of_another_number_of_classes():
    with pytest.raises(ValueError, match="num_classes=4.*Received: 3"):
        conditional(num_classes=3)


def test_as_many_labels_as_examples():
    with pytest.raises(ValueError, match="Expected `label` of 2 rows. Received: 3 rows"):
        conditional().decode(tf.zeros([2, 3]), [0, 1, 2])


def test_batch_normalisation_in_a_critic_whose_slopes_are_bounded():
    net = InfoGANDiscriminator(8, (4, 4), batch_norm=True)
    with pytest.warns(UserWarning, match="GradientPenalty.*'batch_normalization.*Gulrajani"):
        small_gan(discriminator=net, penalties=[GradientPenalty()])


@pytest.mark.parametrize("limit", [0.0, -0.01, float("nan"), float("inf")])
def test_clip_values(limit):
    with pytest.raises(ValueError, match=COMPLAINT):
        WeightClip(limit)


@pytest.mark.parametrize("decay", [1.0, 1.5, -0.1, float("nan")])
def test_decays_of_the_average(decay):
    with pytest.raises(ValueError, match=r"`ema_decay` in \[0, 1\). Received"):
        small_gan(ema_decay=decay)


@pytest.mark.parametrize("size, steps", [(16, 3), (10, 4)])
def test_a_batch_that_the_steps_do_not_divide(size, steps):
    gan = small_gan(discriminator_steps=steps)
    with pytest.raises(ValueError, match=f"divisible by {steps}.*Received: {size}"):
        gan.fit(blocks(16), batch_size=size, verbose=0)


def test_a_batch_of_a_dataset_that_the_steps_do_not_divide():
    gan = small_gan(discriminator_steps=2)
    data = tf.data.Dataset.from_tensor_slices({"x": blocks(5)}).batch(5)
    with pytest.raises(ValueError, match="divisible by 2.*Received: 5 at epoch 1, batch 1"):
        gan.fit(data, verbose=0)


def test_labels_that_training_needs():
    with pytest.raises(ValueError, match="'label'.*Received"):
        conditional().fit(blocks(16), batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=r"`label` in \[0, 3\). Received: 3 in row 3"):
        conditional(3).fit(blocks(16), LABELS, batch_size=8, verbose=0)


class OneHotMLP(MLP):
    """Takes labels out of range for no class, as networks may."""

    def build(self, input_shape):
        super().build((None, math.prod(input_shape[0][1:]) + 4))

    def outputs_and_features(self, inputs, training=False):
        x, labels = inputs
        flat = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        return super().outputs_and_features(tf.concat([flat, tf.one_hot(labels, 4)], 1), training)

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(input_shape[0])


@pytest.mark.parametrize("label", [-1, 4])
@pytest.mark.parametrize("own", [False, True], ids=["ours", "own"])
def test_labels_of_a_dataset_out_of_range(label, own):
    networks = {
        "generator": OneHotMLP((4, 4, 1), output_activation="sigmoid"),
        "discriminator": OneHotMLP((1,)),
    }
    gan = conditional(**(networks if own else {}))
    labels = np.where(np.arange(16) == 9, label, LABELS)
    data = tf.data.Dataset.from_tensor_slices({"x": blocks(16), "label": labels}).batch(4)
    gan.fit(data.take(2), verbose=0)
    before = values(gan)
    with pytest.raises(ValueError, match=rf"^Expected `label` in \[0, 4\). Received: {label} in"):
        gan.fit(data.skip(2), verbose=0)
    np.testing.assert_equal(values(gan), before)


@pytest.mark.parametrize("labels, wrong", [([0, 4], "4 in row 1"), ([-1, 0], "-1 in row 0")])
def test_labels_out_of_range(labels, wrong):
    with pytest.raises(ValueError, match=rf"`label` in \[0, 4\). Received: {wrong}"):
        conditional().sample(2, 0, np.array(labels))


def test_labels_of_a_wrong_kind():
    with pytest.raises(TypeError, match="`label` of integers. Received: float32"):
        conditional().sample(2, 0, np.ones(2, np.float32))
    with pytest.raises(ValueError, match=r"`label` of shape \[batch\]. Received: shape \(2, 1\)"):
        conditional().sample(2, 0, np.ones((2, 1), int))
    with pytest.raises(ValueError, match=r"`condition` with \['label'\]: the model is conditional"):
        conditional().decode(tf.zeros([2, 3]))


def test_labels_for_an_unconditional_model():
    for call in (lambda g: g.sample(2, 0, [0, 1]), lambda g: g.decode(tf.zeros([2, 3]), [0, 1])):
        with pytest.raises(ValueError, match="no `condition`: the model is unconditional"):
            call(small_gan())
    small_gan().fit(blocks(16), LABELS, batch_size=8, verbose=0)  # Labelled data are fine.


def test_a_generator_of_other_shapes_or_ranges():
    with pytest.raises(ValueError, match=r"shape \(4, 4, 1\), as the model makes.*\(8, 8, 1\)"):
        small_gan().fit(np.zeros((8, 8, 8, 1), np.float32), batch_size=8, verbose=0)
    loud = MLP((4, 4, 1), (8,), output_activation="tanh")
    with pytest.raises(ValueError, match=r"images in \[0, 1\].*Received: values from -0"):
        small_gan(generator=loud).fit(blocks(8), batch_size=8, verbose=0)
    faint = DCGANGenerator((32, 32, 1), 4)
    faint = keras.Sequential([keras.Input((3,)), faint, keras.layers.Lambda(lambda x: 2 * x - 1)])
    gan = small_gan(generator=faint, discriminator=InfoGANDiscriminator(8, (4, 4)))
    with pytest.raises(ValueError, match=r"images in \[0, 1\].*Received: values from -"):
        gan.fit(np.zeros((8, 32, 32, 1), np.float32), batch_size=8, verbose=0)


def sequential(*layers, inputs=(4, 4, 1)):
    return keras.Sequential([keras.Input(inputs), *layers])


SWAPPED = {
    "ours": lambda: (InfoGANDiscriminator(8, (4, 4)), InfoGANGenerator((4, 4, 1), 8, (4, 4))),
    "mlps": lambda: (MLP((1,)), MLP((4, 4, 1))),
    "own": lambda: (
        sequential(keras.layers.Flatten(), keras.layers.Dense(1)),
        sequential(keras.layers.Dense(16), keras.layers.Reshape((4, 4, 1)), inputs=(3,)),
    ),
}


@pytest.mark.parametrize("networks", SWAPPED.values(), ids=SWAPPED)
def test_swapped_networks(networks):
    one, other = networks()
    with pytest.raises(ValueError, match=f"are two networks swapped.*{COMPLAINT[9:]}"):
        small_gan(generator=one, discriminator=other)


@pytest.mark.parametrize(
    "network",
    [
        lambda: MLP((5,)),
        lambda: sequential(keras.layers.Flatten(), keras.layers.Dense(5)),
        lambda: sequential(keras.layers.Conv2D(5, 3)),
        lambda: EachOf([MLP((5,)), MLP((5,))]),
    ],
    ids=["ours", "own", "patches", "committee"],
)
def test_a_discriminator_of_several_units(network):
    with pytest.raises(ValueError, match=r"ends in one unit.*Received: outputs of shape .*5"):
        small_gan(discriminator=network())


@pytest.mark.parametrize(
    "network",
    [
        lambda: sequential(keras.layers.Conv2D(1, 3)),
        lambda: EachOf([sequential(keras.layers.Conv2D(1, 3)) for _ in range(2)]),
        lambda: sequential(keras.layers.Flatten(), keras.layers.Dense(1), keras.layers.Reshape(())),
    ],
    ids=["patches", "committee of patches", "a number"],
)
def test_other_logits_that_are_fine(network):
    small_gan(discriminator=network()).train_step({"x": tf.constant(blocks(8))})


def test_images_with_channels_first():
    gan = small_gan(generator=MLP((4, 4, 3), output_activation="sigmoid"))
    x = np.moveaxis(np.repeat(blocks(8), 3, axis=-1), -1, 1)
    with pytest.raises(ValueError, match=r"np.moveaxis\(x, 1, -1\).*Received: \(3, 4, 4\)"):
        gan.fit(x, batch_size=8, verbose=0)


def test_keras_set_to_channels_first():
    keras.config.set_image_data_format("channels_first")
    try:
        for create in (small_gan, small_glo, lambda: InfoGANGenerator((4, 4, 1))):
            with pytest.raises(ValueError, match=r'set_image_data_format\("channels_last"\)'):
                create()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_logits_of_unequal_shape():
    with pytest.raises(ValueError, match="Expected `fake` logits of shape .2, 1.*Received: .3, 1"):
        Hinge().discriminator(tf.zeros([2, 1]), tf.zeros([3, 1]))


@pytest.mark.parametrize("which", ["discriminator", "generator"])
def test_a_loss_that_is_not_finite_is_named_and_the_last_checkpoint_stays(tmp_path, which):
    class _Broken(Wasserstein):
        def discriminator(self, real, fake):
            return super().discriminator(real, fake) / broken["discriminator"]

        def generator(self, fake, real=None):
            return super().generator(fake) / broken["generator"]

    broken = {name: tf.Variable(1.0) for name in ("discriminator", "generator")}
    gan = small_gan(loss=_Broken())
    spoil = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: broken[which].assign(float(epoch < 1))
    )
    with pytest.raises(NonFiniteError, match=f"loss of {which} at epoch 2, batch 1"):
        gan.fit(
            blocks(16), batch_size=8, epochs=3, verbose=0, callbacks=[Checkpoint(tmp_path), spoil]
        )
    assert all(np.isfinite(value).all() for value in values(gan))
    again = small_gan(loss=_Broken())
    assert Checkpoint(tmp_path).restore(again) == 1
    assert again.step == 2


def test_bad_options():
    for options in ({"discriminator_steps": 0}, {"num_classes": 1}):
        with pytest.raises(ValueError, match=COMPLAINT):
            small_gan(**options)
    for low, high in ((1.0, 1.0), (2.0, -2.0)):
        with pytest.raises(ValueError, match="`low` < `high`"):
            Uniform(3, low, high)
