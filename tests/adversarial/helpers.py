"""GANs small enough to be trained within a test."""

import keras
import numpy as np
import tensorflow as tf

from tests.small_models import blocks
from tfgen.adversarial import GAN
from tfgen.distributions import StandardNormal
from tfgen.networks import (
    MLP,
    ConditionalGenerator,
    ProjectionDiscriminator,
)

LABELS = np.arange(16) % 4


def generator(**kwargs):
    return MLP((4, 4, 1), (8,), output_activation="sigmoid", **kwargs)


def small_gan(**kwargs):
    """Returns a GAN of 4 x 4 images, compiled with gradient descent."""
    nets = {"generator": generator(), "discriminator": MLP((1,), (8,), activation="leaky_relu")}
    gan = GAN(**(nets | {"prior": StandardNormal(3)} | kwargs))
    gan.compile(generator_optimizer=descent(), discriminator_optimizer=descent())
    return gan


def descent():
    return keras.optimizers.SGD(0.1)


def conditional(networks_for=4, **kwargs):
    """Returns a conditional GAN, the networks of which are for so many classes."""
    defaults = {
        "generator": ConditionalGenerator(generator(), networks_for, 2),
        "discriminator": ProjectionDiscriminator(MLP((1,), (8,)), networks_for),
        "num_classes": networks_for,
    }
    return small_gan(**(defaults | kwargs))


def batch(count=8):
    return {"x": tf.constant(blocks(count)), "label": tf.constant(LABELS[:count])}


def values(layer):
    return [weight.numpy().copy() for weight in layer.weights]
