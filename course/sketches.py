"""Garments drawn by code, for places where the clothing photos cannot be had.

A garment is a list of pieces of cloth that lie on each other. They are cut in the garment's own
coordinates: x from its middle to the sides, y from the shoulders or the waist down. `photograph`
lays them on a floor, switches on a lamp and takes a picture about as good as people send.
"""

import contextlib
import math
import os
import tempfile
import textwrap
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from tqdm.auto import tqdm

from course import paths
from course.download import DownloadError, download_photos

COUNTS = {"train": 60, "validation": 10, "test": 15}
"""Pictures a class."""
STYLE = "style-1.txt"
"""A file in the folder, so that pictures of an older style of drawing are drawn again."""

CLOTH, TRIM, LINING = range(3)
SIDES = (-1, 1)
Point = tuple[float, ...]
"""``(x, y)``, or ``(x, y, bulge)`` where the edge to the next point bulges outwards."""


class Garment(Random):
    """Dice that also keep the pieces ``(points, ink, shade, line width)`` cut with their help."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)  # a text gives the same numbers in every Python and on every system
        self.pieces: list[tuple[Any, int, float, float]] = []
        self.shift = (0.0, 0.0)

    def perhaps(self, probability: float) -> bool:
        return self.random() < probability

    def piece(self, *points: Point, ink: int = CLOTH, shade: float = 0, side: int = 0) -> None:
        """Cloth inside an outline on one side, or around the middle: then give the right half."""
        half = curve(*points) if side == 0 else curve(*points, points[0])
        outline = half * (side, 1) if side else np.concatenate([half, half[::-1] * (-1, 1)])
        self.pieces.append((outline + self.shift, ink, shade, 0))

    def line(
        self, *points: Point, ink: int = CLOTH, shade: float = -40, width: float = 0.014,
        sides: tuple[int, ...] = (1,),
    ) -> None:  # fmt: skip
        """A seam, fold or stripe; give both `SIDES` to draw it left and right."""
        for side in sides:
            self.pieces.append((curve(*points) * (side, 1) + self.shift, ink, shade, width))

    def dot(self, x: float, y: float, r: float, ink: int = TRIM) -> None:
        around = [(x, y - r, 0.2), (x + r, y, 0.2), (x, y + r, 0.2), (x - r, y, 0.2)]
        self.piece(*around, ink=ink, side=1)


def curve(*points: Point) -> Any:
    """Points ``(n, 2)`` along the edges from point to point, bent by their bulges."""
    t = np.linspace(0, 1, 9)[:, None]
    edges = []
    for (x, y, *bulge), (x2, y2, *_) in zip(points, points[1:], strict=False):
        outwards = np.array([y2 - y, x - x2]) * (bulge[0] if bulge else 0)
        edges.append((1 - t) * (x, y) + t * (x2, y2) + 4 * t * (1 - t) * outwards)
    return np.concatenate(edges)


# fmt: off
def torso(g: Garment, length: float, width: float, neck: float, drop: float, bend: float) -> None:
    waist, hem = width * g.uniform(0.86, 1), width * g.uniform(0.95, 1.12)
    g.piece((0, 0.05), (neck, 0), (neck, drop), (0, drop + 0.05), shade=-48)  # inside of the back
    g.piece((0, drop, -bend), (neck, 0), (0.46, 0.09), (width, 0.45, -0.03), (waist, 0.8, -0.01),
            (hem, length, 0.02), (0, length + g.uniform(0, 0.05)))


def sleeves(g: Garment, length: float, cuff: float, ink: int, fold: float = 0) -> None:
    """Two sleeves of one or two parts; the lower one is sometimes folded over the body."""
    spread, wide, upper = g.uniform(0.2, 0.8), g.uniform(0.23, 0.3), min(length, 0.5)
    for side in SIDES:
        angle = spread + g.uniform(-0.12, 0.12) + (g.uniform(0, 0.5) if length < 0.5 else 0)
        bent = -g.uniform(0.6, 2) if g.perhaps(fold) else angle - g.uniform(-0.1, 0.4)
        points: list[Point] = [(0.455, 0.085, 0.04)]
        inside: list[Point] = [(0.43, 0.46)]
        for part, turn, w in [(upper, angle, wide), (length - upper, bent, cuff)]:
            if part > 0:
                x, y = points[-1][0] + part * math.sin(turn), points[-1][1] + part * math.cos(turn)
                points.append((x, y))
                inside.append((x - w * math.cos(turn), y + w * math.sin(turn)))
        g.piece(*points, *inside[::-1], shade=g.uniform(-14, 6), side=side)
        g.line(points[-1], inside[-1], ink=ink, shade=-22, width=0.045, sides=(side,))


def neckline(g: Garment, neck: float, drop: float, ink: int) -> None:
    g.line((0, drop, -0.25), (neck, 0), ink=ink, shade=-16, width=0.045, sides=SIDES)


def motif(g: Garment) -> None:
    """A print on the chest: a disc, and lines of something like writing."""
    y, size = g.uniform(0.36, 0.5), g.uniform(0.1, 0.22)
    if g.perhaps(0.5):
        g.dot(0, y, size)
        g.dot(g.uniform(-0.06, 0.06), y, size * 0.5, LINING)
        y += size + 0.08
    for row in range(g.randint(1, 2)):
        for x in np.arange(-size, size, 0.07):
            g.line((x, y + row * 0.1), (x + g.uniform(0.03, 0.06), y + row * 0.1),
                   ink=TRIM, shade=0, width=0.065)


def buttons(g: Garment, top: float, bottom: float, x: float = 0) -> None:
    g.line((x + 0.045, top), (x + 0.045, bottom), shade=-28)
    g.line((x - 0.045, top), (x - 0.045, bottom), shade=-28)
    for y in np.linspace(top + 0.06, bottom - 0.1, g.randint(5, 8)):
        g.dot(x, y, 0.024, LINING)


def folds(g: Garment, narrow: float, wide: float, top: float, bottom: float) -> None:
    for _ in range(int(g.uniform(4, 18) * (wide - narrow) / 0.3)):
        x, end = g.uniform(-0.95, 0.95), g.uniform(0.5, 1)
        g.line((x * narrow, top), (x * (narrow + (wide - narrow) * end), top + (bottom - top) * end),
               shade=g.uniform(-38, 22), width=g.uniform(0.01, 0.03))


def t_shirt(g: Garment) -> None:
    neck, drop, ink = g.uniform(0.15, 0.24), g.uniform(0.1, 0.2), g.choice([CLOTH, CLOTH, TRIM])
    torso(g, g.uniform(1, 1.3), g.uniform(0.4, 0.5), neck, drop, 0.25)
    sleeves(g, g.uniform(0.2, 0.42), 0.2, ink)
    neckline(g, neck, drop, ink)
    if g.perhaps(0.55):
        motif(g)


def longsleeve(g: Garment) -> None:
    neck, drop, ink = g.uniform(0.13, 0.2), g.uniform(0.06, 0.16), g.choice([CLOTH, CLOTH, TRIM])
    length = g.uniform(0.95, 1.25)
    torso(g, length, g.uniform(0.38, 0.5), neck, drop, 0.25)
    g.line((-0.44, length - 0.06), (0.44, length - 0.06), ink=ink, shade=-25)
    sleeves(g, g.choice([0.6, 0.75, 0.9, 0.95, 1]), g.uniform(0.12, 0.18), ink, fold=0.25)
    if g.perhaps(0.25):  # a roll neck
        g.piece((0, -0.13), (neck, -0.14), (neck + 0.03, 0.04, 0.1), (0, 0.12), shade=-8)
    else:
        neckline(g, neck, drop, ink)
    if g.perhaps(0.4):
        motif(g)


def shirt(g: Garment) -> None:
    length, neck, tip = g.uniform(1.1, 1.4), g.uniform(0.14, 0.18), g.uniform(0.16, 0.26)
    torso(g, length, g.uniform(0.4, 0.5), neck, 0.12, 0)
    reach = g.choice([0.3, 0.42, 0.65, 0.9, 0.95, 1])
    sleeves(g, reach, g.uniform(0.14, 0.18), CLOTH, fold=0.3)
    buttons(g, 0.12, length if g.perhaps(0.85) else length * 0.45)
    if g.perhaps(0.5):
        g.piece((0.14, 0.38), (0.33, 0.38), (0.33, 0.6), (0.235, 0.63), (0.14, 0.6), side=1)
    ink = g.choice([CLOTH, CLOTH, CLOTH, TRIM])
    for side in SIDES:
        g.piece((0, 0.13), (neck * 0.9, -0.05, 0.1), (neck + 0.06, 0.03), (tip, tip + 0.02),
                ink=ink, shade=12, side=side)


def outwear(g: Garment) -> None:
    length, width, neck = g.choice([1.05, 1.15, 1.3, 1.75]), g.uniform(0.46, 0.55), 0.18
    hood, gap = g.perhaps(0.45), g.choice([0, 0, 0.08, 0.2])
    if hood:
        g.piece((0, -0.4, 0.15), (0.32, -0.15, 0.15), (0.2, 0.12), (0, 0.2), shade=-10)
        g.piece((0, -0.3, 0.2), (0.22, -0.1, 0.1), (0.12, 0.1), (0, 0.2), ink=LINING, shade=-50)
    torso(g, length, width, neck, 0.14, 0.1)
    if g.perhaps(0.85):  # else a vest
        sleeves(g, g.uniform(0.9, 1.05), 0.21, g.choice([CLOTH, TRIM]), fold=0.1)
    if g.perhaps(0.4):  # quilted
        for y in np.arange(0.35, length - 0.05, g.uniform(0.11, 0.2)):
            g.line((0, y), (width * 0.92, y - 0.01), shade=-38, width=0.02, sides=SIDES)
    if gap:  # open, so that the lining shows
        g.piece((0, 0.1), (0.15, 0.05), (gap, length), (0, length), ink=LINING, shade=-25)
        g.line((0.15, 0.05), (gap, length), ink=TRIM, shade=-10, width=0.025, sides=SIDES)
    elif g.perhaps(0.75):  # a zip
        g.line((0, 0.1), (0, length), ink=TRIM, shade=0, width=0.045)
        g.line((0, 0.1), (0, length), ink=LINING, shade=-60)
    else:
        buttons(g, 0.3, length, 0.1)
    if not hood and g.perhaps(0.5):
        for side in SIDES:  # lapels
            g.piece((gap * 0.7, 0.6), (0.1, -0.06), (0.2, -0.02), (0.3, 0.25), (0.2, 0.3),
                    shade=12, side=side)
    elif not hood:
        g.piece((0, 0), (neck, -0.12), (neck + 0.04, 0.03), (0, 0.14), shade=-14)
    g.line((0.2, length * 0.75), (0.33, length * 0.6), shade=-60, width=0.03, sides=SIDES)


def dress(g: Garment) -> None:
    length, waist, hem = g.uniform(1.6, 2.1), g.uniform(0.55, 0.85), g.uniform(0.38, 0.85)
    neck, drop, narrow = g.uniform(0.14, 0.26), g.uniform(0.1, 0.3), g.uniform(0.28, 0.36)
    straps = g.perhaps(0.5)
    g.piece((0, 0.08), (neck, 0), (neck, drop), (0, drop + 0.05), shade=-48)
    g.piece((0, drop, g.choice([-0.25, 0])), (neck, 0), (neck + 0.08 if straps else 0.42, 0.03, -0.2),
            (0.38, 0.38, -0.05), (narrow, waist, g.uniform(-0.06, 0.08)), (hem, length, 0.04),
            (0, length + 0.06))
    if not straps:
        sleeves(g, g.choice([0.2, 0.3, 0.5, 0.9]), 0.15, CLOTH)
    folds(g, narrow, hem, waist, length)
    g.line((-narrow, waist), (narrow, waist), ink=g.choice([CLOTH, TRIM]), width=g.uniform(0.01, 0.09))


def skirt(g: Garment) -> None:
    waist, length, band = g.uniform(0.3, 0.42), g.uniform(0.6, 1.25), g.uniform(0.06, 0.14)
    hem = waist + g.choice([0.03, 0.15, 0.3, 0.5])
    g.piece((0, 0), (waist, 0, 0.05), (hem, length, 0.06), (0, length + 0.04))
    folds(g, waist, hem, 0.1, length)
    g.piece((0, 0.02), (waist, 0), (waist + 0.02, band), (0, band + 0.02),
            ink=g.choice([CLOTH, TRIM]), shade=-10)
    if g.perhaps(0.25):
        buttons(g, band, length)
    for y in g.choice([[], [], [0.9], [0.4, 0.7]]):  # a hem line or tiers
        half = waist + (hem - waist) * y
        g.line((-half, length * y, -0.03), (half, length * y), width=0.02)


def pants(g: Garment) -> None:
    trousers(g, g.uniform(1.7, 2.2), g.uniform(0.5, 0.6), g.uniform(0.09, 0.19), g.uniform(0.04, 0.2))


def shorts(g: Garment) -> None:
    trousers(g, g.uniform(0.68, 1.1), g.uniform(0.42, 0.5), g.uniform(0.18, 0.24), g.uniform(0.06, 0.14))


def trousers(g: Garment, length: float, crotch: float, foot: float, apart: float) -> None:
    """Two legs, `apart` from the middle and twice `foot` wide at their end."""
    waist, hip, jeans = g.uniform(0.3, 0.38), g.uniform(0.4, 0.46), g.perhaps(0.6)
    stripe, ink = g.perhaps(0.2), g.choice([CLOTH, CLOTH, TRIM])
    for side in SIDES:
        end = apart + g.uniform(-0.03, 0.03)
        g.piece((0, 0.05), (waist, 0, 0.03), (hip, crotch), (end + 2 * foot, length),
                (end, length + 0.02), (0, crotch), shade=g.uniform(-10, 5), side=side)
        g.line((end + 2 * foot, length - 0.05), (end, length - 0.03), shade=-25, sides=(side,))
        if stripe:
            g.line((waist - 0.03, 0.1), (hip - 0.03, crotch), (end + 2 * foot - 0.03, length),
                   ink=TRIM, shade=0, width=0.045, sides=(side,))
    g.piece((0, 0.05), (waist, 0), (waist + 0.01, 0.1), (0, 0.14), ink=ink, shade=-12)
    if jeans:
        g.line((0.16, 0.12), (0.22, 0.22), (hip * 0.95, 0.26), sides=SIDES)
        g.line((0.07, 0.13), (0.07, crotch * 0.6, 0.2), (0, crotch * 0.8))
        g.dot(0, 0.08, 0.03, LINING)
    else:
        g.line((0.02, 0.08, 0.2), (0.07, 0.36), ink=LINING, shade=20, width=0.022, sides=SIDES)
    g.line((0, 0.1), (0, crotch), shade=-50)


def hat(g: Garment) -> None:
    kind, ink = g.choice(["brim", "beanie", "cap", "cap"]), g.choice([CLOTH, TRIM])
    if kind == "brim":
        g.piece((0, 0.6, 0.12), (0.95, 0.78, 0.14), (0, 1), shade=-8)
        g.piece((0, 0.08, 0.1), (0.36, 0.05, 0.1), (0.5, 0.75, 0.1), (0, 0.85))
        g.piece((0, 0.62), (0.47, 0.55), (0.5, 0.75, 0.1), (0, 0.86), ink=TRIM)
        return
    if kind == "beanie" and g.perhaps(0.4):
        g.dot(0, -0.1, 0.16)
    g.piece((0, 0, 0.12), (0.42, 0.3, 0.1), (0.5, 0.9, 0.03), (0, 0.95))
    if kind == "beanie":
        for x in np.linspace(-0.42, 0.42, 10):
            g.line((x * 0.3, 0.06, x * 0.4), (x, 0.9), shade=-25, width=0.015)
        g.piece((0, 0.72), (0.52, 0.68), (0.53, 0.98), (0, 1.02), ink=ink)
        return
    g.line((0.04, 0), (0.3, 0.3, 0.1), (0.34, 0.9), sides=SIDES)
    g.dot(0, 0, 0.04, ink)
    if g.perhaps(0.5):
        motif(g)
    if g.perhaps(0.5):  # seen from the front, else from the side
        g.piece((0, 0.8, 0.06), (0.5, 0.86, 0.12), (0.42, 1.15, 0.12), (0, 1.22), ink=ink, shade=-12)
    else:
        g.piece((-0.05, 0.93), (0.5, 0.78, 0.12), (1.05, 1.0, 0.2), (0.7, 1.06, -0.1), ink=ink,
                shade=-12, side=g.choice(SIDES))


def shoes(g: Garment) -> None:
    kind, ink = g.choice(["sneaker", "sneaker", "boot", "heel", "flat", "flat"]), g.choice([CLOTH, TRIM])
    if kind == "flat":  # two seen from above
        top, toe = g.uniform(0.2, 0.5), g.uniform(0.1, 0.25)
        for side in SIDES:
            g.piece((0.2, 0, toe), (0.4, 0.25, 0.03), (0.36, 0.9, 0.25), (0.12, 0.9, 0.03), (0.06, 0.22, toe),
                    side=side)
            g.piece((0.22, top, 0.2), (0.35, top + 0.15), (0.32, 0.9, 0.25), (0.15, 0.9), (0.1, top + 0.15, 0.2),
                    ink=LINING, shade=-35, side=side)
            g.line((0.08, top + 0.1), (0.38, top + 0.1), ink=ink, width=0.07, sides=(side,))
        return
    ankle, tilt = (g.uniform(-0.8, -0.2) if kind == "boot" else -0.05), 0.0
    for self_shift in [(g.uniform(-0.3, 0.4), -g.uniform(0.35, 0.6)), (0.0, 0.0)]:
        g.shift = self_shift
        if kind == "heel":
            g.piece((0, -0.1), (0.14, 0.02), (0.08, 0.42), (0.04, 0.42), side=1, shade=-20)
            g.piece((0, -0.12), (0.32, 0.08, -0.15), (0.66, 0.2, 0.05), (0.85, 0.26, 0.1), (1.05, 0.42),
                    (0.7, 0.42), (0.4, 0.25, -0.1), (0.04, 0.08), side=1)
            g.piece((0.02, -0.1), (0.32, 0.08, -0.15), (0.64, 0.2), (0.3, 0.14), ink=LINING, side=1)
            continue
        g.piece((0.04, 0.34, 0.05), (0.02, ankle, -0.03), (0.38, ankle - 0.03, -0.05), (0.46, -0.02),
                (0.7, 0.14, 0.12), (1, 0.34), side=1)
        g.piece((0.05, ankle + 0.01, 0.2), (0.36, ankle - 0.02, 0.2), ink=LINING, shade=-50, side=1)
        g.piece((0, 0.32), (1.02, 0.32, 0.1), (1, 0.43), (0.02, 0.43, 0.1), ink=LINING, side=1)
        if kind == "sneaker":
            for x in np.linspace(0.42, 0.64, 4):
                g.line((x - 0.06, x * 0.6 - 0.2), (x + 0.05, x * 0.6 - 0.28), ink=LINING, width=0.03)
            g.line((0.3, 0.3), (0.42, 0.1), (0.5, 0.3), ink=TRIM, shade=0, width=0.05)
        else:
            g.line((0.3, ankle + 0.05), (0.3, 0.05), ink=ink, width=0.04)


CLASSES = {
    "dress": dress, "hat": hat, "longsleeve": longsleeve, "outwear": outwear, "pants": pants,
    "shirt": shirt, "shoes": shoes, "shorts": shorts, "skirt": skirt, "t-shirt": t_shirt,
}
# fmt: on


def draw_garment(name: str, seed: int) -> Image.Image:
    """One RGB picture of 240 x 320 or so, always the same for the same `name` and `seed`.

    Raises:
        ValueError: if there is no such class.
    """
    if name not in CLASSES:
        raise ValueError(f"cannot draw {name!r}: choose one of {', '.join(CLASSES)}")
    garment = Garment(f"{name} {seed}")
    CLASSES[name](garment)
    return photograph(garment)


def photograph(g: Garment) -> Image.Image:
    size = w, h = g.choice([(240, 320), (252, 336), (256, 304)])
    angle = g.gauss(0, 0.12) if g.perhaps(0.85) else g.uniform(-0.9, 0.9)
    drawn = lay_out(g, size, angle)
    inks, shade = drawn[..., :3], drawn[..., 3:] * 2
    cover = np.minimum(inks.sum(2, keepdims=True), 1)
    colours = choose_colours(g)
    soft = Image.fromarray((cover[..., 0] * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))
    thick = np.asarray(soft, np.float32) / 255
    crease = abs(clouds(g, size, 6, 8) - 0.5) + clouds(g, size, 22, 28) * 0.3
    dy, dx = np.gradient(thick * 1.2 + crease)
    sun = g.uniform(0, 2 * math.pi)
    relief = 1 + g.uniform(1.5, 4.5) * (dx * math.cos(sun) + dy * math.sin(sun))
    shift = round(5 * math.sin(sun)), round(5 * math.cos(sun))
    shadow = 1 - g.uniform(0.25, 0.6) * np.roll(thick, shift, (0, 1))

    fabric = pattern(g, size, angle, *colours[1:3])
    garment = inks[..., :1] * fabric + inks[..., 1:2] * colours[2] + inks[..., 2:] * colours[3]
    picture = ground(g, size, colours[0]) * (shadow[..., None] * (1 - cover))
    picture += garment * shade * relief[..., None]

    x, y = np.linspace(-1, 1, w, dtype=np.float32), np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    lamp = g.uniform(0.8, 1.3) + g.uniform(-0.2, 0.2) * x + g.uniform(-0.2, 0.2) * y
    lamp = lamp - g.uniform(0, 0.25) * (x * x + y * y) + g.uniform(0.02, 0.15) * (clouds(g, size, w, h) - 0.5)
    picture *= lamp[..., None] * np.array([g.uniform(0.9, 1.1), 1, g.uniform(0.85, 1.1)], np.float32)
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(g.choice([0, 0, 0.7, 1.2])))


def lay_out(g: Garment, size: tuple[int, int], angle: float) -> Any:
    """Turn, crumple, scale and place the pieces: ``(h, w, 4)``, three inks and the shade."""
    c, s, wave, phase = math.cos(angle), math.sin(angle), g.uniform(3, 8), g.uniform(0, 6)

    def place(points: Any) -> Any:
        return (points + 0.012 * np.sin(wave * points[:, ::-1] + phase)) @ np.array([[c, s], [-s, c]])

    room = 2 * np.array(size)  # drawn at twice the size and averaged, which gives smooth edges
    low, high = (f([f(place(p), 0) for p, *_ in g.pieces], 0) for f in (np.min, np.max))
    scale = min(room / (high - low)) * g.uniform(0.55, 0.97)
    corner = (room - scale * (high - low)) * (g.uniform(0.1, 0.9), g.uniform(0.1, 0.9)) - scale * low
    image = Image.new("CMYK", tuple(room), (0, 0, 0, 128))  # used as four numbers a pixel
    draw = ImageDraw.Draw(image)
    for points, ink, shade, width in g.pieces:
        xy = (place(points) * scale + corner).ravel().tolist()
        colour = [255 * (ink == i) for i in range(3)]
        if not width:
            draw.polygon(xy, (*colour, int(128 + shade)))
            shade, width = shade - 38, 0.01  # its edge
        draw.line(xy, (*colour, int(128 + shade)), max(2, round(width * scale)), "curve")
    return np.asarray(image.reduce(2), np.float32) / 255


def clouds(g: Garment, size: tuple[int, int], across: int, down: int) -> Any:
    """Smooth random values ``(h, w)`` in [0, 1] with so many hills."""
    small = Image.frombytes("L", (across, down), g.randbytes(across * down))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.float32) / 255


def choose_colours(g: Garment) -> Any:
    """Floor, cloth, trim and lining; neighbours are never quite alike."""
    while True:
        brightness = np.array([[g.uniform(35, 245)] for _ in range(4)])
        strength = np.array([[g.choice([0.1, 0.4, 0.9]) * g.random()] for _ in range(4)])
        hue = np.array([[g.uniform(0, 6.3)] for _ in range(4)]) + [0, 2.1, 4.2]
        colours = brightness * (1 - strength * (0.5 + 0.5 * np.cos(hue)))
        if abs(np.diff(colours, axis=0)).sum(1).min() > 130:
            return colours.astype(np.float32)


def ground(g: Garment, size: tuple[int, int], colour: Any) -> Any:
    """A wall, a sheet, a carpet, planks or tiles."""
    kind, step = g.choice(["wall", "sheet", "carpet", "planks", "planks", "tiles"]), g.randint(22, 60)
    w, h = size
    x, y = np.arange(w), np.arange(h)[:, None]
    if kind == "wall":
        tone = 0.9 + 0.2 * clouds(g, size, 4, 5)
    elif kind == "sheet":
        tone = 0.85 + 0.5 * abs(clouds(g, size, 5, 7) - clouds(g, size, 9, 9))
    elif kind == "carpet":
        tone = 0.6 + 0.5 * clouds(g, size, w, h) + 0.3 * clouds(g, size, 30, 40)
    elif kind == "planks":
        plank = np.array([g.uniform(0.8, 1.1) for _ in range(w)])[x // step]
        tone = plank * (0.85 + 0.2 * clouds(g, size, w // 2, 6)) * (1 - 0.3 * (x % step < 2))
        colour = colour * 0.35 + np.array([205, 165, 115]) * 0.65
    else:
        tone = 1 - 0.25 * ((x % (2 * step) < 3) | (y % (2 * step) < 3))
    return tone.astype(np.float32)[..., None] * colour.astype(np.float32)


def pattern(g: Garment, size: tuple[int, int], angle: float, main: Any, second: Any) -> Any:
    """Cloth: plain, striped, checked, dotted, flowery or fading from one colour to the other."""
    kind = g.choice(["plain"] * 6 + ["stripes", "stripes", "checks", "dots", "flowers", "fading"])
    angle += g.choice([0, math.pi / 2])
    x, y = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)[:, None]
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    step = g.uniform(7, 26)
    u, v = u % step / step - 0.5, v % step / step - 0.5
    amount = 0 * u
    if kind == "stripes":
        amount = 1.0 * (abs(u) < g.uniform(0.1, 0.3))
    elif kind == "checks":
        amount = 0.4 * (abs(u) < 0.25) + 0.4 * (abs(v) < 0.25)
    elif kind == "dots":
        amount = 1.0 * (u * u + v * v < 0.06)
    elif kind == "flowers":
        amount = 1.0 * (clouds(g, size, 20, 26) > 0.65)
    elif kind == "fading":
        amount = amount + y / size[1]
    weave = 0.93 + 0.14 * clouds(g, size, *size)
    return (main + (second - main) * amount.astype(np.float32)[..., None]) * weave[..., None]


def draw_garments(folder: Path = paths.SKETCHES) -> Path:
    """Return the folder of the drawn garments, and draw them first if they are not there.

    It holds ``train``, ``validation`` and ``test`` with one folder a class, like the photos. It
    appears whole or not at all; an incomplete one is replaced.

    Raises:
        OSError: if the disk is full or the folder cannot be written; the message names it.
    """
    if is_complete(folder):
        return folder
    jobs = [(s, name, i) for s, count in COUNTS.items() for name in CLASSES for i in range(count)]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".garments-", dir=folder.parent) as temporary:
            drawn = Path(temporary, "drawn")
            for seed, (split, name, i) in enumerate(tqdm(jobs, "drawing", unit="picture")):
                path = drawn / split / name / f"{i:04}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_garment(name, seed).save(path, quality=88)
            (drawn / STYLE).write_text("Drawn by course/sketches.py. Safe to delete.\n")
            if not is_complete(folder):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(folder, Path(temporary, "incomplete"))
            try:
                os.replace(drawn, folder)
            except OSError:
                if not is_complete(folder):  # else another process was faster: use its pictures
                    raise
    except OSError as error:
        raise OSError(
            f"the garments could not be drawn into {folder}: {error}. Free some space or set "
            "COURSE_DATASETS to a folder that can be written, then run this again"
        ) from error
    return folder


def is_complete(folder: Path) -> bool:
    """Whether `folder` holds all pictures, drawn in today's style. Counts names, reads no file."""
    return (folder / STYLE).is_file() and all(
        len(list((folder / split / name).glob("*.jpg"))) == count
        for split, count in COUNTS.items()
        for name in CLASSES
    )


def photos_or_sketches() -> Path:
    """The clothing photos if they are here or can be fetched, else the drawn garments.

    Prints one line that says which.

    Raises:
        OSError: see `draw_garments`.
    """
    try:
        folder = download_photos()
        print(f"Pictures: the clothing photos in {folder}.")
    except DownloadError as error:
        folder = draw_garments()
        reason = textwrap.shorten(str(error).split(". ")[0], 160)
        print(
            f"Pictures: drawn garments in {folder}. `python -m course download` fetches the real "
            f"photos when there is network. ({reason})"
        )
    return folder
