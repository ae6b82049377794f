"""What replicas compute together."""

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


def summed(nest: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns tensors added up over all replicas; themselves outside of replicas.

    Args:
        nest: tensors by name, of the same shapes on every replica, which all have to call it.
    """
    context = tf.distribute.get_replica_context()
    if not nest or context is None or context.num_replicas_in_sync == 1:
        return nest
    return context.all_reduce(tf.distribute.ReduceOp.SUM, nest)
