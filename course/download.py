"""Fetch what the course does not ship: the clothing photos and the weights of MobileNetV2.

Everything is checked by its digest, and nothing is moved into place before it is whole. So a
download that was interrupted can simply be started again.
"""

import hashlib
import http.client
import os
import pickle
import shutil
import socket
import stat
import tempfile
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from course import paths

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

TIMEOUT = 15.0
"""Seconds without a single byte after which a server counts as silent."""

MAX_FILES, MAX_BYTES = 10_000, 300 * 2**20
"""Far more than the photos need. An archive that claims more is not theirs."""

_NETWORK_ERRORS = (OSError, http.client.HTTPException)


class DownloadError(RuntimeError):
    """The photos or the weights could not be fetched; the message says why and what to do."""


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
        f"To put a copy there by hand, open {PHOTOS_URL} in a browser, unpack the zip, and rename "
        f"the folder in it to {destination}, so that {destination / 'train'} exists."
    )
    if destination.exists():
        raise DownloadError(
            f"{destination} is there but not complete: {problem}. Move or delete it, then run "
            f"this again to download the photos. {by_hand}"
        )
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".photos-", dir=destination.parent) as folder:
            archive, unpacked = Path(folder, "photos.zip"), Path(folder, "unpacked")
            _fetch(PHOTOS_URL, archive)
            _unpack(archive, unpacked)
            if folder_digest(unpacked) != PHOTOS_DIGEST:
                raise ValueError("the downloaded photos are not the expected ones, byte for byte")
            try:
                os.replace(unpacked, destination)
            except OSError:
                if _photos_problem(destination):  # else another process was faster: use its copy
                    raise
    except (*_NETWORK_ERRORS, ValueError) as error:
        raise DownloadError(
            f"The clothing photos could not be fetched into {destination}: {error}. Nothing was "
            f"changed. Check the network and the disk, then run this again. {by_hand}"
        ) from error
    return destination


def download_weights() -> Path:
    """Return the file of MobileNetV2's ImageNet weights, and let torch.hub fetch it if need be.

    torch.hub keeps it in ``checkpoints`` of its own folder (``TORCH_HOME`` moves that) and
    compares the SHA-256 digest of a new file with the one in its name.

    Raises:
        DownloadError: if it cannot be fetched, or a file of this name cannot be loaded.
    """
    import torch  # takes a second, which the photos need not wait for
    from torchvision.models import MobileNet_V2_Weights

    weights = MobileNet_V2_Weights.IMAGENET1K_V1
    path = Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(weights.url).name)
    by_hand = f"To put a copy there by hand, save {weights.url} as {path}."
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torch.hub sets none and would wait for ever
    try:
        weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (*_NETWORK_ERRORS, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        if path.is_file():
            problem = f"{path} cannot be loaded: it is damaged or something else. Delete it"
        else:
            problem = (
                f"The weights of MobileNetV2 could not be fetched into {path}: {error}. Nothing "
                "was changed. Check the network and the disk"
            )
        raise DownloadError(f"{problem}, then run this again. {by_hand}") from error
    finally:
        socket.setdefaulttimeout(timeout)
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


def _fetch(url: str, path: Path) -> None:
    """Save what `url` gives as `path`, with a progress bar."""
    request = urllib.request.Request(url, headers={"User-Agent": "pytorch-course"})
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT) as response,
        path.open("wb") as file,
        tqdm(desc="photos", total=response.length, unit="B", unit_scale=True) as bar,
    ):
        expected = response.length  # None if the server does not say
        while chunk := response.read(2**16):
            bar.update(file.write(chunk))
            if file.tell() > MAX_BYTES:
                raise ValueError(f"{url} gives more than {MAX_BYTES:,} bytes")
        if expected is not None and file.tell() != expected:
            raise ValueError(f"only {file.tell():,} of {expected:,} bytes arrived")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the photos in `archive`, and nothing else, into `folder`."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            # Reading an entry gives at most the bytes it claims, so the claims can be trusted.
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise ValueError("the archive claims to hold far more than the photos")
            for entry in entries:
                parts = _safe_parts(entry)
                if len(parts) == 4 and parts[1] in PHOTO_COUNTS and parts[3].endswith(".jpg"):
                    target = folder.joinpath(*parts[1:])  # without the folder around everything
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with file.open(entry) as source, target.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ValueError(
            f"what arrived is not a whole zip archive ({error}); a public network may have sent "
            "its login page instead"
        ) from error


def _safe_parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """The folders and the name of an entry; an error if it could land outside its folder."""
    name = entry.orig_filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise ValueError(f"the archive holds an unsafe path: {name!r}")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"the archive holds a link or a device: {name!r}")
    return parts
