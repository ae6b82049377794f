"""How well the log-likelihood of a model tells other data from its own, plain and mended."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.metrics.bits_per_dim import bits_per_dim


def outlier_scores(
    train_log_prob: Any,
    inside_log_prob: Any,
    outside_log_prob: Any,
    inside: Any = None,
    outside: Any = None,
) -> dict[str, float]:
    """Returns how well each score separates other data from held-out data of a model's own.

    Each is the area under the ROC curve: the probability that an outlier has the higher score; 0.5
    is chance, and below it the model likes the outliers better.

    - "likelihood": -log p(x), which is known to fail for images that are simpler than the model's;
    - "typicality": |log p(x) - mean log p of the training data|;
    - "complexity": -log2 p(x) - L(x), L the bits of x as a PNG; with images only.

    Args:
        train_log_prob: of examples that the model was trained on, in nats, [n].
        inside_log_prob: of held-out examples of its data, [m].
        outside_log_prob: of examples of other data, [k].
        inside, outside: the images of both, [m, height, width, channels] and [k, ...], uint8 or
            floats in [0, 1].

    Raises:
        ValueError: when log-likelihoods are not finite vectors, or images are not as many.

    Reference: Nalisnick, Matsukawa, Teh and Lakshminarayanan, "Detecting Out-of-Distribution Inputs
        to Deep Generative Models Using Typicality", 2019, https://arxiv.org/abs/1906.02994; Serra
        et al., "Input complexity and out-of-distribution detection with likelihood-based generative
        models", 2020, https://arxiv.org/abs/1909.11480.
    """
    train = _vector("train_log_prob", train_log_prob)
    inner, outer = (
        _vector("inside_log_prob", inside_log_prob),
        _vector("outside_log_prob", outside_log_prob),
    )
    scores = {
        "likelihood": auroc(-inner, -outer),
        "typicality": auroc(typicality(inner, train), typicality(outer, train)),
    }
    if inside is not None and outside is not None:
        scores["complexity"] = auroc(
            complexity_corrected(inner, inside), complexity_corrected(outer, outside)
        )
    return scores


def auroc(inside: Any, outside: Any) -> float:
    """Returns the probability that a score of `outside` is above one of `inside`, ties half.

    Args:
        inside, outside: scores, [m] and [k].

    Raises:
        ValueError: when scores are not finite vectors.

    >>> auroc([1, 2], [2, 3])
    0.875
    """
    inside, outside = np.sort(_vector("inside", inside)), _vector("outside", outside)
    below = np.searchsorted(inside, outside, side="left")
    not_above = np.searchsorted(inside, outside, side="right")
    return float((below + not_above).mean() / (2 * len(inside)))


def typicality(log_prob: Any, train_log_prob: Any) -> np.ndarray:
    """Returns |log p(x) - mean log p of the training data|, [n], in nats: high for outliers."""
    mean = _vector("train_log_prob", train_log_prob).mean()
    return np.abs(_vector("log_prob", log_prob) - mean)


def complexity_corrected(log_prob: Any, images: Any) -> np.ndarray:
    """Returns -log2 p(x) - L(x) per dimension, [n]: high for outliers.

    Args:
        log_prob: in nats, [n].
        images: [n, height, width, channels], uint8 or floats in [0, 1].

    Raises:
        ValueError: when there are not as many images.
    """
    log_prob, images = _vector("log_prob", log_prob), np.asarray(images)
    if len(images) != len(log_prob):
        raise ValueError(expected(f"{len(log_prob)} images", f"{len(images)} images"))
    return bits_per_dim(log_prob, images.shape[1:]) - png_bits_per_dim(images)


def png_bits_per_dim(images: Any) -> np.ndarray:
    """Returns the bits of images as PNG files, per dimension, [n].

    Args:
        images: [n, height, width, channels], 1, 3 or 4 channels, uint8 or floats in [0, 1].

    Raises:
        ValueError: when they are not such images.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        what = "images [n, height, width, channels] of 1, 3 or 4 channels"
        raise ValueError(expected(what, images.shape))
    if images.dtype != np.uint8:
        images = np.uint8(np.round(255 * np.clip(images, 0, 1)))
    lengths = [len(tf.io.encode_png(image, compression=9).numpy()) for image in images]
    return 8.0 * np.array(lengths) / math.prod(images.shape[1:])


def _vector(name: str, values: Any) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        what = f"`{name}`, a vector of finite numbers"
        received = f"shape {values.shape}" if values.ndim != 1 or not len(values) else "NaN or inf"
        raise ValueError(expected(what, received))
    return values
