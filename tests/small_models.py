"""Models and data small enough to be trained within a test."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.core import specs
from tfgen.latent import GLO, IMLE, RowAdam
from tfgen.losses import SquaredError
from tfgen.model.inversion import Inversion
from tfgen.model.model import GenerativeModel
from tfgen.networks import MLP
from tfgen.training.update import Terms

COMPLAINT = "Expected .*Received: "
"""What every error message of the library has in it."""


def blocks(num_examples: int = 16) -> np.ndarray:
    """Returns images with one bright quarter, float32 [num_examples, 4, 4, 1] in [0, 1]."""
    images = np.full([num_examples, 4, 4, 1], 0.1, np.float32)
    for i, image in enumerate(images):
        row, column = divmod(i % 4, 2)
        image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 0.9
    return images


def small_glo(num_examples: int = 16, **kwargs: Any) -> GLO:
    """Returns a GLO of 4 x 4 images, not compiled."""
    generator = MLP((4, 4, 1), (8,), output_activation="sigmoid")
    defaults = {"latent_dim": 3, "loss": SquaredError(), "inversion": Inversion(5, 2)}
    return GLO(generator, num_examples, **(defaults | kwargs))


def compiled_glo(**kwargs: Any) -> GLO:
    """Returns the same, compiled to learn fast."""
    model = small_glo(**kwargs)
    model.compile(generator_optimizer=keras.optimizers.Adam(0.03), latents_optimizer=RowAdam(0.1))
    return model


def images_of(model: GLO, count: int = 6) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns images that the generator can make, and their latents."""
    z = model.space(np.random.default_rng(3).normal(size=[count, 3]).astype(np.float32))
    return model.decode(z), z


def small_imle(num_examples: int = 16, dim: int = 2, **kwargs: Any) -> IMLE:
    """Returns an IMLE of vectors, not compiled."""
    return IMLE(MLP((dim,), (8,)), num_examples, **({"noise_dim": 3} | kwargs))


class Point(keras.layers.Layer):
    """A layer that is one trainable vector."""

    def __init__(self, start: list[float]) -> None:
        super().__init__()
        self.value = self.add_weight(
            shape=(len(start),), initializer=lambda shape, dtype: tf.constant(start, dtype)
        )
        self.built = True


class _Center(GenerativeModel):
    """Finds the mean of vectors: the loss is |x - point|^2, and its step is known in closed form.

    Under logarithm, it is log(x) * point, which is not finite unless x > 0.
    """

    groups = {"point": ("point",)}
    default_optimizers = {"point": lambda: keras.optimizers.SGD(0.25)}

    def __init__(self, start: list[float], logarithm: bool = False, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.start = start
        self.logarithm = logarithm
        self.point = Point(start)

    @property
    def event_spec(self) -> tf.TensorSpec:
        return specs.event_spec((len(self.start),))

    def objective(self, x: dict, seed: tf.Tensor, training: bool) -> Terms:
        point = self.point.value.value
        terms = tf.math.log(x["x"]) * point if self.logarithm else (x["x"] - point) ** 2
        return {"loss": tf.reduce_sum(terms, axis=1)}


def center(start: tuple[float, ...] = (0.0, 0.0), **kwargs: Any) -> _Center:
    """Returns a compiled model that has one trainable vector and no capability."""
    model = _Center(list(start), **{"logarithm": False, **kwargs})
    model.compile()
    return model


def position(model: _Center) -> np.ndarray:
    """Returns the vector."""
    return model.point.value.numpy().copy()
