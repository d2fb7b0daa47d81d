"""The ten kinds of garments that can be drawn: those of the clothing photos."""

from collections.abc import Callable

from course.stand_ins.bottoms import dress, pants, shorts, skirt
from course.stand_ins.cutting import Garment
from course.stand_ins.hats_and_shoes import hat, shoes
from course.stand_ins.tops import longsleeve, outwear, shirt, t_shirt

CLASSES: dict[str, Callable[[Garment], None]] = {
    "dress": dress,
    "hat": hat,
    "outwear": outwear,
    "shirt": shirt,
    "shoes": shoes,
    "skirt": skirt,
    "longsleeve": longsleeve,
    "pants": pants,
    "shorts": shorts,
    "t-shirt": t_shirt,
}
