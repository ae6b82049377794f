"""GAN: what its steps are."""

import numpy as np
import pytest
import tensorflow as tf

from tests.adversarial.helpers import batch, conditional, generator, small_gan, values
from tfgen.core import random
from tfgen.core.random import row_seeds, step_seed
from tfgen.distributions import StandardNormal
from tfgen.losses import (
    R1,
    GradientPenalty,
    Lazy,
    Minimax,
    NonSaturating,
    Wasserstein,
    WeightClip,
)
from tfgen.model.inversion import Inversion
from tfgen.training.averages import move_averages


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
    seeds = tf.unstack(random.split_seed(step_seed(gan.seed, gan.step.value), 2))
    z_d = gan.prior.draw(8, random.split_seed(seeds[0], 4)[0])
    z_g = gan.prior.draw(8, random.split_seed(seeds[1], 3)[0])
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
    move_averages(gan.averages, gan.ema_decay, gan.step.value)
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
    def logs(*penalties):
        gan = small_gan(loss=Wasserstein(), penalties=penalties)
        gan.set_weights(start)
        return gan(batch())

    start = small_gan().get_weights()
    r1, none = logs(R1(2.0))["discriminator_r1"], logs()["discriminator"]
    assert r1 > 1e-6
    both = logs(R1(2.0), Lazy(R1(3.0), 2))  # The lazy one counts twice on step 0.
    np.testing.assert_allclose(both["discriminator_r1"], 4 * r1, rtol=1e-5)
    np.testing.assert_allclose(both["discriminator"], none + 4 * r1, rtol=1e-4)


def test_penalties_draw_for_themselves():
    """Two of a kind look at different points between the same examples."""

    class Noting(GradientPenalty):
        def __call__(self, critic, real, fake, seed, step):
            seeds.append(tuple(seed.numpy()))
            return super().__call__(critic, real, fake, seed, step)

    seeds = []
    small_gan(penalties=[Noting(), Noting()])(batch())
    assert len(set(seeds)) == 2


def test_lazy_penalties_count_the_steps_of_the_discriminator():
    class Noting(R1):
        def __call__(self, critic, real, fake, seed, step):
            steps.append(int(step))
            return super().__call__(critic, real, fake, seed, step)

    steps = []
    gan = small_gan(penalties=[Noting()], discriminator_steps=3)
    for _ in range(2):
        gan.train_step(batch(6))
    assert steps == [0, 1, 2, 3, 4, 5]


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
    few = gan.encode(x, inversion=Inversion(steps=2, restarts=1))
    assert few.distance.numpy().mean() > found.distance.numpy().mean()
    parts = gan.encode(x, inversion=Inversion(batch_size=2))
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


def test_xla_takes_no_label_modulo_two_to_the_32():
    """XLA drops the check of labels."""
    gan = conditional()
    rows = lambda label: gan.decode_rows(tf.zeros([2, 3]), {"label": label})  # noqa: E731
    found = tf.function(rows, jit_compile=True)(tf.constant([1, 2**32 + 1], tf.int64)).numpy()
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()
