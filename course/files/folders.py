"""Finding the classes and the pictures in a folder that somebody has made."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

from course.files.left_out import describe, describe_left_out, is_picture, say_once
from course.files.names import canonical, look_alikes, spelled
from course.files.trouble import with_advice

# What systems and programs make for themselves, in lower case. Hidden entries are left out, too.
SERVICE_NAMES = {
    "__macosx", "$recycle.bin", "recycler", "system volume information", "lost+found", "found.000",
    "@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot", "__pycache__",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
}  # fmt: skip

# The parts of a data set that is split already, and how their folders are called.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
PART_OF_NAME = {name: part for part, names in PARTS.items() for name in names}


class Listing(NamedTuple):
    """What lies in a folder, sorted by name. What is neither folder nor file may be a pipe."""

    folders: list[Path]
    files: list[Path]
    others: list[Path]


def find_classes(data_dir: Path) -> dict[str, Path]:
    """The class folders in `data_dir` by name, in the order of their names.

    Hidden folders and those that systems make for themselves are no classes. Names are given in the
    form NFC (see `course.files.names`), so that a class has one number on all machines.

    Raises:
        FileNotFoundError: if `data_dir` does not exist or has no class folder.
        ValueError: if the names of two class folders look the same.
    """
    place = repr(str(data_dir))
    folders, files, _ = list_folder(data_dir)
    above = _real_folders_above(data_dir)
    folders = [folder for folder in folders if os.path.realpath(folder) not in above]
    if not folders:
        raise FileNotFoundError(
            f"{place} holds no class folder: put the pictures into one per class"
        )
    if twins := look_alikes(folder.name for folder in folders):
        problem = f"class folders in {place} look alike: {spelled(twins)}"
        raise ValueError(f"{problem}: rename one, or put their pictures into one folder")
    if strays := [file for file in files if is_picture(file)]:
        say_once(f"Left out in {place}: {describe(strays, 'move them into class folders')}")
    classes = {canonical(folder.name): folder for folder in folders}
    return dict(sorted(classes.items()))


def find_images(class_dir: Path) -> list[Path]:
    """The picture files of one class, also those in its subfolders, sorted by their paths.

    A file counts as a picture by its name. What is left out is said once, with numbers.

    There is one exception. A folder with the name of a part, such as "train" or "val", that holds
    folders and no picture of its own is taken for a folder of classes: somebody has passed as
    `data_dir` what lies one folder too high.

    Raises:
        FileNotFoundError: if there is no picture, or a folder of classes in its place.
    """
    place = repr(str(class_dir))
    files, others = _files_below(class_dir)
    images = [file for file in files if is_picture(file)]
    left_out = describe_left_out(files, others)
    if not images:
        instead = f", but {left_out}" if left_out else ""
        problem = f"{place} holds no picture (by its name){instead}"
        raise FileNotFoundError(f"{problem}: add some or remove it")
    if left_out:
        say_once(f"Left out in {place}: {left_out}")
    return sorted(images, key=lambda image: image.relative_to(class_dir).parts)


def check_same_classes(parts: list[tuple[Path, list[str]]]) -> None:
    """Refuse parts of a data set that do not have the same classes.

    Args:
        parts: the folder of each part, and the names of its classes.

    Raises:
        ValueError: if they differ, with the names that only one of two folders has.
    """
    for folder, classes in parts[1:]:
        first_folder, first_classes = parts[0]
        if classes != first_classes:
            lone = sorted(set(first_classes) ^ set(classes))
            problem = f"{str(first_folder)!r} and {str(folder)!r} hold different classes"
            remedy = f"only one of them has {spelled(lone)}: rename or add folders"
            raise ValueError(f"{problem}; {remedy}")


def find_parts(folder: Path) -> dict[str, Path]:
    """The folders "train", "validation" and "test" of a data set, as far as it has them.

    They may have other usual names, such as "val". It has none if `folder` holds classes.

    Raises:
        FileNotFoundError: if `folder` does not exist.
        ValueError: if two folders are for the same part.
    """
    folders = list_folder(folder).folders
    parts: dict[str, Path] = {}
    for place in folders:
        part = PART_OF_NAME.get(place.name.lower())
        if part is None or not _holds_only_folders(list_folder(place)):
            continue
        if part in parts:
            names = [parts[part].name, place.name]
            raise ValueError(f"{str(folder)!r} holds both {spelled(names)}: rename or remove one")
        parts[part] = place
    # One folder of such a name beside others is a class: think of "bus", "plane" and "train".
    alone = len(parts) == len(folders)
    return parts if "train" in parts and (alone or len(parts) > 1) else {}


def list_folder(folder: Path) -> Listing:
    """What lies directly in a folder, without hidden entries and those of systems.

    Raises:
        FileNotFoundError: if it does not exist, or is a file.
        OSError: if the system refuses.
    """
    listing = Listing([], [], [])
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith(".") or entry.name.lower() in SERVICE_NAMES:
                    continue
                _kind_of(entry, listing).append(folder / entry.name)
    except (FileNotFoundError, NotADirectoryError) as error:
        advice = "check the path, or call download_photos()"
        raise FileNotFoundError(f"no folder {str(folder)!r}: {advice}") from error
    except OSError as error:
        raise with_advice(error, f"{str(folder)!r} cannot be read") from error
    return listing


def _kind_of(entry: os.DirEntry[str], listing: Listing) -> list[Path]:
    """The list in `listing` that an entry belongs to; links are followed."""
    try:
        if entry.is_dir():
            return listing.folders
        if entry.is_file():
            return listing.files
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link that leads to itself
            raise
    return listing.others


def _files_below(class_dir: Path) -> tuple[list[Path], list[Path]]:
    """All files in a class folder and its subfolders, and what only looks like one.

    Links are followed, but each folder is entered once, and none that lies above.
    """
    files: list[Path] = []
    others: list[Path] = []
    entered = _real_folders_above(class_dir) | _real_folders_above(class_dir.parent)
    waiting = [class_dir]
    while waiting:
        folder = waiting.pop(0)
        listing = list_folder(folder)
        if folder.name.lower() in PART_OF_NAME and _holds_only_folders(listing):
            problem = f"{str(folder)!r} holds no picture of its own, only folders"
            raise FileNotFoundError(
                f"{problem}: if it holds classes, it is the data_dir that you want"
            )
        files += listing.files
        others += listing.others
        for subfolder in listing.folders:
            real = os.path.realpath(subfolder)
            if real not in entered:
                entered.add(real)
                waiting.append(subfolder)
    return files, others


def _holds_only_folders(listing: Listing) -> bool:
    return bool(listing.folders) and not any(map(is_picture, listing.files))


def _real_folders_above(folder: Path) -> set[str]:
    """A folder and all above it, with links resolved."""
    real = Path(os.path.realpath(folder))
    return {str(place) for place in (real, *real.parents)}
