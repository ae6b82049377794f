"""tfgen: deep generative models for TensorFlow and Keras."""

import os
import sys


def _check_backend() -> None:
    """Raises ImportError unless Keras runs on TensorFlow.

    The environment is asked first: Keras would fail to import a backend that is not installed.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend == "tensorflow" or "keras" in sys.modules:
        import keras

        backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            "tfgen runs on Keras' TensorFlow backend. Expected KERAS_BACKEND=tensorflow. "
            f"Received: {backend}"
        )


_check_backend()

from tfgen import (  # noqa: E402
    adversarial,
    bijectors,
    callbacks,
    core,
    data,
    distributions,
    flows,
    implicit,
    latent,
    layers,
    losses,
    metrics,
    model,
    networks,
    serving,
    training,
    variational,
)
from tfgen.core.version import __version__  # noqa: E402
from tfgen.model.inversion import Inversion  # noqa: E402
from tfgen.model.model import GenerativeModel  # noqa: E402
from tfgen.model.rows import UnsupportedCapability  # noqa: E402
from tfgen.model.saving import load_model  # noqa: E402
from tfgen.training.not_finite import NonFiniteError  # noqa: E402

__all__ = [
    "GenerativeModel",
    "Inversion",
    "NonFiniteError",
    "UnsupportedCapability",
    "__version__",
    "adversarial",
    "bijectors",
    "callbacks",
    "core",
    "data",
    "distributions",
    "flows",
    "implicit",
    "latent",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "model",
    "networks",
    "serving",
    "training",
    "variational",
]
