"""Output densities equal closed forms, their own cdfs' slopes, and histograms of samples."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow_probability import distributions as tfd

from tests.implicit.helpers import NORMAL, bin_masses, float64, network
from tfgen.implicit import OutputDensity

UNIFORM = tfd.Uniform(*float64(0.0, 1.0))
MIXTURE = tfd.MixtureSameFamily(
    tfd.Categorical(probs=tf.constant([0.3, 0.7], tf.float64)),
    tfd.Normal(tf.constant([-2.0, 1.0], tf.float64), tf.constant([0.1, 0.5], tf.float64)),
)
POSITIVE = np.concatenate([np.geomspace(1e-8, 0.01, 50), np.linspace(0.02, 15, 200)])
WHOLE = np.linspace(-4.9, 5.1, 400)
WITHIN = np.concatenate([np.linspace(-0.999, 0.999, 200), [1e-6 - 1, 1 - 1e-6]])


class CubeOfNormal:
    @staticmethod
    def pdf(x):
        root = np.cbrt(x)
        return stats.norm.pdf(root) / (3 * root**2)

    @staticmethod
    def cdf(x):
        return stats.norm.cdf(np.cbrt(x))


class TanhOfNormal:
    @staticmethod
    def pdf(x):
        return stats.norm.pdf(np.arctanh(x)) / (1 - x**2)

    @staticmethod
    def cdf(x):
        return stats.norm.cdf(np.arctanh(x))


class LeakyReLUOfNormal:
    """Of slope 1/8 below 0, which TensorFlow's float32 attribute has exactly."""

    @staticmethod
    def pdf(x):
        return np.where(x > 0, stats.norm.pdf(x), 8 * stats.norm.pdf(8 * x))

    @staticmethod
    def cdf(x):
        return stats.norm.cdf(np.where(x > 0, x, 8 * x))


class SquareOfMixture:
    left, right = stats.norm(-2, 0.1), stats.norm(1, 0.5)

    @classmethod
    def pdf(cls, x):
        h = np.sqrt(x) * np.array([[-1], [1]])
        return (0.3 * cls.left.pdf(h) + 0.7 * cls.right.pdf(h)).sum(axis=0) / (2 * h[1])

    @classmethod
    def cdf(cls, x):
        h = np.sqrt(x) * np.array([[-1], [1]])
        return np.diff(0.3 * cls.left.cdf(h) + 0.7 * cls.right.cdf(h), axis=0)[0]


class SquareOfCauchy:
    @staticmethod
    def pdf(x):
        return stats.cauchy.pdf(np.sqrt(x)) / np.sqrt(x)

    @staticmethod
    def cdf(x):
        return 2 * np.arctan(np.sqrt(x)) / np.pi


CLOSED_FORMS = {
    "log-normal": (tf.exp, NORMAL, stats.lognorm(1), np.geomspace(1e-3, 1e3, 200), []),
    "chi-squared": (tf.square, NORMAL, stats.chi2(1), POSITIVE, [0.0]),
    "exponential": (lambda u: -tf.math.log1p(-u), UNIFORM, stats.expon, POSITIVE, []),
    "arcsine, poles inside": (
        lambda u: tf.sin(2 * np.pi * u),
        UNIFORM,
        stats.arcsine(-1, 2),
        WITHIN,
        [-1.0, 1.0],
    ),
    "arcsine, poles at the ends": (
        lambda u: tf.cos(np.pi * u),
        UNIFORM,
        stats.arcsine(-1, 2),
        WITHIN,
        [-1.0, 1.0],
    ),
    "arcsine, forty pieces": (
        lambda u: tf.sin(40 * np.pi * u + 1.0),
        UNIFORM,
        stats.arcsine(-1, 2),
        WITHIN,
        [-1.0, 1.0],
    ),
    "folded normal": (lambda h: tf.abs(h - 0.3), NORMAL, stats.foldnorm(0.3), POSITIVE[:130], []),
    "affine": (lambda h: 1 - 2 * h, NORMAL, stats.norm(1, 2), WHOLE, []),
    "cube": (lambda h: h**3, NORMAL, CubeOfNormal, WHOLE, [0.0]),
    "tanh": (tf.tanh, NORMAL, TanhOfNormal, WITHIN[:200], []),
    "leaky ReLU": (lambda h: tf.nn.leaky_relu(h, 0.125), NORMAL, LeakyReLUOfNormal, WHOLE / 6, []),
    "prior without quantiles": (tf.square, MIXTURE, SquareOfMixture, POSITIVE[:100], [0.0]),
    "heavy tails": (
        tf.square,
        tfd.Cauchy(*float64(0.0, 1.0)),
        SquareOfCauchy,
        np.geomspace(1e-8, 1e8, 300),
        [0.0],
    ),
}


@pytest.fixture(params=CLOSED_FORMS.values(), ids=CLOSED_FORMS.keys())
def closed_form(request):
    f, prior, expected, x, poles = request.param
    return OutputDensity(f, prior), expected, x, np.array(poles)


def test_density_and_cdf_equal_the_closed_form(closed_form):
    density, expected, x, poles = closed_form
    np.testing.assert_allclose(density.prob(x), expected.pdf(x), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(density.cdf(x), expected.cdf(x), rtol=0, atol=1e-11)
    np.testing.assert_allclose(density.log_prob(x), np.log(density.prob(x)), rtol=1e-12, atol=1e-14)
    assert density.atoms == []
    np.testing.assert_allclose(density.poles, poles, rtol=0, atol=1e-15)
    assert np.isinf(density.prob(poles)).all()
    np.testing.assert_allclose(density.cdf(poles), expected.cdf(poles), rtol=0, atol=1e-11)


@pytest.mark.parametrize("mean", [0.0, 0.3])
def test_float32_priors_give_five_digits(mean):
    density = OutputDensity(tf.square, tfd.Normal(mean, 1.0))
    x = np.concatenate([np.geomspace(1e-8, 0.01, 50), np.linspace(0.02, 9, 200)])
    expected = stats.ncx2(1, mean**2) if mean else stats.chi2(1)
    np.testing.assert_allclose(density.prob(x), expected.pdf(x), rtol=1e-5)
    np.testing.assert_allclose(density.cdf(x), expected.cdf(x), atol=1e-6)


def test_float32_functions_give_five_digits():
    """Of a Keras network, as the documentation says to pass one."""
    net = keras.Sequential([keras.layers.Dense(1, "tanh")])
    net.build((None, 1))
    net.layers[0].set_weights([np.array([[0.7]]), np.array([0.1])])
    density = OutputDensity(lambda h: net(h[:, None])[:, 0], NORMAL)
    x = np.linspace(-0.95, 0.95, 100)
    h = (np.arctanh(x) - np.float32(0.1)) / np.float32(0.7)
    expected = stats.norm.pdf(h) / (np.float32(0.7) * (1 - x**2))
    np.testing.assert_allclose(density.prob(x), expected, rtol=1e-5)
    np.testing.assert_allclose(density.cdf(x), stats.norm.cdf(h), atol=1e-6)


def test_density_is_accurate_next_to_a_pole(chi_squared):
    x = np.geomspace(1e-30, 1e-8, 23)
    np.testing.assert_allclose(chi_squared.prob(x), stats.chi2(1).pdf(x), rtol=1e-9)
    shifted = OutputDensity(lambda h: tf.square(h - 0.3), NORMAL)
    x = np.geomspace(1e-16, 1e-8, 9)
    np.testing.assert_allclose(shifted.prob(x), stats.ncx2(1, 0.09).pdf(x), rtol=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda h: (h - 0.3) ** 3,
        lambda h: (h - 0.3) * tf.abs(h - 0.3),
        lambda h: h**3 - 0.9 * h**2 + 0.27 * h - 0.027,
    ],
)
def test_an_inflection_is_a_pole_though_the_function_is_monotone(f):
    density = OutputDensity(f, NORMAL)
    np.testing.assert_allclose(density.poles, [0.0], atol=1e-15)
    np.testing.assert_allclose(density.cdf([0.0]), stats.norm.cdf([0.3]), atol=1e-5)


@pytest.mark.parametrize(
    "f",
    [
        tf.abs,
        lambda h: tf.nn.leaky_relu(h, 0.01),
        lambda h: tf.nn.relu(h) - 0.01 * tf.nn.relu(-h),
        lambda h: tf.nn.relu(h) + 0.01 * tf.nn.relu(-h),
        lambda h: h + 2e-3 * tf.tanh(200 * h),
        lambda h: h**3 + 1e-3 * h,
    ],
)
@pytest.mark.parametrize("hit", [False, True])
def test_corners_and_gentle_slopes_are_not_poles(f, hit):
    """Nor when the grid has a point at the corner, where TensorFlow's slope may be 0."""
    density = OutputDensity(f, NORMAL, (-5.0, 5.0), num_points=385 if hit else 300)
    assert (0.0 in density._pieces._grid) == hit
    assert density.poles.size == 0
    assert density.atoms == []
    assert np.isfinite(density.prob(np.linspace(-1, 1, 101))).all()


def test_density_at_a_corner_is_that_of_one_side():
    """TensorFlow's slope at the corner itself is 0."""
    folded = OutputDensity(tf.abs, NORMAL)
    np.testing.assert_allclose(folded.prob([0.0, -1e-9]), [2 * stats.norm.pdf(0), 0], rtol=1e-12)
    leaky = OutputDensity(lambda h: tf.nn.relu(h) - 0.25 * tf.nn.relu(-h), NORMAL)
    np.testing.assert_allclose(leaky.prob([0.0]), stats.norm.pdf([0]), rtol=1e-12)


def test_bounded_supports_reach_their_ends():
    density = OutputDensity(lambda u: 2 * u + 3, UNIFORM)
    np.testing.assert_array_equal(density.prob([2.9, 3.0, 4.0, 5.1]), [0, 0.5, 0.5, 0])
    np.testing.assert_allclose(density.cdf([2.9, 3.0, 4.0, 5.0, 5.1]), [0, 0, 0.5, 1, 1])


def test_a_relu_has_half_the_mass_at_zero():
    density = OutputDensity(tf.nn.relu, NORMAL)
    assert density.atoms == [(0.0, pytest.approx(0.5, abs=1e-12))]
    assert density.poles.size == 0
    x = np.array([-1.0, -1e-12, 0.0, 1e-12, 1.0])
    np.testing.assert_allclose(density.cdf(x), [0, 0, 0.5, 0.5, stats.norm.cdf(1)], atol=1e-11)
    np.testing.assert_allclose(
        density.prob(x), [0, 0, np.inf, stats.norm.pdf(0), stats.norm.pdf(1)], rtol=1e-9
    )


def test_flat_stretches_of_one_value_are_one_atom():
    """0 between -1 and 1, and again from 2 on."""
    density = OutputDensity(
        lambda h: tf.nn.relu(-1 - h) + tf.nn.relu(0.5 - tf.abs(h - 1.5)), NORMAL
    )
    mass = stats.norm.cdf(1) - stats.norm.cdf(-1) + stats.norm.sf(2)
    assert density.atoms == [(0.0, pytest.approx(mass, abs=1e-12))]
    np.testing.assert_allclose(density.cdf([0.0]), [mass], atol=1e-12)


def test_a_flat_bottom_narrower_than_the_grid_is_an_atom():
    density = OutputDensity(lambda h: tf.nn.relu(tf.abs(h - 0.2) - 1e-4), NORMAL, num_points=300)
    mass = stats.norm.cdf(0.2001) - stats.norm.cdf(0.1999)
    assert density.atoms == [(0.0, pytest.approx(mass, rel=1e-9))]
    assert density.poles.size == 0


def test_a_constant_is_an_atom_of_all_mass():
    density = OutputDensity(lambda h: 0 * h + 2, NORMAL)
    assert density.atoms == [(2.0, 1.0)]
    np.testing.assert_array_equal(density.prob([1.0, 2.0, 3.0]), [0, np.inf, 0])
    np.testing.assert_array_equal(density.cdf([1.0, 2.0, 3.0]), [0, 1, 1])


def test_a_saturated_sigmoid_is_flat():
    density = OutputDensity(lambda h: tf.sigmoid(40 * h), NORMAL)
    ((value, mass),) = density.atoms
    assert value == 1.0
    # 1 - sigmoid(t) is half of float64's precision at t = 36.7.
    assert mass == pytest.approx(stats.norm.sf(36.7 / 40), rel=0.02)
    assert 1 - density.cdf([1.0])[0] <= np.finfo(float).eps


@pytest.mark.parametrize("name", ["chi-squared", "arcsine, poles inside", "folded normal"])
def test_density_sums_to_one(name):
    f, prior, expected, _, _ = CLOSED_FORMS[name]
    density = OutputDensity(f, prior)
    low, high = expected.ppf([0, 1 - 1e-13])
    assert bin_masses(density, np.linspace(low, high, 20)).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    "f", [tf.nn.relu, tf.square, tf.sin, network(0)[1], lambda h: -tf.abs(tf.abs(h) - 1)]
)
def test_cdf_rises_from_zero_to_one_with_jumps_at_atoms_only(f):
    density = OutputDensity(f, NORMAL)
    x = np.linspace(-60, 60, 4001)
    cdf = density.cdf(x)
    assert cdf[0] == 0
    assert cdf[-1] == pytest.approx(1, abs=1e-14)
    assert np.diff(cdf).min() >= -1e-15
    # Right-continuous everywhere, and continuous but at atoms.
    x = np.append(density.poles, [value for value, _ in density.atoms])
    np.testing.assert_allclose(density.cdf(x + 1e-12), density.cdf(x), atol=1e-5)
    jump = [0.0] * density.poles.size + [mass for _, mass in density.atoms]
    np.testing.assert_allclose(density.cdf(x) - density.cdf(x - 1e-12), jump, atol=1e-5)


def test_roots_next_to_an_extremum_come_in_pairs():
    """However close the two are, to each other and to the grid."""
    density = OutputDensity(lambda h: 1 - tf.square(h - 0.123), NORMAL)
    gap = np.geomspace(1e-9, 1, 200)
    h = 0.123 + np.sqrt(gap) * np.array([[-1], [1]])
    expected = stats.norm.pdf(h).sum(axis=0) / (2 * np.sqrt(gap))
    np.testing.assert_allclose(density.prob(1 - gap), expected, rtol=1e-6)


def test_a_turning_point_where_the_prior_has_no_density_is_no_pole():
    halves = tfd.Uniform(tf.constant([-2.0, 1.0], tf.float64), tf.constant([-1.0, 2.0], tf.float64))
    weights = tf.constant([0.5, 0.5], tf.float64)
    prior = tfd.MixtureSameFamily(tfd.Categorical(probs=weights), halves)
    density = OutputDensity(tf.square, prior)
    assert density.poles.size == 0
    x = np.array([0.0, 0.5, 1.5, 3.0, 4.5])
    inside = np.array([0, 0, 1, 1, 0])
    np.testing.assert_allclose(density.prob(x), inside / (2 * np.sqrt(x + 1 - inside)), rtol=1e-12)
    np.testing.assert_allclose(density.cdf(x), np.clip(np.sqrt(x) - 1, 0, 1), atol=1e-11)


def test_an_interval_leaves_out_the_mass_outside():
    density = OutputDensity(lambda h: h, NORMAL, interval=(-1.0, 2.0))
    x = np.array([-1.5, 0.0, 1.9, 2.5])
    inside = stats.norm.pdf(x) * [0, 1, 1, 0]
    np.testing.assert_allclose(density.prob(x), inside, rtol=1e-12)
    mass = np.clip(stats.norm.cdf(np.minimum(x, 2)) - stats.norm.cdf(-1), 0, 1)
    np.testing.assert_allclose(density.cdf(x), mass, atol=1e-14)


def test_an_end_where_the_function_is_infinite_is_left_out():
    density = OutputDensity(lambda u: -tf.math.log(u), UNIFORM)
    x = np.linspace(0.01, 15, 50)
    np.testing.assert_allclose(density.prob(x), np.exp(-x), rtol=1e-9)


@pytest.mark.parametrize("method", ["prob", "log_prob", "cdf"])
@pytest.mark.parametrize("x", [[], [1, 2], np.ones(3, np.float32)])
def test_answers_are_float64_of_the_shape_of_x(chi_squared, method, x):
    answer = getattr(chi_squared, method)(x)
    assert answer.shape == np.shape(x)
    assert answer.dtype == np.float64


class NotANumberBelowZero(tfd.Exponential):
    """A prior whose cdf is of no use outside its support, and that has no quantiles."""

    def _cdf(self, h):
        return tf.where(h < 0, h * np.nan, super()._cdf(h))

    def _quantile(self, value):
        raise NotImplementedError


def test_an_interval_serves_where_the_cdf_does_not_show_one():
    prior = NotANumberBelowZero(tf.constant(1.0, tf.float64))
    density = OutputDensity(lambda h: h, prior, interval=(0.0, 30.0))
    np.testing.assert_allclose(density.prob([1.0]), np.exp([-1.0]), rtol=1e-12)
    with pytest.raises(ValueError, match="Expected an `interval`.*Received"):
        OutputDensity(lambda h: h, prior)
