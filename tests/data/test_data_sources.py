"""`load`: the digits, arrays, and names that stand for nothing."""

import hashlib
import os
import pathlib
import sys

import numpy as np
import pytest

from tfgen.data import from_arrays, load
from tfgen.data.sources import Request, read_array


@pytest.fixture
def images():
    """Twenty grey images whose every byte is the image's own number."""
    return np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)


def numbers(examples):
    return examples.x[:, 0, 0, 0]


def test_digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    examples = load("digits", split="all")
    assert (examples.num_examples, examples.event_shape) == (1797, (8, 8, 1))
    assert (examples.num_classes, examples.name, examples.split) == (10, "digits", "all")
    np.testing.assert_array_equal(examples.x[..., 0] * 16, digits.images)
    np.testing.assert_array_equal(examples.labels, digits.target)
    assert examples.x.min() == 0 and examples.x.max() == 1


def test_digits_splits_are_disjoint_complete_and_fixed():
    train, test = load("digits"), load("digits", split="test", seed=5)
    assert (len(train), len(test)) == (1437, 360)
    both = np.concatenate([train.x, test.x]).reshape(1797, -1)
    everything = load("digits", split="all").x.reshape(1797, -1)
    np.testing.assert_array_equal(both[np.lexsort(both.T)], everything[np.lexsort(everything.T)])
    assert set(test.labels) == set(range(10))
    np.testing.assert_array_equal(train.x, load("digits", seed=3).x)
    # What was trained on must be the same data in years to come.
    digest = hashlib.sha256(train.labels.astype(np.uint8).tobytes()).hexdigest()
    assert digest[:16] == "53f898fb81bedc19"


def test_array_splits(images):
    train, test = load(images, "train", batch_size=2), load(images, "test", batch_size=2)
    assert (len(train), len(test)) == (16, 4)
    assert sorted([*numbers(train), *numbers(test)]) == list(range(20))
    everything = load(images, batch_size=2)
    np.testing.assert_array_equal(everything.x, images)
    assert everything.split == "all" and train.split == "train"
    assert train.labels is None and train.name == "array"


def test_num_examples_takes_the_first_of_the_split(images):
    some = load(images, "train", batch_size=2, num_examples=5)
    np.testing.assert_array_equal(numbers(some), numbers(load(images, "train", batch_size=2))[:5])
    everything = load(images, "all", batch_size=2, num_examples=5)
    np.testing.assert_array_equal(numbers(everything), range(5))


def test_image_size_and_channels(images):
    examples = load(images, batch_size=2, image_size=[6, 3], channels=3)
    assert examples.event_shape == (6, 3, 3)


def test_number_of_classes_is_that_of_all_splits():
    images, labels = np.zeros((20, 2, 2, 1), np.uint8), np.zeros(20, int)
    labels[np.random.RandomState(0).permutation(20)[17]] = 6  # One of the four test examples.
    source = read_array(images, labels, Request("train", 2))
    assert source.labels.max() == 0 and source.num_classes == 7


BAD_ARGUMENTS = {
    "split": (
        dict(split="train[:5]"),
        ValueError,
        r"\['all', 'test', 'train'\]. Received: 'train\[",
    ),
    "split type": (dict(split=0), TypeError, "`split` to be a string. Received: 0"),
    "batch": (dict(batch_size=-1), ValueError, "`batch_size` >= 1. Received: -1"),
    "large batch": (
        dict(batch_size=21),
        ValueError,
        "at least 21 examples, one batch. Received: 20",
    ),
    "zero": (dict(num_examples=0), ValueError, "`num_examples` >= 1. Received: 0"),
    "many": (
        dict(split="train", num_examples=17),
        ValueError,
        "`num_examples` <= 16, the size of split 'train'",
    ),
    "few": (dict(num_examples=1), ValueError, "at least 2 examples, one batch. Received: 1"),
    "seed": (dict(seed=0.5), TypeError, "`seed` to be an integer. Received: 0.5"),
    "channels": (dict(channels="rgb"), ValueError, "`channels` to be one of"),
    "name": (dict(name=3), TypeError, "a string, a path or a NumPy array. Received: <class 'int'>"),
}


@pytest.mark.parametrize("arguments, error, message", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_are_refused(images, arguments, error, message):
    with pytest.raises(error, match="^Expected .*" + message):
        load(**{"name": images, "batch_size": 2, **arguments})


def test_arguments_are_refused_before_anything_is_read(monkeypatch):
    def read(request):
        pytest.fail("the data were read")

    monkeypatch.setattr(sys.modules["tfgen.data.load"], "read_digits", read)
    with pytest.raises(ValueError, match="batch_size"):
        load("digits", batch_size=0)


@pytest.mark.parametrize(
    "name",
    [
        "./missing",
        "/missing/folder",
        "missing/folder",
        "x.npz",
        "faces.h5",
        pathlib.Path("missing"),
    ],
)
def test_missing_path(name):
    with pytest.raises(
        ValueError, match="Expected a folder of images .*Received: no such path "
    ) as e:
        load(name)
    assert str(e.value).endswith(str(pathlib.Path(name))) and "\n" not in str(e.value)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    for name in ("pipe.npy", "zero.npz"):
        with pytest.raises(ValueError, match=f"Received: .*{name}, which is not a regular file$"):
            load(tmp_path / name)


def test_a_path_close_to_an_existing_one_is_named(tmp_path, monkeypatch):
    (tmp_path / "celeba_64").mkdir()
    with pytest.raises(ValueError, match="close to it: .*celeba_64.* no such path .*celeba64"):
        load(tmp_path / "celeba64")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="close to it: .*celeba_64.*Received: 'celeba64'"):
        load("celeba64")


def test_grey_images_need_no_axis_of_channels(images):
    grey = np.repeat(images, 2, axis=2)[..., 0]
    np.testing.assert_array_equal(load(grey, "all", batch_size=2).x, grey[..., np.newaxis])
    assert load(grey / 255, "all", batch_size=2, channels=3).event_shape == (4, 8, 3)


@pytest.mark.parametrize("width", [1, 3, 4])
def test_narrow_arrays_of_rank_3_may_be_one_image(width):
    array = np.zeros([20, 4, width], np.uint8)
    with pytest.raises(ValueError, match=r"Expected images .*Received: uint8 of shape \(20, 4"):
        load(array, "all", batch_size=2)
    assert load(array, "all", batch_size=2, channels=1).event_shape == (4, width, 1)


def test_tokens():
    tokens = np.arange(60).reshape(20, 3)
    for examples in (load(tokens, "all", batch_size=2), from_arrays(tokens, batch_size=2)):
        assert examples.x.dtype == np.int32 and examples.event_shape == (3,)
        np.testing.assert_array_equal(examples.x, tokens)


def test_audio():
    audio = np.linspace(-1, 1, 60).reshape(20, 3, 1)
    examples = load(audio, "test", batch_size=2)
    assert examples.x.dtype == np.float32 and examples.x.shape == (4, 3, 1)


BAD_ARRAYS = {
    "bytes of text": (np.zeros([20, 3], np.uint8), {}, "not uint8 .* Received: uint8 of shape"),
    "points": (np.zeros([20, 3]), {}, "tokens.* Received: float64 of shape"),
    "loud audio": (np.full([20, 3, 1], 1.5), {}, r"`audio` in \[-1, 1\]. Received: 1.5 in row 0"),
    "long tokens": (np.full([20, 3], 2**40), {}, "within int32"),
    "large tokens": (np.zeros([20, 3], int), {"image_size": 4}, "no `image_size` or `channels`"),
    "colourful audio": (np.zeros([20, 3, 1]), {"channels": 3}, "no `image_size` or `channels`"),
}


@pytest.mark.parametrize("array, arguments, message", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_bad_arrays(array, arguments, message):
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        load(array, "all", batch_size=2, **arguments)
