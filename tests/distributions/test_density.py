"""What all densities have in common, and their log densities against SciPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfgen.core import random
from tfgen.distributions import (
    Blockwise,
    Density,
    FittedDensity,
    Gaussian,
    GaussianMixture,
    StandardNormal,
    Uniform,
    VectorDensity,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)) @ RNG.normal(size=(3, 3)) + [1.0, -2.0, 0.5]
POINTS = np.concatenate([X[:20], RNG.uniform(-1.5, 1.5, size=(20, 3)), np.zeros([1, 3])])

NUM, SEED = tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int32)


def log_prob_of_mixture(mixture: GaussianMixture, x: np.ndarray) -> np.ndarray:
    weights = special.log_softmax(mixture.logits.numpy().astype(np.float64))
    scales = mixture.scales.numpy().astype(np.float64)
    terms = [
        weight + stats.multivariate_normal(mean, scale @ scale.T).logpdf(x)
        for weight, mean, scale in zip(weights, mixture.means.numpy(), scales, strict=True)
    ]
    return special.logsumexp(terms, axis=0)


def cases() -> dict:
    """Returns densities of three numbers, each with its log density by SciPy."""
    gaussian, mixture = Gaussian(3).fit(X), GaussianMixture(3, 2, jitter=1e-3).fit(X)
    fitted = stats.multivariate_normal(X.mean(0), np.cov(X, rowvar=False))
    normal, uniform = stats.norm(), stats.uniform(-1.0, 3.0)
    blocks = Blockwise([Uniform(1, -1.0, 2.0), StandardNormal(2)])
    return {
        "gaussian": (gaussian, fitted.logpdf),
        "mixture": (mixture, lambda x: log_prob_of_mixture(mixture, x)),
        "standard_normal": (StandardNormal(3), lambda x: normal.logpdf(x).sum(1)),
        "uniform": (Uniform(3, -1.0, 2.0), lambda x: uniform.logpdf(x).sum(1)),
        "blockwise": (
            blocks,
            lambda x: uniform.logpdf(x[:, 0]) + normal.logpdf(x[:, 1:]).sum(1),
        ),
    }


NAMES = ["gaussian", "mixture", "standard_normal", "uniform", "blockwise"]


@pytest.fixture(scope="module")
def densities():
    """The cases, fitted once."""
    return cases()


@pytest.mark.parametrize("name", NAMES)
def test_log_prob_is_that_of_scipy(densities, name):
    density, reference = densities[name]
    found = density.log_prob(POINTS)
    assert found.shape == (len(POINTS),) and found.dtype == tf.float32
    expected = reference(POINTS.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)
    assert np.isfinite(expected).any()
    rows = tf.function(density.log_prob, input_signature=[tf.TensorSpec([None, 3])])
    np.testing.assert_allclose(rows(POINTS[7:9].astype(np.float32)), found[7:9], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_of_the_density(densities, name):
    """The mean log density of draws is minus the entropy, as is that of rows."""
    density, reference = densities[name]
    draws = density.draw(4000, [3, 1]).numpy()
    rows = density.sample_rows(random.row_seeds(4000, 0)).numpy()
    assert draws.shape == rows.shape == (4000, 3)
    assert not np.isin(draws, rows).all()
    entropies = [reference(x.astype(np.float64)) for x in (draws, rows)]
    error = max(np.std(entropies[0]), 0.01) * (2 / 4000) ** 0.5
    assert abs(np.mean(entropies[0]) - np.mean(entropies[1])) < 5 * error
    for axis in range(3):
        assert stats.ks_2samp(draws[:, axis], rows[:, axis]).pvalue > 1e-3
    np.testing.assert_array_equal(density.draw(4000, tf.constant([3, 1])), draws)
    graph = tf.function(density.draw, input_signature=[NUM, SEED])
    np.testing.assert_allclose(graph(5, [3, 1]), density.draw(5, [3, 1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_density_says_what_it_draws(densities, name):
    density, _ = densities[name]
    assert isinstance(density, Density) and isinstance(density, keras.layers.Layer)
    assert density.event_spec == tf.TensorSpec([3], tf.float32, name="z")
    assert density.dim == 3 and density.trainable_variables == []
    assert isinstance(density, FittedDensity) == (name in ("gaussian", "mixture"))
    assert density.distribution().event_shape == [3]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 1), (2, 4, 3)])
def test_vectors_of_another_shape(densities, name, shape):
    with pytest.raises(ValueError, match="Expected .*Received: "):
        densities[name][0].log_prob(np.zeros(shape))


class Ring(Density):
    """A density of a user's own: points of the unit circle, [batch, 1, 2]."""

    @property
    def event_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([1, 2], tf.float32, name="z")

    def sample_rows(self, row_seeds: tf.Tensor) -> tf.Tensor:
        angle = 2 * np.pi * random.uniform(row_seeds, (1,))
        return tf.stack([tf.cos(angle), tf.sin(angle)], axis=2)

    def log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return tf.fill([tf.shape(x)[0]], -np.log(2 * np.pi).astype(np.float32))


def test_three_methods_make_a_density():
    ring = Ring()
    draws = ring.draw(7, tf.constant([0, 5])).numpy()
    assert draws.shape == (7, *ring.event_spec.shape)
    np.testing.assert_allclose(np.linalg.norm(draws, axis=2), 1, rtol=1e-6)
    assert len(np.unique(draws[:, 0, 0])) == 7
    assert not np.isin(draws, ring.draw(7, [1, 5])).any()
    assert type(ring).from_config(ring.get_config()).event_spec == ring.event_spec


@pytest.mark.parametrize("base", [Density, VectorDensity, FittedDensity])
def test_bases_are_abstract(base):
    with pytest.raises(TypeError, match="abstract"):
        base(*[3] * (base is not Density))
