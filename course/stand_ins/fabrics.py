"""What the cloth of a drawn garment looks like: plain, striped, checked, dotted and so on."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

import numpy as np

from course.stand_ins.cutting import Array
from course.stand_ins.noise import Size, clouds, grains, rows_and_columns


@dataclass(frozen=True)
class Patterns:
    """What a fabric can be made of.

    Attributes:
        along: waves along the threads, ``(H, W, 1) float32`` in [-1, 1].
        across: waves across the threads, in the same way.
        spots: fine clouds, ``(H, W, 1) float32`` in [0, 1].
        fade: clouds as wide as the picture, in the same way.
    """

    along: Array
    across: Array
    spots: Array
    fade: Array


# Each fabric gives the share of its second colour in every pixel: (H, W, 1), from 0 to 1.


def plain(patterns: Patterns) -> Array:
    """One colour."""
    return np.zeros_like(patterns.along)


def striped(patterns: Patterns) -> Array:
    """Lines along the threads, one in each wave."""
    return patterns.along > 0.2


def checked(patterns: Patterns) -> Array:
    """Stripes in both directions; where they cross, the colour is strongest."""
    return 0.4 * (patterns.along > 0) + 0.4 * (patterns.across > 0)


def dotted(patterns: Patterns) -> Array:
    """A dot where a hill along the threads meets one across."""
    return patterns.along + patterns.across > 0.9


def flowery(patterns: Patterns) -> Array:
    """Blotches with uneven edges."""
    return patterns.spots > 0.65


def fading(patterns: Patterns) -> Array:
    """Slowly from one colour to the other."""
    return patterns.fade


FABRICS: list[Callable[[Patterns], Array]] = [plain] * 6
FABRICS += [striped, striped, checked, dotted, flowery, fading]


def weave(dice: Random, size: Size, angle: float, first: Array, second: Array) -> Array:
    """Cloth of one of the fabrics, as if it filled the picture: ``(H, W, 3) float32``.

    Args:
        angle: how far the garment is turned, in radians; its threads turn with it.
        first: colour ``(3,) float32``, values from 0 to 255.
        second: the colour of stripes or other patterns.
    """
    patterns = make_patterns(dice, size, angle)
    fabric = dice.choice(FABRICS)
    amount = fabric(patterns).astype(np.float32)
    threads = 0.93 + 0.14 * grains(dice, size)
    return (first + (second - first) * amount) * threads


def make_patterns(dice: Random, size: Size, angle: float) -> Patterns:
    """All patterns, also those that are not used: so the dice roll the same for all fabrics."""
    y, x = rows_and_columns(size)
    step = dice.uniform(1, 4)  # larger steps give wider stripes
    angle = angle + dice.choice([0, pi / 2])
    return Patterns(
        along=np.cos(x / step * cos(angle) + y / step * sin(angle)),
        across=np.cos(y / step * cos(angle) - x / step * sin(angle)),
        spots=clouds(dice, size, 20, 26),
        fade=clouds(dice, size, 2, 2),
    )
