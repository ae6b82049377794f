"""A small convolutional classifier, trained on the spot, for features of any image data."""

import itertools
import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_positive, expected
from tfgen.data.example_checks import check_labels
from tfgen.metrics.features import as_images, in_range


class TrainedClassifier(NamedTuple):
    """A classifier and how well it does on the images held out of its training.

    Attributes:
        model: from images [batch, height, width, channels] in [0, 1] to logits.
        accuracy: fraction of held-out images classified right.
        num_held_out: how many images were held out.
    """

    model: keras.Model
    accuracy: float
    num_held_out: int


def build_classifier(
    image_shape: tuple[int, int, int],
    num_classes: int,
    width: int = 32,
    feature_dim: int = 64,
    seed: int = 0,
) -> keras.Model:
    """Returns an untrained classifier whose layers serve as features and perceptual losses.

    Convolution blocks "block_1", "block_2", ... halve the image until 4 pixels are left and double
    the channels; "features" is a vector, "logits" the output. Activations are smooth (GELU), and
    there is neither dropout nor batch normalisation: a layer computes one function, always, in
    float32 whatever Keras' policy.

    Args:
        image_shape: (height, width, channels), sides of at least 4.
        num_classes: number of classes.
        width: channels of the first block.
        feature_dim: dimension of "features".
        seed: of the initial weights.

    Returns:
        A functional model from images in [0, 1] to logits [batch, num_classes].

    Raises:
        TypeError: when `seed` is not an integer.
        ValueError: when it is negative, or a side is below 4.
    """
    side = min(image_shape[:2])
    if side < 4:
        raise ValueError(expected("images with sides of at least 4", image_shape))
    check_integer("seed", seed, minimum=0)
    seeds = itertools.count(1000 * seed)
    x = images = keras.Input(image_shape, name="images")
    for level in range(_num_blocks(side)):
        x = _convolution(level + 1, min(width * 2**level, 4 * width), next(seeds))(x)
        x = keras.layers.AveragePooling2D(2, name=f"pool_{level + 1}", dtype="float32")(x)
    x = keras.layers.Flatten(name="flat", dtype="float32")(x)
    x = _dense("features", feature_dim, keras.initializers.HeNormal(next(seeds)), "gelu")(x)
    logits = _dense("logits", num_classes, keras.initializers.GlorotUniform(next(seeds)))(x)
    return keras.Model(images, logits, name="classifier")


def _convolution(level: int, filters: int, seed: int) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        activation="gelu",
        kernel_initializer=keras.initializers.HeNormal(seed),
        name=f"block_{level}",
        dtype="float32",
    )


def _dense(
    name: str, units: int, initializer: keras.initializers.Initializer, activation: Any = None
) -> keras.layers.Layer:
    return keras.layers.Dense(
        units, activation, kernel_initializer=initializer, name=name, dtype="float32"
    )


def feature_levels(model: keras.Model) -> tuple[str, ...]:
    """Returns the names of a `build_classifier` model's feature layers, from pixels upwards."""
    names = [layer.name for layer in model.layers]
    return tuple(name for name in names if name.startswith("block_")) + ("features",)


def train_classifier(
    images: Any,
    labels: Any,
    num_classes: int,
    *,
    width: int = 32,
    feature_dim: int = 64,
    epochs: int | None = None,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    held_out: float = 0.1,
    seed: int = 0,
    verbose: int = 0,
) -> TrainedClassifier:
    """Returns a small classifier trained on labelled images.

    Args:
        images: [number, height, width, channels], floats in [0, 1] or uint8 in [0, 255].
        labels: integers [number] in [0, num_classes).
        num_classes: number of classes.
        width: channels of the first convolution block.
        feature_dim: dimension of the layer "features".
        epochs: passes over the images; by default as many as make about 1,000 steps, at least 3.
        batch_size: images per step.
        learning_rate: of Adam, decayed to zero along a cosine.
        held_out: fraction of the images, drawn at random, kept out of training to measure accuracy.
        seed: of the split, the initial weights and the order of the images.
        verbose: Keras progress: 0 none, 1 bars, 2 a line an epoch.

    Returns:
        The model, which `ClassifierFeatures` and perceptual losses take, and its accuracy.

    Raises:
        TypeError: when labels are not integers, or images neither floats nor uint8.
        ValueError: when labels do not fit the images or the classes, or a part would be empty.
    """
    images = in_range(as_images(images)).numpy()
    _check_numbers(num_classes, epochs, batch_size, learning_rate, seed)
    labels = check_labels(labels, len(images), num_classes)
    train, test = _split(len(images), held_out, seed)
    model = build_classifier(images.shape[1:], num_classes, width, feature_dim, seed)
    _fit(model, images[train], labels[train], epochs, batch_size, learning_rate, seed, verbose)
    _, accuracy = model.evaluate(images[test], labels[test], batch_size=256, verbose=0)
    # A model over the same layers without the optimizer: files are a third of the size.
    bare = keras.Model(model.input, model.output, name=model.name)
    return TrainedClassifier(bare, float(accuracy), len(test))


def _check_numbers(
    num_classes: int, epochs: int | None, batch_size: int, learning_rate: float, seed: int
) -> None:
    check_integer("num_classes", num_classes, minimum=2)
    if epochs is not None:
        check_integer("epochs", epochs)
    check_integer("batch_size", batch_size)
    check_positive("learning_rate", learning_rate)
    check_integer("seed", seed, minimum=0)


def _split(num_images: int, held_out: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images to train on and those held out."""
    order = np.random.default_rng(seed).permutation(num_images)
    num_held_out = round(held_out * num_images)
    if not 0 < num_held_out < num_images:
        raise ValueError(expected("`held_out` to leave images on both sides", held_out))
    return order[num_held_out:], order[:num_held_out]


def _fit(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    epochs: int | None,
    batch_size: int,
    learning_rate: float,
    seed: int,
    verbose: int,
) -> None:
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(images), seed=seed).batch(batch_size)
    epochs = epochs or max(3, round(1000 / len(batches)))
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(batches, epochs=epochs, shuffle=False, verbose=verbose)


def _num_blocks(side: int) -> int:
    return max(2, math.ceil(math.log2(side / 4)))
