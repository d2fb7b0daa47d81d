"""Fetch what the course does not ship: the clothing photos and the weights of MobileNetV2.

Everything is checked by its digest, and nothing is moved into place before it is whole. So a
download that was interrupted can simply be started again.
"""

import hashlib
import re
import shutil
import stat
import tempfile
import textwrap
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from course import paths
from course.fetch import MAX_BYTES, fetch

PHOTOS_URL = (
    "https://github.com/alexeygrigorev/clothing-dataset-small/archive/"
    "11961516512414bf9f6c150a832cfd21b54a6b54.zip"
)
"""The photos (CC0) as they were at one commit, about 100 MB."""

PHOTOS_DIGEST = "f8667cfe4a397f1be854d7d6c56118e4eaf6e9654ac37940e443dec3b4e55721"
"""What `folder_digest` gives for the photos."""

PHOTO_COUNTS = {"train": 3068, "validation": 341, "test": 372}
PHOTO_CLASSES = {
    "dress", "hat", "longsleeve", "outwear", "pants",
    "shirt", "shoes", "shorts", "skirt", "t-shirt",
}  # fmt: skip

WEIGHTS_URL = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"
"""``MobileNet_V2_Weights.IMAGENET1K_V1`` of torchvision, about 14 MB."""

MAX_FILES = 10_000
"""Far more than the photos need. An archive that claims more is not theirs."""

ELSEWHERE = "try another network"
AGAIN = "then run: python -m course download"


class DownloadError(RuntimeError):
    """The photos or the weights could not be fetched; the message says why and what to do."""


def short_reason(error: DownloadError) -> str:
    """What went wrong in a few words, without the place before and the advice after it."""
    return textwrap.shorten(re.split("[.;] ", str(error).split(": ", 1)[-1])[0], 100)


def download_photos() -> Path:
    """Return the folder of the clothing photos, and fetch them first if they are not there.

    Raises:
        DownloadError: if they cannot be fetched, are damaged, or an incomplete folder is in the
            way. Nothing half-done is left behind.
    """
    destination = paths.PHOTOS
    problem = _photos_problem(destination)
    if not problem:
        return destination
    by_hand = (
        f"By hand: unpack the zip from {PHOTOS_URL} and rename the folder in it to {destination}, "
        f"so that {destination / 'train'} exists."
    )
    if destination.exists():
        raise DownloadError(
            f"{destination} is not complete: {problem}; move or delete it, {AGAIN}. {by_hand}"
        )
    with _work_folder("The clothing photos", destination, "COURSE_DATASETS", by_hand) as folder:
        fetch(PHOTOS_URL, folder / "photos.zip")
        _unpack(folder / "photos.zip", folder / "unpacked")
        if folder_digest(folder / "unpacked") != PHOTOS_DIGEST:
            raise ValueError(f"what arrived is not the expected photos; {ELSEWHERE}")
        _move(folder / "unpacked", destination, lambda: not _photos_problem(destination))
    return destination


def weights_path() -> Path:
    """Where torchvision looks for the weights: in the folder of torch.hub (``TORCH_HOME``)."""
    import torch  # takes seconds, which the photos need not wait for

    return Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(WEIGHTS_URL).name)


def download_weights() -> Path:
    """Return the file of MobileNetV2's ImageNet weights, and fetch it first if it is not there.

    As torch.hub does, it compares the SHA-256 digest of a new file with the one in its name.

    Raises:
        DownloadError: if it cannot be fetched, or a file of this name holds something else.
    """
    path = weights_path()
    by_hand = f"By hand: save {WEIGHTS_URL} as {path}."
    if path.is_file():
        with path.open("rb") as file:  # torch.save has an old format, and one that is a zip
            if file.read(1) == b"\x80" or zipfile.is_zipfile(file):
                return path
        raise DownloadError(f"{path} is damaged or something else; delete it, {AGAIN}. {by_hand}")
    with _work_folder("The weights of MobileNetV2", path, "TORCH_HOME", by_hand) as folder:
        fetch(WEIGHTS_URL, folder / "weights")
        digest = hashlib.sha256((folder / "weights").read_bytes()).hexdigest()
        if not digest.startswith(path.stem.rpartition("-")[2]):
            raise ValueError(f"what arrived is not the expected weights; {ELSEWHERE}")
        _move(folder / "weights", path, path.is_file)
    return path


def folder_digest(folder: Path) -> str:
    """One SHA-256 digest for names and contents of all photos in `folder`.

    The same in a terminal, inside the folder:
    ``find * -name '*.jpg' | LC_ALL=C sort | xargs sha256sum | sha256sum``.
    """
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")):
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        digest.update(f"{content}  {name}\n".encode())
    return digest.hexdigest()


def _photos_problem(folder: Path) -> str:
    """What keeps `folder` from being complete, or an empty string. Counts names, reads no file."""
    for split, expected in PHOTO_COUNTS.items():
        photos = [path for path in folder.glob(f"{split}/*/*.jpg") if path.name[0] != "."]
        classes = {path.parent.name for path in photos}
        if len(photos) != expected or classes != PHOTO_CLASSES:
            return (
                f"{split} holds {len(photos):,} photos in {len(classes)} classes instead of "
                f"{expected:,} in {len(PHOTO_CLASSES)}"
            )
    return ""


@contextmanager
def _work_folder(what: str, destination: Path, variable: str, by_hand: str) -> Iterator[Path]:
    """A hidden folder beside `destination`, gone afterwards; errors in it become DownloadErrors.

    A ValueError says what is wrong with an answer and what to do; an OSError is about the disk.
    """
    folder = destination.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(".download-*"):  # of a process that was killed, a day ago or more
            with suppress(OSError):  # another process may have been faster
                if time.time() - old.stat().st_mtime > 24 * 3600:
                    shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as hidden:
            yield Path(hidden)
    except (OSError, ValueError) as error:
        problem = str(error)
        if isinstance(error, OSError):
            room = f"{MAX_BYTES // 2**20} MB free"
            problem += f"; make {folder} writable with {room}, or set {variable} to another folder"
        raise DownloadError(
            f"{what} could not be fetched into {destination}: {problem}, {AGAIN}. {by_hand}"
        ) from error


def _move(source: Path, destination: Path, is_there: Callable[[], bool]) -> None:
    try:
        source.replace(destination)
    except OSError:
        if not is_there():  # else another process was faster: use its copy
            raise


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the photos in `archive`, and nothing else, into `folder`."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            # Reading an entry gives at most the bytes it claims, so the claims can be trusted.
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise ValueError(f"the archive claims far more than the photos; {ELSEWHERE}")
            for entry in entries:
                parts = _safe_parts(entry)
                if len(parts) == 4 and parts[1] in PHOTO_COUNTS and parts[3].endswith(".jpg"):
                    target = folder.joinpath(*parts[1:])  # without the folder around everything
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with file.open(entry) as source, target.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ValueError(
            f"what arrived is not a whole zip archive ({error}); try another network"
        ) from error


def _safe_parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """The folders and the name of an entry; an error if it could land outside its folder."""
    name = entry.orig_filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise ValueError(f"the archive holds an unsafe path: {name!r}; {ELSEWHERE}")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"the archive holds a link or a device: {name!r}; {ELSEWHERE}")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # rare: less tried
        raise ValueError(f"the archive packs {name!r} in an unusual way; {ELSEWHERE}")
    return parts
