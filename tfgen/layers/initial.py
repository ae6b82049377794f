"""Initial weights that layers share."""

import keras


def spread(num_inputs: float) -> keras.initializers.Initializer:
    """Returns the initializer of the biases of units with `num_inputs` inputs each.

    With biases of zero, all units that see one input bend at its zero, which learns slowly.
    """
    limit = max(num_inputs, 1.0) ** -0.5
    return keras.initializers.RandomUniform(-limit, limit)
