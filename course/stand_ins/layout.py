"""A garment is laid out: its pieces are crumpled, turned, enlarged and put into a picture."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from course.stand_ins.cutting import Array, Garment, Piece
from course.stand_ins.noise import Size

OVERSIZE = 2  # drawn at twice the size, then averaged, which gives smooth edges
MEDIUM = 128  # the number for a shade of 0 %
EDGE_SHADE = -30  # of the edge of a piece, compared with the piece


@dataclass(frozen=True)
class Layers:
    """Where a picture shows what: each ``(H, W, 1) float32``.

    Attributes:
        cloth: the share of cloth in each pixel, from 0 to 1.
        trim: that of the trim.
        lining: that of the lining.
        shade: how bright it is; 1 is neither darker nor brighter.
    """

    cloth: Array
    trim: Array
    lining: Array
    shade: Array

    @property
    def cover(self) -> Array:
        """The share of the garment in each pixel; the floor has the rest."""
        return np.minimum(self.cloth + self.trim + self.lining, 1)


def lay_out(garment: Garment, size: Size, angle: float) -> Layers:
    """Lay all pieces of a garment on each other, somewhere in a picture of this size."""
    outlines = crumple_and_turn(garment, angle)
    scale, corner = find_place(garment, outlines, size)
    # The four numbers of a CMYK pixel serve as the three inks and the shade, not as colours.
    image = Image.new("CMYK", (OVERSIZE * size[0], OVERSIZE * size[1]), (0, 0, 0, MEDIUM))
    pen = ImageDraw.Draw(image)
    for outline, piece in zip(outlines, garment.pieces, strict=True):
        draw_piece(pen, outline * scale + corner, piece, scale)
    numbers: Array = np.asarray(image.reduce(OVERSIZE), np.float32)  # (H, W, 4)
    shares = numbers / np.array([255, 255, 255, MEDIUM], np.float32)
    return Layers(*np.split(shares, 4, axis=2))


def crumple_and_turn(garment: Garment, angle: float) -> list[Array]:
    """The outlines ``(N, 2) float64`` of the pieces: edges become wavy, then all is turned."""
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    wave = garment.uniform(0.03, 0.08)
    phase = garment.uniform(0, 2 * pi)
    outlines = [piece.outline for piece in garment.pieces]
    return [(xy + 1.2 * np.sin(wave * xy[:, ::-1] + phase)) @ turn for xy in outlines]


def find_place(garment: Garment, outlines: list[Array], size: Size) -> tuple[float, Array]:
    """Pixels per centimetre, and the pixel ``(2,) float64`` where the centimetres begin."""
    room = (OVERSIZE * size[0], OVERSIZE * size[1])
    every_point = np.concatenate(outlines)
    low, high = every_point.min(0), every_point.max(0)
    scale = min(room / (high - low)) * garment.uniform(0.72, 0.97)
    # Of the room that is left, this part is to the left of the garment, and above it.
    part = np.array([garment.uniform(0.25, 0.75), garment.uniform(0.25, 0.75)])
    return scale, part * room - scale * (part * high + (1 - part) * low)


def draw_piece(pen: ImageDraw.ImageDraw, pixels: Array, piece: Piece, scale: float) -> None:
    """Fill a piece and draw its edge, or draw a line."""
    xy = pixels.ravel().tolist()
    if piece.width:
        pen.line(xy, fill_of(piece, 0), max(2, round(piece.width * scale)), "curve")
    else:
        pen.polygon(xy, fill_of(piece, 0))
        pen.line(xy, fill_of(piece, EDGE_SHADE), max(2, round(scale)), "curve")


def fill_of(piece: Piece, darker: float) -> tuple[int, int, int, int]:
    """The four numbers of a pixel: three for the ink, one for the shade."""
    return (*piece.ink, int(MEDIUM + 1.28 * (piece.shade + darker)))
