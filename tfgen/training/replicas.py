"""What replicas compute together."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def global_mean(x: tf.Tensor) -> tf.Tensor:
    """Returns the mean over all numbers of all replicas, those of a smaller last batch included.

    Its gradient crosses replicas too: that of a sum of the replicas' losses reaches each number on
    whichever replica it is. As with all collectives, every replica has to call it, and it cannot
    stand within a `tf.cond` or `tf.while_loop`.

    Args:
        x: float, of any shape, this replica's.

    Returns:
        float32 scalar, the same on all replicas; the mean of `x` outside of replicas.
    """
    x = tf.cast(x, tf.float32)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tf.reduce_mean(x)
    sums = tf.stack([tf.reduce_sum(x), tf.cast(tf.size(x), tf.float32)])
    total, count = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, sums))
    return total / count


def gathered(x: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, in their order; `x` itself outside of replicas.

    Gradients cross replicas, and every replica has to call it, as for `global_mean`.

    Args:
        x: [rows, ...], this replica's.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return tf.ensure_shape(context.all_gather(x, axis=0), [None, *x.shape[1:]])


def part_seeds(strategy: tf.distribute.Strategy, states: Sequence[keras.Variable]) -> None:
    """Makes the seeds of layers such as Dropout differ by replica.

    Keras gives all replicas the same ones, and the same noise. The seed of a replica is that of the
    first, which is what files hold, with the replica's number added.

    Args:
        strategy: of the model.
        states: int [2] each, of Keras' seed generators.
    """
    if strategy.num_replicas_in_sync == 1:
        return

    def part() -> None:
        context = tf.distribute.get_replica_context()
        number = tf.cast(context.replica_id_in_sync_group, tf.int64)
        for state in states:
            own = tf.cast(state.value, tf.int64) * tf.cast(number == 0, tf.int64)
            first = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
            state.assign(tf.cast(first + tf.stack([number, 0]), state.dtype))

    tf.function(lambda: strategy.run(part), autograph=False)()


def summed(nest: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns tensors added up over all replicas; themselves outside of replicas.

    Args:
        nest: tensors by name, of the same shapes on every replica, which all have to call it.
    """
    context = tf.distribute.get_replica_context()
    if not nest or context is None or context.num_replicas_in_sync == 1:
        return nest
    return context.all_reduce(tf.distribute.ReduceOp.SUM, nest)
