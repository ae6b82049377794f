"""Folders of images: order, labels, formats, and files that do not fit."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import load


def write_png(path, value, shape=(4, 4, 3), dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.full(shape, value, dtype)).numpy())


@pytest.fixture
def folder(tmp_path):
    """Ten colour images of 4 x 4; the number of each is its value and its name."""
    for number in range(10):
        write_png(tmp_path / f"{number}.png", number)
    return tmp_path


def numbers(examples):
    return examples.x[:, 0, 0, 0]


def test_files_are_read_in_the_order_of_their_names(folder):
    examples = load(folder, "all", batch_size=2)
    np.testing.assert_array_equal(numbers(examples), range(10))
    assert examples.event_shape == (4, 4, 3) and examples.x.dtype == np.uint8
    assert examples.labels is None


def test_splits(folder):
    train, test = (load(str(folder), split, batch_size=2) for split in ("train", "test"))
    assert (len(train), len(test)) == (8, 2)
    assert sorted([*numbers(train), *numbers(test)]) == list(range(10))
    some = load(folder, "train", batch_size=2, num_examples=3)
    np.testing.assert_array_equal(numbers(some), numbers(train)[:3])


def test_nothing_is_kept_back_unless_asked(folder):
    examples = load(folder, batch_size=2)
    np.testing.assert_array_equal(numbers(examples), range(10))
    assert examples.split == "all" and "split='all'" in repr(examples)


def test_sub_folders_are_labels(tmp_path):
    for number in range(6):
        write_png(tmp_path / "dog" / f"{number}.png", number)
        write_png(tmp_path / "cat" / "indoors" / f"{number}.png", 10 + number)
    examples = load(tmp_path, "all", batch_size=2)
    assert examples.class_names == ("cat", "dog") and examples.num_classes == 2
    np.testing.assert_array_equal(examples.labels, [0] * 6 + [1] * 6)
    np.testing.assert_array_equal(numbers(examples), [*range(10, 16), *range(6)])
    train = load(tmp_path, "train", batch_size=2)
    np.testing.assert_array_equal(train.labels, numbers(train) < 10)


def test_no_labels_if_an_image_is_outside_the_sub_folders(folder):
    write_png(folder / "cat" / "0.png", 50)
    examples = load(folder, "all", batch_size=2)
    assert examples.labels is None and examples.class_names is None and len(examples) == 11


def test_hidden_and_other_files_are_passed_over(folder):
    (folder / "notes.txt").write_text("none")
    (folder / "._0.png").write_bytes(b"resource fork")
    write_png(folder / ".thumbnails" / "0.png", 99)
    (folder / "album.png").mkdir()
    assert len(load(folder, "all", batch_size=2)) == 10


GIF_WHITE_THEN_BLACK = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02L\x01\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


def bmp(red, green, blue):
    """Returns a 24-bit BMP of one pixel."""
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + header + bytes([blue, green, red, 0])


def test_formats(tmp_path):
    red = np.array([[[200, 10, 10]]], np.uint8)
    (tmp_path / "a.bmp").write_bytes(bmp(200, 10, 10))
    (tmp_path / "b.gif").write_bytes(GIF_WHITE_THEN_BLACK)
    (tmp_path / "c.JPG").write_bytes(tf.io.encode_jpeg(red, quality=100).numpy())
    (tmp_path / "d.jpeg").write_bytes(tf.io.encode_jpeg(red, quality=100).numpy())
    (tmp_path / "e.png").write_bytes(tf.io.encode_png(red).numpy())
    pixels = load(tmp_path, "all", batch_size=1).x[:, 0, 0].astype(int)
    np.testing.assert_allclose(pixels, [red[0, 0], [255] * 3, *[red[0, 0]] * 3], atol=2)
    np.testing.assert_array_equal(pixels[[0, 1, 4]], [red[0, 0], [255] * 3, red[0, 0]])


def test_sizes_and_channels_are_converted(folder):
    write_png(folder / "grey.png", 100, (6, 8, 1))
    write_png(folder / "alpha.png", 100, (5, 5, 4))
    write_png(folder / "grey_alpha.png", 100, (5, 5, 2))
    examples = load(folder, "all", batch_size=2, image_size=4, channels=3)
    assert examples.event_shape == (4, 4, 3)
    np.testing.assert_array_equal(numbers(examples), [*range(10), 100, 100, 100])
    assert load(folder, "all", batch_size=2, image_size=[2, 3], channels=1).event_shape == (2, 3, 1)


@pytest.mark.parametrize(
    "shape, message",
    [
        ((4, 5, 3), "`image_size` resizes.*4x4x3 as in .*0.png. Received: 4x5x3 in .*other.png"),
        ((4, 4, 1), "`channels` converts.*4x4x3 as in .*0.png. Received: 4x4x1 in .*other.png"),
    ],
)
def test_images_that_differ_are_refused(folder, shape, message):
    write_png(folder / "other.png", 0, shape)
    with pytest.raises(ValueError, match="^Expected images of one shape.*" + message):
        load(folder, "all", batch_size=2)


def test_two_channels_are_refused_unless_converted(tmp_path):
    write_png(tmp_path / "a.png", 9, (2, 2, 2))
    with pytest.raises(ValueError, match="a.png to have 1, 3 or 4 channels.*Received: 2 channels"):
        load(tmp_path, "all", batch_size=1)
    assert load(tmp_path, "all", batch_size=1, channels=1).x.max() == 9


def break_files(folder):
    """Adds a text, an empty file, half a file and a broken link, all called images."""
    (folder / "a.png").write_text("not an image")
    (folder / "b.jpg").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    (folder / "c.jpg").write_bytes(tf.io.encode_jpeg(noise, quality=100).numpy()[:-40])
    (folder / "d.png").symlink_to(folder / "nowhere.png")
    return ["a.png", "b.jpg", "c.jpg", "d.png"]


@pytest.mark.parametrize("position", range(4))
def test_unreadable_images_are_named(folder, position):
    names = break_files(folder)
    for name in set(names) - {names[position]}:
        (folder / name).unlink()
    with pytest.raises(ValueError, match="^Expected readable images .*Received: ") as raised:
        load(folder, "all", batch_size=2)
    message = str(raised.value)
    assert names[position] in message
    assert not any(word in message for word in ("{{", "[Op:", "function_node", "\n")), message


def test_unreadable_images_are_skipped_with_a_warning(folder):
    names = break_files(folder)
    with pytest.warns(UserWarning, match="Skipped 4 unreadable images") as record:
        examples = load(folder, "all", batch_size=2, skip_unreadable=True)
    np.testing.assert_array_equal(numbers(examples), range(10))
    assert all(name in str(record[0].message) for name in names)


def test_labels_stay_with_their_images_when_some_are_skipped(tmp_path):
    for number in range(4):
        write_png(tmp_path / "a" / f"{number}.png", number)
        write_png(tmp_path / "b" / f"{number}.png", 10 + number)
    (tmp_path / "a" / "1.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="Skipped 1 unreadable"):
        examples = load(tmp_path, "all", batch_size=2, skip_unreadable=True)
    np.testing.assert_array_equal(numbers(examples), [0, 2, 3, 10, 11, 12, 13])
    np.testing.assert_array_equal(examples.labels, [0, 0, 0, 1, 1, 1, 1])


def test_nothing_readable(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="Skipped 1"),
        pytest.raises(ValueError, match="a readable image in .*Received: 1 unreadable files"),
    ):
        load(tmp_path, "all", batch_size=1, skip_unreadable=True)


def test_empty_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match="a folder with images .*Received: none in"):
        load(tmp_path)


def test_numbers_are_checked_before_decoding(folder, monkeypatch):
    def inspect(path, max_pixels):
        pytest.fail("a file was read")

    monkeypatch.setattr("tfgen.data.image_files.inspect", inspect)
    with pytest.raises(ValueError, match="`num_examples` <= 10, the size of split 'all'"):
        load(folder, batch_size=2, num_examples=11)
    with pytest.raises(ValueError, match="at least 128 examples, one batch. Received: 10 examples"):
        load(folder)


def test_long_reads_show_progress(folder, monkeypatch, capsys):
    monkeypatch.setattr("tfgen.data.image_files.PROGRESS_FROM", 9)
    monkeypatch.setattr("tfgen.data.image_files.BATCH", 3)
    examples = load(folder, "all", batch_size=2)
    np.testing.assert_array_equal(numbers(examples), range(10))
    assert "10/10" in capsys.readouterr().out


def test_a_relative_folder_may_be_named_by_one_word(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert len(load(folder.name, "all", batch_size=2)) == 10
