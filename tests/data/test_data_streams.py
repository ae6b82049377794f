"""Streamed examples: the same, bit for bit, as in memory, and what happens to broken files."""

import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.data.helpers import write_data_set
from tests.small_models import small_glo
from tfgen.data import Examples, from_arrays, load
from tfgen.data.stores import Decoded
from tfgen.latent import IMLE, PrincipalComponents
from tfgen.networks import MLP

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """The same images as arrays, as files, grey and in colour, and as two prepared data sets."""
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("data")
    np.save(root / "bytes.npy", PIXELS)
    np.save(root / "floats.npy", PIXELS / 255)
    for number, image in enumerate(PIXELS):
        path = root / "files" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = image if number % 3 else image[:4, :, :1]
        encode = tf.io.encode_jpeg if number % 4 == 1 else tf.io.encode_png
        path.write_bytes(encode(image).numpy())
    features = {
        "image": tfds.features.Image(shape=(6, 5, 3)),
        "label": tfds.features.ClassLabel(num_classes=2),
    }
    rows = [{"image": image, "label": row % 2} for row, image in enumerate(PIXELS)]
    splits = {"train": rows[:13], "test": rows[13:]}
    write_data_set(root, "records", features, splits)
    write_data_set(root, "indexed", features, splits, "array_record")
    features["image"] = tfds.features.Image(shape=(None, None, 3))
    rows = [{"image": image[: 3 + row % 3], "label": 0} for row, image in enumerate(PIXELS)]
    write_data_set(root, "sizes", features, {"train": rows})
    return root


SOURCES = {
    "bytes": ("bytes.npy", dict(split="train", num_examples=9)),
    "floats": ("floats.npy", dict(image_size=(3, 4))),
    "folder": ("files", dict(image_size=4, channels=3)),
    "records": ("records", dict(split="test[1:]+train[3:9]", num_examples=8)),
    "records of several sizes": ("sizes", dict(image_size=4)),
    "indexed records": ("indexed", dict(split="test[1:]+train[3:9]", num_examples=8)),
}
MORE_SOURCES = {
    "bytes, fitted": ("bytes.npy", dict(image_size=4, channels=1)),
    "floats, a split": ("floats.npy", dict(split="test")),
    "folder, part of it": ("files", dict(image_size=4, channels=1, split="train", num_examples=9)),
    "records, all": ("records", {}),
    "records, fitted": ("records", dict(image_size=3, channels=1)),
    "indexed records, fitted": ("indexed", dict(image_size=3, channels=1)),
}


def loaded(data_dir, name, **settings):
    path = data_dir / name
    name = name if name in ("records", "indexed", "sizes") else path
    return load(name, batch_size=3, seed=4, data_dir=data_dir, **settings)


def assert_same_batches(streamed, stored, first_epoch=0):
    number = stored.steps_per_epoch + 1
    streams = (examples.dataset(first_epoch).take(number) for examples in (streamed, stored))
    for found, expected in zip(*streams, strict=True):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize("name, settings", SOURCES.values(), ids=SOURCES)
def test_batches_are_those_in_memory(data_dir, name, settings):
    check_batches(data_dir, name, settings)


@pytest.mark.ci
@pytest.mark.parametrize("name, settings", MORE_SOURCES.values(), ids=MORE_SOURCES)
def test_batches_of_more_sources_are_those_in_memory(data_dir, name, settings):
    check_batches(data_dir, name, settings)


def check_batches(data_dir, name, settings):
    stored = loaded(data_dir, name, in_memory=True, **settings)
    streamed = loaded(data_dir, name, in_memory=False, **settings)
    assert stored.in_memory and not streamed.in_memory and "streamed" in repr(streamed)
    assert streamed.stored_dtype == stored.x.dtype and streamed.element_spec == stored.element_spec
    assert streamed.dataset().element_spec == stored.dataset().element_spec
    assert (streamed.num_classes, streamed.split) == (stored.num_classes, stored.split)
    assert_same_batches(streamed, stored, first_epoch=3)
    everything = stored.as_float()
    np.testing.assert_array_equal(streamed.as_float(), everything)
    np.testing.assert_array_equal(streamed.as_float([3, 1]), everything[[3, 1]])
    if stored.labels is not None:
        np.testing.assert_array_equal(streamed.labels, stored.labels)


@pytest.fixture
def both(data_dir):
    """A folder, streamed and in memory."""
    settings = dict(name="files", image_size=4, channels=1)
    return [loaded(data_dir, **settings, in_memory=choice) for choice in (False, True)]


def test_other_batch_sizes_and_rounds(both):
    streamed, stored = (examples.in_rounds(8, 2).with_batch_size(4) for examples in both)
    assert_same_batches(streamed, stored, first_epoch=1)
    np.testing.assert_array_equal(streamed.members(5), stored.members(5))
    streamed, stored = (examples.with_batch_size(7) for examples in both)
    assert_same_batches(streamed, stored)


def test_a_resumed_stream_equals_the_uninterrupted_one(both):
    streamed, _ = both
    later = streamed.dataset().skip(2 * streamed.steps_per_epoch).take(7)
    for found, expected in zip(streamed.dataset(2).take(7), later, strict=True):
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value)


def glo(**settings):
    tf.keras.utils.set_random_seed(0)
    model = small_glo(20, **settings)
    model.compile()
    return model


def test_training_ends_with_the_same_weights(both):
    models = [glo(), glo()]
    for model, examples in zip(models, both, strict=True):
        model.fit(examples, epochs=2, verbose=0)
    for found, expected in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_x_of_streamed_examples(both):
    streamed, _ = both
    with pytest.raises(ValueError, match=r"^Expected .*as_float.*Received: .*streamed"):
        streamed.x  # noqa: B018


def test_memory_mapped_array_is_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", PIXELS)
    streamed = load(tmp_path / "x.npy", "all", 20, in_memory=False)
    stored = load(tmp_path / "x.npy", "all", 20, in_memory=True)
    np.load(tmp_path / "x.npy", mmap_mode="r+")[:] = 51
    np.testing.assert_allclose(next(iter(streamed))["x"], 0.2)
    np.testing.assert_array_equal(stored.x, PIXELS)


def test_mapped_masks_are_black_and_white(tmp_path):
    np.save(tmp_path / "x.npy", PIXELS > 99)
    streamed = load(tmp_path / "x.npy", batch_size=2, in_memory=False)
    np.testing.assert_array_equal(streamed.as_float(), PIXELS > 99)
    np.testing.assert_array_equal(load(tmp_path / "x.npy", batch_size=2).as_float(), PIXELS > 99)


def test_arrays_are_read_where_they_are():
    pixels = PIXELS.copy()
    labels = np.arange(20) % 2
    streamed = from_arrays(pixels, labels, 3, in_memory=False)
    assert_same_batches(streamed, from_arrays(PIXELS, labels, 3))
    pixels[:] = 255
    assert streamed.as_float().min() == 1


@pytest.mark.parametrize("name", ["bytes.npy", "files", "records"])
def test_streams_by_itself_when_memory_is_short(data_dir, monkeypatch, name):
    shape = dict(image_size=4, channels=1, split="train[:12]" if name == "records" else "all")
    needed = (12 if name == "records" else 20) * 4 * 4
    for available, expected in {2 * needed: True, 2 * needed - 1: False, None: True}.items():
        monkeypatch.setattr(
            sys.modules["tfgen.data.sources"], "available_memory", lambda bound=available: bound
        )
        if expected:
            assert loaded(data_dir, name, **shape).in_memory
            continue
        with pytest.warns(UserWarning, match="^Streaming .*in_memory=True.*in_memory=False"):
            assert not loaded(data_dir, name, **shape).in_memory
        assert loaded(data_dir, name, in_memory=True, **shape).in_memory


def copied(data_dir, tmp_path):
    for number in range(12):
        source = data_dir / "files" / "a" / f"{2 * (number % 10):02}.png"
        (tmp_path / f"{number:02}.png").write_bytes(source.read_bytes())
    return load(tmp_path, "all", 4, image_size=4, channels=1, in_memory=False)


BREAK = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "gone": lambda path: path.unlink(),
    "of another kind": lambda path: path.write_text("no image"),
}


@pytest.mark.parametrize("damage", BREAK.values(), ids=BREAK)
def test_reading_names_a_file_that_broke(data_dir, tmp_path, damage):
    examples = copied(data_dir, tmp_path)
    damage(tmp_path / "07.png")
    with pytest.raises(ValueError, match=r"Expected .*Received: .*07\.png"):
        examples.as_float()
    assert examples.as_float([3, 8]).shape == (2, 4, 4, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"07\.png"):
        list(examples)


def test_training_names_a_file_that_broke(data_dir, tmp_path):
    examples = copied(data_dir, tmp_path)
    BREAK["cut off"](tmp_path / "07.png")
    model = small_glo(12)
    model.compile()
    with pytest.raises(ValueError, match=r"^Expected .*Received: .*07\.png at epoch 1, batch"):
        model.fit(examples, verbose=0)


def test_the_last_examples_are_missed_too():
    """Without those that fail, the stream ends early."""

    def decode(row):
        with tf.control_dependencies([tf.debugging.Assert(row < 3, ["a failure"])]):
            return tf.cast(tf.fill([2], row), tf.uint8)

    store = Decoded(6, (2,), tf.identity, decode, lambda row: "row " + tf.strings.as_string(row))
    np.testing.assert_array_equal(store.read(slice(0, 3))[:, 0], [0, 1, 2])
    for rows in ([3], [0, 1, 4], [4, 5], range(6)):
        first = next(row for row in rows if row > 2)
        with pytest.raises(ValueError, match=f"no example from.*row {first}"):
            store.read(np.array(rows))


def test_records_that_are_gone(data_dir, tmp_path):
    shutil.copytree(data_dir / "records", tmp_path / "records")
    examples = load("records", batch_size=13, data_dir=tmp_path, in_memory=False)
    shards = sorted((tmp_path / "records").rglob("records-train*"))
    assert len(shards) == 4
    shards[2].unlink()
    with pytest.raises(ValueError, match=f"Received: .*{shards[2].name}"):
        examples.as_float()


def test_records_that_are_cut_off(data_dir, tmp_path):
    shutil.copytree(data_dir / "records", tmp_path / "records")
    shard = sorted((tmp_path / "records").rglob("records-train*"))[1]
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(ValueError, match=f"^Expected a whole file of .*{shard.name}"):
        load("records", batch_size=2, data_dir=tmp_path, in_memory=False)


def test_what_cannot_be_streamed(tmp_path):
    with pytest.raises(ValueError, match="^Expected images, which can be streamed.*int64"):
        from_arrays(np.zeros([4, 3], np.int64), batch_size=2, in_memory=False)
    np.savez(tmp_path / "x.npz", x=PIXELS)
    with pytest.raises(ValueError, match=r"^Expected an \.npy file.*x\.npz"):
        load(tmp_path / "x.npz", batch_size=2, in_memory=False)
    with pytest.raises(TypeError, match="^Expected `in_memory`.*'no'"):
        load(tmp_path / "x.npz", batch_size=2, in_memory="no")


def test_bad_values_of_a_streamed_array_are_found_when_it_is_loaded(tmp_path):
    x = PIXELS.repeat(100, 0) / 255
    x[1500] = 2
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ValueError, match="values from 2 to 2 in example 1500"):
        load(tmp_path / "x.npy", in_memory=False)


def test_a_sketch_stands_for_all(both, monkeypatch):
    streamed, stored = both
    np.testing.assert_array_equal(np.concatenate([*streamed.parts(6)]), stored.as_float())
    np.testing.assert_array_equal(np.concatenate([*stored.parts(6)]), stored.as_float())
    monkeypatch.setattr(sys.modules["tfgen.data.examples"], "SKETCH_VALUES", 5 * 16)
    np.testing.assert_array_equal(streamed.sketch(), stored.as_float([0, 4, 8, 12, 16]))
    np.testing.assert_array_equal(stored.sketch(), stored.as_float())


def test_initial_codes_of_streamed_examples(both, monkeypatch):
    streamed, stored = both
    codes = PrincipalComponents(0.0)
    expected = codes(stored.as_float(), 3)
    monkeypatch.setattr(sys.modules["tfgen.data.examples"], "PARTS_VALUES", 7 * 16)
    np.testing.assert_allclose(codes(streamed, 3), expected, atol=1e-4)
    model = glo(initial_codes=codes)
    model.prepare_once(model.checked_data(streamed))
    assert np.isfinite(model.codes).all() and model.prepared.numpy() == 1


def test_each_part_of_a_search_finds_what_a_search_at_once_does(both, monkeypatch):
    streamed, stored = both
    noise = []
    for examples, most in ((stored, 2**29), (streamed, 7 * 16)):
        monkeypatch.setattr(sys.modules["tfgen.latent.imle"], "_SEARCHED_NUMBERS", most)
        tf.keras.utils.set_random_seed(0)
        model = IMLE(MLP((4, 4, 1), (8,)), 20, noise_dim=2, subset_size=15)
        model.begin_epoch(0, model.checked_data(examples))
        noise.append(model.assigned_noise.numpy())
    np.testing.assert_array_equal(*noise)


def test_features_of_streamed_examples(both):
    from tfgen.metrics.features import map_batches

    def mean(images):
        return tf.reduce_mean(images, [1, 2])

    streamed, stored = (map_batches(mean, examples, 6) for examples in both)
    np.testing.assert_array_equal(streamed, stored)
    assert len(streamed) == 20


def test_points_stay_in_memory():
    assert Examples(np.zeros([4, 2]), batch_size=2).in_memory
