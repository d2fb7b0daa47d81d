"""Pictures with more than 8 bits per channel, as microscopes, scanners and X-rays make them.

A file of 16 bits often holds values of 10, 12 or 14 bits only, because its sensor gives no more.
Read as 16 bits it would be nearly black. So the number of bits that count is the smallest even one
that is enough for the largest value of the picture, and at least 8: values from 0 to 4095 are taken
for 12 bits, and 4095 becomes white.

This depends on nothing but the picture itself. A picture of true 16 bits that is darker than a
quarter of white everywhere cannot be told from one of 14 bits, and comes out brighter.
"""

import sys
from typing import Any

import numpy as np
from PIL import Image, ImageFile

# Pillow keeps the high byte of a 16-bit colour and drops the low one. Told that the bytes come in
# the other order (B: high byte first, L: low byte first, N: as in this machine), it does the
# opposite.
NATIVE, OPPOSITE = ("L", "B") if sys.byteorder == "little" else ("B", "L")
OTHER_ORDER = {
    f"{colours};16{order}": f"{colours};16{other}"
    for colours in ("RGB", "RGBX", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", OPPOSITE))
}
FIRST_OF_15_BITS = 2**14 // 256  # the high byte from which on a value needs more than 14 bits


def num_bits(largest: int) -> int:
    """The number of bits that count in a picture with this largest value: 8, 10, 12 and so on."""
    needed = max(8, largest.bit_length())
    return needed + needed % 2


def scale(values: Any) -> Any:
    """Whole numbers of any depth, ``(...)``, as uint8."""
    return (values // 2 ** (num_bits(int(values.max())) - 8)).astype(np.uint8)


def grey_to_8_bits(image: Image.Image) -> Image.Image:
    """One channel of integers or floats (mode I, I;16 or F) as grey of 8 bits.

    Floats are brightness from 0 to 1, or values as in an integer file.

    Raises:
        ValueError: if the values are neither, for example negative.
    """
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    floats = image.mode == "F"
    if floats and -0.1 < low and high < 1.1:  # resizing goes a little beyond 0 and 1
        return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))
    # "not" catches nan, too, which is neither smaller nor larger than anything.
    if not (0 <= low and high < 2**32) or (floats and high < 16):
        raise ValueError(f"its values go from {low:g} to {high:g}, neither 0 to 1 nor 8 or 16 bits")
    return Image.fromarray(scale(values))


def is_16_bit_colour(file: ImageFile.ImageFile) -> bool:
    """Whether Pillow is going to drop the low byte of each colour; ask before loading the file."""
    return bool(file.tile) and all(_raw_mode(tile) in OTHER_ORDER for tile in file.tile)


def colour_to_8_bits(file: ImageFile.ImageFile, again: ImageFile.ImageFile) -> Image.Image:
    """The 16-bit colours of a file with 8 bits.

    Args:
        file, again: the same file, opened twice and not loaded yet.
    """
    file.load()
    high = np.asarray(file)  # (H, W, 3), or 4 with transparency
    if high[..., :3].max() >= FIRST_OF_15_BITS:
        return file
    again.tile = [_with_other_order(tile) for tile in again.tile]
    again.load()
    values = high.astype(np.uint16) * 256 + np.asarray(again)
    channels = [values[..., :3], values[..., 3:]]
    image = Image.fromarray(np.dstack([scale(part) for part in channels if part.size]))
    image.info = {key: file.info[key] for key in file.info if key != "transparency"}
    return image


def _raw_mode(tile: Any) -> str:
    """How Pillow finds the values in a part of the file, such as "RGB;16B"."""
    arguments = tile[3]
    return arguments if isinstance(arguments, str) else arguments[0]


def _with_other_order(tile: Any) -> Any:
    other, arguments = OTHER_ORDER[_raw_mode(tile)], tile[3]
    arguments = other if isinstance(arguments, str) else (other, *arguments[1:])
    if hasattr(tile, "_replace"):  # a named tuple, since Pillow 11
        return tile._replace(args=arguments)
    return (*tile[:3], arguments)
