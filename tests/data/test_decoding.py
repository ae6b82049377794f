"""Image files of each kind, decoded as Pillow does, in a graph and out of one."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfgen.data.decoding import UnreadableImage, decode, decode_in_graph, inspect

COLOUR = Image.effect_noise((12, 10), 90).resize((9, 7))
COLOUR = Image.merge("RGB", [COLOUR, COLOUR.rotate(90), COLOUR.rotate(180)])
GREY, PALETTE, ALPHA = COLOUR.convert("L"), COLOUR.quantize(20), COLOUR.copy()
ALPHA.putalpha(GREY)


def turned(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


# What is saved, with which arguments, the mode it is to be read in, and whether Pillow is needed.
KINDS = {
    "rgb.png": (COLOUR, {}, "RGB", False),
    "rgba.png": (ALPHA, {}, "RGBA", False),
    "grey.png": (GREY, {}, "L", False),
    "grey_alpha.png": (ALPHA.convert("LA"), {}, "LA", False),
    "palette.png": (PALETTE, {}, "RGB", False),
    "palette_2_colours.png": (COLOUR.quantize(2), {}, "RGB", False),
    "palette_transparent.png": (PALETTE, {"transparency": 3}, "RGBA", False),
    "palette_alpha.png": (PALETTE, {"transparency": bytes(range(20))}, "RGBA", False),
    "colour_key.png": (GREY, {"transparency": 100}, "L", False),
    "1_bit.png": (COLOUR.convert("1"), {}, "L", False),
    "turned.png": (COLOUR, {"exif": turned(6)}, "RGB", True),
    "rgb.jpg": (COLOUR, {"subsampling": 0}, "RGB", False),
    "subsampled.jpg": (COLOUR, {"subsampling": 2, "quality": 60}, "RGB", False),
    "progressive.jpg": (COLOUR, {"progressive": True}, "RGB", False),
    "grey.jpg": (GREY, {}, "L", False),
    "stored_rgb.jpg": (COLOUR, {"keep_rgb": True}, "RGB", False),
    "upright.jpg": (COLOUR, {"exif": turned(1)}, "RGB", False),
    "cmyk.jpg": (COLOUR.convert("CMYK"), {}, "RGB", True),
    **{f"{turn}.jpg": (COLOUR, {"exif": turned(turn)}, "RGB", True) for turn in range(2, 9)},
    "rgb.webp": (COLOUR, {}, "RGB", True),
    "rgba.webp": (ALPHA, {"lossless": True}, "RGBA", True),
    "turned.webp": (COLOUR, {"exif": turned(8)}, "RGB", True),
    "rgb.tif": (COLOUR, {}, "RGB", True),
    "compressed.tif": (GREY, {"compression": "tiff_lzw"}, "L", True),
    "palette.tif": (PALETTE, {}, "RGB", True),
    "1_bit.tif": (COLOUR.convert("1"), {"compression": "group4"}, "L", True),
    "cmyk.tif": (COLOUR.convert("CMYK"), {}, "RGB", True),
    "turned.tif": (COLOUR, {"exif": turned(6)}, "RGB", True),
    "rgb.bmp": (COLOUR, {}, "RGB", True),
    "grey.bmp": (GREY, {}, "L", True),
    "palette.bmp": (PALETTE, {}, "RGB", True),
    "1_bit.bmp": (COLOUR.convert("1"), {}, "L", True),
    "palette.gif": (PALETTE, {}, "RGB", True),
    "grey.gif": (GREY, {}, "RGB", True),
}


def as_pillow_reads(path, mode):
    with Image.open(path) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert(mode))
    return pixels if pixels.ndim == 3 else pixels[..., None]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_as_pillow_reads_it(tmp_path, name):
    image, options, mode, by_pillow = KINDS[name]
    image.save(tmp_path / name, **options)
    header = inspect(tmp_path / name)
    right = as_pillow_reads(tmp_path / name, mode)
    assert header == (right.shape, by_pillow)
    for pixels in (
        decode(tmp_path / name),
        decode_in_graph(tf.constant(os.fsencode(tmp_path / name)), tf.constant(by_pillow)).numpy(),
    ):
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, right)


def test_a_turned_image_is_the_upright_one(tmp_path):
    COLOUR.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=turned(6))
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), COLOUR)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_is_passed_over(tmp_path):
    COLOUR.save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert inspect(tmp_path / "a.jpg") == ((7, 9, 3), False)


def test_first_of_several_frames(tmp_path):
    for name in ("a.gif", "a.webp", "a.tif"):
        frames = {"save_all": True, "append_images": [GREY.convert("RGB")]}
        COLOUR.save(tmp_path / name, **frames)
        assert inspect(tmp_path / name).shape == (7, 9, 3)
        right = as_pillow_reads(tmp_path / name, "RGB")
        np.testing.assert_array_equal(decode(tmp_path / name), right)


def test_the_content_decides_not_the_name(tmp_path):
    COLOUR.save(tmp_path / "a.webp", lossless=True)
    (tmp_path / "a.webp").rename(tmp_path / "a.jpg")
    assert inspect(tmp_path / "a.jpg").by_pillow
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg"), COLOUR)


def test_datasets_decode_on_the_way(tmp_path):
    names = ["rgb.png", "subsampled.jpg", "6.jpg", "rgb.webp", "palette.bmp"]
    for name in names:
        KINDS[name][0].save(tmp_path / name, **KINDS[name][1])
    paths = [os.fsencode(tmp_path / name) for name in names]
    flags = [inspect(path).by_pillow for path in paths]
    dataset = tf.data.Dataset.from_tensor_slices((paths, flags))
    for path, image in zip(paths, dataset.map(decode_in_graph), strict=True):
        np.testing.assert_array_equal(image, decode(path))


def wide_images(folder):
    wide = np.arange(4, dtype=np.uint16).reshape(2, 2) * 1260
    Image.fromarray(wide).save(folder / "grey_16.png")
    Image.fromarray(wide).save(folder / "grey_16.tif")
    Image.fromarray(wide.astype(np.float32)).save(folder / "float.tif")
    Image.fromarray(wide.astype(np.int32)).save(folder / "integer.tif")
    Image.new("LAB", (2, 2)).save(folder / "lab.tif")
    signed = {339: 2}
    Image.new("L", (2, 2)).save(folder / "signed.tif", tiffinfo=signed)
    rgb = np.stack([wide] * 3, axis=-1)
    (folder / "rgb_16.png").write_bytes(tf.io.encode_png(rgb).numpy())
    return sorted(folder.iterdir())


def test_what_is_not_of_8_bits_is_refused(tmp_path):
    for path in wide_images(tmp_path):
        with pytest.raises(UnreadableImage, match=f"{path.name}: its values .* not 8-bit .*white"):
            inspect(path)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "device.png", "folder.png"):
        with pytest.raises(UnreadableImage, match=f"{name}: not a regular file$"):
            inspect(tmp_path / name)
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UnreadableImage, match="broken.png: No such file or directory$"):
        inspect(tmp_path / "broken.png")
    COLOUR.save(tmp_path / "rgb.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "rgb.png")
    assert inspect(tmp_path / "link.png").shape == (7, 9, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp", "a.gif"])
def test_large_images_are_refused_by_their_header(tmp_path, name):
    COLOUR.save(tmp_path / name)
    assert inspect(tmp_path / name, max_pixels=63)
    with pytest.raises(UnreadableImage, match=f"{name}: 7x9 pixels, more than max_pixels=62$"):
        inspect(tmp_path / name, max_pixels=62)


def test_limits_of_the_process_do_not_matter(tmp_path, monkeypatch):
    COLOUR.save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert inspect(tmp_path / "a.png").shape == decode(tmp_path / "a.png").shape


def test_a_limit_of_pillow_that_does_matter_is_named(tmp_path, monkeypatch):
    COLOUR.save(tmp_path / "a.tif", compression="tiff_lzw")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UnreadableImage, match=r"a.tif: .*63 pixels.* \(PIL.Image.MAX_IMAGE_PIXELS"):
        decode(tmp_path / "a.tif")


def test_large_files_are_refused_unread(tmp_path):
    COLOUR.save(tmp_path / "a.png")
    os.truncate(tmp_path / "a.png", 2**40)  # Of which the disk stores nothing.
    with pytest.raises(UnreadableImage, match="a.png: 1099511627776 bytes, too many for max_pix"):
        inspect(tmp_path / "a.png")


def test_damaged_files_raise_one_error_that_names_them(tmp_path):
    draw = np.random.default_rng(0)
    for name in ("rgb.png", "rgb.jpg", "rgb.webp", "rgb.tif", "rgb.bmp", "palette.gif", "6.jpg"):
        KINDS[name][0].save(tmp_path / name, **KINDS[name][1])
        whole = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        for _ in range(40):
            damaged = whole[: draw.integers(len(whole))].copy()
            damaged[draw.integers(len(damaged) + 1) :][:1] ^= 255
            (tmp_path / name).write_bytes(damaged)
            try:
                header = inspect(tmp_path / name)
                assert decode(tmp_path / name).shape == header.shape
            except UnreadableImage as error:
                assert str(error).startswith(f"Expected a readable image. Received: {tmp_path}/")
                assert "\n" not in str(error)
