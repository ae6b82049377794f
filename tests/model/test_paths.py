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


@pytest.mark.parametrize("latent", [(2, 3), (2, 3, 2)], ids=["rank 3", "rank 4"])
@pytest.mark.parametrize("kind", [linear, spherical])
def test_latents_of_more_axes_go_the_way_of_their_numbers(kind, latent):
    rng = np.random.default_rng(1)
    ends = [tf.constant(rng.normal(size=(5, *latent)), tf.float32) for _ in range(2)]
    points = kind(*ends, THIRDS)
    assert points.shape == (5, 5, *latent)
    flat = kind(*(tf.reshape(z, [5, -1]) for z in ends), THIRDS)
    np.testing.assert_allclose(points, tf.reshape(flat, points.shape), rtol=1e-6)
    for number, end in ((0, ends[0]), (-1, ends[1])):
        np.testing.assert_allclose(points[:, number], end, rtol=1e-5, atol=1e-6)


def test_linear_in_a_grid_by_hand():
    points = path(linear, [[[0.0], [8.0]]], [[[4.0], [0.0]]], tf.constant([0.25, 0.5]))
    np.testing.assert_allclose(points, [[[[1.0], [6.0]]], [[[2.0], [4.0]]]])


def test_spherical_in_a_grid_by_hand():
    """All numbers of a latent are one vector: here it turns by 90 degrees, from 3 to 5 long."""
    points = path(spherical, [[0.0, 3.0], [0.0, 0.0]], [[0.0, 0.0], [4.0, 3.0]], THIRDS)
    expected = (3 + 2 / 3) * np.array([[0.0, 3**0.5 / 2], [0.5 * 0.8, 0.5 * 0.6]])
    np.testing.assert_allclose(points[1], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [linear, spherical])
def test_the_number_of_latents_need_not_be_known(kind):
    spec = [tf.TensorSpec([None, 2, 3]), tf.TensorSpec([None, 2, 3])]
    graph = tf.function(lambda a, b: kind(a, b, THIRDS), input_signature=spec, autograph=False)
    a, b = tf.random.stateless_normal([2, 4, 2, 3], [0, 1])
    np.testing.assert_allclose(graph(a, b), kind(a, b, THIRDS), rtol=1e-5, atol=1e-6)
