"""Finding the classes and the pictures in a folder that somebody has made."""

from pathlib import Path

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


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
