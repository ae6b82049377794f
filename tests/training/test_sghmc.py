"""The optimizer samples the posterior that its docstring says."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.adversarial import SGHMC
from tfgen.adversarial.recipes import bayesian_gan
from tfgen.distributions import StandardNormal
from tfgen.networks import MLP


def chain(optimizer, gradient, count: int, start=0.0) -> np.ndarray:
    """Returns the states of many equal one-dimensional problems at each step, [steps, count]."""
    weights = keras.Variable(np.full(count, start, np.float32))
    optimizer.build([weights])

    @tf.function
    def run(steps: tf.Tensor) -> tf.Tensor:
        states = tf.TensorArray(tf.float32, steps)
        for i in tf.range(steps):
            optimizer.apply([gradient(weights.value)], [weights])
            states = states.write(i, weights.value)
        return states.stack()

    return run(tf.constant(600)).numpy()


NUM_EXAMPLES, MEAN, PRIOR_STD = 50, 1.5, 0.5
# loss = (w - MEAN)^2 / 2 is a mean over examples of N(w, 1); the posterior is normal.
PRECISION = NUM_EXAMPLES + 1 / PRIOR_STD**2
POSTERIOR = NUM_EXAMPLES * MEAN / PRECISION, PRECISION**-0.5


@pytest.mark.parametrize(("rate", "friction"), [(1e-3, 0.05), (5e-3, 0.2)])
def test_states_follow_the_posterior(rate, friction):
    optimizer = SGHMC(NUM_EXAMPLES, rate, friction, PRIOR_STD)
    states = chain(optimizer, lambda w: w - MEAN, count=4000, start=1.4)[400:]
    mean, std = POSTERIOR
    assert abs(states.mean() - mean) < 0.03 * std
    assert states.std() == pytest.approx(std, rel=0.03)


def test_rates_of_weights_leave_the_posterior_as_it_is():
    """Steps are scaled by the average squared gradient, and the noise with them."""
    scale = np.array([0.1] * 2000 + [1.0] * 2000, np.float32)  # A tenth of the precision.
    optimizer = SGHMC(NUM_EXAMPLES, 2e-3, 0.2, prior_std=100.0, beta_2=0.999, epsilon=0.1)
    states = chain(optimizer, lambda w: scale * (w - MEAN), count=4000, start=MEAN)[300:]
    for part, precision in ((states[:, :2000], 0.1), (states[:, 2000:], 1.0)):
        assert part.mean() == pytest.approx(MEAN, abs=0.02)
        assert part.std() == pytest.approx((NUM_EXAMPLES * precision) ** -0.5, rel=0.06)


def test_without_noise_it_is_gradient_descent_with_momentum():
    weights, other = (keras.Variable([1.0, -2.0]) for _ in range(2))
    optimizer = SGHMC(10**12, 0.1, friction=0.1, prior_std=1e6)
    momentum = keras.optimizers.SGD(0.1, momentum=0.9)
    for _ in range(5):
        optimizer.apply([weights.value * 0.5], [weights])
        momentum.apply([other.value * 0.5], [other])
    np.testing.assert_allclose(weights, other, rtol=1e-5)


def test_noise_is_a_function_of_the_seed_and_the_step():
    def run(seed: int) -> np.ndarray:
        return chain(SGHMC(10, 1e-2, seed=seed), lambda w: w, count=3)

    first = run(0)
    np.testing.assert_array_equal(run(0), first)
    assert not np.isclose(run(1), first).any()
    steps = np.diff(first, axis=0)
    assert not np.isclose(steps[1:], steps[:-1]).all(axis=1).any()


def test_variables_draw_noise_of_their_own():
    pair = [keras.Variable(np.zeros(4, np.float32)) for _ in range(2)]
    SGHMC(10, 1e-2).apply([tf.zeros(4), tf.zeros(4)], pair)
    assert not np.isclose(*pair).any()


def test_a_saved_model_takes_the_same_next_step(tmp_path):
    """Momenta, averages and the number of steps are saved; noise and rate depend on it."""
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    parts = [MLP((2,), (8,))], [MLP((1,), (8,))]
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 20)
    gan = bayesian_gan(*parts, num_examples=64, prior=StandardNormal(2), learning_rate=rate)
    gan.fit(x, batch_size=16, epochs=2, verbose=0)
    gan.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    for model in (gan, again):
        model.fit(x, batch_size=16, epochs=3, initial_epoch=2, verbose=0)
    for one, other in zip(gan.training_state, again.training_state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7, err_msg=one.path)


@pytest.mark.ci
def test_every_generator_is_tried_when_encoding():
    keras.utils.set_random_seed(0)
    generators = [MLP((2,), (8,)) for _ in range(3)]
    gan = bayesian_gan(generators, [MLP((1,), (8,))], num_examples=64, prior=StandardNormal(2))
    for number, generator in enumerate(generators):
        generator.trainable_variables[-1].assign([10.0 * number, 0.0])  # Far from the others.
    x = gan.sample(24)
    chosen = np.floor(3 * gan.encode(x).z[:, 0])
    np.testing.assert_array_equal(chosen, np.clip(np.round(x[:, 0] / 10), 0, 2))
    assert set(chosen) == {0, 1, 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_examples": 0}, "`num_examples` >= 1"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"friction": 0.0}, r"`friction` in \(0, 1\]"),
        ({"friction": 1.1}, r"`friction` in \(0, 1\]"),
        ({"prior_std": -1.0}, "`prior_std`"),
        ({"beta_2": 1.0}, r"`beta_2` in \(0, 1\)"),
        ({"epsilon": 0.0}, "`epsilon`"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=f"Expected {message}"):
        SGHMC(**{"num_examples": 10, **arguments})
