"""A classifier that knows the ratio of two densities."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, special, stats

from tests.contract import cases
from tfgen.distributions import Gaussian, StandardNormal
from tfgen.implicit import RatioEstimator
from tfgen.networks import MLP

P, Q = stats.norm(0.8, 0.7), stats.norm()
GRID = np.linspace(-1.5, 2.2, 38)  # Two deviations of both.


class Exact(keras.layers.Layer):
    """The logit whose sigmoid is p / (p + q)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.square(x) / 2 - tf.square((x - 0.8) / 0.7) / 2 - np.log(0.7)


def trained(base=None, num_proposals: int = 64) -> RatioEstimator:
    x = P.rvs((4000, 1), random_state=0).astype(np.float32)
    estimator = RatioEstimator(
        MLP((1,), (32,), activation="tanh"), base or StandardNormal(1), num_proposals
    )
    estimator.compile(optimizer=keras.optimizers.Adam(0.01), steps_per_execution=5)
    estimator.fit(x, batch_size=200, epochs=30, verbose=0)
    return estimator


@pytest.fixture(scope="module")
def estimator():
    """Trained on draws of P, against N(0, 1)."""
    keras.utils.set_random_seed(0)
    return trained()


def test_the_classifier_is_the_known_ratio(estimator):
    found = special.expit(estimator.log_ratio(GRID[:, np.newaxis].astype(np.float32)))
    np.testing.assert_allclose(found, P.pdf(GRID) / (P.pdf(GRID) + Q.pdf(GRID)), atol=0.05)


def test_the_loss_is_that_of_the_optimum(estimator):
    """Two log 2, less twice the Jensen-Shannon divergence."""
    x = P.rvs((20_000, 1), random_state=1).astype(np.float32)
    found = estimator.evaluate(x, batch_size=2000, verbose=0, return_dict=True)
    grid = np.linspace(-8, 8, 4001)
    p, q = P.pdf(grid), Q.pdf(grid)
    terms = p * np.log1p(q / p) + q * np.log1p(p / q)
    assert found["loss"] == pytest.approx(integrate.trapezoid(terms, grid), abs=0.02)
    right = integrate.trapezoid(np.maximum(p, q), grid) / 2
    assert found["accuracy"] == pytest.approx(right, abs=0.02)


def test_samples_follow_the_data(estimator):
    samples = estimator.sample(4000, seed=0).numpy()
    assert samples.shape == (4000, 1)
    assert samples.mean() == pytest.approx(0.8, abs=0.05)
    assert samples.std() == pytest.approx(0.7, abs=0.05)


def test_with_the_exact_ratio_samples_are_of_p():
    estimator = RatioEstimator(Exact(), StandardNormal(1), num_proposals=200)
    samples = estimator.sample(3000, seed=1).numpy()[:, 0]
    assert stats.kstest(samples, P.cdf).pvalue > 0.01


def test_one_proposal_is_a_draw_of_the_base():
    estimator = RatioEstimator(Exact(), StandardNormal(1), num_proposals=1)
    samples = estimator.sample(3000, seed=1).numpy()[:, 0]
    assert stats.kstest(samples, Q.cdf).pvalue > 0.01


def test_a_fitted_density_is_a_base():
    base = Gaussian(1).fit(Q.rvs((500, 1), random_state=2))
    estimator = trained(base)
    assert estimator.sample(2000, seed=0).numpy().mean() == pytest.approx(0.8, abs=0.1)


def test_a_frozen_model_is_a_base():
    inner = RatioEstimator(Exact(), StandardNormal(1))
    outer = RatioEstimator(MLP((1,), (4,)), inner, num_proposals=3)
    assert outer.event_shape == (1,)
    assert outer.sample(4, seed=0).shape == (4, 1)


@pytest.mark.ci
def test_a_model_is_drawn_by_rows_in_training():
    estimator = trained(RatioEstimator(Exact(), StandardNormal(1), num_proposals=1))
    assert estimator.sample(2000, seed=0).numpy().mean() == pytest.approx(0.8, abs=0.1)


def test_a_base_that_could_be_trained_is_refused():
    inner = RatioEstimator(MLP((1,), (4,)), StandardNormal(1))
    with pytest.raises(ValueError, match=r"Expected a frozen `base` \(`base.trainable = False`\)"):
        RatioEstimator(MLP((1,), (4,)), inner)
    inner.trainable = False
    RatioEstimator(MLP((1,), (4,)), inner)


@pytest.mark.parametrize(("number", "error"), [(0, ValueError), (1.5, TypeError)])
def test_num_proposals(number, error):
    with pytest.raises(error, match=r"Expected `num_proposals`.* Received: "):
        RatioEstimator(MLP((1,)), StandardNormal(1), num_proposals=number)


def test_data_have_the_shape_of_the_base():
    estimator = RatioEstimator(MLP((1,)), StandardNormal(1))
    estimator.compile()
    with pytest.raises(ValueError, match=r"Expected examples of shape \(1,\)"):
        estimator.fit(np.zeros([40, 2], np.float32), verbose=0)


def test_the_classifier_has_one_logit():
    with pytest.raises(ValueError, match=r"logits of shape \[batch, 1\]\. Received: \(1, 2\)"):
        RatioEstimator(MLP((2,)), StandardNormal(1))


def test_the_base_is_a_density_or_a_model():
    with pytest.raises(TypeError, match="Expected `base`, a density or a model.* Received: normal"):
        RatioEstimator(MLP((1,)), "normal")


def test_a_conditional_model_as_base_draws_its_labels():
    gan = cases.named("gan_conditional").create()
    gan.trainable = False
    estimator = RatioEstimator(MLP((1,), (8,)), gan, num_proposals=3)
    estimator.compile("adam")
    estimator.fit(cases.images(), batch_size=8, epochs=1, verbose=0)
    assert estimator.event_spec == gan.event_spec
    assert estimator.sample(3, seed=0).shape == (3, 8, 8, 1)
