"""What several tests of output densities take: a prior, random networks, and quadrature."""

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfgen.implicit import OutputDensity


def float64(*values: float) -> list[tf.Tensor]:
    return [tf.constant(value, tf.float64) for value in values]


NORMAL = tfd.Normal(*float64(0.0, 1.0))


def network(seed: int):
    """Returns a tanh network of one hidden layer with several slopes, in NumPy and TensorFlow."""
    rng = np.random.default_rng(seed)
    slope, shift = rng.normal(0, 3, 8), rng.normal(0, 2, 8)
    out = rng.normal(0, 1, 8)

    def by_numpy(h):
        return np.tanh(h[:, None] * slope + shift) @ out

    def by_tensorflow(h):
        return tf.linalg.matvec(tf.tanh(h[:, None] * slope + shift), out)

    return by_numpy, by_tensorflow


def bin_masses(density: OutputDensity, edges: np.ndarray) -> np.ndarray:
    """Integrates a density from each edge to the next.

    By Gauss-Legendre quadrature between the poles, whose square roots x = sin² takes away.
    """
    poles = density.poles[(density.poles > edges[0]) & (density.poles < edges[-1])]
    ends = np.unique(np.append(edges, poles))
    nodes, weights = np.polynomial.legendre.leggauss(60)
    angle = (nodes + 1) * np.pi / 4
    width = np.diff(ends)[:, None]
    x = ends[:-1, None] + width * np.sin(angle) ** 2
    dx = width * np.sin(2 * angle) * np.pi / 4
    mass = np.sum(weights * dx * density.prob(x.ravel()).reshape(x.shape), axis=1)
    return np.diff(np.append(0, np.cumsum(mass))[np.searchsorted(ends, edges)])
