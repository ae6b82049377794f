"""What all tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import tensorflow as tf


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Makes initial weights and seeds that were not given the same in each run."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def mixed_float16():
    """Makes layers compute in 16 bits."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what this machine cannot run."""
    if item.get_closest_marker("real_data") and not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("needs TFDS_DATA_DIR, the folder of TensorFlow Datasets")
    if item.get_closest_marker("gpu") and not tf.config.list_physical_devices("GPU"):
        pytest.skip("needs a GPU")
