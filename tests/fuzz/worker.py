"""Loads damaged files, one after the other, and says of each what came of it.

    python -m tests.fuzz.worker FOLDER KIND FIRST LAST

prints a line for each number from FIRST to LAST. The process may die of a file; the line says of
which, as it is begun before the file is loaded.
"""

import functools
import os
import random
import re
import resource
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

import tfgen
from tests.fuzz import mutants
from tests.metrics.test_frozen_graph import small_graph
from tests.small_models import COMPLAINT, blocks, compiled_glo, small_imle

MEMORY = 12 * 2**30  # Bytes of address space, of which TensorFlow takes the most.
SECONDS = 60
"""Within which a file of some kilobytes is loaded or refused, on a busy machine."""

COMPLAINT_TEXT = re.compile(COMPLAINT, re.DOTALL)


class Kind(NamedTuple):
    """A kind of file.

    Args:
        make: writes whole files into a folder, and returns those that are to be damaged, by turns.
        load: loads from the folder, of which a file is damaged.
        mutations: what damages it.
    """

    make: Callable[[Path], Sequence[Path]]
    load: Callable[[Path], object]
    mutations: Sequence[mutants.Mutation]


def _images(folder: Path) -> list[Path]:
    pixels = np.random.default_rng(0).integers(0, 256, [9, 11, 3], np.uint8)
    colour, grey = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    turned = Image.Exif()
    turned[0x0112] = 6  # Orientation.
    paths = [folder / f"a.{suffix}" for suffix in ("png", "jpg", "bmp", "gif", "webp", "tif")]
    for path in paths:
        colour.save(path)
    more = {
        "grey.png": (grey, {}),
        "deep.png": (Image.fromarray(pixels[..., 0].astype(np.uint16) * 9), {}),
        "turned.jpg": (colour, {"exif": turned}),
        "palette.bmp": (colour.convert("P"), {}),
        "palette.png": (colour.convert("P"), {}),
        "ink.jpg": (colour.convert("CMYK"), {}),
    }
    for name, (image, options) in more.items():
        image.save(folder / name, **options)
    return [*paths, *(folder / name for name in more)]


def _npy(folder: Path) -> list[Path]:
    np.save(folder / "x.npy", np.zeros([6, 4, 4, 1], np.uint8))
    np.save(folder / "float.npy", np.full([6, 4, 4, 1], 0.5, np.float32))
    return sorted(folder.iterdir())


def _npz(folder: Path) -> list[Path]:
    x, y = np.zeros([6, 4, 4, 1], np.uint8), np.arange(6) % 3
    np.savez(folder / "stored.npz", x=x, y=y)
    np.savez_compressed(folder / "packed.npz", x=x, y=y)
    return sorted(folder.iterdir())


def _keras(folder: Path) -> list[Path]:
    compiled_glo().save(folder / "model.keras")
    return [folder / "model.keras"]


_trained = functools.lru_cache(compiled_glo)


def _checkpoint(folder: Path) -> list[Path]:
    _trained().fit(
        blocks(), batch_size=8, epochs=2, callbacks=[tfgen.callbacks.Checkpoint(folder)], verbose=0
    )
    return sorted(path for path in folder.iterdir() if path.is_file())


def _served(folder: Path) -> list[Path]:
    version = tfgen.serving.export(small_imle(), folder)
    return [version / "saved_model.pb", *sorted(version.glob("variables/*"))]


def _run_served(folder: Path) -> None:
    with tfgen.serving.SessionLoader(folder / "1") as served:
        served("sample", seed=[0, 1])


def _graph(folder: Path) -> list[Path]:
    graph = small_graph(scaled=True)
    (folder / "graph.pb").write_bytes(graph.SerializeToString())
    return [folder / "graph.pb"]


def _load_only(folder: Path) -> object:
    (path,) = folder.iterdir()
    return tfgen.data.load(path, split="all", batch_size=1)


KINDS = {
    "images": Kind(_images, lambda f: tfgen.data.load(f, split="all", batch_size=1), mutants.BYTES),
    "npy": Kind(_npy, _load_only, (*mutants.BYTES, mutants.header, mutants.header)),
    "npz": Kind(_npz, _load_only, (*mutants.ARCHIVE, mutants.header, mutants.header)),
    "keras": Kind(
        _keras,
        lambda f: tfgen.load_model(f / "model.keras"),
        (*mutants.ARCHIVE, *[mutants.configuration] * 4),
    ),
    "checkpoint": Kind(
        _checkpoint, lambda f: tfgen.callbacks.Checkpoint(f).restore(_trained()), mutants.BYTES
    ),
    "graph": Kind(
        _graph,
        lambda f: tfgen.metrics.convert_frozen_graph(f / "graph.pb", f / "weights.npz"),
        mutants.BYTES,
    ),
    "served": Kind(_served, _run_served, mutants.BYTES),
}


def main(folder: Path, kind: Kind, first: int, last: int) -> None:
    """Loads the damaged files of some numbers, and prints what came of each."""
    (folder / "whole").mkdir(parents=True)
    paths = kind.make(folder / "whole")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    for number in range(first, last + 1):
        draw = random.Random(number)
        path = paths[number % len(paths)]
        damage = draw.choice(kind.mutations)
        print(f"{number} {damage.__name__} of {path.name}: ", end="", flush=True)
        print(_outcome(folder, kind, path, damage(path.read_bytes(), draw)), flush=True)


def _outcome(folder: Path, kind: Kind, path: Path, content: bytes) -> str:
    """Returns "loaded", "refused", or how else it ended."""
    scratch = folder / "scratch"
    if kind.make in (_images, _npy, _npz):
        scratch.mkdir()
    else:
        shutil.copytree(folder / "whole", scratch)
    (scratch / path.relative_to(folder / "whole")).write_bytes(content)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of what is passed over.
            kind.load(scratch)
        return "loaded"
    except (ValueError, TypeError) as error:
        return "refused" if COMPLAINT_TEXT.search(str(error)) else f"FAULT {error!r}"
    except Exception as error:
        return f"FAULT {error!r}"
    finally:
        signal.alarm(0)
        shutil.rmtree(scratch)


def _too_long(*_: object) -> NoReturn:
    raise TimeoutError(f"{SECONDS} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), KINDS[sys.argv[2]], int(sys.argv[3]), int(sys.argv[4]))
