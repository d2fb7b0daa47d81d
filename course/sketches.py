"""Garments drawn by code, for places where the clothing photos cannot be had.

A garment is a list of pieces of cloth, cut in its own coordinates: x runs from the middle to the
sides, y from the shoulder or the waist down. `photograph` then lays it on a floor, turns on the
light and takes a picture that is about as bad as those that people send.
"""

import math
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from tqdm.auto import tqdm

from course import paths
from course.download import DownloadError, download_photos

COUNTS = {"train": 60, "validation": 10, "test": 15}
"""Pictures a class."""

CLOTH, TRIM, LINING = range(3)
"""The three materials of a garment; each gets a colour of its own."""

Point = tuple[float, ...]
"""``(x, y)``, or ``(x, y, bulge)`` where the edge to the next point is to bulge outwards."""


@dataclass
class Garment:
    """Pieces and lines in the order in which they lie on each other."""

    rng: random.Random
    pieces: list[tuple[Any, int, float, float]] = field(default_factory=list)

    def piece(self, *points: Point, ink: int = CLOTH, shade: float = 0, side: int = 1) -> None:
        """A piece of cloth with an outline; `side` -1 draws it on the left."""
        self.pieces.append((curve([*points, points[0]]) * (side, 1), ink, shade, 0))

    def both(self, *points: Point, ink: int = CLOTH, shade: float = 0) -> None:
        """A symmetric piece; `points` run along its right half from top to bottom."""
        half = curve(points)
        whole = np.concatenate([half, half[::-1] * (-1, 1)])
        self.pieces.append((whole, ink, shade, 0))

    def line(
        self, *points: Point, ink: int = CLOTH, shade: float = -40, width: float = 0.012
    ) -> None:
        self.pieces.append((curve(points), ink, shade, width))

    def lines(self, *points: Point, **look: Any) -> None:
        """The same line on both sides."""
        self.line(*points, **look)
        self.line(*[(-x, y, *(-bulge for bulge in rest)) for x, y, *rest in points], **look)

    def dot(self, x: float, y: float, radius: float, ink: int = TRIM, shade: float = 0) -> None:
        turn = np.linspace(0, 2 * np.pi, 16)
        ring = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1)
        self.pieces.append((ring, ink, shade, 0))

    def perhaps(self, probability: float) -> bool:
        return self.rng.random() < probability


def curve(points: Sequence[Point]) -> Any:
    """Points ``(n, 2)`` along the edges, bent by their bulges."""
    t = np.linspace(0, 1, 9)[:, None]
    bent = []
    for (x, y, *bulge), (x2, y2, *_) in zip(points, points[1:], strict=False):
        sideways = np.array([y2 - y, x - x2]) * (bulge[0] if bulge else 0)
        bent.append((1 - t) * (x, y) + t * (x2, y2) + 4 * t * (1 - t) * sideways)
    return np.concatenate(bent)


def torso(g: Garment, length: float, width: float, neck: float, drop: float, bend: float) -> None:
    """Front and the inside of the back, from the shoulders to the hem."""
    waist = width * g.rng.uniform(0.86, 1)
    hem = width * g.rng.uniform(0.95, 1.12)
    sag = g.rng.uniform(-0.02, 0.05)
    g.both((0, 0.05), (neck, 0), (neck, drop), (0, drop + 0.05), shade=-48)  # inside of the back
    g.both(
        (0, drop, -bend), (neck, 0), (0.46, 0.09), (width, 0.45, -0.03), (waist, 0.8, -0.01),
        (hem, length), (0, length + sag),
    )  # fmt: skip


def sleeves(g: Garment, length: float, cuff: float, fold: float = 0) -> list[list[Point]]:
    """Two sleeves, perhaps folded over the body; returns the ends of both."""
    angle, wide = g.rng.uniform(0.15, 0.75), g.rng.uniform(0.23, 0.3)
    ends = []
    for side in (-1, 1):
        upper = angle + g.rng.uniform(-0.12, 0.12) + max(0, 0.5 - length) * g.rng.uniform(0, 1)
        lower = upper - g.rng.uniform(-0.1, 0.5)
        if g.perhaps(fold):
            lower = -g.rng.uniform(0.6, 2.2)
        reach = min(length, 0.5)
        elbow = (0.45 + reach * math.sin(upper), 0.09 + reach * math.cos(upper))
        rest = length - reach
        wrist = (elbow[0] + rest * math.sin(lower), elbow[1] + rest * math.cos(lower))
        last = lower if rest else upper
        width = cuff if rest > 0.2 else wide
        inside = (wrist[0] - width * math.cos(last), wrist[1] + width * math.sin(last))
        crook = (elbow[0] - wide * 0.8 * math.cos(upper), elbow[1] + wide * 0.8 * math.sin(upper))
        outer = [(0.455, 0.085, 0.04), elbow, wrist] if rest else [(0.455, 0.085, 0.03), wrist]
        inner = [crook] if rest else []
        g.piece(*outer, inside, *inner, (0.43, 0.46), side=side, shade=g.rng.uniform(-14, 6))
        ends.append([(side * wrist[0], wrist[1]), (side * inside[0], inside[1])])
    return ends


def motif(g: Garment) -> None:
    """A print on the chest: a disc or lines of something like writing."""
    y, size = g.rng.uniform(0.4, 0.55), g.rng.uniform(0.1, 0.2)
    if g.perhaps(0.4):
        g.dot(0, y, size)
        g.dot(g.rng.uniform(-0.05, 0.05), y, size * 0.55, ink=LINING)
    for row in range(g.rng.randint(1, 3)):
        x = -size * 1.2
        while x < size:
            step = g.rng.uniform(0.03, 0.08)
            bottom = y + row * 0.09
            g.line((x, bottom), (x + step * 0.7, bottom), ink=TRIM, shade=0, width=0.06)
            x += step


def collar(g: Garment, neck: float, ink: int, shade: float = 12) -> None:
    """Two flaps that meet in the middle."""
    for side in (-1, 1):
        tip = g.rng.uniform(0.16, 0.26)
        g.piece((0, 0.13), (neck * 0.9, -0.05, 0.1), (neck + 0.06, 0.03), (tip, tip + 0.02),
                ink=ink, shade=shade, side=side)  # fmt: skip


def buttons(g: Garment, top: float, bottom: float, x: float = 0, ink: int = LINING) -> None:
    """A placket and its buttons."""
    g.lines((0.045, top), (0.045, bottom), shade=-25)
    for y in np.linspace(top + 0.05, bottom - 0.1, g.rng.randint(5, 8)):
        g.dot(x, y, 0.022, ink)


def t_shirt(g: Garment) -> None:
    neck, length, width = g.rng.uniform(0.15, 0.24), g.rng.uniform(1.0, 1.35), 0.45
    drop = g.rng.uniform(0.1, 0.2)
    ink = g.rng.choice([CLOTH, CLOTH, TRIM])
    torso(g, length, g.rng.uniform(0.4, 0.5), neck, drop, g.rng.choice([0.25, 0.25, 0.02]))
    for (x, y), (x2, y2) in sleeves(g, g.rng.uniform(0.22, 0.42), width):
        g.line((x, y), (x2, y2), ink=ink, width=0.03)
    g.lines((0, drop, -0.25), (neck, 0), ink=ink, shade=-15, width=0.04)
    if g.perhaps(0.5):
        motif(g)


def longsleeve(g: Garment) -> None:
    neck, drop = g.rng.uniform(0.13, 0.2), g.rng.uniform(0.06, 0.16)
    length, ink = g.rng.uniform(0.95, 1.25), g.rng.choice([CLOTH, CLOTH, CLOTH, TRIM])
    torso(g, length, g.rng.uniform(0.38, 0.5), neck, drop, g.rng.choice([0.25, 0.25, 0.02]))
    long = g.rng.uniform(0.8, 1.05) if g.perhaps(0.85) else g.rng.uniform(0.55, 0.75)
    for (x, y), (x2, y2) in sleeves(g, long, g.rng.uniform(0.12, 0.18), fold=0.25):
        g.line((x, y), (x2, y2), ink=ink, shade=-25, width=0.05)
    if g.perhaps(0.25):  # a roll neck
        g.both((0, -0.13), (neck, -0.14), (neck + 0.03, 0.04, 0.1), (0, 0.12), shade=-8)
    else:
        g.lines((0, drop, -0.25), (neck, 0), ink=ink, shade=-15, width=0.045)
    if g.perhaps(0.4):
        g.line((-0.44, length - 0.06), (0.44, length - 0.06), ink=ink, shade=-25)
    if g.perhaps(0.35):
        motif(g)


def shirt(g: Garment) -> None:
    length, neck = g.rng.uniform(1.1, 1.4), g.rng.uniform(0.14, 0.18)
    torso(g, length, g.rng.uniform(0.4, 0.5), neck, 0.12, 0)
    short = g.perhaps(0.4)
    reach = g.rng.uniform(0.28, 0.45) if short else g.rng.uniform(0.65, 1.05)
    for (x, y), (x2, y2) in sleeves(g, reach, g.rng.uniform(0.14, 0.18), fold=0.3):
        g.line((x, y), (x2, y2), shade=-20, width=0.05)
    buttons(g, 0.12, length if g.perhaps(0.85) else length * 0.45)
    collar(g, neck, g.rng.choice([CLOTH, CLOTH, CLOTH, TRIM]))
    if g.perhaps(0.5):
        g.piece((0.14, 0.38), (0.33, 0.38), (0.33, 0.6), (0.235, 0.63), (0.14, 0.6), shade=-8)


def outwear(g: Garment) -> None:
    length, neck = g.rng.choice([1.05, 1.15, 1.3, 1.75]), g.rng.uniform(0.16, 0.2)
    width = g.rng.uniform(0.46, 0.56)
    hood = g.perhaps(0.45)
    if hood:
        g.both((0, -0.4, 0.15), (0.3, -0.15, 0.15), (0.2, 0.12), (0, 0.2), shade=-10)
        g.both((0, -0.3, 0.2), (0.2, -0.1, 0.1), (0.12, 0.1), (0, 0.2), ink=LINING, shade=-50)
    torso(g, length, width, neck, 0.14, 0.1)
    vest = g.perhaps(0.15)
    if not vest:
        for (x, y), (x2, y2) in sleeves(g, g.rng.uniform(0.9, 1.1), 0.2, fold=0.1):
            g.line((x, y), (x2, y2), ink=g.rng.choice([CLOTH, TRIM]), shade=-30, width=0.07)
    if g.perhaps(0.4):  # quilted
        for y in np.arange(0.35, length - 0.05, g.rng.uniform(0.11, 0.2)):
            g.line((-width * 0.9, y, 0.03), (0, y + 0.01), shade=-35, width=0.018)
            g.line((0, y + 0.01), (width * 0.9, y, 0.03), shade=-35, width=0.018)
    gap = g.rng.choice([0, 0, 0.08, 0.2])
    if gap:  # open, so that the lining shows
        g.both((0, 0.1), (neck * 0.8, 0.05), (gap, length + 0.02), (0, length), ink=LINING,
               shade=-25)  # fmt: skip
        g.lines((neck * 0.8, 0.05), (gap, length), ink=TRIM, shade=-10, width=0.025)
    elif g.perhaps(0.7):
        g.line((0, 0.12), (0, length), ink=TRIM, shade=0, width=0.035)
        g.line((0, 0.12), (0, length), ink=LINING, shade=-60)
    else:
        buttons(g, 0.3, length, 0.1, ink=TRIM)
    if not hood:
        if g.perhaps(0.5):  # lapels
            for side in (-1, 1):
                g.piece((gap, 0.6), (0.1, -0.06), (0.2, -0.02), (0.3, 0.25), (0.2, 0.3),
                        side=side, shade=10)  # fmt: skip
        else:
            g.both((0, 0.02), (neck, -0.14), (neck + 0.04, 0.03), (0, 0.14), shade=-14)
    for side in (-1, 1):
        g.line((side * 0.2, length * 0.75), (side * 0.33, length * 0.6), shade=-60, width=0.025)


def dress(g: Garment) -> None:
    length, waist = g.rng.uniform(1.6, 2.1), g.rng.uniform(0.55, 0.85)
    narrow, hem = g.rng.uniform(0.28, 0.36), g.rng.uniform(0.38, 0.85)
    neck, drop = g.rng.uniform(0.14, 0.26), g.rng.uniform(0.1, 0.3)
    strap = g.perhaps(0.5)
    shoulder = neck + 0.08 if strap else 0.42
    g.both((0, 0.08), (neck, 0), (neck, drop), (0, drop + 0.05), shade=-48)
    g.both((0, drop, g.rng.choice([-0.25, 0])), (neck, 0), (shoulder, 0.03, -0.2),
           (0.38, 0.38, -0.05), (narrow, waist, g.rng.uniform(-0.06, 0.08)), (hem, length, -0.05),
           (0, length + 0.06))  # fmt: skip
    if not strap:
        sleeves(g, g.rng.choice([0.2, 0.3, 0.5, 0.95]), 0.15)
    if g.perhaps(0.7):
        g.line((-narrow, waist, 0.04), (narrow, waist), ink=g.rng.choice([CLOTH, TRIM]),
               width=g.rng.uniform(0.015, 0.09))  # fmt: skip
    folds(g, narrow, hem, waist, length)
    if g.perhaps(0.2):
        buttons(g, drop, length * 0.6)


def folds(g: Garment, narrow: float, wide: float, top: float, bottom: float) -> None:
    """Lines from the waist to the hem, more and darker the wider the skirt."""
    for _ in range(int(g.rng.uniform(4, 18) * (wide - narrow) / 0.4)):
        x, end = g.rng.uniform(-0.9, 0.9), g.rng.uniform(0.5, 1)
        g.line((x * narrow, top, g.rng.uniform(-0.03, 0.03)),
               (x * (narrow + (wide - narrow) * end), top + (bottom - top) * end),
               shade=g.rng.uniform(-35, 20), width=g.rng.uniform(0.01, 0.03))  # fmt: skip


def skirt(g: Garment) -> None:
    waist, length = g.rng.uniform(0.3, 0.42), g.rng.uniform(0.6, 1.25)
    hem = waist + g.rng.choice([0.02, 0.1, 0.25, 0.45])
    g.both((0, 0), (waist, 0), (hem, length, -0.06), (0, length + 0.05), shade=0)
    folds(g, waist, hem, 0.1, length)
    band = g.rng.uniform(0.05, 0.14)
    g.both((0, 0.02), (waist, 0), (waist + 0.01, band), (0, band + 0.02),
           ink=g.rng.choice([CLOTH, TRIM]), shade=-10)  # fmt: skip
    if g.perhaps(0.3):
        buttons(g, band, length)
    elif g.perhaps(0.3):
        g.line((-hem, length * 0.85), (hem, length * 0.85), ink=TRIM, shade=0, width=0.06)


def trousers(g: Garment, length: float, crotch: float, foot: float, apart: float) -> None:
    """Two legs with waistband, fly and pockets; long or short."""
    waist, hip = g.rng.uniform(0.3, 0.38), g.rng.uniform(0.4, 0.46)
    g.both((0, 0.04), (waist - 0.02, 0), (waist, 0.08), (0, 0.14), shade=-45)
    for side in (-1, 1):
        end = apart + g.rng.uniform(-0.04, 0.04)
        g.piece((0, 0.05), (waist, 0, 0.03), (hip, crotch), (end + 2 * foot, length),
                (end, length + 0.02), (0.0, crotch), side=side, shade=g.rng.uniform(-10, 5))  # fmt: skip
        g.line((side * (end + 2 * foot), length - 0.05), (side * end, length - 0.03), shade=-25)
        if g.perhaps(0.7):
            g.line((side * 0.18, 0.1), (side * 0.22, 0.2), (side * hip * 0.95, 0.24))
    if g.perhaps(0.2):
        g.lines((waist - 0.03, 0.1), (hip - 0.03, crotch), (apart + 2 * foot - 0.03, length),
                ink=TRIM, shade=0, width=0.04)  # fmt: skip
    ink = g.rng.choice([CLOTH, CLOTH, TRIM])
    g.both((0, 0.05), (waist, 0), (waist + 0.01, 0.1), (0, 0.14), ink=ink, shade=-12)
    if g.perhaps(0.6):
        g.line((0.0, 0.1), (0, crotch))
        g.line((0.06, 0.13), (0.06, crotch * 0.6, 0.2), (0, crotch * 0.75))
        g.dot(0, 0.08, 0.025, LINING)
    else:
        g.lines((0.02, 0.08, 0.2), (0.06, 0.35), ink=LINING, shade=20, width=0.02)


def pants(g: Garment) -> None:
    foot = g.rng.uniform(0.09, 0.2)
    trousers(g, g.rng.uniform(1.7, 2.2), g.rng.uniform(0.5, 0.62), foot, g.rng.uniform(0.02, 0.2))


def shorts(g: Garment) -> None:
    crotch = g.rng.uniform(0.45, 0.6)
    trousers(g, crotch + g.rng.uniform(0.12, 0.6), crotch, g.rng.uniform(0.18, 0.25), 0.04)


def hat(g: Garment) -> None:
    kind, tall = g.rng.choice(["cap", "beanie", "brim"]), g.rng.uniform(0.5, 0.75)
    if kind == "brim":
        g.both((0, 0.5, 0.2), (0.95, 0.75, 0.3), (0, 1.0), shade=-8)
        g.both((0, 0.05, 0.1), (0.35, 0.05, 0.1), (0.5, 0.75, 0.1), (0, 0.85))
        g.both((0, 0.6, -0.05), (0.47, 0.55), (0.5, 0.75, 0.1), (0, 0.85), ink=TRIM)
    elif kind == "beanie":
        if g.perhaps(0.4):
            g.dot(0, -0.1, 0.16, TRIM, -10)
        g.both((0, 0, 0.15), (0.42, 0.3, 0.1), (0.5, 0.9), (0, 0.95))
        for x in np.linspace(-0.4, 0.4, 9):
            g.line((x * 0.3, 0.05, x * 0.3), (x, 0.9), shade=-25, width=0.015)
        g.both((0, 0.72), (0.52, 0.68), (0.53, 0.98), (0, 1.02), ink=g.rng.choice([CLOTH, TRIM]))
    else:
        side = g.rng.choice([-1, 1])
        g.piece((-0.5, 0.7, -0.38), (0.5, 0.7, -0.08), side=side)
        g.line((0, 0.1), (0.0, 0.76))
        g.line((-side * 0.25, 0.72, 0.2), (0, 0.1), (side * 0.3, 0.72))
        g.dot(0, 0.08, 0.04, TRIM)
        g.piece((0.1, 0.72, -0.1), (0.5, 0.66, -0.2), (1.0, 0.85, 0.2), (0.3, 0.86, 0.1),
                ink=g.rng.choice([CLOTH, TRIM]), shade=-14, side=side)  # fmt: skip
        g.dot(side * 0.2, 0.45, 0.1, TRIM)


def shoes(g: Garment) -> None:
    kind = g.rng.choice(["sneaker", "boot", "heel"])
    for shift in (0, g.rng.uniform(0.3, 0.6)):
        top = {"sneaker": -0.1, "boot": -0.7, "heel": 0.05}[kind]
        lift = 0.3 if kind == "heel" else 0
        g.piece((0, 0.3 + shift - lift), (0, top + shift), (0.35, top + shift, -0.1),
                (0.5, 0.1 + shift, -0.1), (1, 0.25 + shift, 0.2), (1.05, 0.4 + shift),
                (0.05, 0.4 + shift - lift))  # fmt: skip
        g.line(
            (0, 0.42 + shift - lift),
            (0.5, 0.42 + shift),
            (1.07, 0.42 + shift),
            ink=LINING,
            width=0.08,
        )
        if kind == "heel":
            g.piece(
                (0, 0.1 + shift), (0.15, 0.1 + shift), (0.06, 0.45 + shift), (0.02, 0.45 + shift)
            )
        elif kind == "sneaker":
            for x in np.linspace(0.4, 0.6, 4):
                g.line(
                    (x, x * 0.5 + shift - 0.2),
                    (x + 0.1, x * 0.5 + shift - 0.12),
                    ink=LINING,
                    width=0.03,
                )


CLASSES: dict[str, Callable[[Garment], None]] = {
    "dress": dress, "hat": hat, "longsleeve": longsleeve, "outwear": outwear, "pants": pants,
    "shirt": shirt, "shoes": shoes, "shorts": shorts, "skirt": skirt, "t-shirt": t_shirt,
}  # fmt: skip


def draw_garment(name: str, seed: int) -> Image.Image:
    """One RGB picture, the same for the same `name` and `seed`.

    Raises:
        ValueError: if there is no such class.
    """
    if name not in CLASSES:
        raise ValueError(f"no garment is called {name!r}: choose from {', '.join(CLASSES)}")
    garment = Garment(random.Random(f"{name} {seed}"))  # a text seeds alike on every system
    CLASSES[name](garment)
    return photograph(garment)


def photograph(g: Garment) -> Image.Image:
    """Lay the garment on a floor and take a picture of it."""
    rng = g.rng
    noise = np.random.Generator(np.random.PCG64(rng.getrandbits(64)))
    w, h = rng.choice([(240, 320), (252, 336), (264, 320)])
    cloth, trim, lining, shade = lay_out(g, w, h)
    cover = np.minimum(cloth + trim + lining, 1)
    turn = rng.uniform(0, math.pi) if rng.random() < 0.2 else rng.choice([0, math.pi / 2])
    floor, main, second, inner = colours(rng)
    relief = blurred(cover, 5) * 2 + clouds(noise, w, h, 7) * 0.8 + clouds(noise, w, h, 18) * 0.4
    dy, dx = np.gradient(relief)
    direction = rng.uniform(0, 2 * math.pi)
    light = 1 + rng.uniform(2, 5) * (dx * math.cos(direction) + dy * math.sin(direction))
    shift = tuple(round(4 * f) for f in (math.sin(direction), math.cos(direction)))
    shadow = 1 - rng.uniform(0.2, 0.6) * np.roll(blurred(cover, 4), shift, (0, 1))

    picture = ground(rng, noise, w, h, floor) * shadow[..., None]
    fabric = pattern(rng, noise, w, h, turn, main, second)
    garment = cloth[..., None] * fabric + trim[..., None] * second + lining[..., None] * inner
    picture = picture * (1 - cover[..., None]) + garment * (light * shade * 2)[..., None]

    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    lamp = 1 - rng.uniform(0, 0.3) * (x**2 + y**2) + rng.uniform(-0.25, 0.25) * x
    lamp = lamp * rng.uniform(0.6, 1.15) + rng.uniform(-0.2, 0.2) * y
    white = np.array([1 + rng.uniform(-0.1, 0.12), 1, 1 - rng.uniform(-0.1, 0.15)])
    picture = picture * lamp[..., None] * white
    picture += noise.normal(0, rng.uniform(2, 9), (h, w, 1))
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(rng.choice([0, 0, 0.6, 1.2])))


def lay_out(g: Garment, w: int, h: int) -> Any:
    """Turn, scale and place the garment: three masks of its materials and one of its shading.

    Drawn at twice the size, then averaged, which makes smooth edges.
    """
    angle = g.rng.gauss(0, 0.12) if g.perhaps(0.85) else g.rng.uniform(-0.9, 0.9)
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    wave, phase = g.rng.uniform(3, 8), g.rng.uniform(0, 6)

    def place(points: Any) -> Any:
        return (points + 0.012 * np.sin(wave * points[:, ::-1] + phase)) @ rotation

    everything = np.concatenate([place(points) for points, *_ in g.pieces])
    low, high = everything.min(0), everything.max(0)
    room = np.array([2 * w, 2 * h])
    scale = min(room / (high - low)) * g.rng.uniform(0.5, 0.97)
    free = room - scale * (high - low)
    corner = free * [g.rng.uniform(0.1, 0.9), g.rng.uniform(0.1, 0.9)] - scale * low
    image = Image.new("CMYK", (2 * w, 2 * h), (0, 0, 0, 128))  # four channels, whatever they mean
    draw = ImageDraw.Draw(image)
    for points, ink, shade, width in g.pieces:
        xy = (place(points) * scale + corner).ravel().tolist()
        colour = [0, 0, 0, int(128 + shade)]
        colour[ink] = 255
        if width:
            draw.line(xy, tuple(colour), max(2, round(width * scale)), "curve")
        else:
            draw.polygon(xy, tuple(colour))
            colour[3] = int(colour[3] * 0.72)
            draw.line(xy, tuple(colour), max(2, round(0.01 * scale)))
    return np.asarray(image.reduce(2), np.float32).transpose(2, 0, 1) / 255


def blurred(mask: Any, radius: float) -> Any:
    image = Image.fromarray((mask * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def clouds(noise: np.random.Generator, w: int, h: int, cells: int) -> Any:
    """Smooth random values in [0, 1], with about `cells` hills across."""
    small = Image.fromarray(noise.integers(0, 256, (cells, cells), np.uint8))
    return np.asarray(small.resize((w, h), Image.Resampling.BICUBIC), np.float32) / 255


def colours(rng: random.Random) -> list[Any]:
    """Floor, cloth, trim and lining; the cloth never looks just like the floor."""
    while True:
        floor, main, second = (any_colour(rng) for _ in range(3))
        if abs(floor - main).sum() > 120 and abs(main - second).sum() > 150:
            return [floor, main, second, np.full(3, rng.choice([40.0, 200.0, 235.0]))]


def any_colour(rng: random.Random) -> Any:
    """Often grey, black or white; else anything."""
    value, colour = rng.uniform(35, 240), rng.choice([0.1, 0.3, 0.8]) * rng.random()
    hue = rng.uniform(0, 2 * math.pi) + np.array([0, 2.1, 4.2])
    return value * (1 - colour * (0.5 + 0.5 * np.cos(hue)))


def ground(rng: random.Random, noise: Any, w: int, h: int, colour: Any) -> Any:
    """What the garment lies on: wall, sheet, carpet, planks or tiles."""
    kind = rng.choice(["wall", "sheet", "carpet", "planks", "tiles"])
    if kind == "wall":
        tone = 0.95 + 0.1 * clouds(noise, w, h, 4)
    elif kind == "sheet":
        tone = 0.8 + 0.4 * abs(clouds(noise, w, h, 6) - clouds(noise, w, h, 9))
    elif kind == "carpet":
        tone = noise.uniform(0.6, 1.2, (h, w)) * (0.8 + 0.4 * clouds(noise, w, h, 30))
    else:
        size = rng.randint(22, 60)
        y, x = np.mgrid[:h, :w]
        across, along = (x, y) if rng.random() < 0.7 else (y, x)
        plank = across // size
        if kind == "planks":
            tone = noise.uniform(0.8, 1.1, 40)[plank] * (1 - 0.3 * (across % size < 2))
            grain = noise.uniform(0.9, 1.05, 400)[across] * (0.9 + 0.2 * clouds(noise, w, h, 8))
            tone, colour = tone * grain, colour * 0.4 + np.array([190.0, 150, 105]) * 0.6
        else:
            tone = 1 - 0.25 * ((across % (2 * size) < 3) | (along % (2 * size) < 3))
    return tone[..., None] * colour


def pattern(
    rng: random.Random, noise: Any, w: int, h: int, turn: float, main: Any, second: Any
) -> Any:
    """The cloth: plain, striped, checked, dotted, flowery or fading from one colour to another."""
    kind = rng.choice(["plain"] * 5 + ["stripes", "stripes", "checks", "dots", "flowers", "fading"])
    y, x = np.mgrid[:h, :w].astype(np.float32)
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    size = rng.uniform(7, 26)
    stripe, other = u % size < size * rng.uniform(0.2, 0.6), v % size < size * 0.4
    amount = {
        "plain": 0 * x,
        "stripes": 1.0 * stripe,
        "checks": 0.45 * stripe + 0.45 * other,
        "dots": 1.0 * ((u % size - size / 2) ** 2 + (v % size - size / 2) ** 2 < (size / 4) ** 2),
        "flowers": 1.0 * (clouds(noise, w, h, 22) > 0.62),
        "fading": y / h,
    }[kind][..., None]
    return (main * (1 - amount) + second * amount) * noise.normal(1, 0.03, (h, w, 1))


def draw_garments(folder: Path = paths.SKETCHES) -> Path:
    """Return the folder of the drawn garments, and draw them first if they are not there.

    They lie in ``train``, ``validation`` and ``test``, one folder a class, like the photos. The
    folder appears whole or not at all; an incomplete one is replaced.

    Raises:
        OSError: if the disk is full or the folder cannot be written; the message names it.
    """
    if is_complete(folder):
        return folder
    jobs = [(s, name, i) for s, count in COUNTS.items() for name in CLASSES for i in range(count)]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".drawing-", dir=folder.parent) as temporary:
            for number, (split, name, i) in enumerate(tqdm(jobs, "drawing", unit="picture")):
                path = Path(temporary, "whole", split, name, f"{i:04}.jpg")
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_garment(name, number).save(path, quality=85)
            if folder.exists() and not is_complete(folder):
                os.replace(folder, Path(temporary, "incomplete"))
            try:
                os.replace(Path(temporary, "whole"), folder)
            except OSError:
                if not is_complete(folder):  # else another process was faster: use its pictures
                    raise
    except OSError as error:
        raise OSError(
            f"The garments could not be drawn into {folder}: {error}. Free some space or set "
            "COURSE_DATASETS to a folder that can be written, then run this again."
        ) from error
    return folder


def is_complete(folder: Path) -> bool:
    return all(
        len(list((folder / split / name).glob("*.jpg"))) == count
        for split, count in COUNTS.items()
        for name in CLASSES
    )


def photos_or_sketches() -> Path:
    """The clothing photos if they are here or can be fetched, else the drawn garments.

    Raises:
        OSError: see `draw_garments`.
    """
    try:
        folder = download_photos()
        print(f"Using the clothing photos in {folder}.")
    except DownloadError as error:
        folder = draw_garments()
        print(
            f"Using drawn garments in {folder}, because: {str(error).split('. ')[0]}. "
            "With network, python -m course download fetches the photos."
        )
    return folder
