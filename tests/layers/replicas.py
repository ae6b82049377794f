"""Trains a layer of bounded norm on two logical CPUs and on one, and writes its weights.

Usage: python replicas.py {spectral|lipschitz} RESULTS.pickle
"""

import pickle
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers import Lipschitz, SpectralNormalization

LAYERS = {"spectral": SpectralNormalization, "lipschitz": Lipschitz}
BATCH = 8
STEPS = 20


def examples() -> tf.Tensor:
    """Returns a batch of vectors."""
    return tf.constant(np.random.default_rng(0).normal(size=[BATCH, 4]).astype(np.float32))


def train(layer: keras.layers.Wrapper, strategy: tf.distribute.Strategy) -> None:
    """Does gradient steps on the batch, each replica on its share."""
    share = BATCH // strategy.num_replicas_in_sync
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(layer.trainable_variables)

    def step() -> None:
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        x = examples()[index * share : (index + 1) * share]
        with tf.GradientTape() as tape:
            # As a lazy penalty would have it, every call is within a branch.
            y = tf.cond(tf.constant(True), lambda: layer(x, training=True), lambda: tf.zeros([1]))
            loss = tf.reduce_sum(tf.exp(y)) / BATCH
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)

    run = tf.function(lambda: strategy.run(step), autograph=False)
    with strategy.scope():
        for _ in range(STEPS):
            run()


def made(kind: str, strategy: tf.distribute.Strategy) -> keras.layers.Wrapper:
    """Returns the same layer under any strategy."""
    with strategy.scope():
        layer = LAYERS[kind](keras.layers.Dense(3, kernel_initializer=_slanted))
        layer.build((None, 4))
    return layer


def _slanted(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    return tf.reshape(tf.sin(tf.range(12, dtype=dtype)), shape)


def main(kind: str, path: str) -> None:
    """Writes the weights of both layers, and what the mirrored one's kernel is divided to."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    layer = made(kind, mirrored)
    train(layer, mirrored)
    single = made(kind, tf.distribute.get_strategy())
    start = single.get_weights()
    train(single, tf.distribute.get_strategy())
    locals_ = mirrored.experimental_local_results
    norm = np.linalg.norm(layer.normalized_kernel().numpy(), ord=2)
    results = {
        "mirrored": [[v.numpy() for v in locals_(weight.value)] for weight in layer.weights],
        "alone": single.get_weights(),
        "start": start,
        "norm": norm,
    }
    Path(path).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
