"""What ``course train`` trains on: Fashion-MNIST, the clothing photos, or photos of your own."""

import hashlib
import os
import textwrap
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, Subset, random_split

from course import data
from course.command.lines import printable
from course.command.settings import DRAWN, Settings
from course.files import paths
from course.stand_ins import photos_or_sketches

PARTS = ("train", "validation", "test")
PHOTO_SIZE = 224  # pixels; what the base was trained on
SPLIT_SEED = 0  # the same for every --seed, so that runs can be compared


@dataclass(frozen=True)
class Pictures:
    """The three parts of a data set, and what is to be noted about them.

    Args:
        parts: to train, to validate and to test with.
        classes: the names of the K classes, in the order of the targets.
        transform: the name in ``course.data.TRANSFORMS``, and its arguments.
        origin: where they come from, as a checkpoint and a model card note it.
    """

    parts: list[Any]
    classes: list[str]
    transform: dict[str, Any]
    origin: dict[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures each part has."""
        return {name: len(part) for name, part in zip(PARTS, self.parts, strict=True)}


def gather(settings: Settings) -> Pictures:
    """Find the pictures that were asked for; photos are not opened yet.

    Raises:
        ValueError: if a folder does not hold enough of them.
    """
    if settings.data == "fashion-mnist":
        return fashion_pictures(settings.limit)
    if settings.data == "clothing":
        folder = photos_or_sketches()
        name = DRAWN if folder == paths.SKETCHES else "clothing photos"
        return photos_in(folder, name, settings.limit)
    found = photos_in(Path(settings.data), "photos of your own", settings.limit)
    names = textwrap.shorten(", ".join(map(printable, found.classes)), 300)
    print(f"Pictures: {len(found.classes)} classes in {settings.data}: {names}.")
    return found


def fashion_pictures(limit: int | None) -> Pictures:
    """Fashion-MNIST in memory: 55,000 pictures to train, 5,000 to validate, 10,000 to test."""
    split = torch.Generator().manual_seed(SPLIT_SEED)
    parts: list[Any] = random_split(data.fashion_mnist_tensors(True), [55_000, 5_000], split)
    parts.append(data.fashion_mnist_tensors(False))
    parts = [Subset(part, range(len(part))[:limit]) for part in parts]
    origin = {"pictures": "Fashion-MNIST", "folder": "", "files": ""}
    return Pictures(parts, data.FASHION_CLASSES, {"name": "fashion_transform"}, origin)


def photos_in(folder: Path, name: str, limit: int | None) -> Pictures:
    """The photos of a folder in three parts, with some of each class if there is a limit."""
    transform = data.photo_transform(PHOTO_SIZE)
    try:
        parts: list[Any] = list(data.photo_parts(folder, transform, SPLIT_SEED))
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error
    classes = photos_of(parts[0])[0].classes
    if len(classes) < 2:
        problem = f"{str(folder)!r} holds one class, {classes[0]!r}, and nothing to tell it from"
        raise ValueError(f"{problem}: add a folder for each other class")
    if limit is not None:
        # They are sorted by class, so every n-th of them is some of each class.
        steps = [ceil(len(part) / limit) for part in parts]
        parts = [Subset(p, range(0, len(p), step)) for p, step in zip(parts, steps, strict=True)]
    origin = {"pictures": name, "folder": str(folder), "files": digest_of_files(folder, parts)}
    return Pictures(parts, classes, {"name": "photo_transform", "size": PHOTO_SIZE}, origin)


def photos_of(part: Dataset[Any]) -> tuple[data.ClothingDataset, list[int]]:
    """The whole data set behind a part, and which of its photos the part has."""
    found = data.photos_behind(part)
    assert found is not None, "photo_parts gives parts of a ClothingDataset"
    return found


def digest_of_files(folder: Path, parts: list[Any]) -> str:
    """Some letters that are others if a photo is added, removed, renamed or of another size."""
    digest = hashlib.sha256()
    for part in parts:
        photos, indices = photos_of(part)
        for index in indices:
            path = photos.image_paths[index]
            name = Path(os.path.relpath(path, folder)).as_posix()
            digest.update(f"{name} {path.stat().st_size}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]
