"""Reading a picture of any kind, upright and as RGB, or saying why it cannot be read."""

import errno
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from course.files.contents import LENGTH_OF_START, REMEDIES, USUAL_REMEDY, what_it_is
from course.files.depth import colour_to_8_bits, grey_to_8_bits, is_16_bit_colour
from course.files.orientation import ORIENTATION, upright
from course.files.trouble import reason_of, with_advice

FULL_PIXELS = 65_000_000  # a JPEG of more is decoded at half its width and height
MAX_JPEG_PIXELS = 4 * FULL_PIXELS  # phones have up to 200 million
MAX_PIXELS = 120_000_000  # of other kinds, which take 8 bytes of memory per pixel for a moment
MAX_BYTES = 2**29  # of a file
JPEG_PIXELS_PER_BYTE = 512  # at most, because each block of 8 x 8 pixels takes a bit or more
SMALLER = "make it smaller, replace it or delete it"

# Pillow warns of odd tags, such as a text without an end. Nothing here uses them.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class ImageFileError(ValueError):
    """A file that should be a picture cannot be read as one."""


class JpegFile(JpegImagePlugin.JpegImageFile):
    """Pillow's reader of JPEG files, except that it does not look for the resolution in EXIF.

    On some odd blocks the search ends in an error, and the photo would not be opened.
    """

    def _read_dpi_from_exif(self) -> None:
        pass


class TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's reader of TIFF files, which turns them upright, with no look at any other tag."""

    def getexif(self) -> Image.Exif:
        exif = Image.Exif()
        if ORIENTATION in self.tag_v2:
            exif[ORIENTATION] = self.tag_v2[ORIENTATION]
        return exif


# `Image.open` is not used because it has its own limit of pixels, and warns on the way to it.
READERS: dict[str, Callable[[IO[bytes]], ImageFile.ImageFile]] = {
    "JPEG": JpegFile,
    "PNG": PngImagePlugin.PngImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffFile,
}  # Pillow knows more kinds, also unsafe ones
with suppress(ImportError):  # Pillow reads AVIF since its version 11.3
    from PIL import AvifImagePlugin

    if AvifImagePlugin.SUPPORTED:
        READERS["AVIF"] = AvifImagePlugin.AvifImageFile


def load_image(path: str | Path | BinaryIO, only_check: bool = False) -> Image.Image:
    """Read a picture (a path or an open file) as upright RGB; `only_check` reads a JPEG small.

    A JPEG of more than `FULL_PIXELS` is read at half its width and height.

    Raises:
        ImageFileError: if it is damaged, not of a kind in `READERS`, or far too large.
        FileNotFoundError: if there is no such file.
        OSError, MemoryError: if the system refuses, which says nothing about the picture.
    """
    name = repr(str(path)) if isinstance(path, str | os.PathLike) else "the open file"
    data = _read(path, name)
    kind = what_it_is(data[:LENGTH_OF_START])
    if kind not in READERS:
        problem = f"cannot identify a readable picture in it: it is {kind}"
        raise _refusal(name, problem, REMEDIES.get(kind, USUAL_REMEDY))
    try:
        return _decode(data, kind, only_check)
    except MemoryError as error:
        raise with_advice(error, f"{name} cannot be read") from error
    except Image.DecompressionBombError as error:
        raise _refusal(name, reason_of(error), SMALLER) from error
    except Exception as error:  # a damaged file makes Pillow raise many different kinds
        raise _refusal(name, reason_of(error), USUAL_REMEDY) from error


def _refusal(name: str, problem: str, remedy: str) -> ImageFileError:
    return ImageFileError(f"{name} cannot be read as a picture ({problem}): {remedy}")


def _read(path: str | Path | BinaryIO, name: str) -> bytes:
    """The bytes of a file. After that, whatever goes wrong is the fault of these bytes."""
    try:
        if not isinstance(path, str | os.PathLike):
            return path.read()
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES:
            with open(path, "rb") as file:
                return file.read()
    except FileNotFoundError as error:
        advice = "check the path, or make the dataset again if the file was moved or deleted"
        raise with_advice(error, f"{name} cannot be read", advice) from error
    except (OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise _refusal(name, "it is a link that leads to itself", USUAL_REMEDY) from error
        raise with_advice(error, f"{name} cannot be read") from error
    except ValueError as error:
        raise _refusal(name, reason_of(error), "check the path") from error  # it holds a zero byte
    if stat.S_ISDIR(status.st_mode):
        raise _refusal(name, "it is not a file but a folder", "choose a picture in it")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise _refusal(name, "it is not a file", USUAL_REMEDY)
    raise _refusal(name, f"it has {status.st_size:,} bytes, more than {MAX_BYTES:,}", SMALLER)


def _decode(data: bytes, kind: str, only_check: bool) -> Image.Image:
    with _open(data, kind) as file:
        if only_check:
            file.draft("RGB", (1, 1))  # a JPEG decoder can make it 8 times smaller at little cost
        elif file.width * file.height > FULL_PIXELS:
            file.draft("RGB", (file.width // 2, file.height // 2))
        if is_16_bit_colour(file):
            return upright_rgb(colour_to_8_bits(file, _open(data, kind)))
        return upright_rgb(file)


def _open(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Read the header of a picture, and refuse one that would take too much memory."""
    most = MAX_JPEG_PIXELS if kind == "JPEG" else MAX_PIXELS
    try:
        file = READERS[kind](io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise Image.DecompressionBombError(f"it has more than {most:,} pixels") from error
    if file.width * file.height > most:
        problem = f"it has {file.width:,} x {file.height:,}, more than {most:,} pixels"
        raise Image.DecompressionBombError(problem)
    if kind == "JPEG" and file.width * file.height > JPEG_PIXELS_PER_BYTE * len(data):
        # The decoder would believe the header, and take memory for all of it.
        problem = f"{file.width:,} x {file.height:,} pixels need more than {len(data):,} bytes"
        raise ValueError(f"it is truncated: {problem}")
    return file


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn a picture as its camera has noted, take 8 bits per channel, make transparent white."""
    image = upright(image)
    if image.mode[0] in "IF":  # one channel of more than 8 bits
        image = grey_to_8_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def check_images(image_paths: Iterable[Path]) -> None:
    """Decode every picture once, small; the first that cannot be read ends it with its error."""
    with ThreadPoolExecutor(4) as pool:  # not more, because each may hold a huge picture
        for _ in pool.map(lambda path: load_image(path, only_check=True), image_paths):
            pass
