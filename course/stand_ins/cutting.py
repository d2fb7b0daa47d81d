"""How drawn garments are cut: pieces of cloth and lines on them, each an outline with an ink.

Lengths are rough centimetres. x goes from the middle of the garment to its side, y goes down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Point = tuple[float, ...]  # x and y, and perhaps the bulge of the edge to the next point
Ink = tuple[int, int, int]

CLOTH: Ink = (255, 0, 0)  # the only ink that gets a pattern
TRIM: Ink = (0, 255, 0)
LINING: Ink = (0, 0, 255)

LEFT, RIGHT = -1, 1
SIDES = (LEFT, RIGHT)
BOTH = 0

STEPS = 9  # points along a curved edge


@dataclass(frozen=True)
class Piece:
    """A piece of cloth, or a line on it.

    Attributes:
        outline: ``(N, 2) float64`` positions in centimetres, one point per row.
        ink: what it is made of: `CLOTH`, `TRIM` or `LINING`.
        shade: how bright it is, in percent above or below the cloth around it.
        width: of a line, in centimetres; 0 for a filled piece.
    """

    outline: Array
    ink: Ink
    shade: float
    width: float


class Garment(Random):
    """Dice that keep the `pieces` which were cut with their help, the lowest piece first.

    Args:
        seed: a text, because a text gives the same numbers in every Python on every system.
    """

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.pieces: list[Piece] = []

    def piece(self, *points: Point, side: int = BOTH, ink: Ink = CLOTH, shade: float = 0) -> None:
        """Cut a filled piece.

        Args:
            points: its outline. For both sides they are the right half, from top to bottom, which
                is mirrored. For one side they go all around; the last edge is closed.
            side: `LEFT`, `RIGHT` or `BOTH`.
        """
        if side == BOTH:
            right = curve(points)
            outline = np.concatenate([right, mirrored(right[::-1], LEFT)])
        else:
            outline = mirrored(curve([*points, points[0]]), side)
        self.pieces.append(Piece(outline, ink, shade, width=0))

    def line(
        self,
        *points: Point,
        side: int = BOTH,
        ink: Ink = CLOTH,
        shade: float = -30,
        width: float = 1.6,
    ) -> None:
        """Draw a seam, a fold or a stripe on one side, or the same on both."""
        for each in SIDES if side == BOTH else [side]:
            self.pieces.append(Piece(mirrored(curve(points), each), ink, shade, width))

    def dot(self, y: float, radius: float, ink: Ink = LINING) -> None:
        """Put a button, a print or a bobble on the middle line."""
        self.piece((0, y - radius, 20), (radius, y, 20), (0, y + radius), ink=ink)


def mirrored(outline: Array, side: int) -> Array:
    """Positions ``(N, 2) float64`` on the right side, moved to `side`."""
    return outline * (side, 1)


def curve(points: Sequence[Point]) -> Array:
    """Positions ``(N, 2) float64`` along the edges from point to point.

    Args:
        points: ``(x, y)`` where a straight edge begins, or ``(x, y, bulge)``: the middle of the
            edge then stands out by so many percent of its length.
    """
    corners = np.array([(*point, 0)[:3] for point in points])[:, None]
    start, end = corners[:-1, :, :2], corners[1:, :, :2]
    bulge = corners[:-1, :, 2:]
    outwards = (end - start)[..., ::-1] * (1, -1) * bulge / 100
    # A parabola over each edge: 0 at its ends, 1 in the middle.
    t = np.linspace(0, 1, STEPS)[:, None]
    return ((1 - t) * start + t * end + 4 * t * (1 - t) * outwards).reshape(-1, 2)
