"""Adversarial losses: what their papers prove of them, and bad arguments."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen import losses

# Two distributions over three outcomes, in tenths, so that batches of ten hold them exactly.
P, Q = np.array([5, 3, 2]), np.array([2, 2, 6])
p, q = P / 10, Q / 10
RATIO = p / q
MIDDLE = (p + q) / 2


def batches(logits) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the logits of ten examples of each distribution, from those of the outcomes."""
    logits = np.asarray(logits, np.float32)
    return tf.constant(np.repeat(logits, P)), tf.constant(np.repeat(logits, Q))


def kl(a, b) -> float:
    return float((a * np.log(a / b)).sum())


def bound(loss, logits) -> float:
    return -float(tf.reduce_mean(loss.discriminator(*batches(logits))))


DIVERGENCES = {
    # f, the logits of the best discriminator, and the divergence in closed form.
    losses.KL(): (lambda u: u * np.log(u), 1 + np.log(RATIO), kl(p, q)),
    losses.ReverseKL(): (lambda u: -np.log(u), np.log(RATIO), kl(q, p)),
    losses.PearsonChiSquared(): (
        lambda u: (u - 1) ** 2,
        2 * (RATIO - 1),
        ((p - q) ** 2 / q).sum(),
    ),
    losses.SquaredHellinger(): (
        lambda u: (np.sqrt(u) - 1) ** 2,
        np.log(RATIO) / 2,
        ((np.sqrt(p) - np.sqrt(q)) ** 2).sum(),
    ),
    losses.JensenShannon(): (
        lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
        np.log(RATIO),
        kl(p, MIDDLE) + kl(q, MIDDLE),
    ),
    losses.TotalVariation(): (
        lambda u: np.abs(u - 1) / 2,
        50 * np.sign(RATIO - 1),
        np.abs(p - q).sum() / 2,
    ),
}
EACH = pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)


@EACH
def test_the_bound_is_the_divergence_at_the_best_discriminator(divergence):
    f, best, expected = DIVERGENCES[divergence]
    assert (q * f(RATIO)).sum() == pytest.approx(expected), "f is not that of the divergence"
    loss = losses.FGAN(divergence)
    assert bound(loss, best) == pytest.approx(expected, rel=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert bound(loss, best + rng.normal(size=3)) <= expected + 1e-5
        assert bound(loss, 3 * rng.normal(size=3)) <= expected + 1e-5


@EACH
def test_the_best_discriminator_is_where_training_stops(divergence):
    _, best, _ = DIVERGENCES[divergence]
    logits = tf.Variable(np.float32(best))
    with tf.GradientTape() as tape:
        real, fake = (tf.repeat(logits, counts) for counts in (P, Q))
        loss = tf.reduce_mean(losses.FGAN(divergence).discriminator(real, fake))
    np.testing.assert_allclose(tape.gradient(loss, logits), np.zeros(3), atol=1e-6)


@EACH
def test_conjugates(divergence):
    """f*(t) = sup_u u t - f(u), here over a fine grid."""
    f = DIVERGENCES[divergence][0]
    u = np.exp(np.linspace(-18, 6, 400_001))
    for v in (-1.5, -0.5, 0.0, 0.3, 0.6):
        t = divergence.activation(tf.constant(v))
        expected = (u * float(t) - f(u)).max()
        for found in (divergence.conjugate(t), divergence.conjugate_of_activation(tf.constant(v))):
            assert float(found) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@EACH
def test_activations_rise_and_are_simplified_rightly(divergence):
    v = tf.linspace(-5.0, 5.0, 101)
    t = divergence.activation(v)
    assert (np.diff(t) > 0).all()
    simplified = divergence.conjugate_of_activation(v)
    np.testing.assert_allclose(divergence.conjugate(t), simplified, rtol=1e-3, atol=1e-4)


def test_minimax_measures_the_jensen_shannon_divergence():
    """Goodfellow et al., 2014, theorem 1: the value is -log 4 + 2 JSD at D = p / (p + q)."""
    expected = -math.log(4) + kl(p, MIDDLE) + kl(q, MIDDLE)
    for loss in (losses.Minimax(), losses.NonSaturating()):
        assert bound(loss, np.log(RATIO)) == pytest.approx(expected, rel=1e-5)


def test_least_squares_measures_pearsons_divergence():
    """Mao et al., 2017, equation 5: of p + q and 2 q, where b - c = 1 and b - a = 2."""
    best = (p - q) / (p + q)
    real, fake = batches(best)
    loss = losses.LeastSquares(real=1.0, fake=-1.0, generator_target=0.0)
    value = tf.reduce_mean(loss.generator(real)) + tf.reduce_mean(loss.generator(fake))
    expected = ((2 * q - (p + q)) ** 2 / (p + q)).sum() / 2
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert bound(loss, best) == pytest.approx(-(2 * p * q / (p + q)).sum(), rel=1e-5)


def test_hinge_measures_the_total_variation():
    """Lim and Ye, 2017: D is at its best at sign(p - q), with a loss of 2 - 2 TV."""
    expected = 2 * (np.abs(p - q).sum() / 2) - 2
    assert bound(losses.Hinge(), np.sign(p - q)) == pytest.approx(expected, rel=1e-5)


def test_wasserstein_is_the_distance_under_the_best_critic_of_slope_one():
    """Outcomes 0, 1 and 2: the distance is the sum of differences of cumulative sums."""
    expected = np.abs(np.cumsum(p - q)).sum()
    assert bound(losses.Wasserstein(), [0, -1, -2]) == pytest.approx(expected, rel=1e-5)


def test_who_saturates():
    """A sure discriminator leaves the minimax generator nothing to learn from."""
    fake = tf.Variable([-20.0])
    slopes = {}
    for loss in (losses.Minimax(), losses.NonSaturating()):
        with tf.GradientTape() as tape:
            value = loss.generator(fake)
        slopes[type(loss)] = float(tape.gradient(value, fake)[0])
    assert abs(slopes[losses.Minimax]) < 1e-8
    assert slopes[losses.NonSaturating] == pytest.approx(-1)


def test_relativistic_average_of_identical_batches_is_the_inner_game_at_zero_mean():
    logits = tf.constant([1.0, -1.0, 3.0, -3.0])
    for inner in (losses.NonSaturating(), losses.Hinge(), losses.LeastSquares()):
        loss = losses.RelativisticAverage(inner)
        expected = inner.discriminator(logits, logits)
        np.testing.assert_allclose(loss.discriminator(logits + 5, logits + 5), expected, rtol=1e-5)
        np.testing.assert_allclose(loss.generator(logits + 5, logits + 5), expected, rtol=1e-5)


def test_the_generators_gradient_flows_through_the_mean():
    """Of RelativisticAverage(Wasserstein): 2 (mean(real) - mean(fake)), for each fake 2 / 4."""
    fake = tf.Variable([1.0, 2.0, 3.0, 4.0])
    with tf.GradientTape() as tape:
        loss = losses.RelativisticAverage(losses.Wasserstein())
        value = tf.reduce_mean(loss.generator(fake, tf.constant([0.0, 1.0, 0.0, 1.0])))
    assert float(value) == pytest.approx(2 * (0.5 - 2.5))
    np.testing.assert_allclose(tape.gradient(value, fake), [-0.5] * 4, rtol=1e-6)


@pytest.mark.parametrize("targets", [(1.0, 1.0, 1.0), (1.0, 0.0, math.nan), (math.inf, 0.0, 1.0)])
def test_bad_targets(targets):
    with pytest.raises(ValueError, match=COMPLAINT):
        losses.LeastSquares(*targets)


@pytest.mark.parametrize("kind", [losses.Relativistic, losses.RelativisticAverage])
def test_bad_inner_losses(kind):
    with pytest.raises(TypeError, match=COMPLAINT):
        kind("hinge")
    with pytest.raises(ValueError, match=COMPLAINT):
        kind(losses.Relativistic(losses.Hinge()))


@pytest.mark.parametrize("divergence", ["kl", losses.KL, None])
def test_bad_divergence(divergence):
    with pytest.raises(TypeError, match=COMPLAINT):
        losses.FGAN(divergence)


@pytest.mark.parametrize("logits", [tf.zeros([]), tf.zeros([3], tf.int32)], ids=["scalar", "int"])
def test_bad_logits(logits):
    for loss in (losses.Minimax(), losses.Wasserstein(), losses.FGAN(losses.KL())):
        with pytest.raises(ValueError, match=COMPLAINT):
            loss.discriminator(logits, logits)
        with pytest.raises(ValueError, match=COMPLAINT):
            loss.generator(logits)
