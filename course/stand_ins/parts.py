"""Parts that several kinds of garments share: a torso with sleeves, and a strip of buttons."""

from math import cos, sin

import numpy as np

from course.stand_ins.cutting import SIDES, Garment, Ink, Point

SHOULDER = (46.0, 9.0)
SLEEVE_TOP = (45.0, 9.0)
ARMPIT = (43.0, 46.0)
UPPER_ARM = 50.0  # a longer sleeve has a lower part, too
INSIDE = -37  # the shade of what one sees through an opening


def torso(
    garment: Garment, half_width: float, length: float, neckline: float, sleeve: float, cuff: Ink
) -> None:
    """The body of a shirt, a coat or a dress, with two sleeves.

    Args:
        half_width: of the chest.
        length: from the shoulder to the hem.
        neckline: how far down it reaches.
        sleeve: its length; 0 for none.
        cuff: the ink of the line at the end of each sleeve.
    """
    garment.piece((0, 5), (17, 0), (17, neckline), (0, neckline + 5), shade=INSIDE)
    garment.piece(
        (0, neckline, -25),
        (17, 0),
        SHOULDER,
        (half_width, 45, -3),
        (half_width * 0.94, length * 0.7),
        (half_width * garment.uniform(0.95, 1.1), length, 2),
        (0, length + 3),
    )
    # How far the arms are spread, in radians. Short sleeves stand off more.
    spread = garment.uniform(0.2, 0.8)
    if sleeve <= UPPER_ARM:
        spread += garment.uniform(0, 0.4)
    if sleeve:
        for side in SIDES:
            arm(garment, side, sleeve, spread, cuff)


def arm(garment: Garment, side: int, sleeve: float, spread: float, cuff: Ink) -> None:
    """One sleeve of one or two parts, the lower one sometimes folded over the torso."""
    angle = spread + garment.uniform(-0.1, 0.1)
    wrist = garment.uniform(13, 20)
    outer: list[Point] = [SLEEVE_TOP]
    inner: list[Point] = [ARMPIT]
    for part, width in [(min(sleeve, UPPER_ARM), 26), (sleeve - UPPER_ARM, wrist)]:
        if part > 0:
            x = outer[-1][0] + part * sin(angle)
            y = outer[-1][1] + part * cos(angle)
            outer.append((x, y))
            inner.append((x - width * cos(angle), y + width * sin(angle)))
            angle = bent(garment, angle)
    garment.piece(*outer, *inner[::-1], side=side, shade=garment.uniform(-10, 5))
    garment.line(outer[-1], inner[-1], side=side, ink=cuff, shade=-17, width=4.5)


def bent(garment: Garment, angle: float) -> float:
    """The angle of a sleeve below the elbow: mostly a little less, sometimes folded inwards."""
    if garment.random() < 0.2:
        return -garment.uniform(0.6, 1.5)
    return angle - garment.uniform(-0.1, 0.4)


def button_strip(garment: Garment, start: float, end: float) -> None:
    """A strip with five to eight buttons down the middle."""
    garment.piece((0, start), (5, start), (5, end), (0, end))
    for y in np.linspace(start + 6, end - 10, garment.randint(5, 8)):
        garment.dot(y, 2.4)
