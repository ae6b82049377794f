"""Distances between what a frozen network sees in two images."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen.core.checks import check_positive, expected
from tfgen.core.config import Configurable, register
from tfgen.data.image_checks import with_channels
from tfgen.losses.reconstruction import AbsoluteError, ReconstructionLoss, check_same_shape

VGG16_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv2")
# Of ImageNet's pixels in [0, 255], all channels together.
IMAGENET_MEAN, IMAGENET_STD = 115.0, 57.0


@register
class Perceptual(Configurable, keras.layers.Layer):
    """pixel_weight * pixel(x, x') + sum_k feature_weights[k] * mean |F_k(x) - F_k(x')|.

    F_k are the outputs of chosen layers of a frozen network in inference mode; the mean is over
    positions and channels.

    Args:
        network: a functional Keras model of images, e.g. a classifier trained on the data. Its
            weights are not trained. (`vgg16_features` makes the whole loss for VGG16.)
        layer_names: of the layers to compare, at least one.
        feature_weights: a number >= 0 for each, all 1 unless given.
        pixel: the loss of the pixels; their mean absolute error unless given.
        pixel_weight: >= 0.
        scale, offset: the network is shown `scale * x + offset`, x in [0, 1]. Grey images are
            shown as three equal channels to a network that takes three.
        min_size: smaller images are padded with zeros to this height and width, 0 for never.

    Raises:
        ValueError: when a layer is not in the network, a weight is negative or all are zero, or
            shapes do not fit.

    Reference: Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
        Super-Resolution", 2016, https://arxiv.org/abs/1603.08155.
    """

    def __init__(
        self,
        network: keras.Model,
        layer_names: Sequence[str],
        feature_weights: Sequence[float] | None = None,
        pixel: ReconstructionLoss | None = None,
        pixel_weight: float = 1.0,
        scale: float = 1.0,
        offset: float = 0.0,
        min_size: int = 0,
    ) -> None:
        # Images and sums stay in float32 whatever the policy; the network has its own.
        super().__init__(trainable=False, dtype="float32")
        self.network = network
        self.layer_names = tuple(layer_names)
        self.feature_weights = tuple(feature_weights or [1.0] * len(self.layer_names))
        self.pixel = pixel or AbsoluteError()
        self.pixel_weight = pixel_weight
        self.scale = scale
        self.offset = offset
        self.min_size = min_size
        self._check_arguments()
        network.trainable = False
        outputs = [network.get_layer(name).output for name in self.layer_names]
        self._features = keras.Model(network.input, outputs)
        self.built = True

    @classmethod
    def balanced(
        cls, network: keras.Model, layer_names: Sequence[str], images: tf.Tensor, **kwargs: Any
    ) -> "Perceptual":
        """Returns the loss in which all layers count alike: weights 1 / mean |F_k(images)|.

        Args:
            network, layer_names: as for the constructor.
            images: float32 [batch, height, width, channels] in [0, 1], some hundred real ones.
            **kwargs: the constructor's other arguments.
        """
        features = cls(network, layer_names, **kwargs).features(tf.convert_to_tensor(images))
        sizes = [float(tf.reduce_mean(tf.abs(feature))) for feature in features]
        return cls(network, layer_names, [1 / max(size, 1e-8) for size in sizes], **kwargs)

    def _check_arguments(self) -> None:
        known = [layer.name for layer in self.network.layers]
        missing = [name for name in self.layer_names if name not in known]
        if missing or not self.layer_names:
            raise ValueError(expected(f"`layer_names` among {known}", list(self.layer_names)))
        if len(self.feature_weights) != len(self.layer_names):
            raise ValueError(
                expected(f"{len(self.layer_names)} `feature_weights`", len(self.feature_weights))
            )
        check_positive("the sum of the weights", self.pixel_weight + sum(self.feature_weights))
        if min(self.pixel_weight, *self.feature_weights) < 0:
            raise ValueError(expected("weights >= 0", (self.pixel_weight, *self.feature_weights)))

    def call(self, x: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, [batch], from images [batch, h, w, channels]."""
        check_same_shape(x, reconstruction)
        total = self.pixel_weight * self.pixel(x, reconstruction)
        pairs = zip(self.features(x), self.features(reconstruction), strict=True)
        for weight, (true, rebuilt) in zip(self.feature_weights, pairs, strict=True):
            difference = tf.abs(true - rebuilt)
            total += weight * tf.reduce_mean(difference, axis=list(range(1, len(true.shape))))
        return total

    def features(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Returns the outputs of the chosen layers for images [batch, h, w, channels]."""
        features = self._features(self._shown(images), training=False)
        return [tf.cast(feature, tf.float32) for feature in keras.tree.flatten(features)]

    def _shown(self, images: tf.Tensor) -> tf.Tensor:
        images = with_channels(images, self.network.inputs[0].shape[-1])
        height, width = images.shape[1:3]
        if min(height, width) < self.min_size:
            height, width = (max(size, self.min_size) for size in (height, width))
            images = tf.image.resize_with_crop_or_pad(images, height, width)
        return self.scale * images + self.offset


def vgg16_features(**kwargs: Any) -> Perceptual:
    """Returns the perceptual loss over Keras' VGG16 and its ImageNet weights.

    Compared are the second convolutions of the first three blocks, after their ReLU, for images
    padded to 32 x 32 at least. They are shown as the weights expect, BGR in [0, 255] less the mean
    of ImageNet (one for all channels), and features are divided by the standard deviation of such
    images, so that they weigh about as much as those of networks trained on images of unit
    variance. The reference code of GLANN differs: it takes torchvision's weights, shows images in
    [-1, 1], takes the third layer before its ReLU, and errors of pixels in [-1, 1]
    (`pixel_weight=2.0`).

    Args:
        **kwargs: for `Perceptual`, instead of these settings, e.g. other `layer_names`.

    Raises:
        RuntimeError: when the ImageNet weights are not on this machine and cannot be fetched.

    Reference: Simonyan and Zisserman, 2014, https://arxiv.org/abs/1409.1556; Hoshen, Li and Malik,
        "Non-Adversarial Image Synthesis with Generative Latent Nearest Neighbors", 2019,
        https://arxiv.org/abs/1812.08985.
    """
    try:
        network = keras.applications.VGG16(weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises whatever its download met.
        raise RuntimeError(
            "The ImageNet weights of VGG16 could not be fetched. Put "
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 into ~/.keras/models, or give "
            f"Perceptual another network, such as a classifier trained on the data. ({error})"
        ) from error
    kernel = network.get_layer("block1_conv1").kernel
    kernel.assign(kernel.numpy()[:, :, ::-1])  # From BGR to RGB.
    defaults = {
        "layer_names": VGG16_LAYERS,
        "feature_weights": (1 / IMAGENET_STD,) * len(kwargs.get("layer_names", VGG16_LAYERS)),
        "scale": 255.0,
        "offset": -IMAGENET_MEAN,
        "min_size": 32,
    }
    return Perceptual(network, **(defaults | kwargs))
