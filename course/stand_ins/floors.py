"""What a drawn garment lies on or hangs at: a wall, a sheet, a carpet, tiles or planks.

Each function gives, or changes, how bright the floor is: ``(H, W, 1) float32``, about 1.
"""

from random import Random

import numpy as np

from course.stand_ins.cutting import Array
from course.stand_ins.noise import Size, clouds, rows_and_columns

WOOD = np.array([133, 107, 75], np.float32)  # a brown, values from 0 to 255


def uneven(dice: Random, size: Size, hills: int, strength: float) -> Array:
    """Hills and valleys of brightness; more hills make a rougher floor."""
    return 1 + strength * (clouds(dice, size, hills, hills) - 0.5)


def wall(dice: Random, size: Size) -> Array:
    """Almost even."""
    return uneven(dice, size, hills=4, strength=0.2)


def sheet(dice: Random, size: Size) -> Array:
    """With a few soft folds."""
    return uneven(dice, size, hills=9, strength=0.3)


def carpet(dice: Random, size: Size) -> Array:
    """Rough: each pixel is another tuft."""
    return uneven(dice, size, hills=200, strength=0.5)


def tiles(floor: Array, size: Size, side: int) -> Array:
    """Square tiles with dark joints, `side` pixels wide."""
    y, x = rows_and_columns(size)
    joints = (x % side < 3) | (y % side < 3)  # (H, W, 1)
    return np.where(joints, floor * 0.75, floor)


def planks(dice: Random, floor: Array, size: Size, width: int) -> Array:
    """Upright planks with a grain and dark gaps, `width` pixels wide."""
    _, x = rows_and_columns(size)
    floor = floor * (0.9 + 0.2 * clouds(dice, size, 100, 6))
    return np.where(x % width < 2, floor * 0.7, floor)


def lay_floor(dice: Random, size: Size, colour: Array) -> Array:
    """One of the floors in this colour ``(3,) float32``: ``(H, W, 3) float32``, from 0 to 255."""
    width = dice.randint(30, 90)
    ground = dice.choice([wall, sheet, carpet])
    floor = ground(dice, size)
    kind = dice.random()
    if kind < 0.2:
        floor = tiles(floor, size, width)
    elif kind < 0.5:
        floor = planks(dice, floor, size, width)
        colour = colour * 0.35 + WOOD
    return floor * colour
