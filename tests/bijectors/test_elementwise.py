"""Fixed elementwise maps: known values, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.bijectors import AffineMap, Logit, Sigmoid
from tfgen.bijectors.chain import build


def built(bijector, shape):
    """Returns a bijector built for events of a shape."""
    build(bijector, shape)
    return bijector


@pytest.mark.parametrize("alpha", [0.05, 1e-6])
def test_logit_is_as_published(alpha):
    x = np.array([[0.0, 0.25, 0.5, 1.0]])
    p = alpha + (1 - 2 * alpha) * x
    z, log_det = built(Logit(alpha), (4,)).forward_and_log_det(tf.constant(x, tf.float32))
    np.testing.assert_allclose(z, np.log(p) - np.log1p(-p), rtol=2e-6)
    expected = np.sum(np.log(1 - 2 * alpha) - np.log(p) - np.log1p(-p), axis=1)
    np.testing.assert_allclose(log_det, expected, rtol=1e-6)


def test_sigmoid_of_zero():
    z, log_det = built(Sigmoid(), (2,)).forward_and_log_det(tf.zeros([1, 2]))
    np.testing.assert_allclose(z, [[0.5, 0.5]])
    np.testing.assert_allclose(log_det, [2 * np.log(0.25)], rtol=1e-6)


def test_affine_map_standardises_channels():
    bijector = built(AffineMap(np.array([1.0, 2.0]), scale=-0.5), (2, 2, 2))
    z, log_det = bijector.forward_and_log_det(tf.ones([3, 2, 2, 2]))
    np.testing.assert_allclose(z[..., 0], np.full([3, 2, 2], 0.5))
    np.testing.assert_allclose(z[..., 1], np.full([3, 2, 2], 1.5))
    np.testing.assert_allclose(log_det, np.full(3, 8 * np.log(0.5)), rtol=1e-6)


@pytest.mark.parametrize("value", [-0.1, 1.1, 255.0, np.nan])
def test_data_outside_the_unit_interval_are_refused(value):
    bijector = built(Logit(name="pixels"), (2,))
    with pytest.raises(ValueError, match=r"`x` of pixels in \[0, 1\]. Received:"):
        bijector.forward(tf.constant([[0.5, value]]))


def test_what_was_mapped_back_is_accepted():
    bijector = built(Logit(), (2,))
    x = tf.constant([[0.0, 1.0]])
    bijector.forward(bijector.inverse(bijector.forward(x)))


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Logit(0.0), r"`alpha` in \(0, 0.5\)"),
        (lambda: Logit(0.5), r"`alpha` in \(0, 0.5\)"),
        (lambda: AffineMap(scale=[1.0, 0.0]), "`scale`, not zero"),
        (lambda: AffineMap(shift=np.inf), "`shift` of finite numbers"),
        (lambda: built(AffineMap([1.0, 2.0]), (3,)), r"`shift` that broadcasts to events \(3,\)"),
        (lambda: built(AffineMap(scale=[[1.0], [2.0]]), (2,)), "`scale` that broadcasts"),
    ],
)
def test_bad_arguments_are_refused(create, message):
    with pytest.raises(ValueError, match=message):
        create()
