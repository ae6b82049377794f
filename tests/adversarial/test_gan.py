"""GAN: what its steps are, and what it refuses."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks
from tfgen.adversarial import BEGAN, GAN, BiGAN
from tfgen.callbacks import Checkpoint
from tfgen.core.not_finite import NonFiniteError
from tfgen.core.random import row_seeds, step_seed
from tfgen.core.update import Update
from tfgen.distributions import StandardNormal, Uniform
from tfgen.layers import SpectralNormalization
from tfgen.losses import (
    GradientPenalty,
    Hinge,
    Lazy,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
    WeightClip,
)
from tfgen.networks import (
    MLP,
    ConditionalGenerator,
    InfoGANAutoencoder,
    InfoGANDiscriminator,
    InfoGANEncoder,
    InfoGANGenerator,
    JointDiscriminator,
    ProjectionDiscriminator,
)

LABELS = np.arange(16) % 4


def generator(**kwargs):
    return MLP((4, 4, 1), (8,), output_activation="sigmoid", **kwargs)


def small_gan(**kwargs):
    """Returns a GAN of 4 x 4 images, compiled with gradient descent."""
    nets = {"generator": generator(), "discriminator": MLP((1,), (8,), activation="leaky_relu")}
    gan = GAN(**(nets | {"prior": StandardNormal(3)} | kwargs))
    gan.compile(generator_optimizer=descent(), discriminator_optimizer=descent())
    return gan


def descent():
    return keras.optimizers.SGD(0.1)


def conditional(num_classes=4, **kwargs):
    return small_gan(
        generator=ConditionalGenerator(generator(), num_classes, 2),
        discriminator=ProjectionDiscriminator(MLP((1,), (8,)), num_classes),
        num_classes=num_classes,
        **kwargs,
    )


def batch(count=8):
    return {"x": tf.constant(blocks(count)), "label": tf.constant(LABELS[:count])}


def values(layer):
    return [weight.numpy().copy() for weight in layer.weights]


def recorded_slices(monkeypatch, gan):
    """Returns a list that gets the examples of each slice of each batch."""
    seen, slices = [], gan._slices

    def watched(x):
        parts = slices(x)
        seen.extend(part["x"].numpy() for part in parts)
        return parts

    monkeypatch.setattr(gan, "_slices", watched)
    return seen


def test_each_discriminator_step_sees_fresh_examples_and_fresh_noise(monkeypatch):
    gan = small_gan(loss=Wasserstein(), discriminator_steps=4)
    seen, noise, draw = recorded_slices(monkeypatch, gan), [], gan.prior.draw

    def watched(num_rows, seed):
        noise.append(draw(num_rows, seed).numpy())
        return draw(num_rows, seed)

    monkeypatch.setattr(gan.prior, "draw", watched)
    data = batch(16)
    gan.train_step(data)
    assert [len(part) for part in seen] == [4] * 4
    rows = np.concatenate(seen).reshape(16, -1)
    assert {row.tobytes() for row in rows} == {x.tobytes() for x in data["x"].numpy()}
    assert [len(z) for z in noise] == [4] * 5
    assert len({z.tobytes() for z in noise}) == 5
    assert gan.generator_optimizer.iterations == 1
    assert gan.discriminator_optimizer.iterations == 4
    assert gan.step == 1


def test_a_step_by_hand():
    """One step of each side, of the losses written out."""
    gan = small_gan(loss=NonSaturating())
    d, g = gan.discriminator, gan.generator
    x = batch()
    seeds = tf.unstack(tf.random.split(step_seed(gan.seed, gan.step.value), 2, alg="philox"))
    z_d = gan.prior.draw(8, tf.random.split(seeds[0], 4, alg="philox")[0])
    z_g = gan.prior.draw(8, tf.random.split(seeds[1], 3, alg="philox")[0])
    by_hand = small_gan()
    by_hand.set_weights(gan.get_weights())
    logs = gan.train_step(x)
    d2, g2 = by_hand.discriminator, by_hand.generator
    with tf.GradientTape() as tape:
        d_loss = tf.reduce_mean(tf.nn.softplus(-d2(x["x"])) + tf.nn.softplus(d2(g2(z_d))))
    for w, slope in zip(d2.weights, tape.gradient(d_loss, values_of(d2)), strict=True):
        w.assign_sub(0.1 * slope)
    with tf.GradientTape() as tape:
        g_loss = tf.reduce_mean(tf.nn.softplus(-d2(g2(z_g))))
    for w, slope in zip(g2.weights, tape.gradient(g_loss, values_of(g2)), strict=True):
        w.assign_sub(0.1 * slope)
    np.testing.assert_allclose(logs["discriminator"], d_loss, rtol=1e-5)
    np.testing.assert_allclose(logs["generator"], g_loss, rtol=1e-5)
    for ours, theirs in ((d, d2), (g, g2)):
        for a, b in zip(values(ours), values(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def values_of(layer):
    return [weight.value for weight in layer.weights]


def test_weights_are_clipped_after_each_discriminator_step():
    gan = small_gan(loss=Wasserstein(), weight_clip=WeightClip(0.02), discriminator_steps=2)
    gan.train_step(batch())
    largest = max(np.abs(value).max() for value in values(gan.discriminator))
    assert largest == pytest.approx(0.02)
    assert max(np.abs(value).max() for value in values(gan.generator)) > 0.1


def test_the_average_follows_the_generator_with_its_statistics():
    gan = small_gan(generator=generator(batch_norm=True), ema_decay=0.75)
    by_hand = values(gan.ema_generator)
    for a, b in zip(by_hand, values(gan.generator), strict=True):
        np.testing.assert_array_equal(a, b)
    decays = [0.1, 2 / 11, 3 / 12, 4 / 13]  # (1 + t) / (10 + t), below 0.75.
    for decay in decays:
        gan.train_step(batch())
        by_hand = [
            decay * a + (1 - decay) * b for a, b in zip(by_hand, values(gan.generator), strict=True)
        ]
    moved = 0
    for weight, value in zip(gan.ema_generator.weights, by_hand, strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-4, atol=1e-6, err_msg=weight.path)
        moved += "moving" in weight.path
    assert moved == 2
    np.testing.assert_array_equal(
        gan.sample(3, seed=0),
        gan.ema_generator(gan.prior.sample_rows(tf.constant([[0, 0], [0, 1], [0, 2]]))),
    )
    gan.step.assign(10_000)  # The decay asked for is reached.
    before = values(gan.ema_generator)
    gan.move_ema({})
    for a, b, c in zip(before, values(gan.generator), values(gan.ema_generator), strict=True):
        np.testing.assert_allclose(c, 0.75 * a + 0.25 * b, rtol=1e-5, atol=1e-7)


def test_the_discriminator_sees_real_and_generated_examples_augmented():
    shown = []

    def augmentation(images, seed):
        shown.append((images.numpy(), seed.numpy()))
        return 1.0 - images

    gan = small_gan(augmentation=augmentation)
    gan.train_step(batch())
    images = [image for image, _ in shown]
    np.testing.assert_array_equal(images[0], batch()["x"])
    assert len(images) == 3 and not np.array_equal(images[1], images[2])  # Generated, both times.
    assert len({seed.tobytes() for _, seed in shown}) == 3


def test_penalties_are_added_and_named():
    gan = small_gan(
        loss=Wasserstein(), penalties=[GradientPenalty(), Lazy(GradientPenalty(3.0), 2)]
    )
    plain = small_gan(loss=Wasserstein())
    plain.set_weights(gan.get_weights())
    first, without = gan(batch()), plain(batch())
    # Both are drawn between the same points, and the lazy one counts twice on step 0.
    penalty = first["discriminator_gradient_penalty"] / 6 * (10 + 6)
    np.testing.assert_allclose(
        first["discriminator"], without["discriminator"] + penalty, rtol=1e-4
    )


def test_strong_discriminators_starve_the_minimax_generator():
    """The lectures' claim: its gradient vanishes where the non-saturating one's does not."""
    gan = small_gan()
    d = gan.discriminator
    d.weights[-1].assign([-12.0])  # It is sure that whatever it sees is generated.

    def slope(loss):
        with tf.GradientTape() as tape:
            fake = gan.generator(gan.prior.draw(32, tf.constant([0, 0])))
            total = tf.reduce_mean(loss.generator(d(fake)))
        return tf.linalg.global_norm(tape.gradient(total, values_of(gan.generator))).numpy()

    assert slope(NonSaturating()) > 100 * slope(Minimax())


def test_inversion_finds_what_the_generator_made():
    gan = small_gan(prior=StandardNormal(2))
    z = gan.prior.sample_rows(tf.constant([[5, 0], [5, 1], [5, 2]]))
    x = gan.decode(z)
    found = gan.encode(x)
    assert found.distance.numpy().max() < 0.02
    np.testing.assert_allclose(gan.reconstruct(x), x, atol=0.05)
    few = gan.invert(x, num_steps=2, num_restarts=1)
    assert few.distance.numpy().mean() > found.distance.numpy().mean()
    parts = gan.invert(x, batch_size=2)
    np.testing.assert_allclose(parts.z, found.z, rtol=1e-3, atol=1e-4)


def test_labels_are_drawn_when_they_are_not_given():
    gan = conditional()
    images = gan.sample(64, seed=1).numpy()
    z = gan.prior.sample_rows(row_seeds(64, 1))
    by_class = np.stack([gan.decode(z, np.full(64, k)) for k in range(4)])
    nearest = np.abs(by_class - images).max(axis=(2, 3, 4)).argmin(0)
    np.testing.assert_allclose(by_class[nearest, range(64)], images, atol=1e-6)
    assert np.bincount(nearest, minlength=4).min() > 4
    np.testing.assert_allclose(gan.sample(64, 1, np.full(64, 3)), by_class[3], rtol=1e-5, atol=1e-6)


# What is refused.


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
    with pytest.raises(tf.errors.InvalidArgumentError, match="divisible by 2"):
        gan.fit(data, verbose=0)


def test_labels_that_training_needs():
    with pytest.raises(ValueError, match="'label'.*Received"):
        conditional().fit(blocks(16), batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=r"labels in \[0, 3\). Received: 3"):
        conditional(3).fit(blocks(16), LABELS, batch_size=8, verbose=0)


@pytest.mark.parametrize("labels", [[0, 4], [-1, 0]])
def test_labels_out_of_range(labels):
    with pytest.raises(ValueError, match=r"labels in \[0, 4\). Received: (4|-1)"):
        conditional().sample(2, 0, np.array(labels))


def test_labels_of_a_wrong_kind():
    with pytest.raises(TypeError, match="integer labels. Received: float32"):
        conditional().sample(2, 0, np.ones(2, np.float32))
    with pytest.raises(ValueError, match=r"labels \[batch\]"):
        conditional().sample(2, 0, np.ones((2, 1), int))
    with pytest.raises(ValueError, match="`condition`, labels .batch.: the model is conditional"):
        conditional().decode(tf.zeros([2, 3]))


def test_labels_for_an_unconditional_model():
    for call in (lambda g: g.sample(2, 0, [0, 1]), lambda g: g.decode(tf.zeros([2, 3]), [0, 1])):
        with pytest.raises(ValueError, match="no `condition`: the model is unconditional"):
            call(small_gan())
    small_gan().fit(blocks(16), LABELS, batch_size=8, verbose=0)  # Labelled data are fine.


def test_a_generator_of_other_shapes_or_ranges():
    with pytest.raises(ValueError, match=r"shape \(4, 4, 1\), as the generator.*\(8, 8, 1\)"):
        small_gan().fit(np.zeros((8, 8, 8, 1), np.float32), batch_size=8, verbose=0)
    loud = MLP((4, 4, 1), (8,), output_activation="tanh")
    with pytest.raises(ValueError, match=r"images in \[0, 1\].*Received: values from -0"):
        small_gan(generator=loud).fit(blocks(8), batch_size=8, verbose=0)


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
    again = small_gan()
    assert Checkpoint(tmp_path).restore(again) == 1
    assert again.step == 2


def test_bad_options():
    for options in ({"discriminator_steps": 0}, {"num_classes": 1}):
        with pytest.raises(ValueError, match=COMPLAINT):
            small_gan(**options)
    for low, high in ((1.0, 1.0), (2.0, -2.0)):
        with pytest.raises(ValueError, match="`low` < `high`"):
            Uniform(3, low, high)


# BEGAN and BiGAN.


def test_began_keeps_its_balance():
    gan = BEGAN(
        InfoGANGenerator((8, 8, 1), 8, (4, 4)),
        InfoGANAutoencoder((8, 8, 1), 4, (4, 4)),
        diversity=0.6,
        balance_rate=0.5,
        prior=StandardNormal(3),
    )
    gan.compile()
    x = {"x": tf.random.stateless_uniform([8, 8, 8, 1], [0, 0])}
    balance = 0.0
    for _ in range(3):
        assert gan.balance.numpy() == pytest.approx(balance, abs=1e-6)
        logs = gan.train_step(x)
        real, fake = float(logs["discriminator_real"]), float(logs["generator"])
        assert float(logs["generator_balance"]) == pytest.approx(balance, abs=1e-6)
        loss = real - balance * float(logs["discriminator_fake"])
        assert float(logs["discriminator"]) == pytest.approx(loss, rel=1e-4)
        surplus = 0.6 * real - fake
        convergence = float(logs["generator_convergence"])
        assert convergence == pytest.approx(real + abs(surplus), rel=1e-4)
        balance = min(1.0, max(0.0, balance + 0.5 * surplus))
    gan.balance.assign(1.0)
    gan.balance_rate = 1e6
    gan.train_step(x)
    assert gan.balance.numpy() in (0.0, 1.0)


def test_began_needs_an_autoencoder():
    with pytest.raises(ValueError, match="an autoencoder"):
        BEGAN(InfoGANGenerator((8, 8, 1), 8, (4, 4)), InfoGANDiscriminator(8, (4, 4)))
    for options in ({"diversity": 0.0}, {"diversity": 1.5}, {"balance_rate": 0.0}):
        with pytest.raises(ValueError, match=COMPLAINT):
            BEGAN(
                InfoGANGenerator((8, 8, 1), 8, (4, 4)),
                InfoGANAutoencoder((8, 8, 1), 4, (4, 4)),
                **options,
            )


def test_bigan_trains_the_encoder_with_the_generator():
    gan = BiGAN(
        generator(), MLP((3,), (8,)), JointDiscriminator((4,), (4,), (8,)), prior=StandardNormal(3)
    )
    updates = gan.updates({"x": tf.constant(blocks(4))}, tf.constant([0, 0]))
    assert [update.trains for update in updates] == [("discriminator",), ("generator", "encoder")]
    assert all(isinstance(update, Update) for update in updates)
    with pytest.raises(ValueError, match=r"an encoder to latents of shape \(64,\)"):
        BiGAN(InfoGANGenerator((8, 8, 1)), InfoGANEncoder(3), JointDiscriminator())


def test_spectral_norms_stay_near_one():
    net = InfoGANDiscriminator(16, (4, 8), spectral_norm=True)
    gan = small_gan(discriminator=net, loss=Hinge())
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4),
        discriminator_optimizer=keras.optimizers.Adam(2e-4),
    )
    gan.fit(blocks(16), batch_size=8, epochs=30, verbose=0)
    layers = [layer for layer in net._flatten_layers() if isinstance(layer, SpectralNormalization)]
    assert len(layers) == 4
    for layer in layers:
        kernel = np.asarray(layer.normalized_kernel())
        norm = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        assert norm == pytest.approx(1.0, abs=0.01)
