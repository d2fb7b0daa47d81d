"""Datasets and loaders: the clothing photos and Fashion-MNIST."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision import datasets, transforms

from course import paths

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""What Pillow may decode. It knows many more, and starts Ghostscript for EPS."""
MAX_PIXELS = 65_000_000
"""Enough for cameras of 64 megapixels. Reading one this large takes about 1 GB for a moment."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530
"""Mean and standard deviation of the 60,000 training pictures; notebook 03 computes them."""
FASHION_CLASSES: list[str] = list(datasets.FashionMNIST.classes)


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
        ValueError: if the names of two class folders differ only by case.
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
        ValueError: if names differ only by case: many computers take such folders for one.
    """
    if not data_dir.is_dir():
        raise FileNotFoundError(
            f"no folder {str(data_dir)!r}: check the path, or call download_photos()"
        )
    folders = [entry.name for entry in data_dir.iterdir() if entry.is_dir()]
    classes = sorted(name for name in folders if name[0] != ".")
    if not classes:
        raise FileNotFoundError(
            f"{str(data_dir)!r} holds no class folder: put the pictures into one folder a class, "
            f"such as {str(data_dir / 'dress')!r}"
        )
    twins = [name for name in classes if [n.lower() for n in classes].count(name.lower()) > 1]
    if twins:
        raise ValueError(
            f"class folders in {str(data_dir)!r} differ only by case, {', '.join(map(repr, twins))}"
            ": rename one, or move its pictures into the other"
        )
    return classes


def find_images(class_dir: Path) -> list[Path]:
    """The picture files that lie directly in the folder of one class, sorted by name.

    Raises:
        FileNotFoundError: if there is none.
    """
    entries = sorted(class_dir.iterdir(), key=lambda entry: entry.name)
    images = [e for e in entries if e.suffix.lower() in IMAGE_EXTENSIONS and e.name[0] != "."]
    images = [image for image in images if image.is_file()]
    if not images:
        remedy = "add some or remove the folder"
        if any(entry.is_dir() for entry in entries):
            remedy = (
                f"it holds folders, so perhaps {str(class_dir)!r} is the data_dir that you want"
            )
        raise FileNotFoundError(f"{str(class_dir)!r} holds no picture (by its name): {remedy}")
    return images


def load_image(path: str | Path, only_check: bool = False) -> Image.Image:
    """Read a picture of any kind as upright 8-bit RGB.

    The rotation that a camera notes in EXIF is applied. Transparent pixels become white. 16-bit
    greyscale is scaled to 8 bits.

    Args:
        only_check: decode a JPEG at an eighth of its size: a small picture, but several times
            faster, and damage is found all the same.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageFileError: if the file is empty, truncated, not a picture of `IMAGE_FORMATS`, neither
            8- nor 16-bit, or of more than `MAX_PIXELS`, as decompression bombs are.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise ValueError("it is not a file")
        if status.st_size == 0:
            raise ValueError("it is empty")
        with Image.open(path, formats=IMAGE_FORMATS) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
            if only_check:
                file.draft("RGB", (1, 1))
            return upright_rgb(file)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise many different kinds
        raise ImageFileError(
            f"{os.fspath(path)!r} cannot be read as a picture ({error}): open it in a viewer, "
            "then save it again, replace it or delete it"
        ) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """What `load_image` does with a picture that is already open."""
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # one channel of more than 8 bits
        image = _to_8_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F" or low < 0 or high > 65535:
        raise ValueError(f"its values from {low:g} to {high:g} are neither 8- nor 16-bit")
    return Image.fromarray((values // 256).astype(np.uint8))


def check_images(dataset: ClothingDataset) -> None:
    """Decode every picture once, small, so that a damaged one is found before training starts.

    Raises:
        ImageFileError: names the first damaged picture and says how many there are.
    """

    def problem(path: Path) -> ImageFileError | None:
        try:
            load_image(path, only_check=True)
            return None
        except ImageFileError as error:
            return error

    with ThreadPoolExecutor(4) as pool:  # not more, because each may hold a huge picture
        problems = [error for error in pool.map(problem, dataset.image_paths) if error]
    if problems:
        more = f" ({len(problems)} damaged pictures in all)" if len(problems) > 1 else ""
        raise ImageFileError(f"{problems[0]}{more}") from problems[0]


def photo_transform(size: int = 224) -> transforms.Compose:
    """PIL image to ``(3, size, size)`` float32, normalised with the ImageNet statistics."""
    normalize = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    return transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor(), normalize])


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
        ImageFileError: if a picture of a `ClothingDataset`, or of a part of one, is damaged.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    folders = [whole for whole in map(_whole, (train_dataset, val_dataset)) if whole is not None]
    if len(folders) == 2:
        only_one = set(folders[0].classes) ^ set(folders[1].classes)
        if only_one:
            raise ValueError(
                f"{str(folders[0].data_dir)!r} and {str(folders[1].data_dir)!r} hold different "
                f"classes: only one of them has {', '.join(map(repr, sorted(only_one)))}. Rename, "
                "add or remove class folders"
            )
    for dataset in dict.fromkeys(folders):  # each once, also when both are parts of one
        check_images(dataset)
    generator = torch.Generator().manual_seed(seed)
    train_loader = DataLoader(
        train_dataset, batch_size, shuffle=True, num_workers=num_workers, generator=generator
    )
    val_loader = DataLoader(val_dataset, batch_size, shuffle=False, num_workers=num_workers)
    return train_loader, val_loader


def _whole(dataset: Dataset[Any]) -> ClothingDataset | None:
    """The photos behind `dataset`, which may be a part made by ``random_split``."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset if isinstance(dataset, ClothingDataset) else None


def fashion_mnist(
    train: bool, transform: Callable[[Image.Image], Any] | None = None
) -> datasets.FashionMNIST:
    """Fashion-MNIST as torchvision gives it: 60,000 training or 10,000 test pictures, 28 x 28.

    The archives are part of the course; torchvision verifies and unpacks them, with no network.
    """
    return datasets.FashionMNIST(
        _fashion_mnist_folder(), train=train, transform=transform, download=True
    )


def _fashion_mnist_folder() -> Path:
    """Copies of the archives, unpacked in the cache; the folder appears whole or not at all."""
    folder = paths.CACHE / "fashion-mnist"
    if not folder.is_dir():
        paths.CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=paths.CACHE) as temporary:
            raw = Path(temporary, "whole", "FashionMNIST", "raw")
            raw.mkdir(parents=True)
            for archive in (paths.SHIPPED_DATASETS / "FashionMNIST" / "raw").glob("*.gz"):
                shutil.copyfile(archive, raw / archive.name)
            datasets.FashionMNIST(Path(temporary, "whole"), download=True)
            try:
                os.rename(Path(temporary, "whole"), folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
    return folder


def fashion_mnist_tensors(train: bool) -> TensorDataset:
    """Fashion-MNIST in memory: ``(N, 1, 28, 28)`` float32, normalised, and int64 ``(N,)`` targets.

    Transforming all pictures at once, instead of each when it is asked for, makes small models
    train several times faster.
    """
    dataset = fashion_mnist(train)
    images = dataset.data.unsqueeze(1).float() / 255
    return TensorDataset((images - FASHION_MEAN) / FASHION_STD, dataset.targets)
