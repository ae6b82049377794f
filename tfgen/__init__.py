"""tfgen: deep generative models for TensorFlow and Keras."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "tfgen runs on Keras' TensorFlow backend. Expected KERAS_BACKEND=tensorflow. Received: "
        f"{keras.backend.backend()}"
    )

from tfgen import (  # noqa: E402
    callbacks,
    core,
    data,
    distributions,
    latent,
    losses,
    metrics,
    networks,
    serving,
)
from tfgen.core.capability import UnsupportedCapability  # noqa: E402
from tfgen.core.model import GenerativeModel, NonFiniteError  # noqa: E402

__version__ = "0.1.0.dev0"

__all__ = [
    "GenerativeModel",
    "NonFiniteError",
    "UnsupportedCapability",
    "callbacks",
    "core",
    "data",
    "distributions",
    "latent",
    "losses",
    "metrics",
    "networks",
    "serving",
]
