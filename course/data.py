"""Datasets and loaders: photos in folders of classes, and Fashion-MNIST."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision import datasets
from torchvision.transforms import Compose, v2

from course.files.fashion import unpack_fashion_mnist
from course.files.folders import check_same_classes, find_classes, find_images, find_parts
from course.files.pictures import check_images, load_image

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of red, green and blue
IMAGENET_STD = (0.229, 0.224, 0.225)
FASHION_MEAN = 0.2860  # of the training pictures; notebook 03 computes both
FASHION_STD = 0.3530
PART_SIZE = 0.15  # of the photos of a class go into each part that is cut off
FASHION_CLASSES: list[str] = list(datasets.FashionMNIST.classes)


# --- Photos in folders -------------------------------------------------------------------------


class ClothingDataset(Dataset[tuple[Any, int]]):
    """Pictures in folders, one folder per class: ``data_dir/CLASS/PICTURE.jpg``.

    Only the paths are kept in memory; a picture is opened when it is asked for. The classes may be
    any, not only clothes. `find_classes` and `find_images` say what counts as a class and as a
    picture.

    Args:
        data_dir: the folder with the class folders.
        transform: called with an RGB PIL image; what it returns is what ``dataset[i]`` gives.

    Raises:
        FileNotFoundError: if `data_dir` does not exist, has no class folder, or a class is empty.
        ValueError: if the names of two class folders look the same.
    """

    def __init__(
        self, data_dir: str | Path, transform: Callable[[Image.Image], Any] | None = None
    ) -> None:
        self.data_dir = Path(data_dir)
        self.transform = transform

        # Classes are numbered in the order of their names, which is the same on every machine.
        folders = find_classes(self.data_dir)
        self.classes = list(folders)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

        # Picture i lies at image_paths[i], and its class has the number labels[i].
        self.image_paths: list[Path] = []
        self.labels: list[int] = []
        for name, folder in folders.items():
            images = find_images(folder)
            self.image_paths += images
            self.labels += [self.class_to_idx[name]] * len(images)

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, idx: int) -> tuple[Any, int]:
        image = load_image(self.image_paths[idx])
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[idx]


# --- Transforms --------------------------------------------------------------------------------

# `v2.Compose` is an nn.Module, and a network that carries one would take it for a layer.
TO_FLOAT = v2.ToDtype(torch.float32, scale=True)  # 0 to 255 becomes 0 to 1


def photo_transform(size: int = 224) -> Compose:
    """PIL image to ``(3, H, W) float32``, normalised as for ImageNet; H and W are `size` pixels."""
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}")
    normalize = v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    return Compose([v2.PILToTensor(), v2.Resize((size, size)), TO_FLOAT, normalize])


def denormalize(images: Tensor) -> Tensor:
    """Undo the ImageNet normalisation, for looking: back to values in [0, 1].

    Args:
        images: ``(3, H, W) float32`` or ``(N, 3, H, W) float32``; the result has the same shape.
    """
    mean, std = images.new_tensor([IMAGENET_MEAN, IMAGENET_STD]).view(2, 3, 1, 1)
    return (images * std + mean).clamp(0, 1)


class LikeFashionMNIST:
    """Make a photo look like the pictures of Fashion-MNIST: grey, 28 x 28, light on black."""

    def __call__(self, image: Image.Image) -> Image.Image:
        image = image.convert("L")
        image.thumbnail((28, 28))  # keeps the proportions

        # Light corners mean a light background, as on most photos of clothes.
        corners = np.asarray(image)[[0, 0, -1, -1], [0, -1, 0, -1]]
        if corners.mean() > 255 / 2:
            image = ImageOps.invert(image)
        return ImageOps.pad(image, (28, 28))  # black beside or above and below

    def __repr__(self) -> str:
        return "LikeFashionMNIST()"


def fashion_transform() -> Compose:
    """Any PIL image to ``(1, 28, 28) float32``, normalised as `fashion_mnist_tensors` does it."""
    normalize = v2.Normalize([FASHION_MEAN], [FASHION_STD])
    return Compose([LikeFashionMNIST(), v2.PILToTensor(), TO_FLOAT, normalize])


# A saved model names its transform, and this finds it again.
TRANSFORMS: dict[str, Callable[..., Compose]] = {
    "photo_transform": photo_transform,
    "fashion_transform": fashion_transform,
}


# --- Loaders and parts -------------------------------------------------------------------------


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
    # An error is cheap now, and expensive in the tenth minute of training.
    parts = [part for part in (photos_behind(train_dataset), photos_behind(val_dataset)) if part]
    check_same_classes([(whole.data_dir, whole.classes) for whole, _ in parts])
    check_images(sorted({whole.image_paths[i] for whole, indices in parts for i in indices}))

    options: dict[str, Any] = {"batch_size": batch_size, "num_workers": num_workers}
    generator = torch.Generator().manual_seed(seed)
    train_loader = DataLoader(train_dataset, shuffle=True, generator=generator, **options)
    val_loader = DataLoader(val_dataset, shuffle=False, **options)
    return train_loader, val_loader


def photos_behind(dataset: Dataset[Any]) -> tuple[ClothingDataset, list[int]] | None:
    """The photos that the samples of a dataset come from.

    Args:
        dataset: a `ClothingDataset`, a part of one as ``random_split`` makes it, or a part of that.

    Returns:
        The whole `ClothingDataset`, and for each sample of `dataset` its index in the whole; None
        if `dataset` is something else.
    """
    indices = None
    while isinstance(dataset, Subset):
        # A part of a part: its indices count in the part around it.
        inside = range(len(dataset)) if indices is None else indices
        indices = [int(dataset.indices[i]) for i in inside]
        dataset = dataset.dataset
    if not isinstance(dataset, ClothingDataset):
        return None
    return dataset, list(range(len(dataset))) if indices is None else indices


def photo_parts(
    folder: str | Path, transform: Callable[[Image.Image], Any] | None = None, seed: int = 0
) -> tuple[Dataset[Any], Dataset[Any], Dataset[Any]]:
    """Photos to train, validate and test with, from any folder.

    A folder with ``train/``, ``validation/`` (or ``val/``, ``valid/``) and ``test/`` is used as it
    is. A part that is missing is cut off ``train/``. A folder of class folders is cut in three.

    Args:
        transform: see `ClothingDataset`; the same for all parts.
        seed: of what is drawn. 15 % of each class go into a part, or at least one photo.

    Raises:
        FileNotFoundError: see `ClothingDataset`.
        ValueError: if the parts have different classes, or a class has too few photos to be cut.
    """
    folders = find_parts(Path(folder))
    missing = [part for part in ("validation", "test") if part not in folders]
    whole = ClothingDataset(folders.get("train", folder), transform)
    ready = {part: ClothingDataset(folders[part], transform) for part in folders if part != "train"}
    check_same_classes([(part.data_dir, part.classes) for part in (whole, *ready.values())])

    parts: dict[str, Dataset[Any]] = {"train": whole, **ready}
    if missing:
        parts |= _cut(whole, missing, seed)
    return parts["train"], parts["validation"], parts["test"]


def _cut(dataset: ClothingDataset, parts: list[str], seed: int) -> dict[str, Subset[Any]]:
    """Draw the photos of each part from every class alike, and leave the rest to "train"."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor(dataset.labels)
    indices: dict[str, list[int]] = {part: [] for part in ("train", *parts)}
    for label, name in enumerate(dataset.classes):
        own = (labels == label).nonzero().flatten()
        own = own[torch.randperm(len(own), generator=generator)]
        size = max(1, round(PART_SIZE * len(own)))
        if len(own) <= size * len(parts):
            problem = f"class {name!r} has {len(own)} photos, too few to be cut into parts"
            raise ValueError(f"{problem}: it needs at least {len(parts) + 1}")
        for part in parts:
            indices[part] += own[:size].tolist()
            own = own[size:]
        indices["train"] += own.tolist()
    return {part: Subset(dataset, sorted(chosen)) for part, chosen in indices.items()}


# --- Fashion-MNIST -----------------------------------------------------------------------------


def fashion_mnist(
    train: bool, transform: Callable[[Image.Image], Any] | None = None
) -> datasets.FashionMNIST:
    """Fashion-MNIST: 60,000 training or 10,000 test pictures, 28 x 28, grey.

    The files are part of the course, so torchvision finds them with no network.
    """
    folder = unpack_fashion_mnist()
    return datasets.FashionMNIST(folder, train=train, transform=transform)


def fashion_mnist_tensors(train: bool) -> TensorDataset:
    """Fashion-MNIST in memory: ``(N, 1, 28, 28) float32``, normalised, and ``(N,) int64`` targets.

    Small models train several times faster than when each picture is transformed on demand.
    """
    dataset = fashion_mnist(train)
    images = dataset.data.unsqueeze(1).float() / 255
    return TensorDataset((images - FASHION_MEAN) / FASHION_STD, dataset.targets)
