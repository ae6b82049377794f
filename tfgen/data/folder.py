"""Images from a folder, decoded once, with the names of sub-folders as labels."""

import functools
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

from tfgen.core.checks import expected
from tfgen.data.image_checks import check_channels
from tfgen.data.sources import Request, Source
from tfgen.data.transforms import ImageSize, fit_images

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
CHUNK = 1000  # Files decoded between two looks at the result.
PROGRESS_FROM = 10_000
JPEG_SIGNATURE = b"\xff\xd8\xff"
MAX_NAMED = 20


class _Unreadable(Exception):
    """A file that could not be read or decoded."""


def read_folder(folder: pathlib.Path, request: Request) -> Source:
    """Reads the images in a folder and below it, in the order of their relative paths.

    Sub-folders of `folder` are classes, in sorted order, if every image is inside one.
    """
    paths = _image_paths(folder)
    rows = request.rows(len(paths))
    images, kept = _decode_files([paths[row] for row in rows], request)
    if not len(kept):
        what = f"a readable image in {folder}"
        raise ValueError(expected(what, f"{len(rows)} unreadable files"))
    labels, class_names = _labels(folder, paths)
    if labels is None:
        return Source(images)
    return Source(images, labels[rows][kept], len(class_names), class_names)


def _image_paths(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the image files, without hidden ones; raises ValueError if there are none."""
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    names = (path.relative_to(folder) for path in files if not path.is_dir())
    shown = (name for name in names if not any(part.startswith(".") for part in name.parts))
    paths = [folder / name for name in sorted(shown, key=lambda name: name.as_posix())]
    if not paths:
        what = f"a folder with images ({', '.join(SUFFIXES)})"
        raise ValueError(expected(what, f"none in {folder}"))
    return paths


def _labels(
    folder: pathlib.Path, paths: Sequence[pathlib.Path]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Returns the class of each path and the names of classes, or None and no names."""
    parts = [path.relative_to(folder).parts for path in paths]
    if any(len(part) == 1 for part in parts):
        return None, ()
    class_names = tuple(sorted({part[0] for part in parts}))
    number = {name: index for index, name in enumerate(class_names)}
    return np.array([number[part[0]] for part in parts], np.int64), class_names


def _decode_files(paths: Sequence[pathlib.Path], request: Request) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images, and the positions in `paths` of those that could be read."""
    images: np.ndarray | None = None
    kept: list[int] = []
    skipped: list[_Unreadable] = []
    for position, (path, image) in enumerate(_decode_in_order(paths, request)):
        if isinstance(image, _Unreadable):
            if not request.skip_unreadable:
                what = "readable images (skip_unreadable=True leaves others out)"
                raise ValueError(expected(what, str(image))) from image
            skipped.append(image)
            continue
        if images is None:
            check_channels(image.shape[-1], str(path), " (`channels` converts)")
            images = np.empty((len(paths), *image.shape), image.dtype)
        else:
            _check_alike(path, image.shape, paths[kept[0]], images.shape[1:])
        images[len(kept)] = image
        kept.append(position)
    if skipped:
        _warn(skipped)
    images = np.empty(0) if images is None else images[: len(kept)]
    return images, np.array(kept, np.int64)


def _decode_in_order(
    paths: Sequence[pathlib.Path], request: Request
) -> Iterator[tuple[pathlib.Path, np.ndarray | _Unreadable]]:
    """Yields each path with its image, decoded on all cores, or with why there is none."""

    def decode(path: pathlib.Path) -> np.ndarray | _Unreadable:
        return _decode(path, request)

    report = keras.utils.Progbar(len(paths)) if len(paths) > PROGRESS_FROM else None
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # Chunk by chunk: the pool finishes all it was given before an error gets out.
        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            yield from zip(chunk, pool.map(decode, chunk), strict=True)
            if report:
                report.update(start + len(chunk))


def _decode(path: pathlib.Path, request: Request) -> np.ndarray | _Unreadable:
    try:
        content = path.read_bytes()
        if content.startswith(JPEG_SIGNATURE):  # The default transform is fast and off by 1 or 2.
            image = tf.io.decode_jpeg(content, dct_method="INTEGER_ACCURATE")
        else:
            image = tf.io.decode_image(content, expand_animations=False)
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        return _Unreadable(f"{path}: {reason}")
    if request.image_size or request.channels:
        image = _fitter(image.shape[-1], request.image_size, request.channels)(image)
    return image.numpy()


@functools.lru_cache
def _fitter(
    stored_channels: int, image_size: ImageSize, channels: int | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `fit_images` as a graph for images of any size, 3 times as fast as op by op."""
    spec = tf.TensorSpec([None, None, stored_channels], tf.uint8)
    return tf.function(lambda image: fit_images(image, image_size, channels), [spec])


def _check_alike(
    path: pathlib.Path, shape: tuple[int, ...], first: pathlib.Path, first_shape: tuple[int, ...]
) -> None:
    """Raises ValueError unless an image has the shape of the first one."""
    if shape != first_shape:
        what = (
            "images of one shape, height x width x channels (`image_size` resizes them, "
            f"`channels` converts them), {'x'.join(map(str, first_shape))} as in {first}"
        )
        raise ValueError(expected(what, f"{'x'.join(map(str, shape))} in {path}"))


def _warn(skipped: Sequence[_Unreadable]) -> None:
    named = [str(image) for image in skipped[:MAX_NAMED]]
    if len(skipped) > MAX_NAMED:
        named.append("...")
    warnings.warn(
        f"Skipped {len(skipped)} unreadable images: {'; '.join(named)}", UserWarning, stacklevel=2
    )
