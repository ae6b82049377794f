"""Feature extractors: what turns images into the vectors that scores compare."""

import abc
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import Shaped, check_integer, check_rank, expected
from tfgen.core.config import Configurable, register
from tfgen.core.files import written_whole
from tfgen.data.examples import Examples
from tfgen.data.image_checks import with_channels
from tfgen.model.saving import load_model

AXES = "[batch, height, width, channels]"

NUM_NOISE, NOISE_SIDE = 8, 64
"""Images of noise that tell logits from probabilities, and their sides where any will do."""


class FeatureExtractor(abc.ABC):
    """Turns images into feature vectors; its name says all that changes the numbers.

    Attributes:
        name: Network, dimension and resize, such as "inception-2015[768], legacy bilinear 299".
        dimension: number of features.
    """

    name: str
    dimension: int

    @abc.abstractmethod
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns features [batch, dimension] of images [batch, height, width, channels].

        Args:
            images: float32 in [0, 1]; grey images are repeated to 3 channels where needed.
        """

    def extract(self, images: Any, batch_size: int = 64) -> np.ndarray:
        """Returns the features of many images.

        Args:
            images: an array or tensor [number, height, width, channels], `Examples`, or batches;
                floats in [0, 1] or uint8 in [0, 255].
            batch_size: most images that are looked at together, > 0.

        Returns:
            float32 [number, dimension].

        Raises:
            TypeError: when images are neither floats nor uint8.
            ValueError: when there are none, or they are not images in [0, 1].
        """
        return map_batches(self, images, batch_size)


@runtime_checkable
class KnowsClasses(Protocol):
    """A feature extractor that also tells which classes it sees."""

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns class probabilities [batch, num_classes] of images."""


@register
class ClassifierFeatures(Configurable, FeatureExtractor):
    """What one layer of a Keras classifier sees, and the classifier's probabilities.

    Args:
        model: a built functional or Sequential classifier of images in [0, 1], such as
            `train_classifier(...).model`. Its output is logits or probabilities; which of them is
            told by whether those of a few images of noise are numbers >= 0 that sum to one.
        layer: name of the layer whose output gives the features, averaged over positions. By
            default the input of the last Dense layer.
        title: what to call it in scores.

    Raises:
        TypeError: when `model` is not a Keras model.
        ValueError: when it is not built, has no such layer, or has no Dense layer to go by.
    """

    def __init__(
        self, model: keras.Model, layer: str | None = None, title: str = "classifier"
    ) -> None:
        _check_is_classifier(model)
        self.model = model
        self.layer = layer
        self.title = title
        features = _average_positions(_layer_tensor(model, layer))
        self.dimension = int(features.shape[-1])
        place = f" {layer}" if layer else ""
        self.name = f"{title}{place}[{self.dimension}]"
        self.num_classes = int(model.output_shape[-1])
        images = model.inputs[0]
        self._features = compiled(keras.Model(images, features), images.shape)
        self._outputs = compiled(keras.Model(images, model.outputs[0]), images.shape)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns features [batch, dimension] of images [batch, height, width, channels]."""
        return self._features(self._fitted(images))

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns class probabilities [batch, num_classes] of images.

        Args:
            images: [batch, height, width, channels], floats in [0, 1] or uint8.

        Raises:
            TypeError: when images are neither floats nor uint8.
            ValueError: when they have another shape than the classifier takes, or its outputs are
                neither logits nor a softmax but, say, sigmoids.
        """
        outputs = self._outputs(self._fitted(images))
        return outputs if self._gives_probabilities else tf.nn.softmax(outputs)

    @functools.cached_property
    def _gives_probabilities(self) -> bool:
        """Whether outputs are probabilities rather than logits, whatever layers they come from."""
        shape = [size or NOISE_SIDE for size in self.model.input_shape[1:]]
        noise = np.random.default_rng(0).uniform(size=(NUM_NOISE, *shape))
        outputs = self._outputs(tf.constant(noise, tf.float32)).numpy()
        if np.min(outputs) < 0 or np.max(outputs) > 1 + 1e-3:
            return False
        sums = outputs.sum(axis=1)
        if np.abs(sums - 1).max() > 1e-3:
            what = f"{self.model.name} to return logits or a softmax"
            received = f"numbers in [0, 1] that sum to {sums.min():.3g} to {sums.max():.3g}"
            raise ValueError(expected(what, received))
        return True

    def save(self, path: str | os.PathLike) -> None:
        """Writes the classifier to a file, whole or not at all.

        Args:
            path: of the file, ending in `.keras`; one that is there is replaced.

        Raises:
            OSError: when the file cannot be written.
            ValueError: when `path` has another ending.
        """
        path = Path(path)
        if path.suffix != ".keras":
            raise ValueError(expected("a path that ends in .keras", path))
        with written_whole(path) as unfinished:
            self.model.save(unfinished)

    @classmethod
    def load(
        cls, path: str | os.PathLike, layer: str | None = None, title: str = "classifier"
    ) -> "ClassifierFeatures":
        """Returns the features of a classifier read from a `.keras` file.

        Args:
            path: of the file.
            layer, title: as for the constructor.

        Raises:
            ValueError: when there is no such file, or it is truncated, or its model no classifier.
        """
        return cls(load_model(path), layer, title)

    def _fitted(self, images: tf.Tensor) -> tf.Tensor:
        shape = self.model.input_shape
        images = with_channels(as_images(images), shape[-1])
        for have, want in zip(images.shape[1:], shape[1:], strict=True):
            if want is not None and have != want:
                raise ValueError(expected(f"images {shape[1:]}", tuple(images.shape[1:])))
        return images


def map_batches(
    function: Callable[[tf.Tensor], tf.Tensor], images: Any, batch_size: int = 64
) -> np.ndarray:
    """Returns the outputs of a function of image batches for many images, as one array.

    Args:
        function: takes images [batch, height, width, channels], returns [batch, dimension].
        images: an array or tensor [number, height, width, channels], `Examples`, or any iterable
            of such batches; of tuples the first entry is taken, of dicts the one called "x".
            Floats are in [0, 1], uint8 in [0, 255].
        batch_size: most images that `function` is given at once.

    Returns:
        float32 [number, dimension].

    Raises:
        TypeError: when images are neither floats nor uint8.
        ValueError: when there are none, or they are not images in [0, 1].
    """
    check_integer("batch_size", batch_size)
    outputs = [
        np.asarray(function(in_range(as_images(part))), np.float32)
        for batch in _image_batches(images, batch_size)
        for part in _parts(batch, batch_size)
    ]
    if not outputs:
        raise ValueError(expected("at least one image", "none"))
    return np.concatenate(outputs)


def as_images(images: Any) -> tf.Tensor:
    """Returns `images` as a float32 tensor, uint8 in [0, 255] scaled to [0, 1].

    Args:
        images: an array or tensor [batch, height, width, channels], of floats or uint8.

    Raises:
        TypeError: when they are neither floats nor uint8.
        ValueError: when they are not [batch, height, width, channels].
    """
    images = tf.convert_to_tensor(images)
    check_rank("images", images.shape, 4, AXES)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    if not images.dtype.is_floating:
        raise TypeError(expected("float images in [0, 1], or uint8", images.dtype.name))
    return tf.cast(images, tf.float32)


def in_range(images: tf.Tensor) -> tf.Tensor:
    """Returns `images`, or raises ValueError when they are empty or not in [0, 1]."""
    if tf.size(images) == 0:
        raise ValueError(expected("images that are not empty", f"shape {tuple(images.shape)}"))
    low, high = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    # A thousandth of slack for what interpolation adds; a NaN fails both comparisons.
    if not (low >= -1e-3 and high <= 1.0 + 1e-3):
        raise ValueError(expected("images in [0, 1]", f"values from {low} to {high}"))
    return images


def check_file(path: str | os.PathLike, what: str) -> Path:
    """Returns `path`, or raises FileNotFoundError unless a file is there; `what` it should be."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(expected(what, f"{path}, where there is no file"))
    return path


def compiled(network: Callable[..., tf.Tensor], input_shape: tuple) -> Callable:
    """Returns inference compiled once for every batch size."""

    @tf.function(input_signature=[tf.TensorSpec([None, *input_shape[1:]], tf.float32)])
    def run(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(network(images, training=False), tf.float32)

    return run


def first_line(error: Exception) -> str:
    """Returns the first line of what an error says."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _image_batches(images: Any, batch_size: int) -> Iterator[Any]:
    """Yields arrays or tensors of images, of any length; `batch_size` of Examples."""
    if isinstance(images, Examples):
        # Iterating over them would leave out the last partial batch.
        images = images.parts(batch_size)
    if isinstance(images, Shaped):
        images = [images]
    if not isinstance(images, Iterable):
        raise TypeError(expected(f"images {AXES} or batches of them", type(images).__name__))
    for batch in images:
        if isinstance(batch, dict):
            batch = batch["x"]
        elif isinstance(batch, tuple | list):
            batch = batch[0]
        yield batch if isinstance(batch, Shaped) else np.asarray(batch)


def _parts(batch: Any, size: int) -> Iterator[Any]:
    """Yields slices of a batch; an empty one as it is, for the checks to see."""
    check_rank("images", batch.shape, 4, AXES)
    for start in range(0, max(len(batch), 1), size):
        yield batch[start : start + size]


def _check_is_classifier(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(expected("a Keras model", type(model).__name__))
    try:
        image, output = model.input_shape, model.output_shape
    except (AttributeError, ValueError):
        raise ValueError(expected("a built functional or Sequential model", model.name)) from None
    if len(image) != 4 or len(output) != 2:
        received = f"{model.name}, from {image} to {output}"
        raise ValueError(expected("a classifier of images, with output [batch, classes]", received))


def _layer_tensor(model: keras.Model, name: str | None) -> keras.KerasTensor:
    names = [layer.name for layer in model.layers]
    if name is not None and name not in names:
        raise ValueError(expected(f"`layer` to be one of {names}", repr(name)))
    if name is not None:
        return model.get_layer(name).output
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        raise ValueError(expected(f"`layer`, as {model.name} has no Dense layer", "None"))
    return dense[-1].input


def _average_positions(features: keras.KerasTensor) -> keras.KerasTensor:
    positions = tuple(range(1, len(features.shape) - 1))
    return keras.ops.mean(features, axis=positions) if positions else features
