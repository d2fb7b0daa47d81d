"""Which way up a photo is: the camera notes how it was held, and `upright` turns the photo.

Phones store a photo as the sensor saw it. The note is a number from 1 to 8 in the EXIF block of the
file, which is a list of tags as in a TIFF file, or in its XMP block.

Only this one number is read. Editing programs and cheap cameras write odd things into the other
tags, and none of them is a reason to refuse a photo. `PIL.ImageOps.exif_transpose` does refuse some
of them, because it writes the whole block anew.
"""

import re
import struct
from contextlib import suppress

from PIL import Image

ORIENTATION = 0x0112  # the number of the tag, in TIFF 6.0 (section 8) and EXIF 2.3 (4.6.4)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # types of a tag, for `struct`

# Where Pillow keeps the blocks of a file, in `image.info`.
RAW_EXIF = "Raw profile type exif"  # in a PNG that ImageMagick has written
XMP = ("xmp", "XML:com.adobe.xmp")


def upright(image: Image.Image) -> Image.Image:
    """Turn a photo as its camera has noted; one without a note is returned as it is."""
    image.load()
    turn = TURNS.get(orientation_of(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    for note in ("exif", RAW_EXIF, *XMP):  # or the next one who looks would turn it once more
        turned.info.pop(note, None)
    return turned


def orientation_of(image: Image.Image) -> int:
    """The note of the camera, 1 if there is none: that of EXIF, or else, as in Pillow, of XMP."""
    block = _exif_block(image)
    if block is None:  # a program may have set it in memory, and Pillow has read that of a TIFF
        return int(image.getexif().get(ORIENTATION, 1))
    orientation = orientation_in(block)
    if orientation is None:
        orientation = _orientation_in_xmp(image)
    return 1 if orientation is None else orientation


def _exif_block(image: Image.Image) -> bytes | None:
    """The EXIF block of the file; None if it has none, and empty if it cannot be understood."""
    block = image.info.get("exif")
    if block is None and RAW_EXIF in image.info:
        try:  # three lines of a title, then hexadecimal digits
            return bytes.fromhex("".join(image.info[RAW_EXIF].split("\n")[3:]))
        except (AttributeError, ValueError):
            return b""
    return block


def orientation_in(block: bytes) -> int | None:
    """The orientation in an EXIF block, None if it has none or ends before.

    A block is a byte order, the place of the list of tags, and there their number and 12 bytes for
    each: number, type, count and value.
    """
    while block.startswith(b"Exif\0\0"):
        block = block[6:]
    order = BYTE_ORDERS.get(block[:4])
    if order is None:
        return None
    with suppress(struct.error):  # where the block ends too early
        (start,) = struct.unpack_from(order + "I", block, 4)
        (num_tags,) = struct.unpack_from(order + "H", block, start)
        for place in range(start + 2, start + 2 + 12 * num_tags, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHI4s", block, place)
            if tag == ORIENTATION and kind in WHOLE_NUMBERS:
                return int(struct.unpack_from(order + WHOLE_NUMBERS[kind], value)[0])
    return None


def _orientation_in_xmp(image: Image.Image) -> int | None:
    for key in XMP:
        block = image.info.get(key, "")
        text = block.decode("latin-1") if isinstance(block, bytes) else str(block)
        if match := re.search(r'tiff:Orientation(?:="|>)([0-9])', text):
            return int(match[1])
    return None
