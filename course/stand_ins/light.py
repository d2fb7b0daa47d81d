"""Light on a drawn garment: its folds, the sun and the shadow, the lamp above it."""

from math import cos, pi, sin
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from course.stand_ins.cutting import Array
from course.stand_ins.noise import Size, clouds, grains


def thickness(cover: Array) -> Array:
    """How high the cloth lies, from 0 to 1, flat towards its edges: ``(H, W, 1) float32``."""
    image = Image.fromarray((cover[..., 0] * 255).astype(np.uint8))
    soft = image.filter(ImageFilter.GaussianBlur(4))
    return np.asarray(soft, np.float32)[..., None] / 255


def folds(dice: Random, size: Size) -> Array:
    """Long creases and small dents, about 0 to 0.8: ``(H, W, 1) float32``."""
    creases = abs(clouds(dice, size, 6, 8) - 0.5)
    return creases + clouds(dice, size, 22, 28) * 0.3


def sun_and_shadow(dice: Random, size: Size, cover: Array) -> tuple[Array, Array]:
    """The sun from one side shows folds and edges, and throws a shadow to the other side.

    Args:
        cover: the share of the garment in each pixel, ``(H, W, 1) float32``.

    Returns:
        How bright the garment is, and how dark the floor: both ``(H, W, 1) float32``.
    """
    thick = thickness(cover)
    height = thick * 1.2 + folds(dice, size)
    down: Array = np.gradient(height, axis=0)
    right: Array = np.gradient(height, axis=1)
    sun = dice.uniform(0, 2 * pi)  # the direction that it comes from
    strength = dice.uniform(1.5, 4.5)
    light = 1 + strength * (right * cos(sun) + down * sin(sun))
    shadow = np.roll(thick, (round(5 * sin(sun)), round(5 * cos(sun))), (0, 1))
    return light, shadow


def lamp(dice: Random, size: Size) -> Array:
    """The light of the room, brighter on one side, with a camera's noise: ``(H, W, 1) float32``."""
    brightness = dice.uniform(0.6, 1.1)
    return brightness + 0.35 * clouds(dice, size, 2, 2) + 0.1 * grains(dice, size)
