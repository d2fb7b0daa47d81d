"""Garments drawn by code, for places where the clothing photos cannot be had.

A garment is a list of pieces of cloth that lie on each other, cut in rough centimetres: x from the
middle to the side, y from the shoulders or the waist down. `photograph` lays them on a floor,
switches on a lamp and takes a picture about as good as those that people send.
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
"""Inks: the main colour with its pattern, and two plain ones."""
Point = tuple[float, ...]
"""``(x, y)``, or ``(x, y, bulge)`` if the edge to the next point bulges outwards, in percent."""


class Garment(Random):
    """Dice that also keep the pieces cut with their help, as ``(points, look)``.

    A look may have an `ink`, a `shade` (percent lighter or darker) and, for lines, a `width`.
    """

    def __init__(self, seed: str) -> None:
        super().__init__(seed)  # a text gives the same numbers in every Python on every system
        self.pieces: list[tuple[Any, dict[str, Any]]] = []

    def piece(self, *points: Point, side: int = 0, **look: Any) -> None:
        """Cloth inside an outline on side -1 or 1; for 0, `points` are the right half of it."""
        outline = curve(*points, points[0]) * (side, 1) if side else curve(*points)
        mirrored = outline[::-1] * (-1, 1)
        self.pieces.append((outline if side else np.concatenate([outline, mirrored]), look))

    def line(self, *points: Point, side: int = 0, **look: Any) -> None:
        """A seam, fold or stripe on one side, or for 0 on both."""
        look = {"width": 1.6, "shade": -30} | look
        self.pieces += [(curve(*points) * (s, 1), look) for s in (-1, 1) if side in (s, 0)]

    def dot(self, y: float, r: float, ink: int = LINING) -> None:
        self.piece((0, y - r, 20), (r, y, 20), (0, y + r), ink=ink)


def curve(*points: Point) -> Any:
    """Positions ``(n, 2)`` along the edges from point to point, bent by their bulges."""
    t, edges = np.linspace(0, 1, 9)[:, None], []
    for (x, y, *bulge), (x2, y2, *_) in zip(points, points[1:], strict=False):
        outwards = np.array([y2 - y, x - x2]) * sum(bulge) / 100
        edges.append((1 - t) * (x, y) + t * (x2, y2) + 4 * t * (1 - t) * outwards)
    return np.concatenate(edges)


# fmt: off
def top(g: Garment, width: float, length: float, drop: float, reach: float, ink: int) -> None:
    """A torso and two sleeves, whose lower parts are sometimes folded over it."""
    g.piece((0, 5), (17, 0), (17, drop), (0, drop + 5), shade=-37)  # the inside of its back
    g.piece((0, drop, -25), (17, 0), (46, 9), (width, 45, -3), (width * 0.94, length * 0.7),
            (width * g.uniform(0.95, 1.1), length, 2), (0, length + 3))
    spread = g.uniform(0.2, 0.8) + (0 if reach > 50 else g.uniform(0, 0.4))
    for side in (-1, 1) if reach else ():
        turn, outer, inner = spread + g.uniform(-0.1, 0.1), [(45.0, 9.0)], [(43.0, 46.0)]
        for part, wide in [(min(reach, 50), 26), (reach - 50, g.uniform(13, 20))]:
            if part > 0:
                x, y = outer[-1][0] + part * sin(turn), outer[-1][1] + part * cos(turn)
                outer.append((x, y))
                inner.append((x - wide * cos(turn), y + wide * sin(turn)))
                turn = -g.uniform(0.6, 2) if g.random() < 0.2 else turn - g.uniform(-0.1, 0.4)
        g.piece(*outer, *inner[::-1], side=side, shade=g.uniform(-10, 5))
        g.line(outer[-1], inner[-1], side=side, ink=ink, shade=-17, width=4.5)

def jersey(g: Garment, reach: float) -> None:
    """A T-shirt or a longsleeve: only the reach of the sleeves tells."""
    drop, ink = g.uniform(7, 20), g.choice([CLOTH, CLOTH, TRIM])
    top(g, g.uniform(40, 50), g.uniform(95, 130), drop, reach, ink)
    if reach > 50 and g.random() < 0.25:  # a roll neck
        g.piece((0, -13), (17, -14), (20, 4, 10), (0, 12), shade=-6)
    else:
        g.line((0, drop, -25), (17, 0), ink=ink, shade=-12, width=4.5)
    if g.random() < 0.5:  # a print: a disc and something like writing
        g.dot(45, g.uniform(8, 22), TRIM)
        for x in range(-16, 14, 7):
            g.line((x, 48), (x + g.uniform(3, 6), 48), side=1, ink=LINING, width=7)

def buttons(g: Garment, start: float, end: float) -> None:
    g.piece((0, start), (5, start), (5, end), (0, end))
    for y in np.linspace(start + 6, end - 10, g.randint(5, 8)):
        g.dot(y, 2.4)

def shirt(g: Garment) -> None:
    length, ink = g.uniform(110, 140), g.choice([CLOTH, CLOTH, CLOTH, TRIM])
    top(g, g.uniform(40, 50), length, 12, g.choice([30, 42, 65, 90, 95, 100]), CLOTH)
    buttons(g, 12, length * g.choice([1, 1, 1, 0.45]))
    if g.random() < 0.5:  # a pocket
        g.piece((14, 38), (33, 38), (33, 60), (23, 63), (14, 60), side=1)
    for side in (-1, 1):  # the collar
        g.piece((0, 13), (15, -5, 10), (22, 3), (21, g.uniform(16, 26)), side=side, ink=ink)

def outwear(g: Garment) -> None:
    length, gap, hood = g.choice([105, 115, 130, 175]), g.choice([1, 1, 8, 20]), g.random() < 0.45
    if hood:
        g.piece((0, -40, 15), (32, -15, 15), (20, 12), (0, 20), shade=-8)
        g.piece((0, -30, 20), (22, -10, 10), (12, 10), (0, 20), ink=LINING, shade=-37)
    top(g, g.uniform(46, 55), length, 14, g.choice([0, 90, 95, 105]), g.choice([CLOTH, TRIM]))
    for y in range(35, length - 5, g.choice([999, 999, 12, 20])):  # quilted
        g.line((0, y), (43, y - 1), width=2)
    g.piece((0, 10), (15, 5), (gap, 50), (gap, length), (0, length), ink=LINING, shade=-20)  # open
    g.line((15, 5), (gap, 50), (gap, length), ink=TRIM, shade=0, width=3)  # the zip
    for side in () if hood else (-1, 1):  # lapels
        g.piece((gap, 60), (10, -6), (20, -2), (g.uniform(22, 32), 25), side=side, shade=9)
    g.line((20, length * 0.75), (33, length * 0.6), shade=-47, width=3)

def flare(g: Garment, waist: float, hem: float, start: float, end: float) -> None:
    """The lower part of a dress or a skirt, with more folds if it is wide."""
    g.piece((0, start), (waist, start, 4), (hem, end, 5), (0, end + 5))
    for _ in range(int(g.uniform(4, 18) * (hem - waist) / 30)):
        x, part = g.uniform(-0.95, 0.95), g.uniform(0.5, 1)
        tip = (x * (waist + (hem - waist) * part), start + (end - start) * part)
        g.line((x * waist, start), tip, side=1, shade=g.uniform(-30, 17), width=g.uniform(1, 3))

def dress(g: Garment) -> None:
    waist, drop, reach = g.uniform(55, 85), g.uniform(12, 30), g.choice([0, 0, 0, 20, 30, 90])
    if reach:
        top(g, 36, waist, drop, reach, CLOTH)
    else:
        g.piece((0, 5), (20, 0), (20, drop), (0, drop + 5), shade=-37)
        g.piece((0, drop, -25), (20, 0), (28, 2, -20), (38, 38, -5), (34, waist), (0, waist))
    flare(g, 34, g.uniform(38, 85), waist, g.uniform(160, 210))
    g.line((0, waist), (34, waist), ink=g.choice([CLOTH, TRIM]), width=g.uniform(1, 9))

def skirt(g: Garment) -> None:
    waist, length, band = g.uniform(30, 42), g.uniform(60, 125), g.uniform(6, 14)
    flare(g, waist, waist + g.choice([3, 15, 30, 50]), 2, length)
    g.piece((0, 2), (waist, 0), (waist + 2, band), (0, band + 2), ink=g.choice([CLOTH, TRIM]))
    if g.random() < 0.25:
        buttons(g, band, length)

def trousers(g: Garment, length: float, foot: float) -> None:
    """Pants or shorts."""
    waist, crotch, inside = g.uniform(30, 38), g.uniform(43, 52), g.uniform(6, 17)
    for side in (-1, 1):
        g.piece((0, 5), (waist, 0, 3), (43, crotch), (inside + foot, length),
                (inside, length + 2), (0, crotch), side=side, shade=g.uniform(-8, 4))
    g.line((inside + foot, length - 5), (inside, length - 3))
    g.piece((0, 5), (waist, 0), (waist + 1, 10), (0, 14), ink=g.choice([CLOTH, CLOTH, TRIM]))
    g.line((0, 10), (0, crotch))
    if g.random() < 0.6:  # pockets and a button, else a cord
        g.line((16, 12), (22, 22), (41, 26))
        g.dot(8, 3)
    else:
        g.line((2, 8, 20), (7, 36), ink=LINING, shade=15, width=2.2)

def hat(g: Garment) -> None:
    kind, ink = g.choice(["brim", "beanie", "cap"]), g.choice([CLOTH, TRIM])
    if kind == "brim":
        g.piece((0, 60, 12), (95, 78, 14), (0, 100), shade=-6)
    g.dot(0, g.choice([3, 16]) if kind == "beanie" else 3, TRIM)
    g.piece((0, 0, 12), (42, 30, 10), (50, 90, 3), (0, 95))
    if kind == "brim":
        g.piece((0, 72), (49, 66), (50, 85, 10), (0, 95), ink=TRIM)
    elif kind == "beanie":
        for x in np.linspace(5, 42, 5):
            g.line((x * 0.3, 6, x / 2), (x, 90))
        g.piece((0, 72), (52, 68), (53, 98), (0, 102), ink=ink)
    else:
        g.line((4, 0), (30, 30, 10), (34, 90))
        g.dot(45, g.uniform(0, 20), TRIM)
        g.piece((-5, 93), (50, 78, 12), (105, 100, 20), (70, 106, -10), ink=ink, shade=-9,
                side=g.choice([-1, 1]))

def shoes(g: Garment) -> None:
    y, toe, ankle = g.uniform(20, 50), g.uniform(10, 25), g.choice([-5, -5, -30, -70])
    if g.random() < 0.3:  # slippers from above
        for s in (-1, 1):
            g.piece((20, 0, toe), (40, 25, 3), (36, 90, 25), (12, 90, 3), (6, 22, toe), side=s)
            g.piece((22, y, 20), (35, y + 15), (32, 90, 25), (15, 90), (10, y + 15, 20), side=s,
                    ink=LINING, shade=-27)
        return
    g.piece((4, 34), (2, ankle), (38, ankle - 3), (46, -2), (70, 14, 12), (100, 34), side=1)
    g.piece((5, ankle + 1, 20), (36, ankle - 2, 20), side=1, ink=LINING, shade=-37)
    g.piece((0, 32), (102, 32, 10), (100, 43), (2, 43, 10), side=1, ink=LINING)
    for x in np.linspace(42, 64, 4):  # laces
        g.line((x - 6, x * 0.6 - 20), (x + 5, x * 0.6 - 28), side=1, ink=LINING, width=3)
    g.line((30, 30), (42, 10), (50, 30), side=1, ink=TRIM, shade=0, width=5)
    move = (g.uniform(-30, 40), g.uniform(-60, -35) + ankle / 2)
    g.pieces = [(points + move, look) for points, look in g.pieces] + g.pieces  # its twin behind

CLASSES: dict[str, Callable[[Garment], None]] = {
    "dress": dress, "hat": hat, "outwear": outwear, "shirt": shirt, "shoes": shoes, "skirt": skirt,
    "longsleeve": lambda g: jersey(g, g.choice([65, 80, 85, 90, 95, 100])),
    "pants": lambda g: trousers(g, g.uniform(160, 220), g.uniform(18, 38)),
    "shorts": lambda g: trousers(g, g.uniform(68, 110), g.uniform(36, 48)),
    "t-shirt": lambda g: jersey(g, g.uniform(20, 44)),
}
# fmt: on


def draw_garment(name: str, seed: int) -> Image.Image:
    """One RGB picture of about 216 x 288, always the same for the same class name and `seed`."""
    garment = Garment(f"{name} {seed}")
    CLASSES[name](garment)
    return photograph(garment)


def photograph(g: Garment) -> Image.Image:
    """Floor, shadow, garment, folds and light, one after the other."""
    size = g.choice([(216, 288), (225, 300), (216, 270)])
    angle = g.gauss(0, 0.1) if g.random() < 0.9 else g.uniform(-0.8, 0.8)
    cloth, trim, lining, shade = lay_out(g, size, angle)
    cover = np.minimum(cloth + trim + lining, 1)
    colours = choose_colours(g)

    soft = Image.fromarray((cover[..., 0] * 255).astype(np.uint8))
    thick = np.asarray(soft.filter(ImageFilter.GaussianBlur(4)), np.float32) / 255
    folds = abs(clouds(g, size, 6, 8) - 0.5) + clouds(g, size, 22, 28) * 0.3
    down, right = np.gradient(thick * 1.2 + folds)
    sun = g.uniform(0, 2 * pi)
    light = shade * (1 + g.uniform(1.5, 4.5) * (right * cos(sun) + down * sin(sun)))[..., None]
    shadow = np.roll(thick, (round(5 * sin(sun)), round(5 * cos(sun))), (0, 1))[..., None]

    garment = pattern(g, size, angle, *colours[1:3]) * cloth
    garment += colours[2] * trim + colours[3] * lining
    floor = ground(g, size, colours[0]) * (1 - g.uniform(0.25, 0.6) * shadow)
    lamp = g.uniform(0.6, 1.1) + 0.35 * clouds(g, size, 2, 2) + 0.1 * clouds(g, size, *size)
    picture = (floor * (1 - cover) + garment * light) * lamp[..., None]
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(g.choice([0, 0, 0.7, 1.2])))


def lay_out(g: Garment, size: tuple[int, int], angle: float) -> Any:
    """Crumple, turn, scale and place the pieces: ``(4, h, w, 1)``, three inks and the shade."""
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    wave, phase = g.uniform(0.03, 0.08), g.uniform(0, 2 * pi)
    placed = [(xy + 1.2 * np.sin(wave * xy[:, ::-1] + phase)) @ turn for xy, _ in g.pieces]
    low, high = np.concatenate(placed).min(0), np.concatenate(placed).max(0)
    w, h = 2 * size[0], 2 * size[1]  # twice the size, then averaged, which gives smooth edges
    scale = min((w, h) / (high - low)) * g.uniform(0.72, 0.97)
    part = np.array([g.uniform(0.25, 0.75), g.uniform(0.25, 0.75)])
    corner = part * (w, h) - scale * (part * high + (1 - part) * low)
    image = Image.new("CMYK", (w, h), (0, 0, 0, 128))  # not for colours: four numbers a pixel
    draw = ImageDraw.Draw(image)
    for points, (_, look) in zip(placed, g.pieces, strict=True):
        xy = (points * scale + corner).ravel().tolist()
        inks = [255 * (look.get("ink", CLOTH) == ink) for ink in (CLOTH, TRIM, LINING)]
        shade, width = look.get("shade", 0), look.get("width", 0)
        if not width:
            draw.polygon(xy, (*inks, int(128 + 1.28 * shade)))
            shade, width = shade - 30, 1  # its edge
        draw.line(xy, (*inks, int(128 + 1.28 * shade)), max(2, round(width * scale)), "curve")
    layers = np.asarray(image.reduce(2), np.float32) / (255, 255, 255, 128)
    return layers.astype(np.float32).transpose(2, 0, 1)[..., None]


def clouds(g: Garment, size: tuple[int, int], across: int, down: int) -> Any:
    """Smooth random values ``(h, w)`` in [0, 1] with so many hills."""
    small = Image.frombytes("L", (across, down), g.randbytes(across * down))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.float32) / 255


def choose_colours(g: Garment) -> Any:
    """Floor, cloth, trim and lining; neighbours are never quite alike."""
    while True:
        bright, strong, hue = np.array([g.random() for _ in range(12)]).reshape(3, 4, 1)
        waves = 0.5 + 0.5 * np.cos(2 * pi * hue + [0, 2.1, 4.2])
        colours = (35 + 210 * bright) * (1 - strong**2 * waves)
        if abs(np.diff(colours, axis=0)).sum(1).min() > 130:
            return colours.astype(np.float32)


def ground(g: Garment, size: tuple[int, int], colour: Any) -> Any:
    """A wall, a sheet, a carpet, tiles or planks."""
    (y, x), step = np.ogrid[: size[1], : size[0]], g.randint(30, 90)
    cells, strength = g.choice([(4, 0.2), (9, 0.3), (200, 0.5)])
    tone = 1 + strength * (clouds(g, size, cells, cells) - 0.5)
    floor = g.random()
    if floor < 0.2:
        tone[(x % step < 3) | (y % step < 3)] *= 0.75
    elif floor < 0.5:
        tone *= 0.9 + 0.2 * clouds(g, size, 100, 6)
        tone[:, x[0] % step < 2] *= 0.7
        colour = colour * 0.35 + np.array([133, 107, 75], np.float32)
    return tone[..., None] * colour


def pattern(g: Garment, size: tuple[int, int], angle: float, main: Any, second: Any) -> Any:
    """Cloth: plain, striped, checked, dotted, flowery or fading from one colour to the other."""
    step, angle = g.uniform(1, 4), angle + g.choice([0, pi / 2])
    y, x = (np.arange(n, dtype=np.float32) / step for n in size[::-1])
    y = y[:, None]
    u, v = np.cos(x * cos(angle) + y * sin(angle)), np.cos(y * cos(angle) - x * sin(angle))
    plain, stripes, checks, dots = 0 * u, u > 0.2, 0.4 * (u > 0) + 0.4 * (v > 0), u + v > 0.9
    flowers, fading = clouds(g, size, 20, 26) > 0.65, clouds(g, size, 2, 2)
    amount = g.choice([plain] * 6 + [stripes, stripes, checks, dots, flowers, fading])
    weave = 0.93 + 0.14 * clouds(g, size, *size)[..., None]
    return (main + (second - main) * amount.astype(np.float32)[..., None]) * weave


def draw_garments(folder: Path = paths.SKETCHES) -> Path:
    """Return the folder of the drawn garments, and draw them first if they are not there.

    It is arranged like that of the photos. It appears whole or not at all; an incomplete one is
    replaced.

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
            (drawn / STYLE).touch()
            if not is_complete(folder):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(folder, Path(temporary, "incomplete"))
            os.replace(drawn, folder)
    except OSError as error:
        if not is_complete(folder):  # else another process was faster, and its pictures will do
            raise OSError(
                f"the garments could not be drawn into {folder}: {error}. Free some space or set "
                "COURSE_DATASETS to a folder that can be written, then run this again"
            ) from error
    return folder


def is_complete(folder: Path) -> bool:
    """Whether all pictures are there, in today's style. Counts names, reads no file."""
    folders = [(folder / split / name, n) for split, n in COUNTS.items() for name in CLASSES]
    return (folder / STYLE).is_file() and all(len(list(f.glob("*.jpg"))) == n for f, n in folders)


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
