"""How hats and shoes are cut."""

from dataclasses import replace

import numpy as np

from course.stand_ins.cutting import CLOTH, LINING, RIGHT, SIDES, TRIM, Garment, Ink
from course.stand_ins.parts import INSIDE


def hat(garment: Garment) -> None:
    """A hat with a brim, a beanie or a cap."""
    kind = garment.choice(["brim", "beanie", "cap"])
    edge_ink = garment.choice([CLOTH, TRIM])
    if kind == "brim":
        brimmed_hat(garment)
    elif kind == "beanie":
        beanie(garment, edge_ink)
    else:
        cap(garment, edge_ink)


def crown(garment: Garment, knob: float) -> None:
    """The dome of a hat, with a knob of this radius on top."""
    garment.dot(0, knob, TRIM)
    garment.piece((0, 0, 12), (42, 30, 10), (50, 90, 3), (0, 95))


def brimmed_hat(garment: Garment) -> None:
    """A hat with a brim all around it, and with a ribbon."""
    garment.piece((0, 60, 12), (95, 78, 14), (0, 100), shade=-6)
    crown(garment, knob=3)
    garment.piece((0, 72), (49, 66), (50, 85, 10), (0, 95), ink=TRIM)


def beanie(garment: Garment, edge_ink: Ink) -> None:
    """A knitted hat with ribs and an edge that is turned up, half of them with a bobble."""
    crown(garment, knob=garment.choice([3, 16]))
    for x in np.linspace(5, 42, 5):
        garment.line((x * 0.3, 6, x / 2), (x, 90))
    garment.piece((0, 72), (52, 68), (53, 98), (0, 102), ink=edge_ink)


def cap(garment: Garment, peak_ink: Ink) -> None:
    """A baseball cap with a badge, its peak to the left or to the right."""
    crown(garment, knob=3)
    garment.line((4, 0), (30, 30, 10), (34, 90))
    garment.dot(45, garment.uniform(0, 20), TRIM)
    peak = [(-5, 93), (50, 78, 12), (105, 100, 20), (70, 106, -10)]
    garment.piece(*peak, side=garment.choice(SIDES), ink=peak_ink, shade=-9)


def shoes(garment: Garment) -> None:
    """Two slippers from above, or a sneaker or boot from the side with its twin behind it."""
    opening = garment.uniform(20, 50)
    toe = garment.uniform(10, 25)
    ankle = garment.choice([-5, -5, -30, -70])
    if garment.random() < 0.3:
        for side in SIDES:
            slipper(garment, side, toe, opening)
    else:
        laced_shoe(garment, ankle)
        twin_behind(garment, ankle)


def slipper(garment: Garment, side: int, toe: float, opening: float) -> None:
    """One slipper.

    Args:
        toe: how far it bulges, in percent.
        opening: how far from the toe it begins.
    """
    sole = [(20, 0, toe), (40, 25, 3), (36, 90, 25), (12, 90, 3), (6, 22, toe)]
    garment.piece(*sole, side=side)
    heel = [(32, 90, 25), (15, 90)]
    edge = opening + 15
    inside = [(22, opening, 20), (35, edge), *heel, (10, edge, 20)]
    garment.piece(*inside, side=side, ink=LINING, shade=-27)


def laced_shoe(garment: Garment, ankle: float) -> None:
    """A shoe that reaches up to `ankle`: body, opening, sole, laces and a stripe."""
    body = [(4, 34), (2, ankle), (38, ankle - 3), (46, -2), (70, 14, 12), (100, 34)]
    garment.piece(*body, side=RIGHT)
    opening = [(5, ankle + 1, 20), (36, ankle - 2, 20)]
    garment.piece(*opening, side=RIGHT, ink=LINING, shade=INSIDE)
    sole = [(0, 32), (102, 32, 10), (100, 43), (2, 43, 10)]
    garment.piece(*sole, side=RIGHT, ink=LINING)
    for x in np.linspace(42, 64, 4):
        lace = [(x - 6, x * 0.6 - 20), (x + 5, x * 0.6 - 28)]
        garment.line(*lace, side=RIGHT, ink=LINING, width=3)
    garment.line((30, 30), (42, 10), (50, 30), side=RIGHT, ink=TRIM, shade=0, width=5)


def twin_behind(garment: Garment, ankle: float) -> None:
    """Put the same shoe behind the first once more, higher up if it is a boot."""
    move = (garment.uniform(-30, 40), garment.uniform(-60, -35) + ankle / 2)
    twin = [replace(piece, outline=piece.outline + move) for piece in garment.pieces]
    garment.pieces = twin + garment.pieces
