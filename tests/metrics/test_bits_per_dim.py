"""Bits per dimension, by hand."""

import math

import numpy as np
import pytest

from tfgen.metrics import bits_per_dim


def test_a_uniform_probability_is_the_bits_of_a_level():
    """256 levels, 4 pixels: P = 256^-4, 8 bits each."""
    log_prob = -4 * math.log(256)
    np.testing.assert_allclose(bits_per_dim([log_prob, 0.0], (2, 2, 1)), [8.0, 0.0])


def test_a_uniform_density_of_the_unit_cube_is_eight_bits_at_256_levels():
    assert bits_per_dim(0.0, (3, 2), num_levels=256) == 8.0
    # One whose density is 2 in each of 6 directions needs a bit less.
    assert float(bits_per_dim(6 * math.log(2), (3, 2), 256)) == pytest.approx(7.0)
    assert float(bits_per_dim(6 * math.log(2), (3, 2), 32)) == pytest.approx(4.0)


def test_a_gaussian_of_its_own_scale():
    """N(0, I) at its mean: log2(sqrt(2 pi)) = 1.3257 bits."""
    log_prob = -0.5 * 3 * math.log(2 * math.pi)
    assert float(bits_per_dim(log_prob, (3,))) == pytest.approx(1.32575, abs=1e-5)


@pytest.mark.parametrize("shape, levels", [((), 1), ((0, 2), None), ((2,), 0)])
def test_refusals(shape, levels):
    with pytest.raises(ValueError, match=r"Expected .*Received: "):
        bits_per_dim(0.0, shape, levels)
