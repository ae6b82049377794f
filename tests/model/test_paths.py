"""Paths against geometry worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.model.paths import linear, spherical

THIRDS = tf.constant([0.0, 1 / 3, 0.5, 2 / 3, 1.0])


def path(kind, start, end, fractions=THIRDS):
    start, end = (tf.constant([z], tf.float32) for z in (start, end))
    return kind(start, end, fractions)[0].numpy()


@pytest.mark.parametrize("kind", [linear, spherical])
def test_ends_are_kept(kind):
    rng = np.random.default_rng(0)
    start, end = (rng.normal(size=(5, 7)).astype(np.float32) for _ in range(2))
    points = kind(tf.constant(start), tf.constant(end), THIRDS)
    assert points.shape == (5, 5, 7)
    np.testing.assert_allclose(points[:, 0], start, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(points[:, -1], end, rtol=1e-5, atol=1e-6)


def test_linear_is_straight():
    points = path(linear, [1, 2], [4, -4])
    np.testing.assert_allclose(points, [[1, 2], [2, 0], [2.5, -1], [3, -2], [4, -4]], atol=1e-6)


def test_spherical_turns_evenly():
    points = path(spherical, [1, 0, 0], [0, 1, 0])
    angles = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    np.testing.assert_allclose(angles, [0, 30, 45, 60, 90], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-6)


def test_spherical_changes_the_length_evenly():
    points = path(spherical, [1, 0], [0, 4])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), [1, 2, 2.5, 3, 4], rtol=1e-6)
    np.testing.assert_allclose(points[2], [2.5 / 2**0.5] * 2, rtol=1e-6)


@pytest.mark.parametrize("end", [[3.0, 4.0], [6.0, 8.0], [3.0, 4.0 + 1e-6]])
def test_spherical_between_parallel_latents_is_straight(end):
    points = path(spherical, [3.0, 4.0], end)
    np.testing.assert_allclose(points, path(linear, [3.0, 4.0], end), rtol=1e-5)


def test_spherical_between_opposite_latents_is_finite():
    assert np.isfinite(path(spherical, [1.0, 2.0], [-1.0, -2.0])).all()
