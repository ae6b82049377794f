"""Layers' own losses, by regularizers and `add_loss`, are part of what is minimised."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import Point, blocks, small_glo, small_imle
from tfgen.adversarial import GAN
from tfgen.core import specs
from tfgen.distributions import StandardNormal
from tfgen.losses import R1, Lazy
from tfgen.model.model import GenerativeModel
from tfgen.training.keras_compat import added_losses
from tfgen.training.update import Update

L2 = keras.regularizers.L2
X = np.array([[1, 2], [3, 4]], np.float32)


class Taxed(keras.layers.Layer):
    """Adds a tenth of the mean of what it is shown to its losses."""

    def call(self, x):
        self.add_loss(0.1 * tf.reduce_mean(x))
        return x


class _Scaled(GenerativeModel):
    """|x - w|^2, where w has a regularizer of 0.5 |w|^2, and the examples pass a layer twice."""

    groups = {"": ("point", "taxed")}

    def __init__(self):
        super().__init__()
        self.point = Point([1.0, 3.0])
        self.point.value.regularizer = L2(0.5)
        self.taxed = Taxed()

    @property
    def event_spec(self):
        return specs.event_spec((2,))

    def objective(self, x, seed, training):
        seen = self.taxed(self.taxed(x["x"]) + 1) - 1
        return {"loss": tf.reduce_sum((seen - self.point.value.value) ** 2, 1), "one": tf.ones([])}


# The means of X and X + 1 are 2.5 and 3.5.
OWN = 0.5 * (1 + 9) + 0.1 * (2.5 + 3.5)


@pytest.mark.parametrize("eagerly", [True, False], ids=["eager", "graph"])
def test_own_losses_are_logged_and_minimised_and_evaluated(eagerly):
    model = _Scaled()
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=eagerly)
    plain = ((X - [1, 3]) ** 2).sum(1).mean()
    model.taxed(tf.ones([1, 2]))  # What it adds outside of training is of no account.
    for logs in (
        model.evaluate(X, batch_size=2, verbose=0, return_dict=True),
        {k: v[0] for k, v in model.fit(X, batch_size=2, verbose=0).history.items()},
    ):
        assert logs == pytest.approx({"loss": plain + OWN, "one": 1, "regularization": OWN})
    slope = 2 * ([1, 3] - X.mean(0)) + np.array([1, 3])
    np.testing.assert_allclose(model.point.value.numpy(), [1, 3] - 0.1 * slope, rtol=1e-6)


def test_without_own_losses_there_is_no_term():
    model = small_imle(num_examples=4)
    model.compile()
    history = model.fit(np.ones([4, 2], np.float32), batch_size=2, verbose=0).history
    assert set(history) == {"loss"}


def gan(penalties=()):
    generator = keras.Sequential([keras.layers.Dense(2, kernel_regularizer=L2(0.5))])
    discriminator = keras.Sequential(
        [keras.layers.Dense(1, use_bias=False, activity_regularizer=L2(0.25))]
    )
    model = GAN(generator, discriminator, penalties=penalties, prior=StandardNormal(3))
    model.compile()
    return model


def test_each_network_of_a_gan_has_its_own():
    """That of D is of both of its calls, on data and on samples, and of no other."""
    model = gan()
    kernel = np.float32([[2.0], [1.0]])
    model.discriminator.layers[0].kernel.assign(kernel)
    generator = model.generator.layers[0]
    generator.kernel.assign(tf.zeros([3, 2]))
    generator.bias.assign([0.5, 1.0])
    logs = model.test_step({"x": tf.constant(X)})
    assert "generator_regularization" in logs and logs["generator_regularization"] == 0
    real, fake = X @ kernel, np.float32([[2.0], [2.0]])
    expected = 0.25 * ((real**2).sum() + (fake**2).sum()) / 2
    assert float(logs["discriminator_regularization"]) == pytest.approx(expected)
    generator.kernel.assign(tf.ones([3, 2]))
    assert float(model.test_step({"x": tf.constant(X)})["generator_regularization"]) == 3


def test_what_penalties_look_at_is_not_counted():
    model = gan([R1(1.0), Lazy(R1(1.0), every=2)])
    logs = model.fit(X, batch_size=2, epochs=2, verbose=0).history
    again = gan().test_step({"x": tf.constant(X)})
    assert set(again) < set(logs) and np.isfinite(logs["discriminator_regularization"]).all()


def test_the_generator_of_glo():
    generator = keras.Sequential(
        [
            keras.layers.Dense(16, "sigmoid", kernel_regularizer=L2(1.0)),
            keras.layers.Reshape((4, 4, 1)),
        ]
    )
    model = small_glo()
    model = type(model)(generator, 16, latent_dim=3, loss=model.loss)
    model.compile()
    before = float(tf.reduce_sum(generator.layers[0].kernel ** 2))
    history = model.fit(blocks(), batch_size=16, verbose=0).history
    assert history["regularization"] == [pytest.approx(before)]
    assert history["loss"][0] > before


def test_a_frozen_layer_has_none():
    model = _Scaled()
    model.point.trainable = False
    model.compile()
    logs = model.test_step({"x": tf.constant(X)})
    assert float(logs["regularization"]) == pytest.approx(0.1 * (2.5 + 3.5))


def test_a_term_of_that_name_is_refused():
    class _Named(_Scaled):
        def updates(self, x, seed, training=True):
            terms = lambda: {"loss": tf.ones([2]), "regularization": tf.ones([])}  # noqa: E731
            return [Update("loss", terms, ("",))]

    model = _Named()
    model.compile()
    with pytest.raises(ValueError, match="Expected another name than 'regularization'"):
        model.test_step({"x": tf.constant(X)})


def test_losses_are_added_within_the_block_alone():
    layer, other = Taxed(), Taxed()
    with added_losses([layer]) as found:
        layer(tf.ones([1]))
        other(tf.ones([1]))
        with keras.StatelessScope():
            layer(tf.ones([1]))
        layer(10 * tf.ones([1]))
    layer(tf.ones([1]))
    np.testing.assert_allclose(found, [0.1, 1.0])
    assert [float(loss) for loss in layer.losses] == pytest.approx([0.1])
