"""Array files: keys, splits, what is not read, and damage."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from tests import faults
from tfgen.data import load
from tfgen.data.sources import UnknownSplit

IMAGES = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
LABELS = np.arange(20) % 3


def numbers(examples):
    return examples.x[:, 0, 0, 0]


@pytest.mark.parametrize("key", ["x", "images", "imgs", "arr_0"])
@pytest.mark.parametrize("label_key", ["y", "label", "labels", "lab", None])
def test_keys(tmp_path, key, label_key):
    labels = {label_key: LABELS} if label_key else {}
    np.savez(tmp_path / "data.npz", **{key: IMAGES}, **labels)
    examples = load(tmp_path / "data.npz", "train", batch_size=4)
    assert len(examples) == 16 and examples.name == str(tmp_path / "data.npz")
    if label_key:
        np.testing.assert_array_equal(examples.labels, numbers(examples) % 3)
        assert examples.num_classes == 3
    else:
        assert examples.labels is None


@pytest.mark.parametrize("name", ["data.npy", "DATA.NPY"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, name, order):
    np.save(tmp_path / "data.npy", np.asarray(IMAGES / 255, order=order))
    (tmp_path / "data.npy").rename(tmp_path / name)
    examples = load(str(tmp_path / name), "all", batch_size=4)
    np.testing.assert_array_equal(examples.x, (IMAGES / 255).astype(np.float32))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_upper_case_and_compression(tmp_path, save):
    save(tmp_path / "data.npz", x=np.asfortranarray(IMAGES))
    (tmp_path / "data.npz").rename(tmp_path / "DATA.NPZ")
    np.testing.assert_array_equal(load(tmp_path / "DATA.NPZ", "all", batch_size=4).x, IMAGES)


KERAS = {"x": "x_{}", "y": "y_{}"}
MEDMNIST = {"x": "{}_images", "y": "{}_labels"}


@pytest.mark.parametrize("keys, axis", [(KERAS, ()), (MEDMNIST, (1,))], ids=["keras", "medmnist"])
def test_splits_of_the_file(tmp_path, keys, axis):
    rows = {"train": slice(12), "val": slice(12, 15), "test": slice(15, 20)}
    grey = np.repeat(IMAGES, 2, axis=2)[..., 0]
    arrays = {}
    for part, those in rows.items():
        arrays[keys["x"].format(part)] = grey[those]
        arrays[keys["y"].format(part)] = LABELS[those].reshape(-1, *axis).astype(np.uint8)
    np.savez(tmp_path / "data.npz", **arrays)
    rows |= {"val": rows["val"], "validation": rows["val"], None: rows["train"], "all": slice(None)}
    for split, those in rows.items():
        examples = load(tmp_path / "data.npz", split, batch_size=2)
        order = np.argsort(numbers(examples))
        np.testing.assert_array_equal(examples.x[order], grey[those][..., np.newaxis])
        np.testing.assert_array_equal(examples.labels[order], LABELS[those])
        assert examples.split == (split or "train") and examples.num_classes == 3
    parts = [
        load(tmp_path / "data.npz", f"train[{part}]", batch_size=2) for part in (":75%", "75%:")
    ]
    assert [len(part) for part in parts] == [9, 3]
    assert sorted(np.concatenate([numbers(part) for part in parts])) == list(range(12))
    few = load(tmp_path / "data.npz", "train", batch_size=2, num_examples=9)
    np.testing.assert_array_equal(few.x, parts[0].x)
    with pytest.raises(UnknownSplit, match="'test', 'train', 'validation'.*Received: 'valued'"):
        load(tmp_path / "data.npz", "valued", batch_size=2)


def test_classes_are_those_of_all_splits(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS * 0)
    assert load(tmp_path / "a.npz", "test", batch_size=2).num_classes == 3
    np.savez(tmp_path / "b.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES)
    assert load(tmp_path / "b.npz", "all", batch_size=2).labels is None


@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_masks_are_black_and_white(tmp_path, dtype):
    masks = IMAGES % 2
    np.savez(tmp_path / "data.npz", imgs=masks.astype(dtype))
    np.testing.assert_array_equal(load(tmp_path / "data.npz", "all", batch_size=2).x, masks * 255)


class _Trap:
    """Raises where it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("something was unpickled",)


def test_what_is_not_needed_is_not_read(tmp_path):
    """A pickled array, and one whose values were changed, beside good ones."""
    path = tmp_path / "data.npz"
    np.savez(path, x=IMAGES, y=LABELS, meta=np.array([_Trap()]), other=np.full(1000, 77, np.uint8))
    faults.flip(path, path.read_bytes().index(b"\x4d" * 1000) + 500)
    with pytest.raises(zipfile.BadZipFile), np.load(path) as content:
        content["other"]
    np.testing.assert_array_equal(load(path, "all", batch_size=2).labels, LABELS)


def declaring(shape, dtype="|u1", values=b"", version=1):
    """Returns an .npy file whose header says anything."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(2, "little") + header + values


BAD_HEADERS = {
    "huge": declaring((10**12,), "<f8"),
    "beyond 64 bits": declaring((2**62, 2**62), "<f8"),
    "empty": declaring((10**12, 0)),
    "negative": declaring((-1, -4), values=bytes(4)),
    "cut": declaring((2, 8, 8), values=bytes(127)),
    "more": declaring((2, 8, 8), values=bytes(129)),
    "pickled": declaring((1,), "|O", pickle.dumps(_Trap)),
    "fields": declaring((1,), [("a", "<f4")], bytes(4)),
    "strings": declaring((1,), "<U1", bytes(4)),
    "another version": declaring((2, 8, 8), values=bytes(128), version=9),
    "no dictionary": declaring("(1, 2", values=bytes(4)),
    "nothing": b"",
    "something else": b"notes",
}


@pytest.mark.parametrize("content", BAD_HEADERS.values(), ids=BAD_HEADERS)
@pytest.mark.parametrize("is_archive", [False, True], ids=["npy", "npz"])
def test_bad_arrays(tmp_path, content, is_archive):
    path = tmp_path / ("bad.npz" if is_archive else "bad.npy")
    path.write_bytes(content)
    if is_archive:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    with pytest.raises(ValueError, match="^Expected a whole NumPy file of numbers") as error:
        load(path, "all", batch_size=2)
    assert str(path) in str(error.value)


def test_files_without_examples(tmp_path):
    np.savez(tmp_path / "keys.npz", pictures=np.zeros((2, 2, 2, 1)))
    np.savez(tmp_path / "labels.npz", x=np.zeros((2, 2, 2, 1)), y=np.zeros(3, int))
    np.savez(tmp_path / "many.npz", x=np.zeros((2, 2, 2, 1)), y=np.zeros((2, 14), int))
    np.savez(tmp_path / "bright.npz", x=np.full((2, 2, 2, 1), 255.0))
    (tmp_path / "notes.txt").write_text("none")
    for file, message in {
        "keys.npz": r"'x', 'images', .*Received: \['pictures'\]",
        "labels.npz": r"shape \(2,\).*\(3,\).* in .*labels.npz",
        "many.npz": r"shape \(2,\).*\(2, 14\).* in .*many.npz",
        "bright.npz": r"\[0, 1\].*255.* in .*bright.npz",
        "notes.txt": "a folder of images .*, an .npy or an .npz file. Received: .*notes.txt",
    }.items():
        with pytest.raises(ValueError, match="^Expected .*" + message):
            load(tmp_path / file, "all", batch_size=2)


@pytest.mark.filterwarnings("ignore")  # NumPy's, about headers.
def test_damage_is_named(tmp_path):
    """Each file loads, with other values, or is refused by a ValueError that names it."""
    files = {}
    for name, save in (("a.npz", np.savez), ("b.npz", np.savez_compressed), ("c.npy", np.save)):
        stream = io.BytesIO()
        save(stream, IMAGES) if save is np.save else save(stream, x=IMAGES, y=LABELS)
        files[name] = stream.getvalue()
    random = np.random.default_rng(0)
    refused = 0
    for number in range(150):
        name, content = list(files.items())[number % 3]
        path = tmp_path / name
        damaged = bytearray(content)
        if number % 4:
            damaged[random.integers(len(content))] ^= 1 << random.integers(8)
        path.write_bytes(damaged if number % 4 else content[: random.integers(len(content))])
        try:
            load(path, "all", batch_size=2)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 75
