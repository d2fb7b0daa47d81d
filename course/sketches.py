"""Garments drawn by code, for places where the clothing photos cannot be had.

A garment is a list of pieces of cloth that lie on each other. They are cut in the garment's own
coordinates: x from its middle to the right, y from the shoulders or the waist down. `photograph`
lays them on a floor, switches on a lamp and takes a picture about as good as people send.
"""

import contextlib
import os
import tempfile
import textwrap
from collections.abc import Callable
from math import cos, pi, sin
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
"""A file in the folder. With a new name, folders drawn in the old style are drawn again."""
CLOTH, TRIM, LINING = range(3)
"""Inks: the main colour with its pattern, a second one, and white or something dark."""
SIDES = (-1, 1)
Point = tuple[float, ...]
"""``(x, y)``, or ``(x, y, bulge)`` where the edge to the next point bulges outwards."""


SCALE, PLACE = (0.72, 0.97), (0.25, 0.75)
# fmt: off
class Garment(Random):
    """Dice that also keep the pieces ``(points, ink, shade, line width)`` cut with their help."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)  # a text gives the same numbers in every Python on every system
        self.pieces: list[tuple[Any, int, float, float]] = []

    def piece(self, *points: Point, ink: int = CLOTH, shade: float = 0, side: int = 0) -> None:
        """Cloth inside an outline, on one side; without a side, `points` are its right half."""
        half = curve(*points, points[0]) * (side, 1) if side else curve(*points)
        outline = half if side else np.concatenate([half, half[::-1] * (-1, 1)])
        self.pieces.append((outline, ink, shade, 0))

    def line(self, *points: Point, ink: int = CLOTH, shade: float = -40, width: float = 0.016,
             sides: tuple[int, ...] = SIDES) -> None:
        """A seam, fold or stripe, on both sides if not said otherwise."""
        self.pieces += [(curve(*points) * (side, 1), ink, shade, width) for side in sides]

    def dot(self, x: float, y: float, r: float, ink: int = TRIM) -> None:
        self.piece((x, y - r, 0.2), (x + r, y, 0.2), (x, y + r, 0.2), (x - r, y, 0.2), ink=ink, side=1)


def curve(*points: Point) -> Any:
    """Positions ``(n, 2)`` along the edges from point to point, bent by their bulges."""
    t, edges = np.linspace(0, 1, 9)[:, None], []
    for (x, y, *bulge), (x2, y2, *_) in zip(points, points[1:], strict=False):
        outwards = np.array([y2 - y, x - x2]) * sum(bulge)
        edges.append((1 - t) * (x, y) + t * (x2, y2) + 4 * t * (1 - t) * outwards)
    return np.concatenate(edges)


def top(g: Garment, length: float, reach: float, ink: int, drop: float, fold: float = 0) -> None:
    """A torso and two sleeves, whose lower parts are sometimes folded over the body."""
    width, cuff, spread, upper = g.uniform(0.4, 0.5), g.uniform(0.13, 0.2), g.uniform(0.2, 0.8), min(reach, 0.5)
    g.piece((0, 0.05), (0.17, 0), (0.17, drop), (0, drop + 0.05), shade=-48)  # inside of the back
    g.piece((0, drop, -0.25), (0.17, 0), (0.46, 0.09), (width, 0.45, -0.03),
            (width * g.uniform(0.86, 1), 0.8), (width * g.uniform(0.95, 1.12), length, 0.02), (0, length + 0.03))
    for side in SIDES if reach else ():
        angle = spread + g.uniform(-0.12, 0.12) + (g.uniform(0, 0.5) if reach < 0.5 else 0)
        bent = -g.uniform(0.6, 2) if g.random() < fold else angle - g.uniform(-0.1, 0.4)
        outer: list[Point] = [(0.455, 0.085, 0.04)]
        inner: list[Point] = [(0.43, 0.46)]
        for part, turn, w in [(upper, angle, 0.26), (reach - upper, bent, cuff)]:
            if part > 0:
                x, y = outer[-1][0] + part * sin(turn), outer[-1][1] + part * cos(turn)
                outer.append((x, y))
                inner.append((x - w * cos(turn), y + w * sin(turn)))
        g.piece(*outer, *inner[::-1], shade=g.uniform(-14, 6), side=side)
        g.line(outer[-1], inner[-1], ink=ink, shade=-22, width=0.045, sides=(side,))


def jersey(g: Garment, reach: float) -> None:
    """A T-shirt or a longsleeve: only the reach of the sleeves tells."""
    drop, length, ink = g.uniform(0.07, 0.2), g.uniform(0.95, 1.3), g.choice([CLOTH, CLOTH, TRIM])
    top(g, length, reach, ink, drop, fold=0.25)
    if reach > 0.5 and g.random() < 0.25:  # a roll neck
        g.piece((0, -0.13), (0.17, -0.14), (0.2, 0.04, 0.1), (0, 0.12), shade=-8)
    else:
        g.line((0, drop, -0.25), (0.17, 0), ink=ink, shade=-16, width=0.045)
    if g.random() < 0.5:  # a print: a disc and something like writing
        y, size = g.uniform(0.36, 0.5), g.uniform(0.1, 0.22)
        g.dot(0, y, size, g.choice([CLOTH, TRIM]))
        for x in np.arange(-size, size, 0.07):
            g.line((x, y), (x + g.uniform(0.03, 0.06), y), ink=LINING, shade=0, width=0.07, sides=(1,))


def buttons(g: Garment, start: float, end: float, x: float = 0) -> None:
    g.piece((x - 0.05, start), (x + 0.05, start), (x + 0.05, end), (x - 0.05, end), side=1)
    for y in np.linspace(start + 0.06, end - 0.1, g.randint(5, 8)):
        g.dot(x, y, 0.024, LINING)


def shirt(g: Garment) -> None:
    length, ink = g.uniform(1.1, 1.4), g.choice([CLOTH, CLOTH, CLOTH, TRIM])
    top(g, length, g.choice([0.3, 0.42, 0.65, 0.9, 0.95, 1]), CLOTH, 0.12, fold=0.3)
    buttons(g, 0.12, length * g.choice([1, 1, 1, 0.45]))
    if g.random() < 0.5:  # a pocket
        g.piece((0.14, 0.38), (0.33, 0.38), (0.33, 0.6), (0.235, 0.63), (0.14, 0.6), side=1)
    for side in SIDES:  # the collar
        g.piece((0, 0.13), (0.15, -0.05, 0.1), (0.22, 0.03), (0.21, g.uniform(0.16, 0.26)), ink=ink, shade=12, side=side)


def outwear(g: Garment) -> None:
    length, gap, neck = g.choice([1.05, 1.15, 1.3, 1.75]), g.choice([0, 0, 0.08, 0.2]), g.choice(["hood", "lapels", "stand"])
    if neck == "hood":
        g.piece((0, -0.4, 0.15), (0.32, -0.15, 0.15), (0.2, 0.12), (0, 0.2), shade=-10)
        g.piece((0, -0.3, 0.2), (0.22, -0.1, 0.1), (0.12, 0.1), (0, 0.2), ink=LINING, shade=-50)
    top(g, length, g.choice([0, 0.85, 0.9, 0.95, 1, 1.05]), g.choice([CLOTH, TRIM]), 0.14, fold=0.1)
    for y in np.arange(0.35, length - 0.05, g.choice([9, 9, 0.12, 0.2])):  # quilted
        g.line((0, y), (0.4, y - 0.01), shade=-38, width=0.02)
    if gap:  # open, so that the lining shows
        g.piece((0, 0.1), (0.15, 0.05), (gap, length), (0, length), ink=LINING, shade=-25)
    elif g.random() < 0.75:  # a zip
        g.line((0, 0.1), (0, length), ink=TRIM, shade=0, width=0.045)
    else:
        buttons(g, 0.3, length, 0.1)
    if neck == "lapels":
        for side in SIDES:
            g.piece((gap * 0.7, 0.6), (0.1, -0.06), (0.2, -0.02), (0.3, 0.25), (0.2, 0.3), shade=12, side=side)
    elif neck == "stand":
        g.piece((0, 0), (0.18, -0.12), (0.22, 0.03), (0, 0.14), shade=-14)
    g.line((0.2, length * 0.75), (0.33, length * 0.6), shade=-60, width=0.03)


def flare(g: Garment, waist: float, hem: float, start: float, end: float) -> None:
    """The folds of a skirt: lines from its waist to its hem, more of them if it is wide."""
    for _ in range(int(g.uniform(4, 18) * (hem - waist) / 0.3)):
        x, part = g.uniform(-0.95, 0.95), g.uniform(0.5, 1)
        g.line((x * waist, start), (x * (waist + (hem - waist) * part), start + (end - start) * part),
               shade=g.uniform(-38, 22), width=g.uniform(0.01, 0.03), sides=(1,))


def dress(g: Garment) -> None:
    length, waist, hem, drop = g.uniform(1.6, 2.1), g.uniform(0.55, 0.85), g.uniform(0.38, 0.85), g.uniform(0.12, 0.3)
    reach = g.choice([0, 0, 0, 0.2, 0.3, 0.9])
    if reach:
        top(g, waist, reach, CLOTH, drop)
    else:
        g.piece((0, 0.05), (0.2, 0), (0.2, drop), (0, drop + 0.05), shade=-48)
    g.piece((0, drop, g.choice([-0.25, 0])), (0.2, 0), (0.4 if reach else 0.28, 0.03, -0.2), (0.38, 0.38, -0.05),
            (0.32, waist, g.uniform(-0.06, 0.08)), (hem, length, 0.04), (0, length + 0.06))
    flare(g, 0.32, hem, waist, length)
    g.line((0, waist), (0.32, waist), ink=g.choice([CLOTH, TRIM]), width=g.uniform(0.01, 0.09))


def skirt(g: Garment) -> None:
    waist, length, band = g.uniform(0.3, 0.42), g.uniform(0.6, 1.25), g.uniform(0.06, 0.14)
    hem = waist + g.choice([0.03, 0.15, 0.3, 0.5])
    g.piece((0, 0), (waist, 0, 0.05), (hem, length, 0.06), (0, length + 0.04))
    flare(g, waist, hem, 0.1, length)
    g.piece((0, 0.02), (waist, 0), (waist + 0.02, band), (0, band + 0.02), ink=g.choice([CLOTH, TRIM]), shade=-10)
    if g.random() < 0.25:
        buttons(g, band, length)


def trousers(g: Garment, length: float, foot: float) -> None:
    """Pants or shorts; their feet are twice `foot` wide."""
    waist, hip, crotch, apart = g.uniform(0.3, 0.38), g.uniform(0.4, 0.46), g.uniform(0.43, 0.52), g.uniform(0.06, 0.17)
    for side in SIDES:
        g.piece((0, 0.05), (waist, 0, 0.03), (hip, crotch), (apart + 2 * foot, length),
                (apart, length + 0.02), (0, crotch), shade=g.uniform(-10, 5), side=side)
    g.line((apart + 2 * foot, length - 0.05), (apart, length - 0.03), shade=-25)
    if g.random() < 0.2:
        g.line((waist - 0.03, 0.1), (hip - 0.03, crotch), (apart + 2 * foot - 0.03, length), ink=TRIM, shade=0, width=0.045)
    g.piece((0, 0.05), (waist, 0), (waist + 0.01, 0.1), (0, 0.14), ink=g.choice([CLOTH, CLOTH, TRIM]), shade=-12)
    g.line((0, 0.1), (0, crotch), shade=-50)
    if g.random() < 0.6:  # pockets and a button, else a cord
        g.line((0.16, 0.12), (0.22, 0.22), (hip * 0.95, 0.26))
        g.dot(0, 0.08, 0.03, LINING)
    else:
        g.line((0.02, 0.08, 0.2), (0.07, 0.36), ink=LINING, shade=20, width=0.022)


def hat(g: Garment) -> None:
    kind, ink = g.choice(["brim", "beanie", "cap", "cap from the front"]), g.choice([CLOTH, TRIM])
    if kind == "brim":
        g.piece((0, 0.6, 0.12), (0.95, 0.78, 0.14), (0, 1), shade=-8)
    g.dot(0, 0, 0.16 if kind == "beanie" and g.random() < 0.5 else 0.03)
    g.piece((0, 0, 0.12), (0.42, 0.3, 0.1), (0.5, 0.9, 0.03), (0, 0.95))
    if kind == "beanie":
        for x in np.linspace(0.05, 0.42, 5):
            g.line((x * 0.3, 0.06, x * 0.4), (x, 0.9), shade=-25)
        g.piece((0, 0.72), (0.52, 0.68), (0.53, 0.98), (0, 1.02), ink=ink)
    elif kind == "brim":
        g.piece((0, 0.72), (0.49, 0.66), (0.5, 0.85, 0.1), (0, 0.95), ink=TRIM)
    else:
        g.line((0.04, 0), (0.3, 0.3, 0.1), (0.34, 0.9))
        g.dot(0, 0.45, g.uniform(0, 0.2))
        visor = [(-0.05, 0.93), (0.5, 0.78, 0.12), (1.05, 1.0, 0.2), (0.7, 1.06, -0.1)]
        front = [(0, 0.8, 0.06), (0.5, 0.86, 0.12), (0.42, 1.15, 0.12), (0, 1.22)]
        g.piece(*(visor if kind == "cap" else front), ink=ink, shade=-12, side=g.choice(SIDES) if kind == "cap" else 0)


def shoes(g: Garment) -> None:
    kind, ink, ankle = g.choice(["sneaker", "boot", "flat"]), g.choice([CLOTH, TRIM]), -0.05
    if kind == "flat":  # seen from above
        opening, toe = g.uniform(0.2, 0.5), g.uniform(0.1, 0.25)
        for side in SIDES:
            g.piece((0.2, 0, toe), (0.4, 0.25, 0.03), (0.36, 0.9, 0.25), (0.12, 0.9, 0.03), (0.06, 0.22, toe), side=side)
            g.piece((0.22, opening, 0.2), (0.35, opening + 0.15), (0.32, 0.9, 0.25), (0.15, 0.9), (0.1, opening + 0.15, 0.2),
                    ink=LINING, shade=-35, side=side)
        g.line((0.08, opening + 0.1), (0.38, opening + 0.1), ink=ink, width=0.07)
        return
    if kind == "boot":
        ankle = g.uniform(-0.8, -0.2)
    g.piece((0.04, 0.34, 0.05), (0.02, ankle, -0.03), (0.38, ankle - 0.03, -0.05), (0.46, -0.02), (0.7, 0.14, 0.12), (1, 0.34), side=1)
    g.piece((0.05, ankle + 0.01, 0.2), (0.36, ankle - 0.02, 0.2), ink=LINING, shade=-50, side=1)
    g.piece((0, 0.32), (1.02, 0.32, 0.1), (1, 0.43), (0.02, 0.43, 0.1), ink=LINING, side=1)
    for x in np.linspace(0.42, 0.64, 4):  # laces
        g.line((x - 0.06, x * 0.6 - 0.2), (x + 0.05, x * 0.6 - 0.28), ink=LINING, width=0.03, sides=(1,))
    g.line((0.3, 0.3), (0.42, 0.1), (0.5, 0.3), ink=ink, shade=0, width=0.05, sides=(1,))
    move = (g.uniform(-0.3, 0.4), -g.uniform(0.35, 0.6))
    g.pieces = [(points + move, *look) for points, *look in g.pieces] + g.pieces  # its twin behind


CLASSES: dict[str, Callable[[Garment], None]] = {
    "dress": dress,
    "hat": hat,
    "longsleeve": lambda g: jersey(g, g.choice([0.7, 0.8, 0.85, 0.9, 0.95, 1])),
    "outwear": outwear,
    "pants": lambda g: trousers(g, g.uniform(1.6, 2.2), g.uniform(0.09, 0.19)),
    "shirt": shirt,
    "shoes": shoes,
    "shorts": lambda g: trousers(g, g.uniform(0.68, 1.1), g.uniform(0.18, 0.24)),
    "skirt": skirt,
    "t-shirt": lambda g: jersey(g, g.uniform(0.2, 0.44)),
}
# fmt: on


def draw_garment(name: str, seed: int) -> Image.Image:
    """One RGB picture of 216 x 288 or so, always the same for the same `name` and `seed`.

    Raises:
        ValueError: if there is no such class.
    """
    if name not in CLASSES:
        raise ValueError(f"cannot draw {name!r}: choose one of {', '.join(CLASSES)}")
    garment = Garment(f"{name} {seed}")
    CLASSES[name](garment)
    return photograph(garment)


def photograph(g: Garment) -> Image.Image:
    """Floor, shadow, garment, folds and light, one after the other."""
    size = g.choice([(216, 288), (225, 300), (216, 270)])
    angle = g.gauss(0, 0.1) if g.random() < 0.9 else g.uniform(-0.8, 0.8)
    drawn = lay_out(g, size, angle)
    inks, shade = drawn[..., :3], drawn[..., 3] * 2
    cover = np.minimum(inks.sum(2), 1)
    floor, main, second, lining = choose_colours(g)

    soft = Image.fromarray((cover * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))
    thick = np.asarray(soft, np.float32) / 255
    folds = abs(clouds(g, size, 6, 8) - 0.5) + clouds(g, size, 22, 28) * 0.3
    down, right = np.gradient(thick * 1.2 + folds)
    sun = g.uniform(0, 2 * pi)
    light = shade * (1 + g.uniform(1.5, 4.5) * (right * cos(sun) + down * sin(sun)))
    shadow = np.roll(thick, (round(5 * sin(sun)), round(5 * cos(sun))), (0, 1))
    picture = ground(g, size, floor) * ((1 - g.uniform(0.25, 0.6) * shadow) * (1 - cover))[..., None]
    cloth = pattern(g, size, angle, main, second) * inks[..., :1]
    picture += (cloth + inks[..., 1:] @ np.stack([second, lining])) * light[..., None]

    x, y = np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1])[:, None]
    lamp = g.uniform(0.8, 1.3) + g.uniform(-0.2, 0.2) * x + g.uniform(-0.2, 0.2) * y
    lamp = lamp - g.uniform(0, 0.25) * (x * x + y * y) + g.uniform(0, 0.12) * clouds(g, size, *size)
    picture *= lamp.astype(np.float32)[..., None]
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(g.choice([0, 0, 0.7, 1.2])))


def lay_out(g: Garment, size: tuple[int, int], angle: float) -> Any:
    """Crumple, turn, scale and place the pieces: ``(h, w, 4)``, three inks and the shade."""
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    wave, phase = g.uniform(3, 8), g.uniform(0, 2 * pi)
    placed = [(p + 0.012 * np.sin(wave * p[:, ::-1] + phase)) @ turn for p, *_ in g.pieces]
    everything = np.concatenate(placed)
    low, extent = everything.min(0), np.ptp(everything, 0)
    room = 2 * np.array(size)  # drawn at twice the size and averaged, which gives smooth edges
    scale = min(room / extent) * g.uniform(*SCALE)
    corner = (room - scale * extent) * (g.uniform(*PLACE), g.uniform(*PLACE)) - scale * low
    image = Image.new("CMYK", (int(room[0]), int(room[1])), (0, 0, 0, 128))  # four numbers a pixel
    draw = ImageDraw.Draw(image)
    for points, (_, ink, shade, width) in zip(placed, g.pieces, strict=True):
        xy = (points * scale + corner).ravel().tolist()
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
        bright, strong, hue = np.array([(g.random(), g.random(), g.random()) for _ in range(4)]).T
        waves = 0.5 + 0.5 * np.cos(2 * pi * hue[:, None] + [0, 2.1, 4.2])
        colours = (35 + 210 * bright[:, None]) * (1 - strong[:, None] ** 2 * waves)
        if abs(np.diff(colours, axis=0)).sum(1).min() > 130:
            return colours.astype(np.float32)


def ground(g: Garment, size: tuple[int, int], colour: Any) -> Any:
    """A wall, a sheet, a carpet, planks or tiles."""
    kind, step = g.choice(["wall", "sheet", "carpet", "planks", "planks", "tiles"]), g.randint(22, 60)
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    tone = 0.9 + 0.2 * clouds(g, size, 4, 5)
    if kind == "sheet":
        tone += 0.6 * abs(clouds(g, size, 6, 8) - 0.5) - 0.1
    elif kind == "carpet":
        tone *= 0.7 + 0.6 * clouds(g, size, *size)
    elif kind == "planks":
        tone *= (0.9 + 0.2 * clouds(g, size, size[0] // 2, 6)) * np.where(x % step < 2, 0.7, 1)
        colour = colour * 0.35 + np.array([205, 165, 115], np.float32) * 0.65
    elif kind == "tiles":
        tone *= np.where((x % (2 * step) < 3) | (y % (2 * step) < 3), 0.75, 1)
    return tone.astype(np.float32)[..., None] * colour


def pattern(g: Garment, size: tuple[int, int], angle: float, main: Any, second: Any) -> Any:
    """Cloth: plain, striped, checked, dotted, flowery or fading from one colour to the other."""
    kind = g.choice(["plain"] * 6 + ["stripes", "stripes", "checks", "dots", "flowers", "fading"])
    weave, step = 0.93 + 0.14 * clouds(g, size, *size)[..., None], g.uniform(7, 26)
    if kind == "plain":
        return main * weave
    angle += g.choice([0, pi / 2])
    x, y = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)[:, None]
    u = abs((x * cos(angle) + y * sin(angle)) / step % 1 - 0.5)
    v = abs((y * cos(angle) - x * sin(angle)) / step % 1 - 0.5)
    amount = {
        "stripes": u < 0.2,
        "checks": 0.4 * (u < 0.25) + 0.4 * (v < 0.25),
        "dots": u * u + v * v < 0.06,
        "flowers": clouds(g, size, 20, 26) > 0.65,
        "fading": y / size[1] + 0 * x,
    }[kind]
    return (main + (second - main) * amount.astype(np.float32)[..., None]) * weave


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
