"""A small convolutional classifier, trained on the spot, for features of any image data."""

import itertools
import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_integer, check_positive, expected
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
    """
    side = min(image_shape[:2])
    if side < 4:
        raise ValueError(expected("images with sides of at least 4", image_shape))
    check_integer("seed", seed, minimum=0)
    seeds = itertools.count(1000 * seed)
    x = images = keras.Input(image_shape, name="images")
    for level in range(_num_blocks(side)):
        x = keras.layers.Conv2D(
            min(width * 2**level, 4 * width),
            3,
            padding="same",
            activation="gelu",
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
            name=f"block_{level + 1}",
            dtype="float32",
        )(x)
        x = keras.layers.AveragePooling2D(2, name=f"pool_{level + 1}", dtype="float32")(x)
    x = keras.layers.Flatten(name="flat", dtype="float32")(x)
    x = keras.layers.Dense(
        feature_dim,
        activation="gelu",
        kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        name="features",
        dtype="float32",
    )(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        name="logits",
        dtype="float32",
    )(x)
    return keras.Model(images, logits, name="classifier")


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

    Returns:
        The model, which `ClassifierFeatures` and perceptual losses take, and its accuracy.

    Raises:
        ValueError: when labels do not fit the images or the classes, or a part would be empty.
    """
    images = in_range(as_images(images)).numpy()
    labels = _checked_labels(labels, len(images), num_classes)
    check_positive("learning_rate", learning_rate)
    check_integer("seed", seed, minimum=0)
    check_integer("batch_size", batch_size)
    order = np.random.default_rng(seed).permutation(len(images))
    num_held_out = round(held_out * len(images))
    if not 0 < num_held_out < len(images):
        raise ValueError(expected("`held_out` to leave images on both sides", held_out))
    test, train = order[:num_held_out], order[num_held_out:]
    steps_per_epoch = math.ceil(len(train) / batch_size)
    if epochs is None:
        epochs = max(3, round(1000 / steps_per_epoch))
    check_integer("epochs", epochs)

    model = build_classifier(images.shape[1:], num_classes, width, feature_dim, seed)
    _compile(model, learning_rate, epochs * steps_per_epoch)
    batches = tf.data.Dataset.from_tensor_slices((images[train], labels[train]))
    batches = batches.shuffle(len(train), seed=seed).batch(batch_size)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    _, accuracy = model.evaluate(images[test], labels[test], batch_size=256, verbose=0)
    # A model over the same layers without the optimizer: files are a third of the size.
    bare = keras.Model(model.input, model.output, name=model.name)
    return TrainedClassifier(bare, float(accuracy), num_held_out)


def _compile(model: keras.Model, learning_rate: float, num_steps: int) -> None:
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def _num_blocks(side: int) -> int:
    return max(2, math.ceil(math.log2(side / 4)))


def _checked_labels(labels: Any, num_images: int, num_classes: int) -> np.ndarray:
    check_integer("num_classes", num_classes, minimum=2)
    labels = np.asarray(labels)
    if labels.shape != (num_images,) or labels.dtype.kind not in "iu":
        received = f"{labels.dtype} of shape {labels.shape}"
        raise ValueError(expected(f"integer labels of shape ({num_images},)", received))
    if labels.min() < 0 or labels.max() >= num_classes:
        received = f"{labels.min()} to {labels.max()}"
        raise ValueError(expected(f"labels in [0, {num_classes})", received))
    return labels.astype(np.int64)
