"""The Inception network of 2015-12-05, on which published FID and IS are defined."""

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import check_member, expected
from tfgen.core.config import Configurable, register
from tfgen.data.image_checks import with_channels
from tfgen.metrics.features import FeatureExtractor, as_images, check_file, compiled

SIZE = 299
DIMENSIONS = (64, 192, 768, 1280, 2048)
"""Pooled channels after the first and second max pool, `mixed_7`, `mixed_8` and `mixed_10`."""

DTYPES = ("float32", "bfloat16")


@register
class Inception2015Features(Configurable, FeatureExtractor):
    """Pooled features of the network that FID is defined on; 2048 are the published FID's.

    Images are resized to 299 x 299 as TensorFlow 1 did: bilinear, without half-pixel centres and
    without antialiasing. Published scores are of 8-bit images; floats are taken as they are.
    Only the layers that the dimension needs are built.

    Args:
        weights: path of an .npz file with `<layer>/kernel` [height, width, in, out] and
            `<layer>/bias` [out], such as `convert_frozen_graph` writes.
        dimension: 64, 192, 768, 1280 or 2048.
        compute_dtype: "float32", or "bfloat16" to compute convolutions in half the precision,
            twice as fast on processors that have it. It has moved FIDs by up to 2 %, and the name
            says so.

    Raises:
        FileNotFoundError: when there is no file at `weights`.
        ValueError: when the file is truncated, or lacks a weight that the dimension needs.

    Reference: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
        https://arxiv.org/abs/1512.00567; Heusel et al., "GANs Trained by a Two Time-Scale Update
        Rule Converge to a Local Nash Equilibrium", 2017, https://arxiv.org/abs/1706.08500.
    """

    def __init__(
        self, weights: str | os.PathLike, dimension: int = 2048, compute_dtype: str = "float32"
    ) -> None:
        check_member("dimension", dimension, DIMENSIONS)
        check_member("compute_dtype", compute_dtype, DTYPES)
        self.weights = os.fspath(weights)
        self.dimension = dimension
        self.compute_dtype = compute_dtype
        precision = "" if compute_dtype == "float32" else f", {compute_dtype}"
        self.name = f"inception-2015[{dimension}], legacy bilinear {SIZE}{precision}"
        self._features = self._network(load_weights(self.weights), dimension)
        self._classifier: Callable[[tf.Tensor], tf.Tensor] | None = None

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns features [batch, dimension] of images [batch, height, width, channels]."""
        return self._features(with_channels(as_images(images), 3))

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the 1008 class probabilities of the Inception score, [batch, 1008].

        As in the score's own code they leave out the biases of the last layer.

        Args:
            images: [batch, height, width, channels], floats in [0, 1] or uint8; grey or colour.

        Raises:
            ValueError: when the weights do not reach up to `softmax/kernel`.

        Reference: Salimans et al., "Improved Techniques for Training GANs", 2016,
            https://arxiv.org/abs/1606.03498.
        """
        if self._classifier is None:
            weights = load_weights(self.weights)
            kernel = tf.constant(weights.get("softmax/kernel"), tf.float32)
            whole = self._features if self.dimension == 2048 else self._network(weights, 2048)
            self._classifier = lambda images: tf.nn.softmax(whole(images) @ kernel)
        return self._classifier(with_channels(as_images(images), 3))

    def _network(self, weights: "Weights", dimension: int) -> Callable[[tf.Tensor], tf.Tensor]:
        network = build_network(weights, dimension, self.compute_dtype)
        return compiled(_resizing(network), (None, None, None, 3))


class Weights:
    """The arrays of a weight file; one that is missing is an error that names it.

    Args:
        arrays: by name.
        source: what errors call the file.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], source: str) -> None:
        self._arrays = arrays
        self._source = source

    def get(self, key: str) -> np.ndarray:
        """Returns an array as float32.

        Raises:
            ValueError: when it is not there.
        """
        if key not in self._arrays:
            what = f"`{key}` in {self._source}, or a smaller `dimension`, such as 768"
            raise ValueError(expected(what, "a file without it"))
        return np.asarray(self._arrays[key], np.float32)


def load_weights(path: str | os.PathLike) -> Weights:
    """Returns the weights of an .npz file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is truncated, or no .npz file.
    """
    path = check_file(path, "an .npz file of Inception 2015 weights")
    try:
        # Opened here, as np.load leaves a damaged file open.
        with path.open("rb") as file, np.load(file) as arrays:
            return Weights(dict(arrays), str(path))
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(expected("a complete .npz file", f"{path}: {error}")) from error


def build_network(
    weights: Weights, dimension: int = 2048, compute_dtype: str = "float32"
) -> keras.Model:
    """Returns the network up to the layer that has `dimension` channels, pooled over positions.

    Args:
        weights: folded convolution weights; they also give each layer's size.
        dimension: 64, 192, 768, 1280 or 2048.
        compute_dtype: "float32" or "bfloat16", of the convolutions.

    Returns:
        A model from [batch, 299, 299, 3] in about [-1, 1] to float32 [batch, dimension].

    Raises:
        ValueError: when a weight is missing, or has a size that does not fit.
    """
    policy = "float32" if compute_dtype == "float32" else f"mixed_{compute_dtype}"
    net = _Layers(weights, policy)
    stages = {64: _stem, 192: _entry, 768: _grid_17, 1280: _reduction_8, 2048: _grid_8}
    images = x = keras.Input((SIZE, SIZE, 3), name="images")
    for channels, stage in stages.items():
        if channels <= dimension:
            x = stage(net, x)
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    if pooled.shape[-1] != dimension:
        raise ValueError(expected(f"weights that give {dimension} features", pooled.shape[-1]))
    return keras.Model(images, pooled, name=f"inception_2015_{dimension}")


class _Layers:
    """Makes the network's layers, with weights in them."""

    def __init__(self, weights: Weights, policy: str) -> None:
        self._weights = weights
        self._policy = policy

    def conv(
        self, x: keras.KerasTensor, name: str, strides: int = 1, padding: str = "same"
    ) -> keras.KerasTensor:
        kernel, bias = (self._weights.get(f"{name}/{kind}") for kind in ("kernel", "bias"))
        if kernel.ndim != 4 or kernel.shape[2] != x.shape[-1] or bias.shape != kernel.shape[3:]:
            received = f"kernel {kernel.shape} and bias {bias.shape}"
            raise ValueError(expected(f"`{name}` with {x.shape[-1]} input channels", received))
        layer = keras.layers.Conv2D(
            kernel.shape[3],
            kernel.shape[:2],
            strides,
            padding,
            activation="relu",
            kernel_initializer="zeros",
            dtype=self._policy,
            name=name,
        )
        y = layer(x)
        layer.set_weights([kernel, bias])
        return y

    def tower(
        self, x: keras.KerasTensor, name: str, length: int, strides: int = 1, padding: str = "same"
    ) -> keras.KerasTensor:
        """Convolutions `<name>_conv`, `<name>_conv_1`, ...; strides and padding are the last's."""
        names = [f"{name}_conv"] + [f"{name}_conv_{i}" for i in range(1, length)]
        for each in names[:-1]:
            x = self.conv(x, each)
        return self.conv(x, names[-1], strides, padding)

    def max_pool(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.MaxPooling2D(3, 2, "valid", dtype=self._policy)(x)

    def max_pool_same(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.MaxPooling2D(3, 1, "same", dtype=self._policy)(x)

    def average_pool(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """3 x 3 means that do not count the padding."""
        return keras.layers.AveragePooling2D(3, 1, "same", dtype=self._policy)(x)

    def concat(self, *branches: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.Concatenate(dtype=self._policy)(branches)


def _stem(net: _Layers, x: keras.KerasTensor) -> keras.KerasTensor:
    x = net.conv(x, "conv", strides=2, padding="valid")
    x = net.conv(x, "conv_1", padding="valid")
    return net.max_pool(net.conv(x, "conv_2"))


def _entry(net: _Layers, x: keras.KerasTensor) -> keras.KerasTensor:
    x = net.conv(x, "conv_3", padding="valid")
    return net.max_pool(net.conv(x, "conv_4", padding="valid"))


def _grid_17(net: _Layers, x: keras.KerasTensor) -> keras.KerasTensor:
    """`mixed` to `mixed_2` on 35 x 35, then `mixed_3` to `mixed_7` on 17 x 17."""
    for name in ("mixed", "mixed_1", "mixed_2"):
        x = _mixed(net, x, name, lengths=(2, 3))
    x = net.concat(
        net.conv(x, "mixed_3_conv", strides=2, padding="valid"),
        net.tower(x, "mixed_3_tower", 3, strides=2, padding="valid"),
        net.max_pool(x),
    )
    for name in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):
        x = _mixed(net, x, name, lengths=(3, 5))
    return x


def _mixed(
    net: _Layers, x: keras.KerasTensor, name: str, lengths: tuple[int, int]
) -> keras.KerasTensor:
    return net.concat(
        net.conv(x, f"{name}_conv"),
        net.tower(x, f"{name}_tower", lengths[0]),
        net.tower(x, f"{name}_tower_1", lengths[1]),
        net.conv(net.average_pool(x), f"{name}_tower_2_conv"),
    )


def _reduction_8(net: _Layers, x: keras.KerasTensor) -> keras.KerasTensor:
    return net.concat(
        net.tower(x, "mixed_8_tower", 2, strides=2, padding="valid"),
        net.tower(x, "mixed_8_tower_1", 4, strides=2, padding="valid"),
        net.max_pool(x),
    )


def _grid_8(net: _Layers, x: keras.KerasTensor) -> keras.KerasTensor:
    x = _expanded(net, x, "mixed_9", net.average_pool(x))
    # The 2015 graph takes maxima here, where the later Inception v3 averages.
    return _expanded(net, x, "mixed_10", net.max_pool_same(x))


def _expanded(
    net: _Layers, x: keras.KerasTensor, name: str, pooled: keras.KerasTensor
) -> keras.KerasTensor:
    tower = net.conv(x, f"{name}_tower_conv")
    tower_1 = net.tower(x, f"{name}_tower_1", 2)
    return net.concat(
        net.conv(x, f"{name}_conv"),
        net.conv(tower, f"{name}_tower_mixed_conv"),
        net.conv(tower, f"{name}_tower_mixed_conv_1"),
        net.conv(tower_1, f"{name}_tower_1_mixed_conv"),
        net.conv(tower_1, f"{name}_tower_1_mixed_conv_1"),
        net.conv(pooled, f"{name}_tower_2_conv"),
    )


def _resizing(network: keras.Model) -> Callable[..., tf.Tensor]:
    """Returns the network with its resize and scaling, for [0, 1] images of any size."""

    def run(images: tf.Tensor, training: bool) -> tf.Tensor:
        # The raw operation, as the public ones have no half_pixel_centers or log a deprecation.
        resized = tf.raw_ops.ResizeBilinear(
            images=255.0 * images, size=(SIZE, SIZE), align_corners=False, half_pixel_centers=False
        )
        return network((resized - 128.0) / 128.0, training=training)

    return run
