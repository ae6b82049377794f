"""`load` and `from_arrays`: images of any origin, as `Examples`."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfgen.core.checks import expected
from tfgen.core.files import close_paths
from tfgen.data.array_files import ARRAY_SUFFIXES, read_array_file
from tfgen.data.decoding import MAX_PIXELS
from tfgen.data.examples import Examples
from tfgen.data.folder import SUFFIXES, read_folder
from tfgen.data.sources import Request, Source, read_array, read_digits
from tfgen.data.tfds import is_tfds_name, read_tfds, unknown_name
from tfgen.data.transforms import ImageSize

READABLE = (
    f"a folder of images ({', '.join(SUFFIXES)}; load_audio reads those of .wav), an .npy or an "
    ".npz file"
)


def load(
    name: str | os.PathLike | np.ndarray,
    split: str | None = None,
    batch_size: int = 128,
    *,
    image_size: ImageSize = None,
    num_examples: int | None = None,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
    split_folders: bool = True,
    in_memory: bool | None = None,
) -> Examples:
    """Loads images, with labels if there are any, into memory, or streams them.

    In memory, everything is decoded once and kept as uint8 where it is stored so:
    num_examples * height * width * channels bytes, 47 MB for Fashion-MNIST, 2.5 GB for 200,000
    images of 64 x 64 x 3. Digits and floating arrays are kept as float32, four times as much.

    Streamed, images stay where they are, and those of a batch are read and decoded on the way. The
    batches are the same, bit for bit. Labels are in memory, and so is where each example is. The
    headers of a folder's files, the labels and lengths of a data set's records, and all values of a
    floating array are read once, at about the speed of the disk, before `load` returns. Files must
    stay as they are: training ends with an error that names one that can no longer be read.

    Args:
        name: one of
            - "digits": 1,797 grey images of 8 x 8 from scikit-learn, with labels, no download;
            - the name of an image data set in TensorFlow Datasets, such as "fashion_mnist" or
              "cifar10:3.*.*"; downloaded and prepared if it is not in `data_dir`;
            - a folder of .png, .jpg, .webp, .tif, .bmp and .gif files, at any depth, in the order
              of their paths; its sub-folders are the classes if every image is in one, or its
              splits (see `split`). Images are turned as their EXIF says; of several frames the
              first is read. They must be of 8 bits a channel, and have one size and one number of
              channels unless `image_size` and `channels` make it so. A folder named like a data set
              is written "./mnist";
            - an .npy file of images, or an .npz file with images under "x", "images", "imgs" or
              "arr_0" and, if any, labels under "y", "label", "labels" or "lab"; or one with the
              keys of Keras' mnist.npz ("x_train", "y_train", "x_test", ...) or of MedMNIST
              ("train_images", "train_labels", "val_images", ...), which has splits of its own.
              Images of 0 and 1 only are masks, black and white. Other arrays in the file are not
              read, and nothing is unpickled;
            - an array of images [n, height, width, channels], uint8, or floats in [0, 1].

            An array, also one in a file, may hold grey images [n, height, width], whose width is
            not 1, 3 or 4; audio [n, time, 1], floats in [-1, 1]; or tokens [n, length], integers of
            other types than uint8.
        split: of TensorFlow Datasets, whatever it accepts: "train", "test", "train[:10000]". Of a
            folder of which all sub-folders are called train (or training), test (testing) and
            validation (val, valid), the name of one, in a fixed permutation, with a slice or
            without, or "all"; their sub-folders are the classes. The same of an .npz file with
            splits of its own. Of the others "train", "test" or "all": "train" is 80 % and "test"
            20 % of one fixed permutation, whatever the seed (1,437 and 360 digits); "all" keeps the
            stored order. None stands for "train" of the digits and of data with splits of their
            own, and for "all" of other folders and arrays.
        batch_size: examples in a batch, over all replicas.
        image_size: an integer crops the centre square and resizes it to that side, a pair
            (height, width) resizes without a crop; antialiased.
        num_examples: read only the first ones of the split; None reads all.
        data_dir: where prepared TensorFlow Datasets are; None stands for TFDS_DATA_DIR from the
            environment, then for the default of TensorFlow Datasets.
        seed: of the order of the examples in training.
        skip_unreadable: leave out files of a folder that cannot be decoded, with a warning.
        channels: 1, 3 or 4, to convert to; with 1, all arrays of rank 3 are grey images.
        max_pixels: the largest height x width of an image file, which its header is asked for
            before it is decoded; more count as unreadable. 2**26, 201 MB in RGB, unless given.
        split_folders: False takes sub-folders that are called as splits are for classes.
        in_memory: False streams the images of a folder, of TensorFlow Datasets as TFRecord or
            ArrayRecord files, of an .npy file, which is memory-mapped, or of an array, which is not
            copied. None does so, with a warning, when they would take more than half of the memory
            available, which the limits of a container count for.

    Returns:
        The examples.

    Raises:
        TypeError: if an argument or the data have a wrong type.
        ValueError: if the name means nothing, a number is out of range, there are fewer examples
            than asked for or than a batch, or the data are not images.
        RuntimeError: if a data set is neither prepared nor can be downloaded.
    """
    request = Request(
        split,
        batch_size,
        image_size,
        num_examples,
        data_dir,
        seed,
        skip_unreadable,
        channels,
        max_pixels,
        split_folders,
        in_memory,
    )
    if isinstance(name, np.ndarray):
        return _examples(read_array(name, None, request), request, "array")
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(expected("`name` to be a string, a path or a NumPy array", type(name)))
    return _examples(_read(name, request), request, os.fspath(name))


def from_arrays(
    images: Any,
    labels: Any = None,
    batch_size: int = 128,
    seed: int = 0,
    *,
    image_size: ImageSize = None,
    channels: int | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "array",
    in_memory: bool | None = None,
) -> Examples:
    """Makes examples of all the images in an array.

    Args:
        images: [n, height, width, channels], uint8, or floats in [0, 1]; or what else `load` takes
            as an array; copied unless streamed.
        labels: integers [n] in [0, num_classes), or None.
        batch_size: examples in a batch, over all replicas.
        seed: of the order of the examples in training.
        image_size: as in `load`.
        channels: as in `load`.
        num_classes: None stands for the largest label plus one.
        class_names: the name of each class, if they have names.
        name: what reports call the data.
        in_memory: as in `load`; False reads the array where it is, and it must stay as it is.

    Returns:
        The examples.

    Raises:
        TypeError: if an argument or the data have a wrong type.
        ValueError: if a shape, a value or a number is out of range.
    """
    request = Request(
        "all", batch_size, image_size, seed=seed, channels=channels, in_memory=in_memory
    )
    source = read_array(images, labels, request)
    return Examples(
        source.images,
        source.labels,
        batch_size,
        seed,
        num_classes=num_classes,
        class_names=class_names,
        name=name,
    )


def _read(name: str | os.PathLike, request: Request) -> Source:
    """Reads from the source that a name or a path stands for."""
    if name == "digits":
        return read_digits(request)
    if name == "":
        raise ValueError(unknown_name(name))
    path = pathlib.Path(name).expanduser()
    if path.is_file():
        if path.suffix.lower() not in ARRAY_SUFFIXES:
            raise ValueError(expected(READABLE, f"the file {path}"))
        return read_array_file(path, request)
    if path.exists() and not path.is_dir():  # Reading a pipe or a device might never end.
        raise ValueError(expected(READABLE, f"{path}, which is not a regular file"))
    is_word = isinstance(name, str) and path.name == name
    if path.is_dir() and not (is_word and is_tfds_name(name)):
        return read_folder(path, request)
    if isinstance(name, str) and not _looks_like_path(name):
        return read_tfds(name, request)
    close = close_paths(path)
    hint = f" (close to it: {', '.join(close)})" if close else ""
    raise ValueError(expected(READABLE + hint, f"no such path {path}"))


def _looks_like_path(name: str) -> bool:
    """Returns whether a string is a path rather than a name such as "mnist" or "emnist/digits"."""
    if name.startswith((".", "~", os.sep)):
        return True
    has_suffix = bool(pathlib.Path(name.split(":")[0]).suffix)  # A version has dots, too.
    return (os.sep in name or has_suffix) and not is_tfds_name(name)


def _examples(source: Source, request: Request, name: str) -> Examples:
    return Examples(
        source.images,
        source.labels,
        request.batch_size,
        request.seed,
        num_classes=source.num_classes,
        class_names=source.class_names,
        name=name,
        split=source.split,
    )
