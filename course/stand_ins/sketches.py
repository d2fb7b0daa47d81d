"""Pictures of garments that are drawn where the clothing photos cannot be had."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import pi
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageFilter
from tqdm.auto import tqdm

from course.files import paths
from course.files.trouble import advice_for, with_advice
from course.files.writing import move_into_place, work_folder, write_whole
from course.stand_ins.cutting import Array, Garment
from course.stand_ins.fabrics import weave
from course.stand_ins.floors import lay_floor
from course.stand_ins.garments import CLASSES
from course.stand_ins.layout import Layers, lay_out
from course.stand_ins.light import lamp, sun_and_shadow
from course.stand_ins.noise import Size

SIZES: list[Size] = [(216, 288), (225, 300), (216, 270)]
COUNTS = {"train": 60, "validation": 10, "test": 15}  # pictures per class
END_OF_JPEG = b"\xff\xd9"


def draw_garment(name: str, seed: int) -> Image.Image:
    """One RGB picture of about 216 x 288 pixels, the same for the same class name and `seed`."""
    # The garment is also the dice. Each roll decides what the next ones mean, so whoever adds one
    # or changes the order changes all pictures.
    garment = Garment(f"{name} {seed}")
    CLASSES[name](garment)
    size = garment.choice(SIZES)
    angle = tilt(garment)
    layers = lay_out(garment, size, angle)
    floor_colour, *inks = pick_colours(garment)

    light, shadow = sun_and_shadow(garment, size, layers.cover)
    clothes = dye(garment, size, angle, layers, inks) * (layers.shade * light)
    floor = lay_floor(garment, size, floor_colour)
    floor = floor * (1 - garment.uniform(0.25, 0.6) * shadow)

    picture = (floor * (1 - layers.cover) + clothes) * lamp(garment, size)
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(garment.choice([0, 0, 0.7, 1.2])))


def tilt(dice: Random) -> float:
    """How far a garment is turned, in radians: mostly little."""
    if dice.random() < 0.9:
        return dice.gauss(0, 0.1)
    return dice.uniform(-0.8, 0.8)


def pick_colours(dice: Random) -> Array:
    """Colours of floor, cloth, trim and lining: ``(4, 3) float32``, values from 0 to 255.

    They are drawn again until no two neighbours of that list are almost alike.
    """
    colours = np.zeros((4, 3), np.float32)
    while abs(np.diff(colours, axis=0)).sum(1).min() <= 130:
        bright, strong, hue = np.array([dice.random() for _ in range(12)]).reshape(3, 4, 1)
        waves = 0.5 + 0.5 * np.cos(2 * pi * hue + [0, 2.1, 4.2])  # of red, green and blue
        colours = ((35 + 210 * bright) * (1 - strong**2 * waves)).astype(np.float32)
    return colours


def dye(dice: Random, size: Size, angle: float, layers: Layers, inks: list[Array]) -> Array:
    """Colours of the garment, black where it is not: ``(H, W, 3) float32``, from 0 to 255."""
    cloth, trim, lining = inks
    woven = weave(dice, size, angle, cloth, trim)
    return woven * layers.cloth + (trim * layers.trim + lining * layers.lining)


def draw_garments(folder: Path = paths.SKETCHES) -> Path:
    """Return the folder of the drawn garments, and draw them first if they are not there.

    The folder is arranged like that of the photos, and appears whole or not at all. If pictures in
    it were removed or cut off since, they are drawn anew, which a printed line says. What somebody
    added stays.

    Raises:
        OSError: if the garments cannot be drawn, or a picture cannot be read; it says what helps.
    """
    pictures = all_pictures()
    if os.path.isdir(folder):
        lost = {name: job for name, job in pictures.items() if not is_whole(folder / name)}
        if lost:
            problem = f"{len(lost)} of {len(pictures)} pictures in {folder} are missing or cut off"
            print(f"{problem}: they are drawn anew.")
            with explained(f"{problem} and could not be drawn anew"):
                draw_into(folder, lost)
        return folder
    if os.path.lexists(folder):  # a file, or a link to nothing
        remedy = "move what is there, or set COURSE_DATASETS to another folder"
        raise NotADirectoryError(f"{folder} is not a folder: {remedy}")
    with explained(f"{folder} could not be drawn"), work_folder(folder) as hidden:
        draw_into(hidden, pictures)
        move_into_place(hidden, folder)
    return folder


def all_pictures() -> dict[str, tuple[str, int]]:
    """What the folder has to hold: the path of each picture, its class and its seed."""
    names = [
        (split, name, i)
        for split, count in COUNTS.items()
        for name in CLASSES
        for i in range(count)
    ]
    return {
        f"{split}/{name}/{i:04}.jpg": (name, seed) for seed, (split, name, i) in enumerate(names)
    }


def draw_into(folder: Path, pictures: dict[str, tuple[str, int]]) -> None:
    """Draw these pictures and write them as JPEG files, each of them whole or not at all."""
    for path, (name, seed) in tqdm(pictures.items(), "drawing", unit="picture"):
        content = BytesIO()
        draw_garment(name, seed).save(content, "JPEG", quality=88)
        write_whole(folder / path, content.getvalue())


def is_whole(path: Path) -> bool:
    """Whether a JPEG file is there and has its end; a file that was cut or emptied has none."""
    with explained(f"{path} cannot be read"):
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - len(END_OF_JPEG)))
                return file.read() == END_OF_JPEG
        except (FileNotFoundError, NotADirectoryError):
            return False


@contextmanager
def explained(problem: str) -> Iterator[None]:
    """Say in errors of the system what the problem is and what helps against it."""
    try:
        yield
    except (OSError, MemoryError) as error:
        advice = advice_for(error) or "try again"
        if isinstance(error, OSError):
            advice += ", or set COURSE_DATASETS to another folder"
        raise with_advice(error, problem, advice) from error
