"""The data of a program: flags that say which, how they are split, and what suits few of them."""

import math
import re
import warnings
from pathlib import Path

from absl import flags

import tfgen
from tfgen.core.checks import expected
from tfgen.data.decoding import MAX_PIXELS
from tfgen.data.sources import UnknownSplit

FLAGS = flags.FLAGS

STEPS = 2_000
"""Fewer do not show what is in the data."""


def define(dataset: str) -> None:
    """Defines the flags of every program that loads data, with its own default of --dataset."""
    flags.DEFINE_string(
        "dataset",
        dataset,
        "digits (embedded), any TFDS name, a folder of images, an .npy/.npz file.",
    )
    flags.DEFINE_string("data_dir", None, "Where TFDS data are; $TFDS_DATA_DIR unless given.")
    flags.DEFINE_integer("num_examples", None, "Use this many training examples only.", 1)
    define_image_flags()
    flags.DEFINE_integer("seed", 0, "Of initial weights, order of the data, and noise.", 0)
    flags.DEFINE_integer("verbose", 1, "Keras progress: 0 none, 1 bars, 2 a line an epoch.", 0, 2)


def define_image_flags() -> None:
    """Defines the flags that say how images are read."""
    flags.DEFINE_integer("image_size", None, "Crop to a square and resize to this many pixels.", 4)
    flags.DEFINE_enum("channels", None, ["1", "3", "4"], "Convert to grey, RGB or RGBA.")
    flags.DEFINE_integer("max_pixels", MAX_PIXELS, "Height x width of the largest image file.", 1)
    flags.DEFINE_bool("skip_unreadable", False, "Skip images of a folder that cannot be read.")
    flags.DEFINE_bool(
        "split_folders", True, "Take sub-folders called train, test and validation for splits."
    )
    flags.DEFINE_bool(
        "in_memory",
        None,
        "Read images into memory, or with --noin_memory stream them; what suits the memory that is "
        "free unless given.",
    )


def load_both() -> tuple[tfgen.data.Examples, tfgen.data.Examples]:
    """Loads the examples of --dataset to train on, --num_examples of them, and those held out.

    The split "test" is held out, or the last tenth of "train" where there is no such split.
    """
    heldout, rest = load_heldout(FLAGS.dataset)
    return load(FLAGS.dataset, rest, FLAGS.num_examples), heldout


def load_heldout(name: str) -> tuple[tfgen.data.Examples, str]:
    """Loads the examples of any data that are held out, and names the split to train on."""
    try:
        return load(name, "test"), "train"
    except UnknownSplit:
        return load(name, "train[90%:]"), "train[:90%]"


def load(name: str, split: str, num_examples: int | None = None) -> tfgen.data.Examples:
    """Loads a split of any data, in batches of one, as the flags say; warnings are printed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        examples = tfgen.data.load(
            name,
            split=split,
            batch_size=1,
            image_size=FLAGS.image_size,
            num_examples=num_examples,
            data_dir=FLAGS.data_dir,
            seed=FLAGS.seed,
            skip_unreadable=FLAGS.skip_unreadable,
            channels=FLAGS.channels and int(FLAGS.channels),
            max_pixels=FLAGS.max_pixels,
            split_folders=FLAGS.split_folders,
            in_memory=FLAGS.in_memory,
        )
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            print(f"Note: {with_flags(str(warning.message))}")
    return examples


def with_flags(message: str) -> str:
    """Returns a message with the arguments that it names as the flags of the same names.

    >>> with_flags("Expected images of one shape (`image_size` resizes them).")
    'Expected images of one shape (--image_size resizes them).'
    """
    names = "image_size|channels|num_examples|data_dir|max_pixels|split_folders|in_memory"
    given = "max_pixels|skip_unreadable|split_folders|in_memory"
    message = re.sub(rf"\b({given})=", r"--\1=", message)
    return re.sub(f"`({names})`", r"--\1", message)


def short_name(dataset: str) -> str:
    """Returns what directories are called by data: "faces" for "/data/faces.npz"."""
    path, name = Path(dataset).expanduser(), dataset
    if path.exists():
        name = path.resolve().name if path.is_dir() else path.stem
    return "_".join(re.findall(r"\w+", name)) or "data"


def batch_size(given: int | None, usual: int, num_examples: int, parts: int = 1) -> int:
    """Returns how many examples make a batch, and says so where it is not what was expected.

    Args:
        given: what a flag says; None for the usual one, or an eighth of fewer than 512.
        usual: unless there are few examples.
        num_examples: that there are.
        parts: batches that a step takes at once.

    Raises:
        ValueError: when there are too few examples for a step.
    """
    most = num_examples // parts
    if not most:
        raise ValueError(expected(f"{parts} examples or more to train on", num_examples))
    wanted = given or min(usual, max(num_examples // 8, 8))
    size = min(wanted, most)
    if size != (given or usual):
        print(f"Batches of {size} examples, as there are {num_examples} to train on.")
    return size


def num_epochs(
    given: int | None, usual: int, steps: int, batch_size: int, count: int, what: str = ""
) -> int:
    """Returns the number of epochs: what a flag says, or at least as many as make so many steps.

    Args:
        given: what the flag says, if anything.
        usual: unless there are few examples.
        steps: to make at least.
        batch_size: of each step.
        count: how many examples there are.
        what: is trained, for the line that says when it is not as usual.
    """
    if given:
        return given
    epochs = max(usual, math.ceil(steps / max(count // batch_size, 1)))
    if epochs != usual:
        print(f"{epochs} epochs {what}".rstrip() + f", as {count} examples make few steps each.")
    return epochs
