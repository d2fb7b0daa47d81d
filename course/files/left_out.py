"""Which files are pictures by their names, and what is said about those that are left out."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from course.files.pictures import READERS

EXTENSIONS_BY_KIND = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
}
IMAGE_EXTENSIONS = tuple(ending for kind in READERS for ending in EXTENSIONS_BY_KIND[kind])

# What helps with files that are left out, by the end of their names.
REMEDIES = {
    "save them as JPEG": (
        ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".psd", ".svg", ".dng", ".cr2", ".cr3",
        ".nef", ".arw", ".orf", ".rw2", ".raf",
    ),
    "download them again, they are not complete": (".part", ".crdownload", ".download"),
    "unpack them": (".zip", ".rar", ".7z", ".tar", ".tgz", ".gz"),
}  # fmt: skip
REMEDY_BY_EXTENSION = {end: remedy for remedy, ends in REMEDIES.items() for end in ends}

_said: set[str] = set()


def is_picture(file: Path) -> bool:
    """Whether a file is a picture by its name."""
    return file.name.lower().endswith(IMAGE_EXTENSIONS)


def describe(files: Iterable[Path], reason: str | None = None) -> str:
    """How many of each kind, and what to do: "3 x .heic (save them as JPEG), 2 x .txt".

    Args:
        reason: why they are left out; None if it is because of their kind.
    """
    counts = Counter(file.suffix.lower() for file in files)
    kinds = []
    for extension, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        # repr() spells out what would do something to a terminal.
        kind = repr(extension)[1:-1] if extension else "file without extension"
        remedy = reason or REMEDY_BY_EXTENSION.get(extension)
        kinds.append(f"{count} x {kind} ({remedy})" if remedy else f"{count} x {kind}")
    return ", ".join(kinds)


def describe_left_out(files: Iterable[Path], others: Iterable[Path]) -> str:
    """The files that are no pictures by their names, and what is no file; empty if all is well."""
    kinds = describe(file for file in files if not is_picture(file))
    strange = describe(others, "not files, or links that lead nowhere")
    return ", ".join(filter(None, [kinds, strange]))


def say_once(line: str) -> None:
    """Print a line, but not a second time in this process."""
    if line in _said:
        return
    _said.add(line)
    try:
        print(line, flush=True)
    except UnicodeEncodeError:  # a terminal that knows few letters
        print(line.encode("ascii", "backslashreplace").decode("ascii"), flush=True)
