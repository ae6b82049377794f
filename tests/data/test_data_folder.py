"""Folders of images: order, labels, formats, and files that do not fit."""

import os
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfgen.data import load
from tfgen.data.image_files import in_order


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


def test_each_kind_of_file_is_read_beside_others(tmp_path):
    for number, mode in enumerate(["RGB", "L", "LA", "RGBA", "P", "1"]):
        Image.new("L", (6, 6), 255).convert(mode).save(tmp_path / f"{number}.png")
        Image.new("RGB", (6, 6), "white").save(tmp_path / f"{number}.webp", lossless=True)
        Image.new("L", (6, 6), 255).convert(mode).save(tmp_path / f"{number}.TIFF")
        Image.new("CMYK", (6, 6)).save(tmp_path / f"{number}.jpeg")
    examples = load(tmp_path, batch_size=1, channels=3)
    assert examples.x.shape == (24, 6, 6, 3) and examples.x.min() == 255


def test_images_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (6, 4)).save(tmp_path / "turned.jpg", exif=exif)
    write_png(tmp_path / "upright.png", 0, (6, 4, 1))
    assert load(tmp_path, "all", batch_size=1).event_shape == (6, 4, 1)


def test_images_of_other_formats_are_counted_in_one_warning(folder):
    for name in ("a.heic", "b.HEIC", "c.svg"):
        (folder / name).write_bytes(b"")
    with pytest.warns(
        UserWarning, match=r"formats that are not read .*: 2 \.heic, 1 \.svg$"
    ) as record:
        assert len(load(folder, batch_size=2)) == 10
    assert len(record) == 1
    for number in range(10):
        (folder / f"{number}.png").unlink()
    with pytest.raises(ValueError, match=r"Received: none in .*: 2 \.heic, 1 \.svg$"):
        load(folder, batch_size=2)


def test_linked_folders_are_followed(tmp_path, folder):
    for name in ("cat", "dog"):
        (tmp_path / "root" / name).mkdir(parents=True)
    write_png(tmp_path / "elsewhere" / "1.png", 1)
    write_png(tmp_path / "root" / "cat" / "0.png", 0)
    (tmp_path / "root" / "dog" / "old").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "fox").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "cat" / "root").symlink_to(tmp_path / "root")
    examples = load(tmp_path / "root", batch_size=1)
    assert examples.class_names == ("cat", "dog", "fox")
    np.testing.assert_array_equal(examples.labels, [0, 1, 2])
    np.testing.assert_array_equal(numbers(examples), [0, 1, 1])


def test_a_broken_link_is_unreadable_though_it_has_no_suffix(tmp_path):
    write_png(tmp_path / "cat" / "0.png", 0)
    (tmp_path / "dog").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="readable images .*dog: a broken link"):
        load(tmp_path, batch_size=1)
    with pytest.warns(UserWarning, match="Skipped 1 unreadable images: .*dog: a broken link"):
        assert load(tmp_path, batch_size=1, skip_unreadable=True).class_names == ("cat",)


def test_what_is_no_file_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="pipe.png: not a regular file"):
        load(folder, batch_size=2)
    with pytest.warns(UserWarning, match="Skipped 2 .*pipe.png: not a reg.*zero.jpg: not a reg"):
        assert len(load(folder, batch_size=2, skip_unreadable=True)) == 10


def test_large_images_are_refused_unless_asked_for(folder):
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    header += struct.pack(">I", zlib.crc32(header))
    small = (folder / "0.png").read_bytes()
    (folder / "bomb.png").write_bytes(small[:12] + header + small[33:])
    message = "bomb.png: 30000x30000 pixels, more than max_pixels=67108864"
    with pytest.raises(ValueError, match=message):
        load(folder, batch_size=2, image_size=2, channels=3)
    write_png(folder / "bomb.png", 0, (8, 8, 3))
    with pytest.raises(ValueError, match="bomb.png: 8x8 pixels, more than max_pixels=63"):
        load(folder, batch_size=2, image_size=2, max_pixels=63)
    assert len(load(folder, batch_size=2, image_size=2, max_pixels=64)) == 11
    with pytest.raises(ValueError, match="`max_pixels` >= 1"):
        load(folder, max_pixels=0)


def test_an_error_or_an_interrupt_does_not_wait_for_other_files():
    begun = []

    def read(number):
        begun.append(number)
        if number == 3:
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        list(in_order(read, range(100_000)))
    assert len(begun) < 1000


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
        (
            (4, 4, 1),
            "`channels` .*: channels=3.*4x4x3 as in .*0.png. Received: 4x4x1 in .*other.png",
        ),
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


def test_labels_stay_with_their_images_when_pixels_are_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr("tfgen.data.image_files.BATCH_PIXELS", 2 * 4 * 4)
    for number in range(5):
        write_png(tmp_path / "a" / f"{number}.png", number)
        write_png(tmp_path / "b" / f"{number}.png", 10 + number)
    for name in ("a/0.png", "a/3.png", "b/4.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:45])
    with pytest.warns(UserWarning, match="Skipped 3 .*a/0.png: .*a/3.png: .*b/4.png: "):
        examples = load(tmp_path, batch_size=2, skip_unreadable=True)
    np.testing.assert_array_equal(numbers(examples), [1, 2, 4, 10, 11, 12, 13])
    np.testing.assert_array_equal(examples.labels, [0, 0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize("length", [0, 45], ids=["no header", "no pixels"])
def test_nothing_readable(tmp_path, length):
    write_png(tmp_path / "a.png", 0)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:length])
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
    monkeypatch.setattr("tfgen.data.image_files.BATCH_PIXELS", 3 * 4 * 4)
    examples = load(folder, "all", batch_size=2)
    np.testing.assert_array_equal(numbers(examples), range(10))
    assert "10/10" in capsys.readouterr().out


def test_a_relative_folder_may_be_named_by_one_word(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert len(load(folder.name, "all", batch_size=2)) == 10
