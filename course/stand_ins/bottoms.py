"""How dresses, skirts, pants and shorts are cut: what has a waist."""

from course.stand_ins.cutting import CLOTH, LINING, RIGHT, SIDES, TRIM, Garment
from course.stand_ins.parts import INSIDE, button_strip, torso

DRESS_WAIST = 34  # half its width


def dress(garment: Garment) -> None:
    """A dress with a belt, half of them without sleeves."""
    waist_height = garment.uniform(55, 85)
    neckline = garment.uniform(12, 30)
    sleeve = garment.choice([0, 0, 0, 20, 30, 90])
    if sleeve:
        torso(garment, 36, waist_height, neckline, sleeve, cuff=CLOTH)
    else:
        bodice(garment, waist_height, neckline)
    wider = garment.uniform(4, 51)
    hem = garment.uniform(160, 210)
    flare(garment, DRESS_WAIST, wider, start=waist_height, end=hem)
    belt(garment, waist_height)


def bodice(garment: Garment, waist_height: float, neckline: float) -> None:
    """The upper part of a dress without sleeves."""
    garment.piece((0, 5), (20, 0), (20, neckline), (0, neckline + 5), shade=INSIDE)
    garment.piece(
        (0, neckline, -25),
        (20, 0),
        (28, 2, -20),
        (38, 38, -5),
        (DRESS_WAIST, waist_height),
        (0, waist_height),
    )


def belt(garment: Garment, height: float) -> None:
    """A belt, broad or as thin as a seam."""
    ink = garment.choice([CLOTH, TRIM])
    width = garment.uniform(1, 9)
    garment.line((0, height), (DRESS_WAIST, height), ink=ink, width=width)


def skirt(garment: Garment) -> None:
    """A skirt with a waistband, one in four with buttons."""
    waist = garment.uniform(30, 42)  # half its width
    length = garment.uniform(60, 125)
    band = garment.uniform(6, 14)
    flare(garment, waist, wider=garment.choice([3, 15, 30, 50]), start=2, end=length)
    band_ink = garment.choice([CLOTH, TRIM])
    garment.piece((0, 2), (waist, 0), (waist + 2, band), (0, band + 2), ink=band_ink)
    if garment.random() < 0.25:
        button_strip(garment, start=band, end=length)


def flare(garment: Garment, waist: float, wider: float, start: float, end: float) -> None:
    """A skirt, or that of a dress, with more folds if it gets much wider.

    Args:
        waist: half its width at the top.
        wider: by how much half its width has grown at the hem.
        start: where its waist is.
        end: where its hem is.
    """
    garment.piece((0, start), (waist, start, 4), (waist + wider, end, 5), (0, end + 5))
    for _ in range(int(garment.uniform(4, 18) * wider / 30)):
        fold(garment, waist, wider, start, end)


def fold(garment: Garment, waist: float, wider: float, start: float, end: float) -> None:
    """One fold, dark or bright, from the waist at least half the way to the hem."""
    place = garment.uniform(-0.95, 0.95)  # from the left end of the waist to the right one
    part = garment.uniform(0.5, 1)  # of the way to the hem
    tip = (place * (waist + wider * part), start + (end - start) * part)
    shade = garment.uniform(-30, 17)
    width = garment.uniform(1, 3)
    garment.line((place * waist, start), tip, side=RIGHT, shade=shade, width=width)


def pants(garment: Garment) -> None:
    """Long trousers, narrow at the feet."""
    trousers(garment, length=garment.uniform(160, 220), foot=garment.uniform(18, 38))


def shorts(garment: Garment) -> None:
    """Short trousers with wide legs."""
    trousers(garment, length=garment.uniform(68, 110), foot=garment.uniform(36, 48))


def trousers(garment: Garment, length: float, foot: float) -> None:
    """Two legs, `foot` wide at their ends, and what is around the waist."""
    waist = garment.uniform(30, 38)  # half its width
    crotch = garment.uniform(43, 52)  # how far down the legs part
    inseam = garment.uniform(6, 17)  # how far from the middle they end
    for side in SIDES:
        garment.piece(
            (0, 5),
            (waist, 0, 3),
            (43, crotch),
            (inseam + foot, length),
            (inseam, length + 2),
            (0, crotch),
            side=side,
            shade=garment.uniform(-8, 4),
        )
    garment.line((inseam + foot, length - 5), (inseam, length - 3))
    band_ink = garment.choice([CLOTH, CLOTH, TRIM])
    garment.piece((0, 5), (waist, 0), (waist + 1, 10), (0, 14), ink=band_ink)
    garment.line((0, 10), (0, crotch))
    if garment.random() < 0.6:
        pockets_and_button(garment)
    else:
        cord(garment)


def pockets_and_button(garment: Garment) -> None:
    """Slanted pockets at both sides and a button in the middle."""
    garment.line((16, 12), (22, 22), (41, 26))
    garment.dot(8, 3)


def cord(garment: Garment) -> None:
    """A cord that hangs out of the waistband, for trousers without a button."""
    garment.line((2, 8, 20), (7, 36), ink=LINING, shade=15, width=2.2)
