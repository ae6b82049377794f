"""The levels of images: how many different values their numbers have, as a flag or by looking."""

import numpy as np
from absl import flags

import tfgen
from tfgen.core.checks import expected

FLAGS = flags.FLAGS

MOST_LEVELS = 256
LOOKED_AT = 256
"""Examples that show the levels of all."""

flags.DEFINE_integer(
    "num_levels",
    None,
    "Of the values of images, k / (num_levels - 1); the fewest that the data are on unless given.",
    2,
)


def num_levels(train: tfgen.data.Examples) -> int:
    """Returns the number of levels of images: what the flag says, or the fewest that fit.

    Raises:
        ValueError: when none do.
    """
    if FLAGS.num_levels:
        return FLAGS.num_levels
    if train.stored_dtype == np.uint8:
        return MOST_LEVELS
    x = train.as_float(slice(0, LOOKED_AT))
    for levels in range(2, MOST_LEVELS + 1):
        places = x * (levels - 1)
        if np.abs(places - np.round(places)).max() < 1e-3:
            return levels
    what = f"images on at most {MOST_LEVELS} levels, such as uint8 (or --num_levels)"
    raise ValueError(expected(what, train))
