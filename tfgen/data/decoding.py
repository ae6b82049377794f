"""Image files decoded: looked at first, then read by TensorFlow's operations or by Pillow.

TensorFlow reads the common files, .png and .jpg, several times as fast as a Python function can in
an input pipeline, and to the same bits as Pillow, which reads the rest. What a file holds decides,
not its name.
"""

import os
import stat
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

MAX_PIXELS = 2**26  # 8192 x 8192, 201 MB in colour.
MAX_BYTES_PER_PIXEL = 8  # Of a file; no format stores more.

# Classes rather than `Image.open`, whose own limit on pixels is one for the whole process.
READERS = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"GIF87a": GifImageFile,
    b"GIF89a": GifImageFile,
    b"BM": BmpImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,
    b"MM\0+": TiffImageFile,
    b"RIFF": WebPImageFile,
}
# What an image of each of Pillow's modes becomes, and the channels of that.
MODES = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB"}
MODES |= {"RGBX": "RGB", "RGBA": "RGBA", "RGBa": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
ORIENTATION, BITS_PER_SAMPLE, SAMPLE_FORMAT = 274, 258, 339  # Tags of EXIF and of TIFF.
UNSIGNED = 1
PNG_DEPTH = 24  # Where in a file the bits of a channel are.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Header(NamedTuple):
    """What the header of an image file says: the shape of its pixels, and who decodes them."""

    shape: tuple[int, int, int]
    by_pillow: bool


class UnreadableImage(ValueError):
    """A file that is no image, or one that cannot be decoded rightly; `reason` names it."""

    def __init__(self, path: str | bytes | os.PathLike, reason: str) -> None:
        self.reason = f"{os.fsdecode(path)}: {reason}"
        super().__init__(f"Expected a readable image. Received: {self.reason}")


def inspect(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Header:
    """Reads the header of an image file, and no pixel.

    Args:
        path: of a .png, .jpg, .webp, .tif, .bmp or .gif file, or of a link to one.
        max_pixels: that the image may declare, height x width, >= 1. The file may have 8 bytes for
            each, and at least 64 MiB.

    Returns:
        The shape [height, width, channels] of what `decode` returns, and whether Pillow decodes it.

    Raises:
        UnreadableImage: if it is not a regular file, not an image of these formats, too large, or
            one of more than 8 bits a channel: the value of white in it is not known.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # Reading a pipe or a device might never end.
            raise UnreadableImage(path, "not a regular file")
        if status.st_size > MAX_BYTES_PER_PIXEL * max(max_pixels, 2**23):
            raise UnreadableImage(path, f"{status.st_size} bytes, too many for {max_pixels=}")
        with _open(path) as image:
            width, height = image.size
            if width * height > max_pixels:
                reason = f"{height}x{width} pixels, more than {max_pixels=}"
                raise UnreadableImage(path, reason)
            turn = _orientation(image)
            if turn > 4:
                height, width = width, height
            is_common = image.format in ("PNG", "JPEG") and image.mode != "CMYK" and turn == 1
            return Header((height, width, CHANNELS[_mode(image)]), not is_common)
    except UnreadableImage:
        raise
    except Exception as error:  # Damaged headers raise anything.
        raise UnreadableImage(path, _reason(error)) from error


def decode(path: str | bytes | os.PathLike) -> np.ndarray:
    """Decodes an image file that `inspect` has accepted, by Pillow.

    It is turned as its EXIF orientation says. Palettes become colours, CMYK becomes RGB, one bit
    becomes 0 and 255. Of a .gif it is the first frame in RGB. An alpha channel or a palette with
    one is kept; a colour that stands for transparent is not.

    Args:
        path: of the file.

    Returns:
        uint8 [height, width, channels], grey, grey and alpha, RGB, or RGB and alpha.

    Raises:
        UnreadableImage: if it is damaged or cut off.
    """
    try:
        with _open(path) as image:
            mode, turn = _mode(image), _orientation(image)
            pixels = image.convert(mode)
            if turn > 1:
                pixels = pixels.transpose(TURNS[turn])
            return np.asarray(pixels).reshape(pixels.height, pixels.width, CHANNELS[mode])
    except UnreadableImage:
        raise
    except Exception as error:  # Damaged files raise anything.
        raise UnreadableImage(path, _reason(error)) from error


def decode_in_graph(path: tf.Tensor, by_pillow: tf.Tensor) -> tf.Tensor:
    """Decodes an image file that `inspect` has accepted, to the same bits as `decode`.

    Args:
        path: of the file, a string scalar.
        by_pillow: as `inspect` says, a boolean scalar.

    Returns:
        uint8 [height, width, channels].
    """

    def by_operation() -> tf.Tensor:
        # It reads .png as well. The default transform is fast and off by 1 or 2.
        return tf.io.decode_jpeg(tf.io.read_file(path), dct_method="INTEGER_ACCURATE")

    def by_function() -> tf.Tensor:
        pixels = tf.numpy_function(_decode_named, [path], tf.uint8)
        return tf.ensure_shape(pixels, [None, None, None])

    return tf.cond(by_pillow, by_function, by_operation)


@tf.autograph.experimental.do_not_convert
def _decode_named(name: np.ndarray | bytes) -> np.ndarray:
    """Returns what `decode` does, of a path as TensorFlow passes it to a Python function."""
    return decode(np.asarray(name).item())


def _open(path: str | bytes | os.PathLike) -> ImageFile.ImageFile:
    """Returns an image whose header has been read, of at most 8 bits a channel."""
    with open(path, "rb") as file:
        start = file.read(PNG_DEPTH + 1)
    reader = next((READERS[key] for key in READERS if start.startswith(key)), None)
    if reader is None:
        raise UnreadableImage(path, "not a PNG, JPEG, WebP, TIFF, BMP or GIF image")
    image = reader(path)
    is_narrow = image.mode in MODES
    if reader is PngImageFile:
        is_narrow &= start[PNG_DEPTH] <= 8
    if reader is TiffImageFile:
        is_narrow &= max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))) <= 8
        is_narrow &= max(image.tag_v2.get(SAMPLE_FORMAT, (1,))) == UNSIGNED
    if not is_narrow:
        image.close()
        # Which value is white is not known: many such files hold 10 or 12 bits, unscaled.
        raise UnreadableImage(
            path,
            f"its values ({image.mode}) are not 8-bit grey or colours; tfgen.data.from_arrays "
            "takes an array of them, divided by the value of white",
        )
    return image


def _mode(image: ImageFile.ImageFile) -> str:
    """Returns the mode of Pillow that an image is converted to."""
    if image.format == "GIF":
        return "RGB"
    if image.format == "PNG" and image.mode == "P" and "transparency" in image.info:
        return "RGBA"
    return MODES[image.mode]


def _orientation(image: ImageFile.ImageFile) -> int:
    """Returns how an image is to be turned, a key of TURNS, or 1."""
    if image.format == "TIFF" or image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow turns a .tif itself, and would decode a .png to look behind its pixels.
    try:
        turn = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Viewers show an image whose EXIF is damaged as it is stored.
        return 1
    return turn if turn in TURNS else 1


def _reason(error: Exception) -> str:
    """Returns what is wrong with a file, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, Image.DecompressionBombError):  # Of .webp and .tif files only.
        return f"{error} (PIL.Image.MAX_IMAGE_PIXELS, as max_pixels, sets a limit)"
    is_worded = isinstance(error, (OSError, SyntaxError, ValueError)) and str(error)
    return f"damaged ({(str(error) if is_worded else repr(error)).splitlines()[0]})"
