"""Reading a picture of any kind, upright and as RGB, or saying why it cannot be read."""

import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")  # Pillow knows more, also unsafe
MAX_PIXELS = 65_000_000  # cameras have up to 64 million; reading that takes 1 GB for a moment


class ImageFileError(ValueError):
    """A file that should be a picture cannot be read as one."""


def load_image(path: str | Path | BinaryIO, only_check: bool = False) -> Image.Image:
    """Read a picture (a path or an open file) as upright RGB; `only_check` reads a JPEG small.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageFileError: if it is damaged, not of `IMAGE_FORMATS` or has more than `MAX_PIXELS`.
    """
    try:
        if isinstance(path, str | os.PathLike) and not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is not a file")  # opening a pipe would wait for ever
        with Image.open(path, formats=IMAGE_FORMATS) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
            if only_check:
                file.draft("RGB", (1, 1))
            return upright_rgb(file)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise many different kinds
        problem = f"{str(path)!r} cannot be read as a picture ({error})"
        raise ImageFileError(f"{problem}: save it again, replace it or delete it") from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Apply the rotation in EXIF, scale 16-bit grey to 8 bits, turn transparent into white."""
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # one channel of more than 8 bits
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("its values are neither 8- nor 16-bit")
        image = Image.fromarray((values // 256).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def check_images(image_paths: Sequence[Path]) -> None:
    """Decode every picture once, small; the first damaged one is an ImageFileError."""
    with ThreadPoolExecutor(4) as pool:  # not more, because each may hold a huge picture
        for _ in pool.map(lambda path: load_image(path, only_check=True), image_paths):
            pass
