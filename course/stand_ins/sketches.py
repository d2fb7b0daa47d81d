"""Pictures of the garments that `garments` cuts, where the clothing photos cannot be had."""

import tempfile
from math import cos, pi, sin
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from tqdm.auto import tqdm

from course.files import paths
from course.stand_ins.garments import CLASSES, CLOTH, Garment

COUNTS = {"train": 60, "validation": 10, "test": 15}  # pictures a class


def draw_garment(name: str, seed: int) -> Image.Image:
    """One RGB picture of about 216 x 288, always the same for the same class name and `seed`."""
    g = Garment(f"{name} {seed}")
    CLASSES[name](g)
    size = g.choice([(216, 288), (225, 300), (216, 270)])
    angle = g.gauss(0, 0.1) if g.random() < 0.9 else g.uniform(-0.8, 0.8)
    cloth, trim, lining, shade = np.split(lay_out(g, size, angle), 4, axis=2)
    cover = np.minimum(cloth + trim + lining, 1)
    colours = np.zeros((4, 3))  # of floor, cloth, trim and lining; neighbours are never quite alike
    while abs(np.diff(colours, axis=0)).sum(1).min() <= 130:
        bright, strong, hue = np.array([g.random() for _ in range(12)]).reshape(3, 4, 1)
        waves = 0.5 + 0.5 * np.cos(2 * pi * hue + [0, 2.1, 4.2])
        colours = ((35 + 210 * bright) * (1 - strong**2 * waves)).astype(np.float32)
    # The sun from one side shows folds and edges, and throws a shadow to the other.
    soft = Image.fromarray((cover[..., 0] * 255).astype(np.uint8))
    thick = np.asarray(soft.filter(ImageFilter.GaussianBlur(4)), np.float32)[..., None] / 255
    folds = abs(clouds(g, size, 6, 8) - 0.5) + clouds(g, size, 22, 28) * 0.3
    down, right = np.gradient(thick * 1.2 + folds, axis=(0, 1))
    sun = g.uniform(0, 2 * pi)
    light = shade * (1 + g.uniform(1.5, 4.5) * (right * cos(sun) + down * sin(sun)))
    shadow = np.roll(thick, (round(5 * sin(sun)), round(5 * cos(sun))), (0, 1))
    # The cloth: plain, striped, checked, dotted, flowery or fading from one colour to the other.
    y, x, _ = (axis.astype(np.float32) for axis in np.ogrid[: size[1], : size[0], :1])
    step, angle = g.uniform(1, 4), angle + g.choice([0, pi / 2])
    u = np.cos(x / step * cos(angle) + y / step * sin(angle))
    v = np.cos(y / step * cos(angle) - x / step * sin(angle))
    stripes, checks, dots = u > 0.2, 0.4 * (u > 0) + 0.4 * (v > 0), u + v > 0.9
    flowers, fading = clouds(g, size, 20, 26) > 0.65, clouds(g, size, 2, 2)
    amount = g.choice([0 * u] * 6 + [stripes, stripes, checks, dots, flowers, fading])
    garment = colours[1] + (colours[2] - colours[1]) * amount.astype(np.float32)
    garment = garment * (0.93 + 0.14 * clouds(g, size, *size)) * cloth
    garment += colours[2] * trim + colours[3] * lining
    # The floor: a wall, a sheet, a carpet, tiles or planks.
    tile, (cells, strength) = g.randint(30, 90), g.choice([(4, 0.2), (9, 0.3), (200, 0.5)])
    floor = 1 + strength * (clouds(g, size, cells, cells) - 0.5)
    kind = g.random()
    if kind < 0.2:
        floor[(x % tile < 3) | (y % tile < 3)] *= 0.75
    elif kind < 0.5:
        floor *= 0.9 + 0.2 * clouds(g, size, 100, 6)
        floor[:, x[0, :, 0] % tile < 2] *= 0.7
        colours[0] = colours[0] * 0.35 + [133, 107, 75]
    floor = floor * colours[0] * (1 - g.uniform(0.25, 0.6) * shadow)
    lamp = g.uniform(0.6, 1.1) + 0.35 * clouds(g, size, 2, 2) + 0.1 * clouds(g, size, *size)
    picture = ((floor * (1 - cover) + garment * light) * lamp).clip(0, 255).astype(np.uint8)
    return Image.fromarray(picture).filter(ImageFilter.GaussianBlur(g.choice([0, 0, 0.7, 1.2])))


def lay_out(g: Garment, size: tuple[int, int], angle: float) -> Any:
    """Crumple, turn, scale and place the pieces: ``(h, w, 4)``, three inks and the shade."""
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
        xy, ink = (points * scale + corner).ravel().tolist(), look.get("ink", CLOTH)
        shade, width = look.get("shade", 0), look.get("width", 0)
        if not width:
            draw.polygon(xy, (*ink, int(128 + 1.28 * shade)))
            shade, width = shade - 30, 1  # its edge
        draw.line(xy, (*ink, int(128 + 1.28 * shade)), max(2, round(width * scale)), "curve")
    return np.asarray(image.reduce(2), np.float32) / np.array([255, 255, 255, 128], np.float32)


def clouds(g: Garment, size: tuple[int, int], across: int, down: int) -> Any:
    """Smooth random values ``(h, w, 1)`` in [0, 1] with so many hills."""
    small = Image.frombytes("L", (across, down), g.randbytes(across * down))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.float32)[..., None] / 255


def draw_garments(folder: Path = paths.SKETCHES) -> Path:
    """Return the folder of the drawn garments, and draw them first if it is not there.

    It is arranged like that of the photos, and appears whole or not at all: an OSError says why.
    """
    if folder.is_dir():
        return folder
    jobs = [(s, name, i) for s, count in COUNTS.items() for name in CLASSES for i in range(count)]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".garments-", dir=folder.parent) as temporary:
            for seed, (split, name, i) in enumerate(tqdm(jobs, "drawing", unit="picture")):
                path = Path(temporary, "drawn", split, name, f"{i:04}.jpg")
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_garment(name, seed).save(path, quality=88)
            Path(temporary, "drawn").replace(folder)
    except OSError as error:
        if not folder.is_dir():  # else another process was faster, and its pictures will do
            remedy = "free some space or set COURSE_DATASETS to a folder that can be written"
            raise OSError(f"{folder} could not be drawn: {error}; {remedy}") from error
    return folder
