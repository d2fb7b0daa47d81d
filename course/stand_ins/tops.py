"""How T-shirts, longsleeves, shirts and outwear are cut."""

from course.stand_ins.cutting import CLOTH, LINING, RIGHT, SIDES, TRIM, Garment, Ink
from course.stand_ins.parts import INSIDE, UPPER_ARM, button_strip, torso

ONE_SEAM = 999  # a distance between seams that leaves room for one only


def t_shirt(garment: Garment) -> None:
    """Short sleeves."""
    jersey(garment, sleeve=garment.uniform(20, 48))


def longsleeve(garment: Garment) -> None:
    """Long sleeves."""
    jersey(garment, sleeve=garment.choice([58, 75, 85, 90, 95, 100]))


def jersey(garment: Garment, sleeve: float) -> None:
    """A T-shirt, or a longsleeve that may have a roll neck; half of them with a print."""
    neckline = garment.uniform(7, 20)
    seam = garment.choice([CLOTH, CLOTH, TRIM])
    half_width = garment.uniform(40, 50)
    length = garment.uniform(95, 130)
    torso(garment, half_width, length, neckline, sleeve, cuff=seam)
    if sleeve > UPPER_ARM and garment.random() < 0.25:
        roll_neck(garment)
    else:
        garment.line((0, neckline, -25), (17, 0), ink=seam, shade=-12, width=4.5)
    if garment.random() < 0.5:
        print_on_the_front(garment)


def roll_neck(garment: Garment) -> None:
    """A collar that is folded over, in place of a neckline."""
    garment.piece((0, -13), (17, -14), (20, 4, 10), (0, 12), shade=-6)


def print_on_the_front(garment: Garment) -> None:
    """A disc, and something like writing over it."""
    garment.dot(45, garment.uniform(8, 22), TRIM)
    for x in range(-16, 14, 7):
        letter = garment.uniform(3, 6)
        garment.line((x, 48), (x + letter, 48), side=RIGHT, ink=LINING, width=7)


def shirt(garment: Garment) -> None:
    """A shirt with a collar, and with buttons all the way down or only at the top."""
    length = garment.uniform(110, 140)
    collar_ink = garment.choice([CLOTH, CLOTH, CLOTH, TRIM])
    half_width = garment.uniform(40, 50)
    sleeve = garment.choice([30, 42, 65, 90, 95, 100])
    torso(garment, half_width, length, neckline=12, sleeve=sleeve, cuff=CLOTH)
    button_strip(garment, start=12, end=length * garment.choice([1, 1, 1, 0.45]))
    if garment.random() < 0.5:
        breast_pocket(garment)
    for side in SIDES:
        collar(garment, side, collar_ink)


def breast_pocket(garment: Garment) -> None:
    """A pocket with a pointed end on the right side."""
    garment.piece((14, 38), (33, 38), (33, 60), (23, 63), (14, 60), side=RIGHT)


def collar(garment: Garment, side: int, ink: Ink) -> None:
    """Half a shirt collar, its tip longer or shorter."""
    tip = (21, garment.uniform(16, 26))
    garment.piece((0, 13), (15, -5, 10), (22, 3), tip, side=side, ink=ink)


def outwear(garment: Garment) -> None:
    """A vest, a jacket or a coat: closed or open, with a hood or with lapels."""
    length = garment.choice([105, 115, 130, 175])
    gap = garment.choice([1, 1, 8, 20])  # how far each side of the front is from the middle
    has_hood = garment.random() < 0.45
    if has_hood:
        hood(garment)
    half_width = garment.uniform(46, 55)
    sleeve = garment.choice([0, 90, 95, 105])
    cuff = garment.choice([CLOTH, TRIM])
    torso(garment, half_width, length, neckline=14, sleeve=sleeve, cuff=cuff)
    quilting(garment, length)
    front(garment, gap, length)
    if not has_hood:
        for side in SIDES:
            lapel(garment, side, gap)
    garment.line((20, length * 0.75), (33, length * 0.6), shade=-47, width=3)  # the pockets


def hood(garment: Garment) -> None:
    """A hood and the opening in it."""
    garment.piece((0, -40, 15), (32, -15, 15), (20, 12), (0, 20), shade=-8)
    garment.piece((0, -30, 20), (22, -10, 10), (12, 10), (0, 20), ink=LINING, shade=INSIDE)


def quilting(garment: Garment, length: int) -> None:
    """Seams across the whole garment, or one across the chest."""
    distance = garment.choice([ONE_SEAM, ONE_SEAM, 12, 20])
    for y in range(35, length - 5, distance):
        garment.line((0, y), (43, y - 1), width=2)


def front(garment: Garment, gap: float, length: float) -> None:
    """What one sees of the inside between the sides of the front, and the zip along them."""
    edge = [(15, 5), (gap, 50), (gap, length)]
    garment.piece((0, 10), *edge, (0, length), ink=LINING, shade=-20)
    garment.line(*edge, ink=TRIM, shade=0, width=3)


def lapel(garment: Garment, side: int, gap: float) -> None:
    """One lapel, broader or narrower."""
    tip = (garment.uniform(22, 32), 25)
    garment.piece((gap, 60), (10, -6), (20, -2), tip, side=side, shade=9)
