"""Datasets and loaders: the clothing photos and Fashion-MNIST."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision import datasets, transforms

from course import paths

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")  # Pillow knows more, also unsafe
MAX_PIXELS = 65_000_000  # cameras have up to 64 million; reading that takes 1 GB for a moment
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530  # of the training pictures; notebook 03 computes them
FASHION_CLASSES: list[str] = list(datasets.FashionMNIST.classes)


class ImageFileError(ValueError):
    """A file that should be a picture cannot be read as one."""


class ClothingDataset(Dataset[tuple[Any, int]]):
    """Pictures in folders, one folder a class: ``data_dir/CLASS/PICTURE.jpg``.

    Only the paths are kept in memory; a picture is opened when it is asked for. Hidden files and
    files that are not pictures by their name are left out.

    Args:
        transform: called with an RGB PIL image; what it returns is what ``dataset[i]`` gives.

    Raises:
        FileNotFoundError: if `data_dir` does not exist, has no class folder, or a class is empty.
        ValueError: if the names of two class folders differ only by case.
    """

    def __init__(
        self, data_dir: str | Path, transform: Callable[[Image.Image], Any] | None = None
    ) -> None:
        self.data_dir = Path(data_dir)
        self.transform = transform
        self.classes = find_classes(self.data_dir)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.image_paths = [p for name in self.classes for p in find_images(self.data_dir / name)]
        self.labels = [self.class_to_idx[path.parent.name] for path in self.image_paths]

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, idx: int) -> tuple[Any, int]:
        image = load_image(self.image_paths[idx])
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[idx]


def find_classes(data_dir: Path) -> list[str]:
    """The names of the class folders in `data_dir`, sorted, without hidden ones."""
    place = repr(str(data_dir))
    if not data_dir.is_dir():
        raise FileNotFoundError(f"no folder {place}: check the path, or call download_photos()")
    classes = sorted(e.name for e in data_dir.iterdir() if e.is_dir() and e.name[0] != ".")
    if not classes:
        raise FileNotFoundError(f"{place} holds no class folder: put the pictures into one a class")
    if twins := [a for a in classes for b in classes if a != b and a.lower() == b.lower()]:
        raise ValueError(f"class folders in {place} differ only by case: rename one of {twins}")
    return classes


def find_images(class_dir: Path) -> list[Path]:
    """The picture files that lie directly in the folder of one class, sorted by name."""
    files = sorted(e.name for e in class_dir.iterdir() if e.is_file() and e.name[0] != ".")
    images = [class_dir / name for name in files if name.lower().endswith(IMAGE_EXTENSIONS)]
    if not images:
        remedy = "add some or remove it; if it holds classes, it is the data_dir that you want"
        raise FileNotFoundError(f"{str(class_dir)!r} holds no picture (by its name): {remedy}")
    return images


def load_image(path: str | Path | BinaryIO, only_check: bool = False) -> Image.Image:
    """Read a picture (a path or an open file) as upright RGB; `only_check` reads a JPEG small.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageFileError: if it is damaged, not of `IMAGE_FORMATS` or has more than `MAX_PIXELS`.
    """
    try:
        if isinstance(path, str | os.PathLike) and not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is not a file")  # opening a pipe would wait for ever
        with Image.open(path, formats=IMAGE_FORMATS) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
            if only_check:
                file.draft("RGB", (1, 1))
            return upright_rgb(file)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise many different kinds
        problem = f"{str(path)!r} cannot be read as a picture ({error})"
        raise ImageFileError(f"{problem}: save it again, replace it or delete it") from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Apply the rotation in EXIF, scale 16-bit grey to 8 bits, turn transparent into white."""
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # one channel of more than 8 bits
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("its values are neither 8- nor 16-bit")
        image = Image.fromarray((values // 256).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def check_images(dataset: ClothingDataset) -> None:
    """Decode every picture once, small; the first damaged one is an ImageFileError."""
    with ThreadPoolExecutor(4) as pool:  # not more, because each may hold a huge picture
        for _ in pool.map(lambda path: load_image(path, only_check=True), dataset.image_paths):
            pass


def photo_transform(size: int = 224) -> transforms.Compose:
    """PIL image to ``(3, size, size)`` float32, normalised with the ImageNet statistics."""
    normalize = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    return transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor(), normalize])


def denormalize(images: Tensor) -> Tensor:
    """Undo the ImageNet normalisation, for looking: ``(..., 3, H, W)`` back to values in [0, 1]."""
    mean, std = images.new_tensor([IMAGENET_MEAN, IMAGENET_STD]).view(2, 3, 1, 1)
    return (images * std + mean).clamp(0, 1)


def make_loaders(
    train_dataset: Dataset[Any],
    val_dataset: Dataset[Any],
    batch_size: int = 32,
    num_workers: int = 0,
    seed: int = 0,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """A shuffled loader for training and an ordered one for validation.

    Args:
        num_workers: processes that load pictures beside the one that trains.
        seed: of the shuffling, so that a second run sees the same batches.

    Raises:
        ValueError: if the two datasets have different classes, or `batch_size` is not positive.
        ImageFileError: if a picture of a `ClothingDataset`, or of a part of one, is damaged.
    """
    train, val = _photos_behind(train_dataset), _photos_behind(val_dataset)
    if train and val and train.classes != val.classes:
        lone = sorted(set(train.classes) ^ set(val.classes))
        problem = f"{str(train.data_dir)!r} and {str(val.data_dir)!r} hold different classes"
        raise ValueError(f"{problem}; only one of them has {lone}: rename or add folders")
    for photos in filter(None, dict.fromkeys([train, val])):  # once if both are parts of one
        check_images(photos)
    generator = torch.Generator().manual_seed(seed)
    options: dict[str, Any] = {"batch_size": batch_size, "num_workers": num_workers}
    train_loader = DataLoader(train_dataset, shuffle=True, generator=generator, **options)
    return train_loader, DataLoader(val_dataset, shuffle=False, **options)


def _photos_behind(dataset: Dataset[Any]) -> ClothingDataset | None:
    """The whole dataset of photos, if `dataset` is one or a part made by ``random_split``."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset if isinstance(dataset, ClothingDataset) else None


def fashion_mnist(
    train: bool, transform: Callable[[Image.Image], Any] | None = None
) -> datasets.FashionMNIST:
    """Fashion-MNIST: 60,000 training or 10,000 test pictures, 28 x 28.

    The archives are part of the course; torchvision verifies and unpacks them, with no network.
    """
    folder = paths.CACHE / "fashion-mnist"
    if not folder.is_dir():  # it appears whole or not at all, also for two processes at once
        paths.CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=paths.CACHE) as temporary:
            raw = Path(temporary, "whole", "FashionMNIST", "raw")
            raw.mkdir(parents=True)
            for archive in (paths.SHIPPED_DATASETS / "FashionMNIST" / "raw").glob("*.gz"):
                shutil.copyfile(archive, raw / archive.name)
            datasets.FashionMNIST(Path(temporary, "whole"), download=True)
            with suppress(OSError):  # the other process was faster
                Path(temporary, "whole").rename(folder)
    return datasets.FashionMNIST(folder, train=train, transform=transform, download=True)


def fashion_mnist_tensors(train: bool) -> TensorDataset:
    """Fashion-MNIST in memory: ``(N, 1, 28, 28)`` float32, normalised, and int64 ``(N,)`` targets.

    Small models train several times faster than when each picture is transformed on demand.
    """
    dataset = fashion_mnist(train)
    images = dataset.data.unsqueeze(1).float() / 255
    return TensorDataset((images - FASHION_MEAN) / FASHION_STD, dataset.targets)
