"""Datasets and loaders: the clothing photos and Fashion-MNIST."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import datasets, transforms

from course import paths

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530
"""Mean and standard deviation of the 60,000 training pictures; notebook 03 computes them."""


class ImageFileError(ValueError):
    """A file that should be a picture cannot be read as one."""


class ClothingDataset(Dataset[tuple[Any, int]]):
    """Pictures in folders, one folder a class: ``data_dir/CLASS/PICTURE.jpg``.

    Only the paths are kept in memory; a picture is opened when it is asked for. Hidden files and
    files that are not pictures by their name are left out.

    Args:
        data_dir: the folder that holds the class folders.
        transform: called with an RGB PIL image; what it returns is what ``dataset[i]`` gives.

    Raises:
        FileNotFoundError: if `data_dir` does not exist, has no class folder, or a class is empty.
    """

    def __init__(
        self, data_dir: str | Path, transform: Callable[[Image.Image], Any] | None = None
    ) -> None:
        self.data_dir = Path(data_dir)
        self.transform = transform
        self.image_paths: list[Path] = []
        self.labels: list[int] = []
        self.classes = find_classes(self.data_dir)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        for name in self.classes:
            image_paths = find_images(self.data_dir / name)
            self.image_paths += image_paths
            self.labels += [self.class_to_idx[name]] * len(image_paths)

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, idx: int) -> tuple[Any, int]:
        image = load_image(self.image_paths[idx])
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[idx]


def find_classes(data_dir: Path) -> list[str]:
    """The names of the class folders in `data_dir`, sorted, without hidden ones.

    Raises:
        FileNotFoundError: if the folder does not exist or holds no folder.
    """
    if not data_dir.is_dir():
        raise FileNotFoundError(
            f"there is no folder {data_dir}: check the path, or fetch the photos with "
            "course.download.download_photos()"
        )
    classes = sorted(
        entry.name for entry in data_dir.iterdir() if entry.is_dir() and entry.name[0] != "."
    )
    if not classes:
        raise FileNotFoundError(
            f"{data_dir} holds no class folder: put the pictures into one folder a class, such as "
            f"{data_dir / 'dress'}"
        )
    return classes


def find_images(class_dir: Path) -> list[Path]:
    """The picture files of one class, sorted by name.

    Raises:
        FileNotFoundError: if there is none.
    """
    images = sorted(
        path
        for path in class_dir.iterdir()
        if path.suffix.lower() in IMAGE_EXTENSIONS and path.name[0] != "." and path.is_file()
    )
    if not images:
        raise FileNotFoundError(
            f"{class_dir} holds no picture ({', '.join(IMAGE_EXTENSIONS)}): add some or remove "
            "the folder"
        )
    return images


def load_image(path: str | Path) -> Image.Image:
    """Read a picture of any mode as upright 8-bit RGB.

    The rotation that a camera notes in EXIF is applied. Transparent pixels become white. 16-bit
    greyscale is scaled to 8 bits.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageFileError: if the file is empty, truncated, not a picture, or too large (more than
            about 179 million pixels, Pillow's limit against decompression bombs).
    """
    try:
        with Image.open(path) as file:
            image: Image.Image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I;16") or image.mode == "I":
                image = image.convert("I").point(lambda value: value / 256).convert("L")
            if image.has_transparency_data:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            return image.convert("RGB")
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageFileError(
            f"{os.fspath(path)!r} cannot be read as a picture ({error}): open it in a viewer, "
            "then replace or delete it"
        ) from error


def check_images(dataset: ClothingDataset) -> None:
    """Decode every picture once, small, so that a damaged one is found before training starts.

    Raises:
        ImageFileError: names the first damaged picture and says how many there are.
    """

    def problem(path: Path) -> ImageFileError | None:
        try:
            with Image.open(path) as image:
                image.draft("RGB", (1, 1))  # JPEG: decode at an eighth of the size
                image.load()
        except Exception:
            try:
                load_image(path)  # for the message
            except ImageFileError as error:
                return error
        return None

    with ThreadPoolExecutor() as pool:
        problems = [error for error in pool.map(problem, dataset.image_paths) if error is not None]
    if problems:
        more = f" ({len(problems)} damaged pictures in all)" if len(problems) > 1 else ""
        raise ImageFileError(f"{problems[0]}{more}")


def photo_transform(size: int = 224) -> transforms.Compose:
    """PIL image to ``(3, size, size)`` float32, normalised with the ImageNet statistics."""
    return transforms.Compose(
        [
            transforms.Resize((size, size)),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


def denormalize(images: Tensor) -> Tensor:
    """Undo the ImageNet normalisation, for looking: ``(..., 3, H, W)`` back to values in [0, 1]."""
    mean = torch.tensor(IMAGENET_MEAN, device=images.device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=images.device).view(3, 1, 1)
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
        num_workers: processes that load pictures beside the one that trains; 0 for none.
        seed: of the shuffling, so that a second run sees the same batches.

    Raises:
        ValueError: if `batch_size` is not positive or the two datasets have different classes.
        ImageFileError: if a picture of a `ClothingDataset` is damaged.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if isinstance(train_dataset, ClothingDataset) and isinstance(val_dataset, ClothingDataset):
        only_one = set(train_dataset.classes) ^ set(val_dataset.classes)
        if only_one:
            raise ValueError(
                f"{train_dataset.data_dir} and {val_dataset.data_dir} hold different classes, so "
                f"the same number would mean different things; only one of them has: "
                f"{', '.join(sorted(only_one))}"
            )
    for dataset in (train_dataset, val_dataset):
        if isinstance(dataset, ClothingDataset):
            check_images(dataset)
    generator = torch.Generator().manual_seed(seed)
    train_loader = DataLoader(
        train_dataset, batch_size, shuffle=True, num_workers=num_workers, generator=generator
    )
    val_loader = DataLoader(val_dataset, batch_size, shuffle=False, num_workers=num_workers)
    return train_loader, val_loader


def fashion_mnist(
    train: bool, transform: Callable[[Image.Image], Any] | None = None
) -> datasets.FashionMNIST:
    """Fashion-MNIST as torchvision gives it: 60,000 training or 10,000 test pictures, 28 x 28.

    The archives are part of the course; torchvision verifies and unpacks them, with no network.
    """
    return datasets.FashionMNIST(
        paths.SHIPPED_DATASETS, train=train, transform=transform, download=True
    )


def fashion_mnist_tensors(train: bool) -> TensorDataset:
    """Fashion-MNIST in memory: ``(N, 1, 28, 28)`` float32, normalised, and int64 ``(N,)`` targets.

    Transforming all pictures at once, instead of each when it is asked for, makes small models
    train several times faster.
    """
    dataset = fashion_mnist(train)
    images = dataset.data.unsqueeze(1).float() / 255
    return TensorDataset((images - FASHION_MEAN) / FASHION_STD, dataset.targets)


FASHION_CLASSES: list[str] = list(datasets.FashionMNIST.classes)
