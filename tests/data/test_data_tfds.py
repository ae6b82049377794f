"""TensorFlow Datasets: reading what is prepared, and failing soon where nothing is."""

import os
import sys

import numpy as np
import pytest

from tests.data.helpers import write_data_set
from tfgen.data import load
from tfgen.data.sources import Source


def image(number, height=4, width=4, channels=3):
    return np.full((height, width, channels), number, np.uint8)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Data sets of ten and three examples: of one size, of several, without labels, of text."""
    import tensorflow_datasets as tfds

    def split(count, **shape):
        return [{"image": image(n, **shape), "label": n % 2, "id": str(n)} for n in range(count)]

    data_dir = tmp_path_factory.mktemp("tfds")
    labels, text = tfds.features.ClassLabel(names=["even", "odd"]), tfds.features.Text()
    features = {"image": tfds.features.Image(shape=(4, 4, 3)), "label": labels, "id": text}
    write_data_set(data_dir, "one_size", features, {"train": split(10), "test": split(3)})
    features["image"] = tfds.features.Image(shape=(None, None, 3))
    sizes = [{"image": image(n, 4 + n, 5), "label": n % 2, "id": str(n)} for n in range(10)]
    write_data_set(data_dir, "many_sizes", features, {"train": sizes})
    photos = [{"photo": image(n, channels=1)} for n in range(10)]
    feature = tfds.features.Image(shape=(4, 4, 1))
    write_data_set(data_dir, "no_labels", {"photo": feature}, {"train": photos})
    write_data_set(data_dir, "no_images", {"id": text}, {"train": [{"id": "a"}]})
    deep = tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16)
    pixels = [{"image": np.zeros((4, 4, 1), np.uint16)}]
    write_data_set(data_dir, "sixteen_bits", {"image": deep}, {"train": pixels})
    return data_dir


def numbers(examples):
    return examples.x[:, 0, 0, 0]


def test_examples_are_read_in_stored_order(data_dir):
    examples = load("one_size", batch_size=2, data_dir=data_dir)
    np.testing.assert_array_equal(numbers(examples), range(10))
    np.testing.assert_array_equal(examples.labels, np.arange(10) % 2)
    assert examples.x.dtype == np.uint8 and examples.event_shape == (4, 4, 3)
    assert (examples.num_classes, examples.class_names) == (2, ("even", "odd"))
    assert (examples.name, examples.split) == ("one_size", "train")


def test_data_dir_from_the_environment(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    assert len(load("one_size", batch_size=2)) == 10


@pytest.mark.parametrize(
    "split, expected",
    [("test", range(3)), ("train[2:6]", range(2, 6)), ("train+test", [*range(10), *range(3)])],
)
def test_splits_pass_through(data_dir, split, expected):
    examples = load("one_size", split, 2, data_dir=data_dir)
    np.testing.assert_array_equal(numbers(examples), expected)


def test_num_examples_is_the_first_ones(data_dir):
    examples = load("one_size", batch_size=2, data_dir=data_dir, num_examples=7)
    np.testing.assert_array_equal(numbers(examples), range(7))


@pytest.mark.parametrize("name", ["one_size", "many_sizes"])
def test_images_are_fitted(data_dir, name):
    examples = load(name, batch_size=2, data_dir=data_dir, image_size=6, channels=1)
    assert examples.event_shape == (6, 6, 1)
    np.testing.assert_array_equal(numbers(examples), range(10))


def test_images_without_labels_and_under_another_name(data_dir):
    examples = load("no_labels", batch_size=2, data_dir=data_dir)
    assert examples.labels is None and examples.num_classes is None
    np.testing.assert_array_equal(numbers(examples), range(10))


BAD_ARGUMENTS = {
    "sizes": (dict(name="many_sizes"), "`image_size`, as images of 'many_sizes' differ in size"),
    "text": (dict(name="no_images"), "'no_images' to be a data set of images"),
    "split": (dict(split="validation"), "one of test, train, 'all', or a slice.*'validation'"),
    "slice": (dict(split="train[:x]"), r"one of test, train.*Received: 'train\[:x\]'"),
    "many": (dict(num_examples=11), "`num_examples` <= 10, the size of split 'train'"),
    "large batch": (dict(batch_size=11), "at least 11 examples, one batch. Received: 10"),
    "empty slice": (dict(split="train[:0]"), "Received: 0 examples"),
    "version": (dict(name="mnist:9.9.9"), "a configuration and a version of 'mnist:9.9.9'"),
}


@pytest.mark.parametrize("arguments, message", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_are_refused(data_dir, arguments, message):
    with pytest.raises(ValueError, match="^Expected .*" + message):
        load(**{"name": "one_size", "batch_size": 2, "data_dir": data_dir, **arguments})


def test_deep_images_are_refused(data_dir):
    with pytest.raises(TypeError, match="^Expected 8-bit images.*Received: .*uint16"):
        load("sixteen_bits", batch_size=1, data_dir=data_dir)


@pytest.mark.parametrize(
    "name, close", [("fashion_mnst", "fashion_mnist"), ("digit", "digits"), ("", "digits")]
)
def test_unknown_name_shows_names_close_to_it(data_dir, name, close):
    with pytest.raises(ValueError, match=f"^Expected .*{close}.*folder.*Received: '{name}'"):
        load(name, data_dir=data_dir)


ADVICE = "'mnist' to be prepared in .*data_dir.*TFDS_DATA_DIR.*digits.*folder"


class Unprepared:
    """The builder of MNIST where it is not prepared, with a download of one's own."""

    url_infos = {"https://data.invalid/a": None, "https://data.invalid/b": None}

    def __init__(self, data_dir, download):
        import tensorflow_datasets as tfds

        builder = tfds.builder("mnist", data_dir=data_dir)
        self.info, self.data_dir, self.is_prepared = (
            builder.info,
            builder.data_dir,
            builder.is_prepared,
        )
        self.download_and_prepare = download


@pytest.fixture
def unprepared(tmp_path, monkeypatch):
    """Returns a function that sets what a download does and whether hosts answer, and loads."""
    import requests
    import tensorflow_datasets as tfds

    def load_mnist(download, head):
        builder = Unprepared(tmp_path, download)
        monkeypatch.setattr(requests, "head", head)
        monkeypatch.setattr(tfds, "builder", lambda name, data_dir: builder)
        with pytest.raises(RuntimeError, match=ADVICE) as error:
            load("mnist", data_dir=tmp_path)
        assert os.listdir(tmp_path) == []
        return error.value

    return load_mnist


def test_without_a_network_it_fails_before_the_download(unprepared):
    import requests

    tried = []

    def refuse(url, timeout):
        assert timeout < 10
        tried.append(url)
        raise requests.ConnectionError(f"no route to {url}")

    def download():
        pytest.fail("a download was tried")

    error = unprepared(download, refuse)
    assert "Received: ConnectionError: no answer from data.invalid" in str(error)
    assert tried == ["https://data.invalid"]


def test_failed_download_says_what_to_do(unprepared):
    def download():
        raise OSError("the download broke off")

    error = unprepared(download, lambda url, timeout: None)
    assert "Received: OSError: the download broke off" in str(error)
    assert isinstance(error.__cause__, OSError)


def test_a_folder_named_like_a_data_set_needs_a_path(tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="a folder with images"):
        load("./mnist")
    pixels = Source(image(7)[None])
    monkeypatch.setattr(sys.modules["tfgen.data.load"], "read_tfds", lambda name, request: pixels)
    np.testing.assert_array_equal(numbers(load("mnist", batch_size=1)), [7])


REAL = {
    "mnist": ((28, 28, 1), 60_000, 10_000),
    "fashion_mnist": ((28, 28, 1), 60_000, 10_000),
    "cifar10": ((32, 32, 3), 50_000, 10_000),
}


@pytest.mark.real_data
@pytest.mark.skipif("TFDS_DATA_DIR" not in os.environ, reason="needs TFDS_DATA_DIR")
@pytest.mark.parametrize("name, facts", REAL.items(), ids=REAL)
def test_real_data(name, facts):
    shape, num_train, num_test = facts
    train = load(name)
    assert (train.num_examples, train.event_shape, train.num_classes) == (num_train, shape, 10)
    assert np.array_equal(np.bincount(train.labels) > 5000 * num_train / 60_000, [True] * 10)
    some = load(name, "train[:1000]")
    np.testing.assert_array_equal(some.x, train.x[:1000])
    test = load(name, "test", image_size=16, channels=1, num_examples=500)
    assert (test.num_examples, test.event_shape) == (500, (16, 16, 1))
    batch = next(iter(train))
    np.testing.assert_array_equal(batch["x"], train.as_float(batch["index"].numpy()))


@pytest.mark.real_data
@pytest.mark.skipif("TFDS_DATA_DIR" not in os.environ, reason="needs TFDS_DATA_DIR")
def test_mnist_is_mnist():
    """The mean and deviation of the training images, as everybody quotes them."""
    images = load("mnist").as_float()
    assert round(float(images.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(images.std(dtype=np.float64)), 4) == 0.3081
