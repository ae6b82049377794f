"""What all tests share."""

import gc
import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops
from xdist.scheduler import LoadFileScheduling

gc.freeze()  # What is imported stays, and need not be looked through again.


class ByFile(LoadFileScheduling):
    """Gives each worker a file at a time, and one of them all that shares trained models."""

    def _split_scope(self, nodeid: str) -> str:
        return "contract" if nodeid.startswith("tests/contract/") else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Says how tests are divided among workers."""
    return ByFile(config, log)


@pytest.fixture(scope="module", autouse=True)
def _seeded_file() -> None:
    """Seeds all there is. It throws away the kernels of eager operations, so not at each test."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _seeded(_seeded_file: None) -> None:
    """Makes initial weights and seeds that were not given the same in each run.

    Keras draws them by Python's generator.
    """
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="module", autouse=True)
def _traces_let_go() -> None:
    """Frees what a file has traced, when its last test is done.

    TensorFlow keeps the gradient of each custom gradient in a graph, and with it the graph, its
    model and all that is compiled for them, until the process ends.
    """
    before = set(ops.gradient_registry.list())
    yield
    registered = ops.gradient_registry._registry
    for name in set(registered) - before:
        if name.startswith("CustomGradient-"):
            del registered[name]
    gc.collect()
    gc.freeze()  # What is left stays; to look through it again takes a second a file.


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
