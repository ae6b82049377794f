"""Trains cases on two logical CPUs and on one, and writes what came of it.

Usage: python -m tests.contract.workers.replicas {steps|fits} RESULTS.pickle CASE ...
"""

import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.contract import cases
from tests.small_models import Point
from tfgen.adversarial import SGHMC
from tfgen.latent import RowAdam, RowSGD
from tfgen.training.optimize import Parts
from tfgen.training.replicas import part_seeds
from tfgen.training.update import Update, apply_update

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
ALONE = tf.distribute.get_strategy()

# Rows 3 and 5 are held by both replicas, row 3 twice by the first.
INDEX = [3, 3, 5, 1, 5, 0, 3, 7]


def split(batch: dict[str, tf.Tensor], strategy: tf.distribute.Strategy) -> Any:
    """Returns a batch divided among the replicas, in order."""
    share = cases.BATCH_SIZE // strategy.num_replicas_in_sync

    def part(context: tf.distribute.ReplicaContext) -> dict[str, tf.Tensor]:
        first = context.replica_id_in_sync_group * share
        return {name: values[first : first + share] for name, values in batch.items()}

    return strategy.experimental_distribute_values_from_function(part)


def step(model: keras.Model, batch: dict[str, tf.Tensor]) -> None:
    """Does one training step on a batch, divided among the model's replicas."""
    strategy = model.distribute_strategy
    if strategy is ALONE:
        model.train_step(batch)
        return
    # Eagerly, as a step in a graph takes longer to trace; `fit` below runs in one.
    strategy.run(model.train_step, [split(batch, strategy)])


def one_step(case: cases.ModelCase, strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """Returns the state before and after a step of each stage."""
    with strategy.scope():
        model = case.compiled(exact=True, optimizers=cases.descent)
    before, given = cases.training_state(case, model), []
    for _, stage, batch in case.batches(model):
        given.append(recorded_seeds(stage, lambda stage=stage, batch=batch: step(stage, batch)))
    after = cases.training_state(case, model)
    return {"before": before, "after": after, "spread": spread(case, model), "seeds": given}


def spread(case: cases.ModelCase, model: keras.Model) -> float:
    """Returns the largest difference between replicas' copies of a variable.

    The running statistics of batch normalisation, which Keras leaves to each replica, and the seeds
    of dropout, which are to differ, are left out.
    """
    largest = 0.0
    for stage in (stage.model for stage in case.stages(model).values()):
        own = {
            id(variable)
            for layer in stage._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
            for variable in layer.non_trainable_variables
        }
        own |= {id(state) for state in stage.seed_states}
        for variable in (v for v in stage.training_state if id(v) not in own):
            first, *others = model.distribute_strategy.experimental_local_results(variable.value)
            for other in others:
                difference = np.abs(np.float64(first.numpy()) - np.float64(other.numpy()))
                largest = max(largest, float(np.max(difference, initial=0)))
    return largest


def fit(case: cases.ModelCase) -> dict[str, Any]:
    """Returns the history of a `fit` on two replicas, and what the model can then do."""
    with STRATEGY.scope():
        model = case.compiled()
    history = case.train(model).history.history
    if case.samples:
        made = model.sample(3, seed=0)
    else:
        given = cases.condition(model, 3) or None
        made = model.decode(cases.latents(model, 3), given)
    return {"history": history, "spread": spread(case, model), "samples": made.numpy()}


def recorded_seeds(stage: keras.Model, take_step: Callable[[], None]) -> list[np.ndarray]:
    """Returns the seeds with which the replicas of one training step ask for its updates."""
    given = []
    updates = stage.updates

    def recorded(x: Any, seed: tf.Tensor, **kwargs: Any) -> Any:
        given.append(seed.numpy())
        return updates(x, seed, **kwargs)

    object.__setattr__(stage, "updates", recorded)
    take_step()
    object.__delattr__(stage, "updates")
    return given


def duplicate_rows(optimizer: Callable, strategy: Any) -> dict[str, np.ndarray]:
    """Returns the state after steps on batches that hold rows several times."""
    case = cases.named("glo_sphere")
    with strategy.scope():
        model = case.compiled(
            exact=True,
            optimizers=lambda g: optimizer() if g == "latents" else cases.descent(g),
        )
    before = model.codes.numpy()
    batch = {"x": tf.gather(case.data(), INDEX), "index": tf.constant(INDEX, tf.int64)}
    for _ in range(3):
        step(model, batch)
    return {
        "before": before,
        "after": cases.training_state(case, model),
        "codes": model.codes.numpy(),
        "spread": spread(case, model),
    }


def sampler() -> dict[str, float]:
    """Returns how far replicas are apart when an optimizer adds noise, and what it logs."""
    case = cases.named("gan_bayesian")
    with STRATEGY.scope():
        model = case.compiled(optimizers=lambda group: SGHMC(cases.NUM_EXAMPLES, 0.01))
    history = case.train(model).history.history
    return {"spread": spread(case, model), "loss": history["generator"][-1]}


def overflow() -> dict[str, Any]:
    """Returns what a step does to weights whose scaled gradient overflows on one replica alone."""
    with STRATEGY.scope():
        point = Point([2.0])
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
        optimizer.build(point.trainable_variables)

    def step() -> None:
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        slope = tf.where(tf.equal(index, 1), 1e36, 1.0)
        update = Update("loss", lambda: {"loss": point.value.value * slope}, ("point",))
        apply_update(update, [Parts([point])], [optimizer])

    before = float(optimizer.dynamic_scale.numpy())
    tf.function(lambda: STRATEGY.run(step), autograph=False)()
    values = [float(x[0]) for x in STRATEGY.experimental_local_results(point.value.value)]
    return {"values": values, "scale": float(optimizer.dynamic_scale.numpy()) / before}


def dropout() -> list[list[np.ndarray]]:
    """Returns what both replicas leave of ones in two training steps, and the same after a save."""
    with STRATEGY.scope():
        layer = keras.layers.Dropout(0.5)
        layer.build((None, 64))
    state = layer.seed_generator.state
    start, found = state.numpy(), []
    for _ in range(2):
        state.assign(start)
        for _ in range(2):  # As a `fit` after another does.
            part_seeds(STRATEGY, [state])
        for _ in range(2):
            left = STRATEGY.run(lambda: layer(tf.ones([1, 64]), training=True))
            found.append([x.numpy() for x in STRATEGY.experimental_local_results(left)])
    return found


def fits(names: Sequence[str]) -> dict[str, Any]:
    """Returns what came of `fit`, whose steps run in graphs."""
    return {name: fit(cases.named(name)) for name in names}


def steps(names: Sequence[str]) -> dict[str, Any]:
    """Returns what came of single steps."""
    both = {"alone": ALONE, "mirrored": STRATEGY}
    optimizers = {"row_sgd": lambda: RowSGD(0.5), "row_adam": lambda: RowAdam(0.1)}
    return {
        "index": INDEX,
        "steps": {
            name: {key: one_step(cases.named(name), of) for key, of in both.items()}
            for name in names
        },
        "overflow": overflow(),
        "dropout": dropout(),
        "sampler": sampler(),
        "rows": {
            kind: {name: duplicate_rows(make, strategy) for name, strategy in both.items()}
            for kind, make in optimizers.items()
        },
    }


def main(part: str, path: str, *names: str) -> None:
    """Writes the results of cases."""
    parts = {"steps": steps, "fits": fits}
    Path(path).write_bytes(pickle.dumps(parts[part](names)))


if __name__ == "__main__":
    main(*sys.argv[1:])
