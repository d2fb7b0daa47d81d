"""Fetch what the course does not ship: the clothing photos and the weights of MobileNetV2.

Everything is checked by its digest and moved into place only when it is whole, so a download that
was interrupted can simply be started again. urllib minds proxies and checks certificates.
"""

import hashlib
import http.client
import re
import shutil
import stat
import tempfile
import textwrap
import threading
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError

from tqdm.auto import tqdm

from course.files import paths

COMMIT = "11961516512414bf9f6c150a832cfd21b54a6b54"  # CC0, about 100 MB
PHOTOS_URL = f"https://github.com/alexeygrigorev/clothing-dataset-small/archive/{COMMIT}.zip"
PHOTOS_DIGEST = "f8667cfe4a397f1be854d7d6c56118e4eaf6e9654ac37940e443dec3b4e55721"
NUM_PHOTOS = 3_781
# MobileNet_V2_Weights.IMAGENET1K_V1 of torchvision, about 14 MB
WEIGHTS_URL = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"
PACKING = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others can take much memory
PHOTO_NAME = re.compile(r"[^/]+/(train|validation|test)/[^/]+/[^/]+\.jpg")
UNSAFE = re.compile(r"^/|\\|:|(^|/)\.\.(/|$)")  # names of files outside, on some system
TIMEOUT = 15.0  # seconds without a single byte after which a server counts as silent
PAUSES = (1.0, 2.0, 4.0)  # seconds before each new try
MAX_BYTES = 300 * 2**20  # far more than any file of the course

_unreachable: dict[str, str] = {}  # why, by host: who is offline waits once, not in every cell


class DownloadError(RuntimeError):
    """The photos or the weights could not be fetched; the message says why and what to do."""


def short_reason(error: DownloadError) -> str:
    """What went wrong in a few words, without the place before and the advice after it."""
    return textwrap.shorten(str(error).split(": ", 1)[-1].split("; ")[0], 100)


def download_photos() -> Path:
    """Return the folder of the clothing photos, and fetch them first if they are not there.

    A DownloadError if they cannot be had; nothing half-done is left.
    """
    photos = paths.PHOTOS
    if len(list(photos.glob("*/*/[!.]*.jpg"))) == NUM_PHOTOS:
        return photos
    with _work_folder(PHOTOS_URL, photos, "COURSE_DATASETS") as folder:
        if photos.exists():
            raise ValueError(f"what is there is not the {NUM_PHOTOS:,} photos; move or delete it")
        fetch(PHOTOS_URL, folder / "photos.zip")
        _unpack(folder / "photos.zip", folder / "unpacked")
        if folder_digest(folder / "unpacked") != PHOTOS_DIGEST:
            raise ValueError("what arrived is not the expected photos; try another network")
        try:
            (folder / "unpacked").replace(photos)
        except OSError:
            if not photos.is_dir():  # else another process was faster: use its copy
                raise
    return photos


def weights_path() -> Path:
    """Where torchvision looks for the weights: in the folder of torch.hub (``TORCH_HOME``)."""
    import torch  # takes seconds, which the photos need not wait for

    return Path(torch.hub.get_dir(), "checkpoints", WEIGHTS_URL.rpartition("/")[2])


def download_weights() -> Path:
    """Return the file of MobileNetV2's ImageNet weights, and fetch it first if it is not there.

    Its SHA-256 digest has to begin as its name ends; else, or without network, a DownloadError.
    """
    path = weights_path()
    if path.is_file():
        return path
    with _work_folder(WEIGHTS_URL, path, "TORCH_HOME") as folder:
        fetch(WEIGHTS_URL, folder / "weights")
        digest = hashlib.sha256((folder / "weights").read_bytes()).hexdigest()
        if not digest.startswith(path.stem.rpartition("-")[2]):
            raise ValueError("what arrived is not the expected weights; try another network")
        (folder / "weights").replace(path)
    return path


def folder_digest(folder: Path) -> str:
    """One SHA-256 digest for names and contents of all photos in `folder`."""
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")):
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        digest.update(f"{content}  {name}\n".encode())
    return digest.hexdigest()


@contextmanager
def _work_folder(url: str, destination: Path, variable: str) -> Iterator[Path]:
    """A hidden folder beside `destination`, gone afterwards; errors in it become DownloadErrors."""
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
        if isinstance(error, OSError):  # about the disk; the others say what to do
            problem += f"; make {folder} writable, free {MAX_BYTES // 2**20} MB, or set {variable}"
        problem += ", then run: python -m course download"
        raise DownloadError(f"{destination} could not be fetched from {url}: {problem}") from error


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the photos in `archive`, and nothing else, into `folder`."""
    try:
        with zipfile.ZipFile(archive) as file:
            # Reading an entry gives at most the bytes it claims, so the claims can be trusted.
            if sum(entry.file_size for entry in file.infolist()) > MAX_BYTES:
                raise ValueError("the archive claims far more than the photos; try another network")
            for entry in file.infolist():
                name, is_link = entry.orig_filename, stat.S_ISLNK(entry.external_attr >> 16)
                if UNSAFE.search(name) or is_link or entry.compress_type not in PACKING:
                    raise ValueError(f"the archive holds an unsafe {name!r}; try another network")
                if PHOTO_NAME.fullmatch(name):
                    entry.filename = name.partition("/")[2]  # without the folder around everything
                    file.extract(entry, folder)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ValueError(f"what arrived is no whole zip ({error}); try another network") from error


def fetch(url: str, path: Path) -> None:
    """Save what `url` gives as `path`, with a progress bar.

    A ValueError says why it did not arrive and what to do, an OSError why it cannot be written.
    """
    host = urllib.request.Request(url).host
    if host in _unreachable:  # known, so not even a bar
        raise ValueError(_unreachable[host])
    bar = tqdm(desc=path.stem, unit="B", unit_scale=True, miniters=1, leave=False)
    with path.open("wb") as file, bar:
        for position, piece in _receive(url, host, bar):
            if position + len(piece) > MAX_BYTES:
                raise ValueError(f"{url} gives more than {MAX_BYTES:,} bytes; try another network")
            file.seek(position)  # goes back when a server sends everything again after a break
            file.truncate()
            bar.update(file.write(piece))


def _receive(url: str, host: str, bar: tqdm) -> Iterator[tuple[int, bytes]]:
    """Yield what `url` gives, each piece with its place in the file.

    After a break it asks for the rest. A host that cannot be reached at all is asked once.
    """
    position, reached, pauses = 0, 0, list(PAUSES)
    while True:
        request = urllib.request.Request(url, headers={"User-Agent": "pytorch-course"})
        if position:
            request.add_header("Range", f"bytes={position}-")
        hopeless = False
        try:
            with _open(request) as answer:
                if answer.headers.get_content_type() == "text/html":
                    raise ValueError(f"{host} sent a web page; log in to this network in a browser")
                position = position if answer.status == 206 else 0
                size = None if answer.length is None else position + answer.length
                bar.reset(size)
                bar.update(position)
                while piece := answer.read1(2**16):  # what has come, without waiting for more
                    yield position, piece
                    position += len(piece)
            if size in (None, position):
                return
            problem = f"only {position:,} of {size:,} bytes arrived; check the network"
        except HTTPError as error:
            meaning = http.client.responses.get(error.code, "")
            problem = f"{host} answered {error.code} {meaning}; try later or get a newer course"
            hopeless = error.code < 500  # others may be different a moment later
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                reason = f"nothing came for {TIMEOUT:g} seconds"
            safe = repr(str(reason).strip())[1:-1]  # some of it may be words of the server
            problem = f"the connection to {host} failed ({safe}); check the network"
            if not position and isinstance(error, URLError | TimeoutError):
                hopeless = True
                _unreachable[host] = problem
        if position > reached:  # a long way may take many tries
            reached, pauses = position, list(PAUSES)
        if hopeless or not pauses:
            raise ValueError(problem)
        bar.set_postfix_str(f"{problem.split(';')[0]}, trying again in {pauses[0]:g} s")
        time.sleep(pauses.pop(0))
        bar.set_postfix_str("")


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    """Send `request`, with one time limit for looking up, connecting and redirects together."""
    opener = urllib.request.build_opener()  # a new one knows today's proxies
    answer: Future[http.client.HTTPResponse] = Future()

    def send() -> None:
        try:
            answer.set_result(opener.open(request, timeout=TIMEOUT))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=send, daemon=True).start()
    return answer.result(TIMEOUT)
