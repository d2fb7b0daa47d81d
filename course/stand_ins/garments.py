"""How the drawn garments are cut, in rough centimetres: x from the middle to the side, y down."""

from collections.abc import Callable
from math import cos, sin
from random import Random
from typing import Any

import numpy as np

CLOTH, TRIM, LINING = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # inks; only the first is patterned


class Garment(Random):
    """Dice that keep the `pieces` cut with their help: points and their ink, shade and width."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)  # a text gives the same numbers in every Python on every system
        self.pieces: list[tuple[Any, dict[str, Any]]] = []

    def piece(self, *points: tuple[float, ...], side: int = 0, **look: Any) -> None:
        """Cloth inside an outline on side -1 or 1; for 0, `points` are the right half of it."""
        right = curve(*points, points[0]) if side else curve(*points)
        outline = right * (side, 1) if side else np.concatenate([right, right[::-1] * (-1, 1)])
        self.pieces.append((outline, look))

    def line(self, *points: tuple[float, ...], side: int = 0, **look: Any) -> None:
        """A seam, fold or stripe on one side, or for 0 on both."""
        look = {"width": 1.6, "shade": -30} | look
        self.pieces += [(curve(*points) * (s, 1), look) for s in (-1, 1) if side in (s, 0)]

    def dot(self, y: float, r: float, ink: Any = LINING) -> None:
        self.piece((0, y - r, 20), (r, y, 20), (0, y + r), ink=ink)


def curve(*points: tuple[float, ...]) -> Any:
    """Positions ``(n, 2)`` from point to point: ``(x, y)`` or ``(x, y, bulge of edge in %)``."""
    corners = np.array([(*point, 0)[:3] for point in points])[:, None]
    start, end, bulge = corners[:-1, :, :2], corners[1:, :, :2], corners[:-1, :, 2:]
    outwards = (end - start)[..., ::-1] * (1, -1) * bulge / 100
    t = np.linspace(0, 1, 9)[:, None]
    return ((1 - t) * start + t * end + 4 * t * (1 - t) * outwards).reshape(-1, 2)


# fmt: off
def top(g: Garment, width: float, length: float, drop: float, reach: float, ink: Any) -> None:
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
                turn = -g.uniform(0.6, 1.5) if g.random() < 0.2 else turn - g.uniform(-0.1, 0.4)
        g.piece(*outer, *inner[::-1], side=side, shade=g.uniform(-10, 5))
        g.line(outer[-1], inner[-1], side=side, ink=ink, shade=-17, width=4.5)

def jersey(g: Garment, reach: float) -> None:
    drop, ink = g.uniform(7, 20), g.choice([CLOTH, CLOTH, TRIM])
    top(g, g.uniform(40, 50), g.uniform(95, 130), drop, reach, ink)  # a T-shirt or a longsleeve
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

def flare(g: Garment, waist: float, wider: float, start: float, end: float) -> None:
    """A skirt or that of a dress, with more folds if it gets much wider."""
    g.piece((0, start), (waist, start, 4), (waist + wider, end, 5), (0, end + 5))
    for _ in range(int(g.uniform(4, 18) * wider / 30)):
        x, part = g.uniform(-0.95, 0.95), g.uniform(0.5, 1)
        tip = (x * (waist + wider * part), start + (end - start) * part)
        g.line((x * waist, start), tip, side=1, shade=g.uniform(-30, 17), width=g.uniform(1, 3))

def dress(g: Garment) -> None:
    waist, drop, reach = g.uniform(55, 85), g.uniform(12, 30), g.choice([0, 0, 0, 20, 30, 90])
    if reach:
        top(g, 36, waist, drop, reach, CLOTH)
    else:
        g.piece((0, 5), (20, 0), (20, drop), (0, drop + 5), shade=-37)
        g.piece((0, drop, -25), (20, 0), (28, 2, -20), (38, 38, -5), (34, waist), (0, waist))
    flare(g, 34, g.uniform(4, 51), waist, g.uniform(160, 210))
    g.line((0, waist), (34, waist), ink=g.choice([CLOTH, TRIM]), width=g.uniform(1, 9))

def skirt(g: Garment) -> None:
    waist, length, band = g.uniform(30, 42), g.uniform(60, 125), g.uniform(6, 14)
    flare(g, waist, g.choice([3, 15, 30, 50]), 2, length)
    g.piece((0, 2), (waist, 0), (waist + 2, band), (0, band + 2), ink=g.choice([CLOTH, TRIM]))
    if g.random() < 0.25:
        buttons(g, band, length)

def trousers(g: Garment, length: float, foot: float) -> None:
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
    "longsleeve": lambda g: jersey(g, g.choice([58, 75, 85, 90, 95, 100])),
    "pants": lambda g: trousers(g, g.uniform(160, 220), g.uniform(18, 38)),
    "shorts": lambda g: trousers(g, g.uniform(68, 110), g.uniform(36, 48)),
    "t-shirt": lambda g: jersey(g, g.uniform(20, 48)),
}
