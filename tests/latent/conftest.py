"""A trained GLO for all the tests that only look at it."""

import keras
import pytest

from tests.small_models import blocks, compiled_glo
from tfgen.model.inversion import Inversion


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = compiled_glo(inversion=Inversion(100, 3))
    model.history = model.fit(blocks(), batch_size=8, epochs=40, verbose=0).history["loss"]
    return model
