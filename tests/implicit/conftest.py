"""An output density for all the tests that only look at it."""

import pytest
import tensorflow as tf

from tests.implicit.helpers import NORMAL
from tfgen.implicit import OutputDensity


@pytest.fixture(scope="module")
def chi_squared():
    return OutputDensity(tf.square, NORMAL)
