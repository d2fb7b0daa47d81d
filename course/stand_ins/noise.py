"""Smooth random patterns: what makes drawn cloth, floors and light uneven."""

from random import Random

import numpy as np
from PIL import Image

from course.stand_ins.cutting import Array

Size = tuple[int, int]  # width and height of a picture in pixels, in the order of Pillow


def clouds(dice: Random, size: Size, across: int, down: int) -> Array:
    """Smooth random values in [0, 1], ``(H, W, 1) float32``.

    Args:
        across: how many hills and valleys fit into the width.
        down: how many fit into the height. As many as there are pixels give grains.
    """
    small = Image.frombytes("L", (across, down), dice.randbytes(across * down))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.float32)[..., None] / 255


def grains(dice: Random, size: Size) -> Array:
    """Another random value in [0, 1] in each pixel, ``(H, W, 1) float32``."""
    return clouds(dice, size, *size)


def rows_and_columns(size: Size) -> tuple[Array, Array]:
    """The numbers of the rows ``(H, 1, 1) float32`` and of the columns ``(1, W, 1) float32``."""
    width, height = size
    y, x, _ = np.ogrid[:height, :width, :1]
    return y.astype(np.float32), x.astype(np.float32)
