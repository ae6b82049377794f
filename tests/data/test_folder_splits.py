"""Folders whose sub-folders are splits, with classes of their own."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import load
from tfgen.data.sources import UnknownSplit


def write(folder, *names):
    """Writes images whose values are the digits in their names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((2, 2, 1), int(path.stem), np.uint8)
        path.write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "Train/cat/1.png", "Train/dog/2.png", "Train/dog/3.png", "Train/fox/4.png")
    write(tmp_path, "test/cat/11.png", "test/fox/12.png")
    write(tmp_path, "val/cat/21.png")
    return tmp_path


def content(examples):
    """Returns the class of each image, by its value, in the order of values."""
    pairs = zip(examples.x[:, 0, 0, 0], examples.labels, strict=True)
    return {int(value): examples.class_names[label] for value, label in sorted(pairs)}


TRAIN = {1: "cat", 2: "dog", 3: "dog", 4: "fox"}
TEST = {11: "cat", 12: "fox"}
VALIDATION = {21: "cat"}


@pytest.mark.parametrize(
    "split, right",
    [
        ("train", TRAIN),
        ("test", TEST),
        ("val", VALIDATION),
        ("validation", VALIDATION),
        ("all", TRAIN | TEST | VALIDATION),
    ],
)
def test_each_split_has_its_own_images_and_the_same_classes(root, split, right):
    examples = load(root, split, batch_size=1)
    assert content(examples) == right
    assert examples.class_names == ("cat", "dog", "fox") and examples.num_classes == 3
    assert f"split={split!r}" in repr(examples)


def test_training_images_are_read_unless_asked_otherwise(root):
    examples = load(root, batch_size=1)
    assert examples.split == "train" and content(examples) == TRAIN


def test_without_training_images_all_are_read(tmp_path):
    write(tmp_path, "test/1.png", "valid/2.png")
    examples = load(tmp_path, batch_size=1)
    assert examples.split == "all" and examples.labels is None
    np.testing.assert_array_equal(examples.x[:, 0, 0, 0], [1, 2])


def test_slices_are_parts_of_one_permutation(tmp_path):
    write(tmp_path, *(f"train/{number // 10}/{number}.png" for number in range(20)))
    whole, *parts = (
        load(tmp_path, f"train{part}", batch_size=1) for part in ("", "[:90%]", "[90%:]")
    )
    assert [len(part) for part in parts] == [18, 2]
    np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), whole.x)
    assert set(whole.labels[:6]) == {0, 1}  # So that the first ones are a fair sample.
    np.testing.assert_array_equal(load(tmp_path, "train[2:5]", batch_size=1).x, whole.x[2:5])
    some = load(tmp_path, "train", batch_size=1, num_examples=3)
    np.testing.assert_array_equal(some.x, whole.x[:3])
    with pytest.raises(ValueError, match="`num_examples` <= 2, the size of split 'train.90%:.'"):
        load(tmp_path, "train[90%:]", batch_size=1, num_examples=3)


@pytest.mark.parametrize("split", ["test", "train[-2:]", "train[", "valid", "cat"])
def test_unknown_splits_are_refused_with_those_there_are(tmp_path, split):
    write(tmp_path, "train/cat/1.png")
    with pytest.raises(UnknownSplit, match=r"one of \['train'\], 'all', or a slice .*Received: '"):
        load(tmp_path, split, batch_size=1)


def test_a_split_without_classes_has_no_labels(tmp_path):
    write(tmp_path, "train/cat/1.png", "train/dog/2.png", "test/3.png")
    assert content(load(tmp_path, "train", batch_size=1)) == {1: "cat", 2: "dog"}
    assert load(tmp_path, "test", batch_size=1).labels is None
    assert load(tmp_path, "all", batch_size=1).labels is None


def test_all_sub_folders_can_be_classes(root):
    examples = load(root, batch_size=1, split_folders=False)
    assert examples.split == "all" and examples.class_names == ("Train", "test", "val")
    assert len(load(root, "test", batch_size=1, split_folders=False)) == 2  # A fifth of all.


def test_other_sub_folders_make_all_of_them_classes(root):
    write(root, "extra/31.png")
    examples = load(root, batch_size=1)
    assert examples.class_names == ("Train", "extra", "test", "val") and len(examples) == 8


def test_an_image_outside_the_splits_is_refused(root):
    write(root, "31.png")
    message = r"in one of the splits \['Train', 'test', 'val'\] .split_folders=False.*31.png$"
    with pytest.raises(ValueError, match=message):
        load(root, batch_size=1)
