"""A run goes on from checkpoints of its like only, and says what another is made with."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT, blocks, small_glo
from tfgen.adversarial import BEGAN, GAN
from tfgen.callbacks import Checkpoint
from tfgen.data import Examples
from tfgen.data.identity import identity
from tfgen.distributions import StandardNormal
from tfgen.latent import Ball
from tfgen.losses import Hinge
from tfgen.networks import MLP
from tfgen.training.checkpoint import CheckpointError
from tfgen.training.fingerprint import differences, fingerprint


def gan(activation="relu", loss=None, optimizer="adam", seed=0, slope=0.2):
    generator = MLP((4, 4, 1), (8,), activation, output_activation="sigmoid")
    inputs = keras.Input((4, 4, 1))
    hidden = keras.layers.Dense(4)(keras.layers.Flatten()(inputs))
    hidden = keras.layers.LeakyReLU(slope)(hidden)
    outputs = keras.layers.Dense(1)(keras.layers.Dropout(0.1)(hidden))
    model = GAN(
        generator, keras.Model(inputs, outputs), loss=loss, prior=StandardNormal(3), seed=seed
    )
    model.compile(optimizer)
    return model


def examples(x=None, **kwargs):
    return Examples(blocks() if x is None else x, **({"batch_size": 8} | kwargs))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run of one epoch."""
    directory = tmp_path_factory.mktemp("run")
    gan().fit(examples(), verbose=0, callbacks=[Checkpoint(directory)])
    return directory


def other_blocks():
    x = blocks()
    x[7] += 0.01
    return x


def adamw():
    return gan(optimizer=keras.optimizers.AdamW())


OTHERS = {
    "activation": (lambda: gan("tanh"), {}, "model.generator.activation: 'relu' there, 'tanh'"),
    "slope": (lambda: gan(slope=0.1), {}, "model.discriminator.*negative_slope: 0.2 there, 0.1"),
    "loss": (lambda: gan(loss=Hinge()), {}, "model.loss: 'NonSaturating' there, 'Hinge' here"),
    "seed": (lambda: gan(seed=1), {}, "model.seed: 0 there, 1 here"),
    "optimizer": (adamw, {}, "optimizers.generator: 'Adam' there, 'AdamW' here; optimizers.disc"),
    "data": (gan, {"x": other_blocks()}, "data.content"),
    "fewer data": (gan, {"x": blocks()[:8]}, "data.num_examples: 16 there, 8 here"),
    "batch size": (gan, {"batch_size": 4}, "data.batch_size: 8 there, 4 here"),
    "order": (gan, {"seed": 1}, "data.seed: 0 there, 1 here"),
}


@pytest.mark.parametrize(("create", "kwargs", "message"), OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_run(run, create, kwargs, message):
    model = create()
    with pytest.raises(CheckpointError, match=f"{COMPLAINT}.*ckpt-1, which differs in {message}"):
        Checkpoint(run).restore(model, identity(examples(**kwargs)))
    assert model.step.numpy() == 0


def test_fit_compares_the_data(run):
    with pytest.raises(CheckpointError, match="which differs in data.content"):
        gan().fit(examples(other_blocks()), epochs=2, verbose=0, callbacks=[Checkpoint(run)])


def test_what_may_differ(run):
    """Names that Keras numbers, the learning rate, epochs, how steps are compiled and called."""
    keras.utils.set_random_seed(5)
    model = gan()
    model.compile(keras.optimizers.Adam(1e-5), jit_compile=True, steps_per_execution=2)
    assert Checkpoint(run).restore(model, identity(examples())) == 1


def test_a_way_to_go_on_nonetheless(run, tmp_path):
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    with pytest.raises(CheckpointError, match="to go on nonetheless, remove ckpt-1.json"):
        Checkpoint(copy).restore(gan("tanh"))
    (copy / "ckpt-1.json").unlink()
    assert Checkpoint(copy).restore(gan("tanh")) == 1


def test_spaces_and_losses_are_told_apart():
    one, other = (small_glo(**kwargs) for kwargs in ({}, {"space": Ball()}))
    for model in (one, other):
        model.compile()
    assert list(differences(fingerprint(one), fingerprint(other))) == [
        "model.space: 'Sphere' there, 'Ball' here"
    ]


def test_a_network_that_cannot_say_what_it_is_made_with_goes_by_its_class():
    class Own(keras.Model):
        def __init__(self, dense):
            super().__init__()
            self.dense = dense

        def call(self, x):
            return self.dense(keras.ops.reshape(x, [-1, 16]))

        def get_config(self):
            raise NotImplementedError

    def own(units):
        network = Own(keras.layers.Dense(units))
        network(blocks())
        model = GAN(MLP((4, 4, 1)), network, prior=StandardNormal(3))
        model.compile()
        return fingerprint(model)

    one = own(1)
    assert one["model"]["discriminator"] == {"class_name": "Own"}
    assert not list(differences(one, own(1)))


def test_functions_are_told_without_a_warning():
    networks = [MLP((4, 4, 1), output_activation="sigmoid") for _ in range(2)]
    loss = lambda x, y: tf.reduce_mean(tf.abs(x - y), axis=[1, 2, 3])  # noqa: E731
    model = BEGAN(*networks, loss=loss, prior=StandardNormal(3))
    model.compile("adam")
    assert fingerprint(model)["model"]["loss"] == "__lambda__"


def test_data_are_told_apart_cheaply():
    x = np.random.default_rng(0).random([300, 2], np.float32)
    one = identity(Examples(x, np.arange(300) % 3))
    assert one == identity(Examples(x.copy(), np.arange(300) % 3))
    assert one != identity(Examples(x[::-1].copy(), np.arange(300) % 3))
    assert one != identity(Examples(x, np.arange(300) // 100))
    assert one != identity(Examples(x))
    assert "content" not in identity(Examples(x), content=False)
    data = tf.data.Dataset.from_tensor_slices({"x": x})
    assert identity(data.batch(3)) == identity(data.batch(5))  # The last may have fewer rows.
    assert identity(data.batch(3, True)) == {"batches": ["float32 [3, 2]"]}
    assert identity(data.batch(3, True)) != identity(data.batch(5, True))
