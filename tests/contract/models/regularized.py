"""A GAN whose networks have losses of their own, and draw noise by seeds that Keras keeps."""

import keras

from tests.contract.models import parts
from tfgen import adversarial, losses

L2 = keras.regularizers.L2


def gan(exact: bool = False) -> adversarial.GAN:
    """Returns one whose replicas wait for each other within the loss."""
    dropout = [] if exact else [keras.layers.Dropout(0.3)]
    generator = keras.Sequential(
        [
            keras.layers.Dense(16, "tanh", kernel_regularizer=L2(0.1)),
            *dropout,
            keras.layers.Dense(2, bias_regularizer=L2(0.2)),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.layers.Dense(16, "tanh", activity_regularizer=L2(0.3)),
            *[keras.layers.Dropout.from_config(layer.get_config()) for layer in dropout],
            keras.layers.ActivityRegularization(l1=0.2),
            keras.layers.Dense(1),
        ]
    )
    return adversarial.GAN(
        generator,
        discriminator,
        losses.RelativisticAverage(losses.NonSaturating()),
        prior=parts.noise(3, exact),
        ema_decay=0.5,
    )
