"""Datasets and loaders: the clothing photos and Fashion-MNIST."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision import datasets, transforms

from course.files import paths
from course.files.folders import find_classes, find_images
from course.files.pictures import check_images, load_image

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530  # of the training pictures; notebook 03 computes them
FASHION_CLASSES: list[str] = list(datasets.FashionMNIST.classes)


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
        check_images(photos.image_paths)
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
