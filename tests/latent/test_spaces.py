"""Projections to the sets of latents, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tests.small_models import COMPLAINT
from tfgen.latent import Ball, Euclidean, Sphere

POINTS = tf.constant([[3.0, 4.0], [0.3, 0.4], [0.0, -2.0], [0.6, 0.8]])

CASES = {
    "sphere": (Sphere(), [[0.6, 0.8], [0.6, 0.8], [0, -1], [0.6, 0.8]]),
    "large sphere": (Sphere(10.0), [[6, 8], [6, 8], [0, -10], [6, 8]]),
    "ball": (Ball(), [[0.6, 0.8], [0.3, 0.4], [0, -1], [0.6, 0.8]]),
    "large ball": (Ball(2.0), [[1.2, 1.6], [0.3, 0.4], [0, -2], [0.6, 0.8]]),
    "plane": (Euclidean(), POINTS),
}


@pytest.mark.parametrize("space, expected", CASES.values(), ids=CASES)
def test_projection(space, expected):
    projected = space(POINTS)
    np.testing.assert_allclose(projected, expected, rtol=1e-6)
    np.testing.assert_allclose(space(projected), projected, rtol=1e-6)


@pytest.mark.parametrize("space", [Sphere(2.0), Ball(0.5), Euclidean()])
def test_any_leading_axes(space):
    z = tf.reshape(POINTS, [2, 1, 2, 2])
    np.testing.assert_allclose(space(z), tf.reshape(space(POINTS), z.shape))


@pytest.mark.parametrize("space", [Sphere(), Ball(), Euclidean()])
def test_zero_and_its_slope_are_finite(space):
    z = tf.zeros([1, 3])
    with tf.GradientTape() as tape:
        tape.watch(z)
        projected = space(z)
    assert np.isfinite(projected).all() and np.isfinite(tape.gradient(projected, z)).all()


@pytest.mark.parametrize("space", [Sphere, Ball])
@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_radius(space, radius):
    with pytest.raises(ValueError, match=f"`radius`.*{COMPLAINT[9:]}"):
        space(radius)


def test_spaces_are_values():
    assert Sphere(2.0) == Sphere(2.0) != Sphere(1.0)
    assert Ball() != Sphere()
