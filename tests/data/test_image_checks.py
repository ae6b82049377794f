"""What is refused as images, labels or numbers, and what the message names."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import check_images, from_arrays


def spoiled(value, example=3, dtype=np.float32):
    """Returns five grey images, one of which holds a bad value."""
    images = np.full((5, 2, 2, 1), 0.5, dtype)
    images[example, 1, 0, 0] = value
    return images


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 3, 4, 1), np.uint8),
        np.ones((2, 3, 4, 3), np.float16),
        np.ones((2, 3, 4, 4), np.float64),
        tf.ones((2, 3, 4, 1)),
        tf.TensorSpec([None, None, None, None], tf.float32),
        tf.TensorSpec([8, 28, 28, 1], tf.uint8),
        keras.KerasTensor((None, 28, 28, 3)),
    ],
    ids=str,
)
def test_images_pass(images):
    check_images(images)


def test_graph_tensors_pass():
    @tf.function
    def check(x):
        check_images(x)
        return x

    check(tf.ones((2, 4, 4, 1)))


BAD = {
    "list": ([[1]], TypeError, "an array or a tensor.*Received: <class 'list'>"),
    "rank 3": (np.zeros((5, 2, 2)), ValueError, r"rank 4, \[batch, .*Received: shape \(5, 2, 2\)"),
    "unknown rank": (tf.TensorSpec(None), ValueError, "rank 4.*Received: unknown rank"),
    "strings": (np.full((1, 2, 2, 1), "a"), TypeError, "dtype uint8.*Received: dtype str"),
    "complex": (np.zeros((1, 2, 2, 1), complex), TypeError, "Received: dtype complex128"),
    "objects": (np.zeros((1, 2, 2, 1), object), TypeError, "Received: dtype object"),
    "int64": (np.zeros((1, 2, 2, 1), int), TypeError, "Received: dtype int64"),
    "tf.string": (tf.fill([1, 2, 2, 1], "a"), TypeError, "Received: dtype string"),
    "two channels": (np.zeros((1, 2, 2, 2)), ValueError, "1, 3 or 4 channels.*Received: 2 ch"),
    "no examples": (np.zeros((0, 2, 2, 1)), ValueError, r"not to be empty.*\(0, 2, 2, 1\)"),
    "no pixels": (np.zeros((1, 0, 2, 1)), ValueError, r"not to be empty.*\(1, 0, 2, 1\)"),
    "NaN": (spoiled(np.nan), ValueError, "finite. Received: nan in example 3"),
    "infinity": (spoiled(-np.inf, 2), ValueError, "finite. Received: -inf in example 2"),
    "255": (spoiled(255, 1), ValueError, "divide by 255.*Received: .*0.5 to 255 in example 1"),
    "negative": (spoiled(-0.25, 4), ValueError, "from -0.25 to 0.5 in example 4"),
    "float16": (spoiled(np.nan, 0, np.float16), ValueError, "nan in example 0"),
    "tensor": (tf.constant(spoiled(2.0)), ValueError, "to 2 in example 3"),
}


@pytest.mark.parametrize("images, error, message", BAD.values(), ids=BAD.keys())
def test_what_is_not_images_is_refused(images, error, message):
    with pytest.raises(error, match="^Expected .*" + message):
        check_images(images)


def test_the_first_bad_example_is_named_and_the_argument_too():
    images = spoiled(np.nan, 4)
    images[1] = 7
    with pytest.raises(ValueError, match=r"`x` in \[0, 1\].*example 1"):
        check_images(images, "x")


GREY = np.zeros((6, 2, 2, 1), np.uint8)
BAD_ARGUMENTS = {
    "images": (dict(images=np.full((6, 2, 2, 1), 9.0)), ValueError, "divide by 255"),
    "few": (dict(batch_size=7), ValueError, "at least 7 examples, one batch. Received: 6"),
    "zero batch": (dict(batch_size=0), ValueError, "`batch_size` >= 1. Received: 0"),
    "float batch": (dict(batch_size=2.0), TypeError, "`batch_size` to be an integer"),
    "negative seed": (dict(seed=-1), ValueError, "`seed` >= 0. Received: -1"),
    "large seed": (dict(seed=2**31), ValueError, "`seed` < 2"),
    "float labels": (dict(labels=np.zeros(6)), TypeError, "integers. Received: dtype float64"),
    "one-hot labels": (dict(labels=np.eye(6, dtype=int)), ValueError, r"shape \(6,\).*\(6, 6\)"),
    "few labels": (dict(labels=np.zeros(5, int)), ValueError, r"shape \(6,\).*\(5,\)"),
    "negative label": (
        dict(labels=[0, 0, -1, 0, 0, 0]),
        ValueError,
        ">= 0. Received: -1 for ex.* 2",
    ),
    "large label": (
        dict(labels=[0, 0, 0, 3, 0, 0], num_classes=3),
        ValueError,
        r"3\). .* 3 for .* 3",
    ),
    "names": (dict(labels=[0] * 6, num_classes=3, class_names="ab"), ValueError, "Received: 2 `c"),
    "size": (dict(image_size=0), ValueError, "`image_size` >= 1. Received: 0"),
    "sizes": (dict(image_size=(4, 4, 4)), TypeError, "integer or a pair"),
    "text size": (dict(image_size="4"), TypeError, "integer or a pair"),
    "float size": (dict(image_size=(4, 4.0)), TypeError, "`image_size` to be an integer"),
    "channels": (dict(channels=2), ValueError, r"`channels` to be one of \[1, 3, 4\]. Received: 2"),
}


@pytest.mark.parametrize("arguments, error, message", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=re.compile("^Expected .*" + message, re.DOTALL)):
        from_arrays(**{"images": GREY, "batch_size": 2, **arguments})


def test_images_from_minus_one_are_told_what_to_do():
    images = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 4, 4, 1)
    with pytest.raises(ValueError, match=r"\(x \+ 1\) / 2 makes them so.*-1 to -0"):
        check_images(images)
