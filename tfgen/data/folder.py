"""Images of a folder, with the names of its sub-folders as splits and as labels."""

import pathlib
import re
from collections.abc import Sequence

import numpy as np

from tfgen.core.checks import expected
from tfgen.data.folder_files import Name, Skipped, names_in
from tfgen.data.image_files import look_at, read_files
from tfgen.data.sources import Request, Source, UnknownSplit, permuted

SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
OTHER_SUFFIXES = frozenset(
    ".apng .arw .avif .cr2 .cr3 .dcm .dng .eps .exr .hdr .heic .heif .ico .j2k .jp2 .jxl .nef .orf "
    ".pbm .pcx .pgm .pnm .ppm .psd .raf .raw .rw2 .svg .tga .xcf".split()
)
SPLIT_NAMES = {"training": "train", "testing": "test", "val": "validation", "valid": "validation"}
SPLIT_NAMES |= {name: name for name in ("train", "test", "validation")}

SLICE = re.compile(r"(\w+)(?:\[(\d+%?)?:(\d+%?)?\])?")


def read_folder(folder: pathlib.Path, request: Request) -> Source:
    """Reads the images in a folder and below it, in the order of their relative paths.

    Sub-folders called train, test and validation are splits, if there are no others and
    `request.split_folders`. The sub-folders of `folder`, or those of its splits, are classes, in
    sorted order, if every image is inside one.
    """
    skipped = Skipped(request.skip_unreadable, "images")
    what = f"a folder with images ({', '.join(SUFFIXES)}; tfgen.data.load_audio reads .wav)"
    names = names_in(folder, SUFFIXES, OTHER_SUFFIXES, what, skipped)
    owners = owners_of(folder, names) if request.split_folders else [None] * len(names)
    split, rows = rows_of_splits(owners, request)
    total = len(rows)
    files, kept = look_at([folder.joinpath(*names[row]) for row in rows], request, skipped)
    if files is not None:
        images, decoded = read_files(files, request, skipped)
        kept = kept[decoded]
    rows = rows[kept]
    skipped.warn()
    if not len(rows):
        raise ValueError(expected(f"a readable image in {folder}", f"{total} unreadable files"))
    labels, class_names = labels_of(names, owners, rows)
    if labels is None:
        return Source(images, split=split)
    return Source(images, labels, len(class_names), class_names, split)


def owners_of(folder: pathlib.Path, names: Sequence[Name]) -> list[str | None]:
    """Returns the split that each image belongs to, or None for all where there are no splits.

    Raises:
        ValueError: if there are splits, and images outside them.
    """
    tops = {name[0] for name in names if len(name) > 1}
    if not tops or not all(top.lower() in SPLIT_NAMES for top in tops):
        return [None] * len(names)
    outside = next((name for name in names if len(name) == 1), None)
    if outside is not None:
        what = (
            f"every image in one of the splits {sorted(tops)} "
            "(split_folders=False takes them for classes)"
        )
        raise ValueError(expected(what, folder.joinpath(*outside)))
    return [SPLIT_NAMES[name[0].lower()] for name in names]


def rows_of_splits(owners: Sequence[str | None], request: Request) -> tuple[str, np.ndarray]:
    """Returns the split to read and the rows of its images, as many as are asked for.

    The images of one of several splits are permuted, so that the first ones are a fair sample of
    its classes; those of all splits keep their order.

    Raises:
        UnknownSplit: if there is no such split.
        ValueError: if there are too few images.
    """
    names = set(owners)
    if None in names:
        request = request.asking("all")
        return request.split, request.rows(len(owners))
    request = request.asking("train" if "train" in names else "all")
    found = SLICE.fullmatch(request.split)
    name = found and SPLIT_NAMES.get(found[1], found[1])
    if name not in {*names, "all"}:
        what = f"`split` to be one of {sorted(names)}, 'all', or a slice such as 'train[:90%]'"
        raise UnknownSplit(expected(what, repr(request.split)))
    rows = np.array([row for row, owner in enumerate(owners) if name in (owner, "all")])
    if name != "all":
        rows = rows[permuted(len(rows))]
    start, stop = (_border(text, len(rows)) for text in found.groups()[1:])
    rows = rows[start:stop]
    return request.split, rows[: request.check_count(len(rows))]


def _border(text: str | None, total: int) -> int | None:
    """Returns the number of rows that a side of a slice such as "90%" stands for."""
    if text is None or not text.endswith("%"):
        return text and int(text)
    return round(int(text[:-1]) * total / 100)


def labels_of(
    names: Sequence[Name], owners: Sequence[str | None], rows: np.ndarray
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Returns the class of each row and the names of classes, or None and no names.

    The classes are those of all the splits in which every image is inside one.
    """
    depth = 0 if owners[0] is None else 1
    flat = {owner for owner, name in zip(owners, names, strict=True) if len(name) == depth + 1}
    if any(owners[row] in flat for row in rows):
        return None, ()
    classes = [name[depth] for owner, name in zip(owners, names, strict=True) if owner not in flat]
    class_names = tuple(sorted(set(classes)))
    number = {name: index for index, name in enumerate(class_names)}
    return np.array([number[names[row][depth]] for row in rows], np.int64), class_names
