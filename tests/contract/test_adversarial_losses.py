"""The properties of adversarial losses, penalties and weight clipping."""

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import processes
from tests.contract.adversarial_values import (
    ADVERSARIAL_LOSSES,
    CLIPS,
    F_GAMES,
    GAMES,
    PENALTIES,
    RELATIVISTIC,
)
from tests.contract.cases import by_name
from tfgen import losses
from tfgen.layers import SpectralNormalization

COMPLAINT = r"Expected .*Received: "
SEED = tf.constant([3, 4])
STEP = tf.constant(8, tf.int64)


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> tf.Tensor:
    values = np.random.default_rng(seed).normal(scale=scale, size=shape)
    return tf.constant(values.astype(np.float32))


def both_sides(loss: losses.AdversarialLoss, real, fake) -> dict[str, tf.Tensor]:
    return {"D": loss.discriminator(real, fake), "G": loss.generator(fake, real)}


def slopes(loss: losses.AdversarialLoss, real, fake) -> dict[str, list[tf.Tensor]]:
    """Returns the gradients of each side's mean loss, with respect to real and fake logits."""
    found = {}
    for side in ("D", "G"):
        with tf.GradientTape() as tape:
            tape.watch([real, fake])
            total = tf.reduce_mean(both_sides(loss, real, fake)[side])
        found[side] = tape.gradient(total, [real, fake], unconnected_gradients="zero")
    return found


KNOWN = [(case, known) for case in ADVERSARIAL_LOSSES for known in case.known]


@pytest.mark.parametrize(("case", "known"), KNOWN, ids=[case.name for case, _ in KNOWN])
def test_losses_known_by_hand(case, known):
    found = both_sides(case.create(), known.real, known.fake)
    np.testing.assert_allclose(found["D"], known.discriminator, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["G"], known.generator, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", **by_name((*ADVERSARIAL_LOSSES, *PENALTIES)))
def test_every_case_has_two_numbers_known_by_hand(case):
    assert len(case.known) >= 2


@pytest.mark.parametrize("case", **by_name(ADVERSARIAL_LOSSES))
def test_patches_are_averaged(case):
    loss, real, fake = case.create(), normal(4, 3, 2, 1), normal(4, 3, 2, 1, seed=1)
    each = both_sides(loss, *(tf.reshape(logits, [-1]) for logits in (real, fake)))
    for side, found in both_sides(loss, real, fake).items():
        assert found.dtype == tf.float32
        means = tf.reduce_mean(tf.reshape(each[side], [4, 6]), axis=1)
        np.testing.assert_allclose(found, means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", **by_name(ADVERSARIAL_LOSSES))
@pytest.mark.parametrize("shape", [[5], [5, 1], [5, 1, 1, 1]], ids=str)
def test_shapes_of_logits(case, shape):
    loss, real, fake = case.create(), normal(5), normal(5, seed=1)
    flat = both_sides(loss, real, fake)
    shaped = both_sides(loss, tf.reshape(real, shape), tf.reshape(fake, shape))
    for side in flat:
        np.testing.assert_array_equal(shaped[side], flat[side])


WRAPPED = [
    kind(case.create())
    for case in (*GAMES, *F_GAMES)
    for kind in (losses.Relativistic, losses.RelativisticAverage)
]
ALL_LOSSES = [case.create() for case in ADVERSARIAL_LOSSES] + WRAPPED


@pytest.mark.parametrize("loss", ALL_LOSSES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_finite_at_large_logits(loss, dtype):
    real, fake = (tf.constant(x, dtype) for x in ([50, 50, -50, -50.0], [50, -50, 50, -50.0]))
    for found in both_sides(loss, real, fake).values():
        assert found.dtype == tf.float32
        assert np.isfinite(found).all()
    for slope in slopes(loss, *(tf.cast(x, tf.float32) for x in (real, fake))).values():
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("case", **by_name(ADVERSARIAL_LOSSES))
def test_half_precision_logits(case):
    loss = case.create()
    half = [tf.cast(x, tf.float16) for x in (normal(6, 2, 2, 1), normal(6, 2, 2, 1, seed=1))]
    full = both_sides(loss, *(tf.cast(x, tf.float32) for x in half))
    for side, found in both_sides(loss, *half).items():
        np.testing.assert_array_equal(found, full[side])
    for slope in slopes(loss, *half).values():
        assert all(x.dtype == tf.float16 and np.isfinite(x).all() for x in slope)


UNBOUNDED = [loss for loss in ALL_LOSSES if getattr(loss, "generator_target", 1) == 1]


@pytest.mark.parametrize("loss", UNBOUNDED, ids=repr)
def test_the_sides_pull_apart(loss):
    """Below its targets, D wants real logits higher and others lower, and G those higher."""
    found = slopes(loss, tf.linspace(0.45, 0.55, 6), tf.linspace(0.3, 0.1, 6))
    real, fake = found["D"]
    assert (real.numpy() < 0).all() and (fake.numpy() > 0).all()
    assert (found["G"][1].numpy() < 0).all()


@pytest.mark.parametrize("case", **by_name(ADVERSARIAL_LOSSES))
def test_losses_of_batches_of_unknown_size(case):
    loss, real, fake = case.create(), normal(3, 2, 2, 1), normal(3, 2, 2, 1, seed=1)
    spec = tf.TensorSpec([None, None, None, 1])
    traced = tf.function(lambda r, f: both_sides(loss, r, f), input_signature=[spec, spec])
    for side, expected in both_sides(loss, real, fake).items():
        np.testing.assert_allclose(traced(real, fake)[side], expected, rtol=1e-5)


@pytest.mark.parametrize("case", **by_name(ADVERSARIAL_LOSSES))
@pytest.mark.parametrize(
    ("real", "fake"),
    [([4, 1], [5, 1]), ([4, 1], [4]), ([4, 2, 2, 1], [4, 3, 2, 1]), ([], [])],
    ids=str,
)
def test_losses_refuse_other_shapes(case, real, fake):
    with pytest.raises(ValueError, match=COMPLAINT):
        case.create().discriminator(tf.zeros(real), tf.zeros(fake))
    if case.create().needs_real:
        with pytest.raises(ValueError, match=COMPLAINT):
            case.create().generator(tf.zeros(fake), tf.zeros(real))


@pytest.mark.parametrize("case", **by_name(ADVERSARIAL_LOSSES))
def test_losses_say_whether_the_generator_needs_real_logits(case):
    loss, fake = case.create(), normal(3)
    assert loss.needs_real == (case in RELATIVISTIC)
    if loss.needs_real:
        with pytest.raises(ValueError, match=COMPLAINT):
            loss.generator(fake)
    else:
        np.testing.assert_array_equal(loss.generator(fake), loss.generator(fake, normal(3)))


@pytest.mark.parametrize("case", **by_name((*ADVERSARIAL_LOSSES, *PENALTIES, *CLIPS)))
def test_files_give_an_equal_value_back(case):
    value = case.create()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(value))
    assert again == value
    assert hash(again) == hash(value)


# Penalties.


def linear(kernel) -> losses.Critic:
    kernel = np.array(kernel, np.float32)
    layer = keras.layers.Dense(kernel.shape[1], use_bias=False)
    layer.build((None, kernel.shape[0]))
    layer.kernel.assign(kernel)
    return losses.Critic(layer)


def curved(*extra: keras.layers.Layer) -> losses.Critic:
    layers = [keras.layers.Dense(5, activation="tanh"), *extra, keras.layers.Dense(1)]
    network = keras.Sequential([keras.Input([3]), *layers])
    layers[-1].kernel.assign(10 * layers[-1].kernel)  # Steep enough for one-sided penalties.
    return losses.Critic(network)


def examples() -> tuple[tf.Tensor, tf.Tensor]:
    return normal(4, 3), normal(4, 3, seed=1)


def value_and_gradients(penalty, critic, real, fake, step=STEP):
    with tf.GradientTape() as tape:
        found = penalty(critic, real, fake, SEED, step)
        mean = tf.reduce_mean(found)
    return found, tape.gradient(mean, critic.network.trainable_variables)


KNOWN_PENALTIES = [(case, *known) for case in PENALTIES for known in case.known]


@pytest.mark.parametrize(
    ("case", "kernel", "expected"),
    KNOWN_PENALTIES,
    ids=[known[0].name for known in KNOWN_PENALTIES],
)
@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_penalties_of_linear_critics_known_by_hand(case, kernel, expected, traced):
    critic, penalty = linear(kernel), case.create()
    apply = lambda real, fake: value_and_gradients(penalty, critic, real, fake)  # noqa: E731
    if traced:
        spec = tf.TensorSpec([None, 2])
        apply = tf.function(apply, input_signature=[spec, spec], autograph=False)
    found, gradients = apply(normal(4, 2), normal(4, 2, seed=1))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, [expected] * 4, rtol=1e-5, atol=1e-6)
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize("case", **by_name(PENALTIES))
def test_gradients_of_penalties_reach_every_kernel(case):
    critic = curved(keras.layers.Dense(4, activation="tanh"))
    _, gradients = value_and_gradients(case.create(), critic, *examples())
    for variable, gradient in zip(critic.network.trainable_variables, gradients, strict=True):
        if len(variable.shape) >= 2 and variable.shape[-1] > 1:
            assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("case", **by_name(PENALTIES))
def test_penalties_in_mixed_precision(case):
    critic = curved()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = curved()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.network.set_weights(critic.network.get_weights())
    expected, expected_gradients = value_and_gradients(case.create(), critic, *examples())
    found, gradients = value_and_gradients(case.create(), mixed, *examples())
    assert found.dtype == tf.float32
    assert mixed(normal(1, 3)).dtype == tf.float16
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-3)
    for gradient, exact in zip(gradients, expected_gradients, strict=True):
        if exact is not None:
            scale = np.abs(exact).max()
            np.testing.assert_allclose(gradient, exact, rtol=0.02, atol=0.02 * scale + 1e-6)


@pytest.mark.parametrize("case", **by_name(PENALTIES))
def test_penalties_leave_the_critic_and_the_examples_alone(case):
    critic = curved(
        keras.layers.BatchNormalization(),
        SpectralNormalization(keras.layers.Dense(4)),
        keras.layers.Dropout(0.5),
    )
    real, fake = (tf.Variable(x) for x in examples())
    before = [variable.numpy() for variable in critic.network.variables]
    with tf.GradientTape() as tape:
        found = case.create()(critic, real, fake, SEED, STEP)
    assert tape.gradient(found, [real, fake]) == [None, None]
    for variable, value in zip(critic.network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


@pytest.mark.parametrize("case", **by_name(PENALTIES))
def test_penalties_are_functions_of_their_seeds(case):
    critic, penalty = curved(), case.create()
    first, again, other = (
        penalty(critic, *examples(), tf.constant(seed), STEP) for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    is_random = isinstance(penalty, losses.GradientPenalty | losses.DRAGAN)
    assert is_random != np.array_equal(first, other)


@pytest.mark.parametrize("case", **by_name(PENALTIES))
def test_any_loss_with_any_penalty(case):
    critic, penalty = curved(), case.create()
    real, fake = examples()
    with tf.GradientTape(persistent=True) as tape:
        value = penalty(critic, real, fake, SEED, STEP)
        logits = [critic.network(x, training=True) for x in (real, fake)]
        totals = [tf.add_n([loss.discriminator(*logits), value]) for loss in ALL_LOSSES]
    for total in totals:
        gradients = tape.gradient(total, critic.network.trainable_variables)
        assert total.shape == [4]
        assert all(np.isfinite(g).all() for g in gradients if g is not None)


class _Counting(keras.layers.Dense):
    """A linear critic that counts how often it is computed."""

    def build(self, input_shape):
        super().build(input_shape)
        self.count = tf.Variable(0)

    def call(self, inputs):
        self.count.assign_add(1)
        return super().call(inputs)


@pytest.mark.parametrize("case", **by_name([c for c in PENALTIES if c.name.startswith("gradient")]))
@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_lazy_is_right_on_average_and_cheap_between(case, traced):
    layer = _Counting(1)
    layer.build((None, 3))
    layer.kernel.assign(3 * layer.kernel)
    critic, (real, fake) = losses.Critic(layer), examples()
    apply = lambda step: value_and_gradients(lazy, critic, real, fake, step)  # noqa: E731
    lazy = losses.Lazy(case.create(), 3)
    if traced:
        apply = tf.function(apply, input_signature=[tf.TensorSpec([], tf.int64)], autograph=False)
    found, counts = [], []
    for step in range(6):
        before = int(layer.count)
        value, gradients = apply(tf.constant(step, tf.int64))
        gradient = np.zeros([3, 1]) if gradients[0] is None else gradients[0]
        found.append((value.numpy(), np.asarray(gradient)))
        counts.append(int(layer.count) - before)
    assert counts == [1, 0, 0, 1, 0, 0]
    value, gradients = value_and_gradients(case.create(), critic, real, fake)
    np.testing.assert_allclose(np.mean([v for v, _ in found], axis=0), value, rtol=1e-5)
    np.testing.assert_allclose(np.mean([g for _, g in found], axis=0), gradients[0], rtol=1e-5)


@pytest.mark.parametrize("case", **by_name(CLIPS))
def test_clips(case):
    clip = case.create()
    assert clip(tf.constant([-1.0, 0.1, 0.5])).numpy() == pytest.approx([-0.25, 0.1, 0.25])
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=COMPLAINT):
            type(clip)(limit)


# Two replicas.


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """What `workers/adversarial.py` writes; devices must be made before TensorFlow starts."""
    path = tmp_path_factory.mktemp("adversarial") / "results.pickle"
    processes.run("-m", "tests.contract.workers.adversarial", path)
    return pickle.loads(path.read_bytes())


@pytest.mark.ci
def test_mean_over_replicas_that_hold_different_numbers_of_rows(replicas):
    alone, mirrored = replicas["means"]
    np.testing.assert_allclose(mirrored["value"], [alone["value"][0]] * 2, rtol=1e-6)
    np.testing.assert_allclose(mirrored["gradient"], alone["gradient"], rtol=1e-6)


@pytest.mark.ci
@pytest.mark.parametrize("case", **by_name(RELATIVISTIC))
def test_relativistic_losses_on_two_replicas_are_those_of_the_joint_batch(replicas, case):
    alone, mirrored = replicas["losses"][case.name]
    for side in ("D", "G"):
        np.testing.assert_allclose(mirrored[side]["value"], alone[side]["value"], rtol=1e-5)
        gradient = alone[side]["gradient"]
        np.testing.assert_allclose(mirrored[side]["gradient"], gradient, rtol=1e-5, atol=1e-6)
        assert np.abs(gradient).max() > 1e-2
    if isinstance(case.create(), losses.RelativisticAverage):
        separate = replicas["separate"][case.name]
        assert not np.allclose(separate, alone["D"]["value"], rtol=1e-2)


@pytest.mark.ci
@pytest.mark.parametrize("case", **by_name(PENALTIES))
@pytest.mark.parametrize("critic", ["plain", "normalized"])
def test_lazy_penalties_on_two_replicas_are_those_of_the_joint_batch(replicas, case, critic):
    """Also of a critic that waits for the other replica, as batch normalisation does."""
    alone, mirrored = replicas[critic][case.name]
    assert np.isfinite(mirrored["value"]).all() and np.abs(mirrored["value"]).max() > 0
    assert all(np.isfinite(gradient).all() for gradient in mirrored["gradient"])
    if isinstance(case.create(), losses.GradientPenalty | losses.DRAGAN):
        return  # Those draw different numbers on each replica.
    np.testing.assert_allclose(mirrored["value"], alone["value"], rtol=1e-4)
    for found, expected in zip(mirrored["gradient"], alone["gradient"], strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * scale + 1e-5)
