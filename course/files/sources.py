"""What the course does not ship and fetches: the clothing photos and the weights of MobileNetV2.

Everything is checked by its digest and moved into place only when it is whole, so a download that
was interrupted can simply be started again.
"""

import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from course.files import downloads, paths
from course.files.downloads import DownloadError
from course.files.trouble import advice_for, reason_of
from course.files.writing import move_into_place, work_folder

COMMIT = "11961516512414bf9f6c150a832cfd21b54a6b54"  # CC0, about 100 MB
PHOTOS_URL = f"https://github.com/alexeygrigorev/clothing-dataset-small/archive/{COMMIT}.zip"
PHOTOS_DIGEST = "f8667cfe4a397f1be854d7d6c56118e4eaf6e9654ac37940e443dec3b4e55721"
PHOTOS_LISTING = "ad4832dcfc2169b1c56b37805257af4bcc98505acaffbf7bba9aaa0217fed0d1"
NUM_PHOTOS = 3_781
# MobileNet_V2_Weights.IMAGENET1K_V1 of torchvision, about 14 MB
WEIGHTS_URL = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"
PICTURE_NAME = re.compile(r"[^.].*\.(jpe?g|png|gif|bmp|webp|tiff?)", re.IGNORECASE)  # not hidden
PACKING = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others can take much memory
PHOTO_NAME = re.compile(r"[^/]+/(train|validation|test)/[^/]+/[^/]+\.jpg")
UNSAFE = re.compile(r"^/|\\|:|(^|/)\.\.(/|$)")  # names of files outside, on some system


def download_photos() -> Path:
    """Return the folder of the clothing photos, and fetch them first if they are not there.

    Raises:
        DownloadError: if they cannot be had. Nothing half-done is left, and a folder that holds
            something else stays as it is.
    """
    photos = paths.PHOTOS
    with _explained(PHOTOS_URL, photos, "COURSE_DATASETS"):
        if photos.exists():
            check_photos(photos)
            return photos
        with work_folder(photos) as folder:
            downloads.fetch(PHOTOS_URL, folder / "photos.zip")
            _unpack(folder / "photos.zip", folder / "unpacked")
            if folder_digest(folder / "unpacked") != PHOTOS_DIGEST:
                raise ValueError("what arrived is not the expected photos; try another network")
            move_into_place(folder / "unpacked", photos)
    return photos


def check_photos(photos: Path) -> None:
    """Compare names and sizes of the photos, which takes a tenth of a second for all of them.

    Raises:
        ValueError: if somebody has cut, emptied, removed, renamed or added a photo.
        OSError: if the system does not let them be looked at.
    """
    sizes = _picture_sizes(photos)
    if listing_digest(sizes) == PHOTOS_LISTING:
        return
    if not all(sizes.values()):
        found = f"some photos in {photos.name} are empty"
    elif len(sizes) != NUM_PHOTOS:
        found = f"{photos.name} holds {len(sizes):,} photos"
    else:
        found = f"some photos in {photos.name} were changed"
    raise ValueError(
        f"{found}, so what is there is not the {NUM_PHOTOS:,} photos; move or delete it"
    )


def _picture_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each picture in `folder`, by its name such as ``train/hat/a.jpg``."""

    def refuse(error: OSError) -> NoReturn:
        raise error  # os.walk() leaves out what it cannot read

    sizes = {}
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if name[0] not in ".@_$"]  # of the system
        for name in filter(PICTURE_NAME.fullmatch, names):
            path = Path(place, name)
            sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    return sizes


def listing_digest(sizes: dict[str, int]) -> str:
    """One SHA-256 digest for the names and sizes of all photos."""
    lines = [f"{size}  {name}\n" for name, size in sorted(sizes.items())]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


@contextmanager
def _explained(url: str, destination: Path, variable: str) -> Iterator[None]:
    """Let errors inside say what could not be fetched, why, and what to do.

    Args:
        variable: the environment variable that moves `destination` elsewhere.
    """
    what = f"{destination} could not be fetched from {url}"
    again = "then run: python -m course download"
    try:
        yield
    except ValueError as error:  # about what arrived, or is there; it says what to do
        raise DownloadError(f"{what}: {error}, {again}") from error
    except OSError as error:
        advice = advice_for(error) or "try again"
        if error.errno not in downloads.OWN_LIMITS:  # which would be the same elsewhere
            advice += f", or set {variable} to another folder"
        problem = f"{reason_of(error)} in {destination.parent}"
        raise DownloadError(f"{what}: {problem}; {advice}, {again}") from error
    except MemoryError as error:
        raise MemoryError(f"{what}: {reason_of(error)}; {advice_for(error)}, {again}") from error


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the photos in `archive`, and nothing else, into `folder`."""
    try:
        with zipfile.ZipFile(archive) as file:
            # Reading an entry gives at most the bytes it claims, so the claims can be trusted.
            if sum(entry.file_size for entry in file.infolist()) > downloads.MAX_BYTES:
                raise ValueError("the archive claims far more than the photos; try another network")
            for entry in file.infolist():
                name = entry.orig_filename
                is_link = stat.S_ISLNK(entry.external_attr >> 16)
                if UNSAFE.search(name) or is_link or entry.compress_type not in PACKING:
                    raise ValueError(f"the archive holds an unsafe {name!r}; try another network")
                if PHOTO_NAME.fullmatch(name):
                    entry.filename = name.partition("/")[2]  # without the folder around everything
                    file.extract(entry, folder)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ValueError(f"what arrived is no whole zip ({error}); try another network") from error


def folder_digest(folder: Path) -> str:
    """One SHA-256 digest for names and contents of all photos in `folder`."""
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")):
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        digest.update(f"{content}  {name}\n".encode())
    return digest.hexdigest()


def weights_path() -> Path:
    """Where torchvision looks for the weights: in the folder of torch.hub (``TORCH_HOME``)."""
    import torch  # takes seconds, which the photos need not wait for

    return Path(torch.hub.get_dir(), "checkpoints", WEIGHTS_URL.rpartition("/")[2])


def download_weights() -> Path:
    """Return the file of MobileNetV2's ImageNet weights, and fetch it first if it is not there.

    A damaged file is fetched anew. What arrives must have the SHA-256 digest in its name.

    Raises:
        DownloadError: if the weights cannot be had. A file that is there stays as it is.
    """
    path = weights_path()
    with _explained(WEIGHTS_URL, path, "TORCH_HOME"):
        there = path.is_file()
        if there and weights_are_whole(path):
            return path
        try:
            with work_folder(path) as folder:
                downloads.fetch(WEIGHTS_URL, folder / "weights")
                if not _has_expected_digest((folder / "weights").read_bytes()):
                    problem = "what arrived is not the expected weights"
                    raise ValueError(f"{problem}; try another network")
                move_into_place(folder / "weights", path)
        except ValueError as error:
            before = "the file there is damaged, and " if there else ""
            raise ValueError(f"{before}{error}") from error
    return path


def _has_expected_digest(weights: bytes) -> bool:
    """Whether the SHA-256 digest begins with the digits in the file's name."""
    digits = Path(WEIGHTS_URL).stem.rpartition("-")[2]
    return hashlib.sha256(weights).hexdigest().startswith(digits)


def weights_are_whole(path: Path) -> bool:
    """Whether a file of weights that is there can be used.

    It is the expected one, or another that somebody has put in its place. That is an archive whose
    checksums tell whether a byte is missing or wrong.
    """
    weights = path.read_bytes()
    if _has_expected_digest(weights):
        return True
    try:
        with zipfile.ZipFile(io.BytesIO(weights)) as archive:
            return archive.testzip() is None
    except MemoryError:
        raise
    except Exception:  # a damaged archive can fail in any way
        return False
