"""Images from TensorFlow Datasets, read into memory or streamed."""

import difflib
import os
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.core.files import close_paths
from tfgen.data.image_checks import check_channels
from tfgen.data.records import Records
from tfgen.data.sources import Request, Source, UnknownSplit
from tfgen.data.stores import Decoded
from tfgen.data.transforms import fit_images, fitted_shape

READ_BATCH = 256
MAX_HOSTS = 3
PROBE_SECONDS = 5.0


def is_tfds_name(name: str) -> bool:
    """Returns whether TensorFlow Datasets knows a data set of this name."""
    import tensorflow_datasets as tfds

    base = name.split(":")[0].split("/")[0]
    return base in tfds.list_builders(with_community_datasets=False)


def read_tfds(name: str, request: Request) -> Source:
    """Reads a split of a data set, and downloads and prepares the data set first if need be."""
    import tensorflow_datasets as tfds

    request = request.asking("train")
    data_dir = request.data_dir or os.environ.get("TFDS_DATA_DIR")
    builder = _builder(name, os.path.expanduser(data_dir) if data_dir else None)
    image_key = _image_key(name, builder)
    _check_image_feature(name, builder.info.features[image_key], request)
    if not builder.is_prepared():
        _prepare(name, builder)
    count = request.check_count(_split_size(builder, request.split))
    label = builder.info.features["label"] if "label" in builder.info.features else None
    has_labels = isinstance(label, tfds.features.ClassLabel)
    keys = [image_key, "label"] if has_labels else [image_key]
    images, labels = _read(builder, keys, count, request)
    if not has_labels:
        return Source(images, split=request.split)
    return Source(images, labels, label.num_classes, tuple(label.names), request.split)


def _read(builder: Any, keys: list[str], count: int, request: Request) -> tuple[Any, Any]:
    """Returns the images or their store, and the labels, for keys of an image and of a label."""
    from tensorflow_datasets.core.file_adapters import FileFormat

    shape = builder.info.features[keys[0]].shape
    shape = fitted_shape(shape, request.image_size, request.channels)
    streams = request.streams((count, *shape))
    if streams or builder.info.file_format == FileFormat.ARRAY_RECORD:
        return _by_record(builder, keys, (count, *shape), request, streams)
    examples = _read_examples(builder, request.split, keys).take(count)
    return _to_memory(_fit_batches(examples, request), count)


def _by_record(
    builder: Any, keys: list[str], shape: tuple[int, ...], request: Request, streams: bool
) -> tuple[Any, Any]:
    """Returns the images or their store, and the labels, each record read on its own."""
    import tensorflow_datasets as tfds

    records = Records(builder, request.split)

    def fetch(rows: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(records.read, [rows], tf.string), [None])

    def name(row: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(records.name, [row], tf.string)

    def parsed(record: tf.Tensor, key: str) -> tf.Tensor:
        features = tfds.decode.PartialDecoding({key: True}).extract_features(builder.info.features)
        return features.deserialize_example(record)[key]

    def image(record: tf.Tensor) -> tf.Tensor:
        return fit_images(parsed(record, keys[0]), request.image_size, request.channels)

    def label(record: tf.Tensor) -> tf.Tensor:
        return parsed(record, "label")

    images = Decoded(shape[0], shape[1:], fetch, image, name)
    labels = None
    if keys[1:]:
        labels = Decoded(shape[0], (), fetch, label, name, np.int64).read(slice(None))
    return images if streams else images.read(slice(None)), labels


def _builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(unknown_name(name)) from error
    except (AssertionError, ValueError, RuntimeError) as error:
        what = f"a configuration and a version of {name!r} that TensorFlow Datasets has"
        raise ValueError(expected(what, error)) from error


def unknown_name(name: str) -> str:
    """Returns the text of the error for a name that means nothing, with names close to it."""
    import tensorflow_datasets as tfds

    known = ["digits", *tfds.list_builders(with_community_datasets=False)]
    close = difflib.get_close_matches(name, known, n=5) + (close_paths(name) if name else [])
    hint = f" (close to it: {', '.join(close)})" if close else ""
    what = (
        f'"digits", the name of a data set in TensorFlow Datasets{hint}, '
        "or the path of a folder of images, an .npy or an .npz file"
    )
    return expected(what, repr(name))


def _image_key(name: str, builder: Any) -> str:
    """Returns the name of the feature that is the image."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [key for key, value in features.items() if isinstance(value, tfds.features.Image)]
    if "image" in images:
        return "image"
    if len(images) != 1:
        raise ValueError(expected(f"{name!r} to be a data set of images", f"features {features}"))
    return images[0]


def _check_image_feature(name: str, feature: Any, request: Request) -> None:
    """Raises unless images are 8-bit, of known channels, and of one size or to be resized."""
    if feature.dtype != np.uint8:
        raise TypeError(expected(f"8-bit images in {name!r}", f"dtype {feature.dtype}"))
    check_channels(feature.shape[-1], repr(name))
    if None in feature.shape[:2] and request.image_size is None:
        what = f"`image_size`, as images of {name!r} differ in size"
        raise ValueError(expected(what, f"image_size=None, shape {feature.shape}"))


def _split_size(builder: Any, split: str) -> int:
    try:
        return builder.info.splits[split].num_examples
    except (KeyError, ValueError, AssertionError) as error:
        names = ", ".join(sorted(builder.info.splits))
        what = f"`split` to be one of {names}, 'all', or a slice such as 'train[:1000]'"
        raise UnknownSplit(expected(what, repr(split))) from error


def _prepare(name: str, builder: Any) -> None:
    """Downloads and prepares a data set; raises RuntimeError, soon and with advice, if it fails."""
    try:
        _check_hosts(builder)
        builder.download_and_prepare()
    except Exception as error:  # Anything may go wrong in a builder; the advice is the same.
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(_not_available(name, builder, reason)) from error


def _check_hosts(builder: Any) -> None:
    """Raises ConnectionError if none of the hosts that the data comes from answers.

    Without this, a download without a network is tried again for over three minutes.
    """
    urls = {urlsplit(url).netloc: url for url in builder.url_infos}
    hosts = list(urls)[:MAX_HOSTS]
    if hosts and not any(_answers(urls[host]) for host in hosts):
        raise ConnectionError(f"no answer from {', '.join(hosts)}")


def _answers(url: str) -> bool:
    """Returns whether the host of a URL sends any answer at all, through a proxy if one is set."""
    import requests

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return True
    try:
        requests.head(f"{parts.scheme}://{parts.netloc}", timeout=PROBE_SECONDS)
    except requests.RequestException:
        return False
    return True


def _not_available(name: str, builder: Any, reason: str) -> str:
    what = (
        f"data set {name!r} to be prepared in {builder.data_dir}, or a network to download it. "
        "Without one, prepare it on another machine (tfds build), copy its folder, and pass the "
        'folder above it as `data_dir` or set TFDS_DATA_DIR; or use "digits", a folder of images '
        "or an .npz file"
    )
    return expected(what, reason)


def _read_examples(builder: Any, split: str, keys: list[str]) -> tf.data.Dataset:
    """Returns the images and labels of a split in stored order; labels are 0 if there are none."""
    import tensorflow_datasets as tfds

    decoders = tfds.decode.PartialDecoding(dict.fromkeys(keys, True))
    one_by_one = tfds.ReadConfig(interleave_cycle_length=1)  # File by file, else 16 by 16 records.
    dataset = builder.as_dataset(
        split=split, decoders=decoders, shuffle_files=False, read_config=one_by_one
    )

    def pair(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return example[keys[0]], example["label"] if keys[1:] else tf.zeros((), tf.int64)

    return dataset.map(pair)


def _fit_batches(examples: tf.data.Dataset, request: Request) -> tf.data.Dataset:
    """Returns batches of images of the size asked for, and of labels."""

    def fit(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return fit_images(image, request.image_size, request.channels), label

    if examples.element_spec[0].shape.is_fully_defined():  # Many at once are 3 times as fast.
        return examples.batch(READ_BATCH).map(fit, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.map(fit, num_parallel_calls=tf.data.AUTOTUNE).batch(READ_BATCH)


def _to_memory(batches: tf.data.Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns `count` images and labels as arrays, filled batch by batch."""
    spec = batches.element_spec[0]
    images = np.empty((count, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
    labels = np.empty(count, np.int64)
    start = 0
    for image, label in batches.as_numpy_iterator():
        images[start : start + len(image)] = image
        labels[start : start + len(image)] = label
        start += len(image)
    return images, labels
