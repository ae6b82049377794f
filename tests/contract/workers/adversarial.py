"""Computes relativistic losses and penalties on two logical CPUs and on one, and writes them.

Usage: python -m tests.contract.workers.adversarial RESULTS.pickle
"""

import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.contract.adversarial_values import PENALTIES, RELATIVISTIC
from tfgen.layers import SpectralNormalization
from tfgen.losses import Critic, Lazy
from tfgen.training.replicas import global_mean

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
ALONE = tf.distribute.get_strategy()
BATCH = 8


def examples() -> tuple[np.ndarray, np.ndarray]:
    """Returns real and generated examples, whose means differ from replica to replica."""
    rng = np.random.default_rng(0)
    drift = np.linspace(-2, 2, BATCH)[:, np.newaxis]
    real, fake = (rng.normal(size=[BATCH, 3]) + drift for _ in range(2))
    return np.float32(real), np.float32(fake)


def run(
    strategy: tf.distribute.Strategy,
    compute: Callable[..., tf.Tensor],
    variables: Sequence[Any],
    rows: Sequence[np.ndarray],
    shares: Sequence[int] = (BATCH // 2, BATCH // 2),
) -> dict[str, Any]:
    """Returns losses of all examples, and the gradients that optimizers would sum up.

    Args:
        strategy: one replica or two.
        compute: parts of the rows -> [batch].
        variables: to take the gradient of.
        rows: each [sum of shares, ...], to be divided among the replicas.
        shares: how many rows each replica gets.
    """
    count = strategy.num_replicas_in_sync
    ends = np.cumsum([0, *shares]) if count > 1 else [0, sum(shares)]

    def part(context: tf.distribute.ReplicaContext) -> tuple[tf.Tensor, ...]:
        i = context.replica_id_in_sync_group
        return tuple(tf.constant(x[ends[i] : ends[i + 1]]) for x in rows)

    def step(parts: tuple[tf.Tensor, ...]) -> Any:
        with tf.GradientTape() as tape:
            values = compute(*parts)
            loss = tf.reduce_mean(values) / count
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        return values, gradients

    parts = strategy.experimental_distribute_values_from_function(part)
    values, gradients = tf.function(lambda: strategy.run(step, [parts]), autograph=False)()
    return {
        "value": np.concatenate([x.numpy() for x in strategy.experimental_local_results(values)]),
        "gradient": [
            sum(np.asarray(x) for x in strategy.experimental_local_results(gradient))
            for gradient in gradients
        ],
    }


def means(strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Returns the mean over 5 and 3 rows, and the gradient of its products with a weight."""
    with strategy.scope():
        weight = tf.Variable([1.0, 2.0, 3.0])
    compute = lambda x: global_mean(x * weight)[tf.newaxis]  # noqa: E731
    found = run(strategy, compute, [weight], examples()[:1], shares=(5, 3))
    return {"value": found["value"], "gradient": found["gradient"][0]}


def sides(case: Any, strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Returns both sides' losses over a linear critic, and their gradients."""
    with strategy.scope():
        weight = tf.Variable([[0.5], [-0.3], [0.2]])
    loss = case.create()
    logits = lambda real, fake: (tf.matmul(real, weight), tf.matmul(fake, weight))  # noqa: E731
    games = {
        "D": lambda *x: loss.discriminator(*logits(*x)),
        "G": lambda *x: loss.generator(*reversed(logits(*x))),
    }
    found = {side: run(strategy, game, [weight], examples()) for side, game in games.items()}
    return {side: {**x, "gradient": x["gradient"][0]} for side, x in found.items()}


def separate(case: Any) -> np.ndarray:
    """Returns D's losses when each replica takes means of its own."""
    weight = np.array([[0.5], [-0.3], [0.2]], np.float32)
    halves = zip(*(np.split(x @ weight, 2) for x in examples()), strict=True)
    return np.concatenate([case.create().discriminator(*half) for half in halves])


def critic(normalized: bool) -> Critic:
    """Returns a critic whose weights are the same each time."""
    keras.utils.set_random_seed(0)
    norms = [
        keras.layers.BatchNormalization(synchronized=True),
        SpectralNormalization(keras.layers.Dense(4, activation="tanh")),
    ]
    layers = [keras.layers.Dense(5, activation="tanh"), *(norms if normalized else [])]
    network = keras.Sequential([keras.Input([3]), *layers, keras.layers.Dense(1)])
    network.layers[-1].kernel.assign(10 * network.layers[-1].kernel)  # For one-sided penalties.
    return Critic(network)


def penalty(case: Any, normalized: bool, strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Returns a penalty, made lazy and due, of all examples, and its gradients."""
    with strategy.scope():
        seen = critic(normalized)
    lazy, step = Lazy(case.create(), 2), tf.constant(8, tf.int64)

    def compute(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([0, tf.cast(index, tf.int32)])
        return lazy(seen, real, fake, seed, step)

    variables = [variable.value for variable in seen.network.trainable_variables]
    return run(strategy, compute, variables, examples())


def main(path: str) -> None:
    """Writes the results of all cases."""
    both = (ALONE, STRATEGY)
    results = {
        "means": [means(strategy) for strategy in both],
        "losses": {case.name: [sides(case, s) for s in both] for case in RELATIVISTIC},
        "separate": {case.name: separate(case) for case in RELATIVISTIC},
        "plain": {case.name: [penalty(case, False, s) for s in both] for case in PENALTIES},
        "normalized": {case.name: [penalty(case, True, s) for s in both] for case in PENALTIES},
    }
    Path(path).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
