"""Downloads of photos and weights, tried against a server on the loopback address."""

import hashlib
import http.server
import io
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import types
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import pytest
import torch
import torchvision
from tqdm.auto import tqdm

from course.files import downloads, paths, sources
from course.files.downloads import DownloadError
from course.files.sources import download_photos, download_weights
from course.stand_ins import photos_or_sketches, sketches
from new_python import obey_permissions, run_python

TOP = "clothing-dataset-small-1196151"
Handle = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server(http.server.ThreadingHTTPServer):
    """Answers every request with `handle`, which a test sets, and counts the requests."""

    daemon_threads = True
    handle: Handle
    requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of these tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.requests += 1
        self.server.handle(self)

    def log_message(self, *args: object) -> None:
        pass


def answer(body: bytes, status: int = 200, claim: int | None = None) -> Handle:
    """Send `body`; `claim` is a Content-Length that differs from its real length."""

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body) if claim is None else claim))
        request.end_headers()
        request.wfile.write(body)

    return handle


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(downloads, "_unreachable", {})
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def tiny_files() -> dict[str, bytes]:
    """One photo a class in train, and in the others the same."""
    return {
        f"{split}/{name}/{split}-{name}.jpg": f"photo of {name} in {split}".encode() * 50
        for split in ("train", "validation", "test")
        for name in sketches.CLASSES
    }


def tiny_digest() -> str:
    lines = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(tiny_files().items())
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def tiny_listing() -> str:
    return sources.listing_digest({name: len(body) for name, body in tiny_files().items()})


def make_zip(*extra: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """The tiny photos as GitHub would zip them, and more entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir(TOP)
        archive.writestr(f"{TOP}/README.md", "about the photos")
        archive.writestr(f"{TOP}/train/notes.txt", "not a photo")
        for name, content in tiny_files().items():
            archive.writestr(f"{TOP}/{name}", content)
        for name_or_info, content in extra:
            archive.writestr(name_or_info, content)
    return buffer.getvalue()


@pytest.fixture
def photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server) -> Path:
    """Where the photos go; the expected ones are the tiny ones."""
    folder = tmp_path / "datasets" / "clothing-dataset-small"
    monkeypatch.setattr(paths, "PHOTOS", folder)
    monkeypatch.setattr(sources, "PHOTOS_URL", f"{server.url}/photos.zip")
    monkeypatch.setattr(sources, "PHOTOS_DIGEST", tiny_digest())
    monkeypatch.setattr(sources, "PHOTOS_LISTING", tiny_listing())
    monkeypatch.setattr(sources, "NUM_PHOTOS", 30)
    return folder


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*")) if folder.exists() else []


def assert_clear(message: str, *words: str) -> None:
    """One sentence on what happened and the next step."""
    for word in (*words, "; ", "then run: python -m course download"):
        assert word in message, message
    assert "\n" not in message
    assert ". " not in message, message


def assert_fails(photos: Path, *words: str) -> None:
    """The download fails, says why and what to do, and leaves nothing behind."""
    with pytest.raises(DownloadError) as caught:
        download_photos()
    message = str(caught.value)
    assert_clear(message, *words, str(photos), sources.PHOTOS_URL)
    assert everything_in(photos.parent) == []


def test_photos_arrive_whole_and_only_once(photos: Path, server: Server) -> None:
    server.handle = answer(make_zip())
    assert download_photos() == photos
    found = {
        path.relative_to(photos).as_posix(): path.read_bytes()
        for path in everything_in(photos)
        if path.is_file()
    }
    assert found == tiny_files()  # neither README.md nor notes.txt
    assert everything_in(photos.parent)[0] == photos
    assert len(list(photos.parent.iterdir())) == 1
    assert download_photos() == photos
    assert server.requests == 1


def test_others_may_read_the_photos(photos: Path, server: Server) -> None:
    server.handle = answer(make_zip())
    download_photos()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(photos.stat().st_mode) == 0o777 & ~umask


def test_server_that_does_not_tell_the_length(photos: Path, server: Server) -> None:
    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(make_zip())

    server.handle = handle
    assert download_photos() == photos


def test_redirect_is_followed(photos: Path, server: Server) -> None:
    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        if request.path == "/photos.zip":
            request.send_response(302)
            request.send_header("Location", f"{server.url}/elsewhere.zip")
            request.end_headers()
        else:
            answer(make_zip())(request)

    server.handle = handle
    assert download_photos() == photos


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (answer(b"not here", 404), ["404"]),
        (answer(b"come back later", 503), ["503"]),
        (answer(b"<html>Please log in</html>"), ["no whole zip"]),
        (answer(b""), ["zip"]),
        (answer(make_zip()[:2000], claim=len(make_zip())), ["only 2,000 of"]),
        (answer(make_zip()[:2000]), ["zip"]),
        (answer(make_zip()[:3000] + b"\0" * 50 + make_zip()[3050:]), ["zip"]),
    ],
    ids=["404", "503", "html", "empty", "truncated", "short", "overwritten"],
)
def test_wrong_answers(photos: Path, server: Server, handle: Handle, words: list[str]) -> None:
    server.handle = handle
    assert_fails(photos, *words)


def test_chunks_that_stop(photos: Path, server: Server) -> None:
    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"ffff\r\nonly this")

    server.handle = handle
    Handler.protocol_version = "HTTP/1.1"
    try:
        assert_fails(photos)
    finally:
        Handler.protocol_version = "HTTP/1.0"


def test_nobody_listens(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/photos.zip"
    monkeypatch.setattr(sources, "PHOTOS_URL", url)
    assert_fails(photos, "refused")


def test_stalled_server(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        answer(b"PK\x03\x04", claim=1_000_000)(request)
        released.wait(30)

    server.handle = handle
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    start = time.perf_counter()
    assert_fails(photos, "nothing came for 0.3 seconds")
    assert time.perf_counter() - start < 10
    released.set()


def sequence(*handles: Handle) -> Handle:
    """Answer the first request with the first, and so on; the last one answers all others."""
    rest = list(handles)

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        (rest.pop(0) if len(rest) > 1 else rest[0])(request)

    return handle


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the program meant to wait, without waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(
        downloads, "time", types.SimpleNamespace(sleep=seconds.append, time=time.time)
    )
    monkeypatch.setattr(downloads, "PAUSES", (1.0, 2.0, 4.0))
    return seconds


def test_busy_server_gets_four_tries(
    photos: Path, server: Server, pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    server.handle = sequence(*[answer(b"", 503)] * 3, answer(make_zip()))
    assert download_photos() == photos
    assert pauses == [1, 2, 4]
    bar = capsys.readouterr().err
    for seconds in pauses:
        assert f"answered 503 Service Unavailable, trying again in {seconds:g} s" in bar


@pytest.mark.parametrize("status", [404, 403])
def test_no_second_try_where_it_cannot_help(photos: Path, server: Server, status: int) -> None:
    server.handle = sequence(answer(b"", status), answer(make_zip()))
    assert_fails(photos, f"answered {status}")
    assert server.requests == 1


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The tiny photos as a zip of more than one piece; a file beside them fills it."""
    return make_zip((zipfile.ZipInfo(f"{TOP}/filler"), os.urandom(900_000)))


class Resuming:
    """Breaks off after 300,000 bytes, and goes on where it is asked to, if `ranges`."""

    def __init__(self, body: bytes, ranges: bool = True) -> None:
        self.body, self.ranges = body, ranges
        self.asked: list[str | None] = []

    def __call__(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.asked.append(wanted)
        start = 0
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            request.send_response(206)
            end = len(self.body)
            request.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(self.body) - start))
        request.end_headers()
        request.wfile.write(self.body[start : start + 300_000])


def test_broken_again_and_again_but_resumed(photos: Path, server: Server, large: bytes) -> None:
    server.handle = resuming = Resuming(large)
    assert download_photos() == photos
    assert resuming.asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_more_breaks_than_tries_but_always_further(
    photos: Path, server: Server, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAUSES", (0.01,))
    server.handle = Resuming(large)
    assert download_photos() == photos
    assert server.requests == 4


def test_broken_at_a_server_that_cannot_resume(photos: Path, server: Server, large: bytes) -> None:
    broken = Resuming(large, ranges=False)
    server.handle = sequence(broken, broken, answer(large))
    assert download_photos() == photos
    assert broken.asked == [None, "bytes=300000-"]
    server.requests = 0
    shutil.rmtree(photos)
    server.handle = broken
    assert_fails(photos, f"only 300,000 of {len(large):,} bytes arrived")
    assert server.requests == 4


def test_a_version_mixed_by_the_server_is_noticed(
    photos: Path, server: Server, large: bytes
) -> None:
    server.handle = sequence(Resuming(large), Resuming(b"\0" * len(large)))
    assert_fails(photos, "no whole zip")


def test_bytes_are_taken_as_they_come(photos: Path, server: Server) -> None:
    """Else the bar would stand still while a slow server fills a piece."""
    seen = threading.Event()

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        answer(b"a", claim=2)(request)
        assert seen.wait(10)
        request.wfile.write(b"b")

    server.handle = handle
    pieces = downloads._receive(server.url, "here", tqdm(disable=True))
    assert next(pieces) == (0, b"a")
    seen.set()
    assert list(pieces) == [(1, b"b")]


def test_headers_that_never_end(
    photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.flush_headers()
        while not released.wait(0.05):
            request.wfile.write(b"x")

    server.handle = handle
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    assert_fails(photos, "nothing came for 0.5 seconds")
    released.set()
    assert server.requests == 1


@pytest.mark.parametrize("reply", [b"", b"nonsense\r\n\r\n"])
def test_nonsense_then_good(photos: Path, server: Server, reply: bytes) -> None:
    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.wfile.write(reply)

    server.handle = sequence(handle, answer(make_zip()))
    assert download_photos() == photos
    shutil.rmtree(photos)
    server.handle = handle
    assert_fails(photos)
    assert server.requests == 2 + 4


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(-2, "Name or service not known"),
        OSError(101, "Network is unreachable"),
        TimeoutError("timed out"),
    ],
)
def test_offline_is_tried_once(
    photos: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    tries = []

    def create_connection(*args: object, **options: object) -> socket.socket:
        tries.append(args)
        raise error

    monkeypatch.setattr(socket, "create_connection", create_connection)
    monkeypatch.setattr(sources, "PHOTOS_URL", "http://photos.invalid/photos.zip")
    for _ in range(3):
        assert_fails(photos, "connection to photos.invalid failed", "check the network")
    assert len(tries) == 1
    for _ in range(3):  # another host
        assert_weights_fail(weights, "check the network")
    assert len(tries) == 2


def test_the_network_goes_away_for_a_moment(
    photos: Path, server: Server, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, tries = socket.create_connection, []

    def create_connection(*args: Any, **options: Any) -> socket.socket:
        tries.append(args)
        if len(tries) in (2, 3):
            raise OSError(101, "Network is unreachable")
        return connect(*args, **options)

    monkeypatch.setattr(socket, "create_connection", create_connection)
    server.handle = Resuming(large)
    assert download_photos() == photos
    assert len(tries) == 6


def portal(request: http.server.BaseHTTPRequestHandler) -> None:
    """A public network that answers everything with its login page."""
    if request.path != "/login":
        request.send_response(302)
        request.send_header("Location", "/login")
        request.end_headers()
    else:
        request.send_response(200)
        request.send_header("Content-Type", "text/html; charset=utf-8")
        request.end_headers()
        request.wfile.write(b"<html>Please log in</html>")


def test_login_page(photos: Path, weights: Path, server: Server) -> None:
    server.handle = portal
    assert_fails(photos, "sent a web page; log in to this network in a browser")
    assert_weights_fail(weights, "sent a web page; log in to this network in a browser")
    assert not weights.exists()


def test_redirects_without_end(photos: Path, server: Server) -> None:
    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"{server.url}/{server.requests}")
        request.end_headers()

    server.handle = handle
    assert_fails(photos, "answered 302 Found")
    assert server.requests < 30


def test_proxy(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    paths_asked = []

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        paths_asked.append(request.path)
        answer(make_zip())(request)

    server.handle = handle
    url = "http://photos.invalid/photos.zip"
    monkeypatch.setattr(sources, "PHOTOS_URL", url)
    monkeypatch.setenv("http_proxy", server.url)
    assert download_photos() == photos
    assert paths_asked == [url]


def test_no_proxy(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{reserved.getsockname()[1]}")
        server.handle = answer(make_zip())
        assert download_photos() == photos
        shutil.rmtree(photos)
        monkeypatch.setenv("no_proxy", "elsewhere.invalid")
        assert_fails(photos, "check the network")
        assert server.requests == 1


def test_certificates_are_checked(
    photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("nobody_trusts_this.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle = answer(make_zip())
    url = sources.PHOTOS_URL.replace("http:", "https:")
    monkeypatch.setattr(sources, "PHOTOS_URL", url)
    assert_fails(photos, "CERTIFICATE_VERIFY_FAILED")
    assert server.requests == 0


class FullDisk:
    """A file on a disk with room for only so many bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self.file, self.room = file, room

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *args: object) -> None:
        self.file.close()

    def write(self, piece: bytes) -> int:
        self.room -= len(piece)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return self.file.write(piece)


@pytest.mark.parametrize("room", [1000, 10_000])  # while it arrives, and while it is unpacked
def test_disk_full(
    photos: Path, weights: Path, server: Server, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    whole, copy = Path.open, shutil.copyfileobj

    def small(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = whole(self, mode, *args, **options)
        return FullDisk(file, room) if "w" in mode else file

    monkeypatch.setattr(Path, "open", small)
    monkeypatch.setattr(shutil, "copyfileobj", lambda a, b, *n: copy(a, FullDisk(b, 100), *n))
    if room == 1000:
        assert_weights_fail(weights, "No space left on device", "free some space", "TORCH_HOME")
        assert not weights.exists()
    server.handle = answer(make_zip())
    words = ("No space left on device", "free some space", "COURSE_DATASETS")
    assert_fails(photos, *words, f"in {photos.parent};")


def test_folder_cannot_be_written(
    photos: Path, weights: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def refuse(path: Path, *mode: int) -> None:
        if str(path).endswith(".tmp"):
            raise PermissionError(13, "Permission denied", str(path))
        mkdir(path, *mode)

    monkeypatch.setattr(os, "mkdir", refuse)
    words = ("Permission denied", "change the permissions")
    assert_fails(photos, *words, f"in {photos.parent};", "set COURSE_DATASETS to another folder")
    assert_weights_fail(weights, *words, f"in {weights.parent};", "set TORCH_HOME to another")
    assert server.requests == 0


def test_endless_answer(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_BYTES", 100_000)
    server.handle = answer(b"\0" * 300_000)
    assert_fails(photos, "more than 100,000 bytes")


def test_one_changed_photo(photos: Path, server: Server) -> None:
    name = f"{TOP}/{next(iter(tiny_files()))}"
    with pytest.warns(UserWarning, match="Duplicate name"):
        body = make_zip((name, b"another photo"))
    server.handle = answer(body)
    assert_fails(photos, "not the expected photos")


def test_one_photo_more(photos: Path, server: Server) -> None:
    server.handle = answer(make_zip((f"{TOP}/train/dress/more.jpg", b"more")))
    assert_fails(photos, "not the expected photos")


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        f"{TOP}/train/dress/../../../../escaped.jpg",
        f"{TOP}/train/../escaped.jpg",
        "../escaped.jpg",
        "/tmp/train/dress/escaped.jpg",
        f"{TOP}\\train\\dress\\..\\..\\..\\escaped.jpg",
        f"{TOP}/train/dress\\..\\escaped.jpg",
        "C:/train/dress/escaped.jpg",
        link(f"{TOP}/train/dress/escaped.jpg"),
        link(f"{TOP}/train/escaped"),
    ],
    ids=[
        "slip",
        "slip-2",
        "parent",
        "absolute",
        "backslash",
        "backslash-2",
        "drive",
        "link",
        "dir",
    ],
)
def test_unsafe_members(photos: Path, server: Server, name: str | zipfile.ZipInfo) -> None:
    server.handle = answer(make_zip((name, b"/etc/passwd")))
    assert_fails(photos, "the archive holds")
    assert not list(photos.parent.parent.rglob("escaped*"))


def test_bombs(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.handle = answer(make_zip((f"{TOP}/zeros.jpg", b"\0" * 5_000_000)))
    monkeypatch.setattr(downloads, "MAX_BYTES", 4_000_000)
    assert_fails(photos, "far more")


def test_entry_that_lies_about_its_size(photos: Path, server: Server) -> None:
    body = make_zip((f"{TOP}/train/dress/zeros.jpg", b"\0" * 1_000_000))
    claim = (1_000_000).to_bytes(4, "little")
    assert body.count(claim) == 2  # beside the entry and in the directory
    server.handle = answer(body.replace(claim, (10).to_bytes(4, "little")))
    assert_fails(photos, "zip")


def test_password(photos: Path, server: Server) -> None:
    body = bytearray(make_zip())
    for at in range(len(body)):  # bit 0 of the flags of every entry
        if body[at : at + 4] == b"PK\x01\x02":
            body[at + 8] |= 1
        elif body[at : at + 4] == b"PK\x03\x04":
            body[at + 6] |= 1
    server.handle = answer(bytes(body))
    assert_fails(photos, "encrypted")


def test_a_file_in_the_way(photos: Path, server: Server) -> None:
    photos.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(DownloadError, match="datasets; .*set COURSE_DATASETS to another folder"):
        download_photos()
    assert photos.parent.read_bytes() == b"a file where the folder should be"
    assert server.requests == 0


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "removed": (lambda photo: photo.unlink(), "holds 29 photos"),
    "emptied": (lambda photo: photo.write_bytes(b""), "some photos in .* are empty"),
    "cut": (lambda photo: os.truncate(photo, 100), "some photos in .* were changed"),
    "longer": (lambda photo: photo.write_bytes(bytes(9999)), "some photos in .* were changed"),
    "renamed": (
        lambda photo: photo.rename(photo.with_name("a.jpg")),
        "some photos in .* were changed",
    ),
    "moved": (
        lambda photo: photo.rename(photo.parents[1] / "a.jpg"),
        "some photos in .* were changed",
    ),
    "one more": (
        lambda photo: photo.with_name("mine.png").write_bytes(b"x"),
        "holds 31 photos",
    ),
    "in capitals": (
        lambda photo: photo.with_name("MINE.JPEG").write_bytes(b"x"),
        "holds 31 photos",
    ),
    "a class gone": (lambda photo: shutil.rmtree(photo.parent), "holds 29 photos"),
    "a part gone": (lambda photo: shutil.rmtree(photo.parents[1]), "holds 20 photos"),
    "a class more": (
        lambda photo: shutil.copytree(photo.parent, photo.parents[1] / "gloves"),
        "holds 31 photos",
    ),
    "all gone": (
        lambda photo: [shutil.rmtree(part) for part in photo.parents[2].iterdir()],
        "holds 0 photos",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_photos_are_kept_and_named(photos: Path, server: Server, change: str) -> None:
    server.handle = answer(make_zip())
    download_photos()
    make_change, words = CHANGES[change]
    make_change(next(photos.glob("test/hat/*.jpg")))
    before = {path: path.is_file() and path.read_bytes() for path in everything_in(photos.parent)}
    expected = rf"{words}.* is not the \d+ photos; move or delete it, then run"
    with pytest.raises(DownloadError, match=expected):
        download_photos()
    after = {path: path.is_file() and path.read_bytes() for path in everything_in(photos.parent)}
    assert after == before
    assert server.requests == 1


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "._test-hat.jpg",
        "Thumbs.db",
        "notes.txt",
        ".ipynb_checkpoints/test-hat-checkpoint.jpg",
        "@eaDir/test-hat.jpg",
        "__MACOSX/test-hat.jpg",
        "$RECYCLE.BIN/test-hat.jpg",
    ],
)
@pytest.mark.parametrize("place", [".", "test", "test/hat"])
def test_files_of_other_programs_do_not_count(
    photos: Path, server: Server, name: str, place: str
) -> None:
    server.handle = answer(make_zip())
    download_photos()
    path = photos / place / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"left by a file manager")
    assert download_photos() == photos


@pytest.mark.parametrize(
    ("number", "words"),
    [(13, "change the permissions"), (5, "connect it"), (24, "too many files are open")],
)
def test_photos_that_cannot_be_looked_at_are_not_called_changed(
    photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    server.handle = answer(make_zip())
    download_photos()
    scandir = os.scandir

    def refuse(folder: str) -> Any:
        if str(folder).endswith("hat"):
            raise OSError(number, os.strerror(number), folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DownloadError, match=words) as caught:
        download_photos()
    assert "delete" not in str(caught.value)
    assert server.requests == 1


@pytest.mark.skipif(os.name == "nt", reason="making links needs a right there")
def test_a_part_that_is_a_link_to_another_disk(photos: Path, server: Server) -> None:
    server.handle = answer(make_zip())
    download_photos()
    (photos / "train").rename(photos.parent / "elsewhere")
    (photos / "train").symlink_to(photos.parent / "elsewhere")
    assert download_photos() == photos
    (photos / "train" / "round").symlink_to(photos)
    with pytest.raises(DownloadError):
        download_photos()


@pytest.mark.skipif(sys.platform != "linux", reason="gives up rights of Linux")
def test_a_class_folder_that_may_not_be_read(photos: Path, server: Server) -> None:
    server.handle = answer(make_zip())
    download_photos()
    (photos / "test" / "hat").chmod(0)
    code = f"{PROCESS[: PROCESS.rindex('signal.signal')]}sources.download_photos()"
    try:
        with pytest.raises(AssertionError) as caught:
            run_python(code, *process_arguments(photos), before=obey_permissions)
    finally:
        (photos / "test" / "hat").chmod(0o755)
    assert "Permission denied" in str(caught.value)
    assert "ask for the right to do so" in str(caught.value)
    assert "move or delete" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022])
def test_the_first_user_does_not_lock_out_the_others(
    photos: Path, server: Server, umask: int
) -> None:
    server.handle = answer(make_zip())
    photos.parent.mkdir()
    photos.parent.chmod(0o1777)
    run_python(PROCESS, *process_arguments(photos), before=lambda: os.umask(umask))
    for path in (photos, *photos.rglob("*")):
        readable = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & readable == readable, path


def test_two_threads_at_once(photos: Path, server: Server) -> None:
    both = threading.Barrier(2)

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        both.wait(10)  # neither gets an answer before the other has asked
        answer(make_zip())(request)

    server.handle = handle
    results: list[object] = []

    def work() -> None:
        try:
            results.append(download_photos())
        except DownloadError as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [photos, photos]
    assert sources.folder_digest(photos) == tiny_digest()
    assert list(photos.parent.iterdir()) == [photos]


def test_the_last_step_fails(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(target))

    server.handle = answer(make_zip())
    monkeypatch.setattr(os, "replace", refuse)
    assert_fails(photos, "Permission denied")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_interruption_leaves_nothing(
    photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    server.handle = answer(make_zip())

    def interrupted(folder: Path) -> str:
        assert (folder / "train").is_dir()  # unpacked, but not yet checked
        raise error

    monkeypatch.setattr(sources, "folder_digest", interrupted)
    with pytest.raises(error):
        download_photos()
    assert everything_in(photos.parent) == []


PROCESS = """
import signal, sys
from pathlib import Path
from course.command import main as __main__
from course.files import paths, sources
paths.PHOTOS = Path(sys.argv[1])
sources.PHOTOS_URL, sources.PHOTOS_DIGEST, sources.PHOTOS_LISTING = sys.argv[2:5]
sources.weights_path = sources.download_weights = lambda: Path(sys.executable)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores Ctrl-C
sys.exit(__main__.main(["download"]))
"""


def process_arguments(photos: Path) -> list[str]:
    return [str(photos), sources.PHOTOS_URL, tiny_digest(), tiny_listing()]


def start_process(photos: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, *process_arguments(photos)],
        cwd=paths.PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_two_processes_at_once(photos: Path, server: Server) -> None:
    both = threading.Barrier(2)

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        both.wait(60)
        answer(make_zip())(request)

    server.handle = handle
    processes = [start_process(photos) for _ in range(2)]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr.decode()
    assert sources.folder_digest(photos) == tiny_digest()
    assert list(photos.parent.iterdir()) == [photos]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_interrupted_from_the_keyboard(photos: Path, server: Server) -> None:
    import signal

    asked, released = threading.Event(), threading.Event()

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        answer(make_zip()[:1000], claim=1_000_000)(request)
        asked.set()
        released.wait(60)

    server.handle = handle
    process = start_process(photos)
    assert asked.wait(60)
    time.sleep(0.3)
    assert everything_in(photos.parent) != []
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    released.set()
    assert process.returncode == 130, stderr.decode()
    assert stderr.decode().splitlines()[-1] == "Stopped. Nothing half-done was kept."
    assert everything_in(photos.parent) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_a_killed_process_left_is_removed(photos: Path, server: Server) -> None:
    asked, released = threading.Event(), threading.Event()

    def stall(request: http.server.BaseHTTPRequestHandler) -> None:
        answer(make_zip()[:1000], claim=1_000_000)(request)
        asked.set()
        released.wait(60)

    server.handle = stall
    process = start_process(photos)
    assert asked.wait(60)
    time.sleep(0.3)
    process.kill()
    process.communicate(timeout=60)
    released.set()
    (left,) = photos.parent.iterdir()
    assert (left / "photos.zip").exists()
    server.handle = answer(make_zip())
    download_photos()
    assert list(photos.parent.iterdir()) == [photos]


def test_what_a_process_of_another_machine_left_stays_a_day(photos: Path, server: Server) -> None:
    old, new = (
        photos.parent / f".clothing-dataset-small.0123abcd.{pid}.01234567.tmp" for pid in (1, 2)
    )
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "photos.zip").write_bytes(b"half of it")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    server.handle = answer(make_zip())
    download_photos()
    assert sorted(photos.parent.iterdir()) == [new, photos]  # the new one may still be in use


def test_all_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    real = photos_or_sketches()
    if real != paths.PHOTOS:  # the drawn garments, packed and sent in the same way
        monkeypatch.setattr(sources, "NUM_PHOTOS", 10 * sum(sketches.COUNTS.values()))
        monkeypatch.setattr(sources, "PHOTOS_DIGEST", sources.folder_digest(real))
        listing = sources.listing_digest(sources._picture_sizes(real))
        monkeypatch.setattr(sources, "PHOTOS_LISTING", listing)
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in real.rglob("*"):
            file.write(path, Path(TOP, path.relative_to(real)))

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(archive.stat().st_size))
        request.end_headers()
        with archive.open("rb") as file:
            while chunk := file.read(2**20):
                request.wfile.write(chunk)

    server.handle = handle
    monkeypatch.setattr(paths, "PHOTOS", tmp_path / "datasets" / "clothing-dataset-small")
    monkeypatch.setattr(sources, "PHOTOS_URL", f"{server.url}/photos.zip")
    copy = download_photos()
    assert sources.folder_digest(copy) == sources.PHOTOS_DIGEST == sources.folder_digest(real)
    assert download_photos() == copy
    assert server.requests == 1


# The weights


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server) -> Path:
    """A small file of weights on the server; returns where it should land."""
    buffer = io.BytesIO()
    torch.save({"weight": torch.arange(3.0)}, buffer)
    body = buffer.getvalue()
    name = f"small-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    server.handle = answer(body)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(sources, "WEIGHTS_URL", f"{server.url}/models/{name}")
    return tmp_path / "torch" / "hub" / "checkpoints" / name


def assert_weights_fail(weights: Path, *words: str) -> None:
    with pytest.raises(DownloadError) as caught:
        download_weights()
    message = str(caught.value)
    url = sources.WEIGHTS_URL
    assert_clear(message, *words, str(weights), url)
    assert [path for path in everything_in(weights.parent) if path != weights] == []


def test_the_weights_are_those_of_torchvision() -> None:
    weights = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    assert weights.url == sources.WEIGHTS_URL
    expected = Path(torch.hub.get_dir(), "checkpoints", "mobilenet_v2-b0353104.pth")
    assert sources.weights_path() == expected


def test_weights_arrive_only_once(weights: Path, server: Server) -> None:
    assert download_weights() == weights
    assert torch.load(weights, weights_only=True)["weight"].tolist() == [0, 1, 2]
    assert download_weights() == weights
    assert server.requests == 1


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (answer(b"not here", 404), ["404"]),
        (answer(b"come back later", 503), ["503"]),
        (answer(b"<html>Please log in</html>"), ["not the expected weights"]),
        (answer(b"PK\x03\x04", claim=10_000), []),
    ],
    ids=["404", "503", "html", "truncated"],
)
def test_wrong_weights(weights: Path, server: Server, handle: Handle, words: list[str]) -> None:
    server.handle = handle
    assert_weights_fail(weights, *words)
    assert not weights.exists()


def test_weights_from_a_stalled_server(
    weights: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        released.wait(30)

    server.handle = handle
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    assert_weights_fail(weights, "nothing came for 0.3 seconds")
    released.set()


def test_two_threads_want_the_weights(weights: Path, server: Server) -> None:
    both, send = threading.Barrier(2), server.handle

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        both.wait(10)  # neither gets an answer before the other has asked
        send(request)

    server.handle = handle
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(download_weights) for _ in range(2)]
    assert [result.result() for result in results] == [weights, weights]
    assert everything_in(weights.parent) == [weights]


def test_weights_resumed(weights: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    body = os.urandom(700_000)
    name = f"large-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    monkeypatch.setattr(sources, "WEIGHTS_URL", f"{server.url}/{name}")
    server.handle = Resuming(body)
    assert download_weights().read_bytes() == body
    assert server.requests == 3


def test_weights_folder_cannot_be_made(weights: Path) -> None:
    weights.parents[2].write_bytes(b"a file where the folder should be")
    with pytest.raises(DownloadError, match="checkpoints; .*set TORCH_HOME to another folder"):
        download_weights()


def legacy(content: object) -> bytes:
    """What torch.save() wrote before it made archives, as the official weights are."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda body: b"",
    "cut": lambda body: body[:-100],
    "halved": lambda body: body[: len(body) // 2],
    "zeros at the end": lambda body: body[:-30] + bytes(30),
    "one byte wrong": lambda body: body.replace(
        torch.arange(3.0).numpy().tobytes(), torch.tensor([0.0, 1.0, 2.5]).numpy().tobytes()
    ),
    "a web page": lambda body: b"<html>Please log in</html>",
    "a pointer": lambda body: b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "other weights in the old format": lambda body: legacy({"weight": torch.arange(4.0)}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_fetched_anew(weights: Path, server: Server, damage: str) -> None:
    body = download_weights().read_bytes()
    weights.write_bytes(DAMAGES[damage](body))
    assert weights.read_bytes() != body
    assert download_weights() == weights
    assert weights.read_bytes() == body
    assert everything_in(weights.parent) == [weights]
    assert server.requests == 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_without_network(weights: Path, server: Server, damage: str) -> None:
    weights.write_bytes(DAMAGES[damage](download_weights().read_bytes()))
    before = weights.read_bytes()
    server.handle = answer(b"", 404)
    assert_weights_fail(weights, "the file there is damaged, and 127.0.0.1", "answered 404")
    assert weights.read_bytes() == before


def test_other_weights_that_are_whole_are_used(weights: Path, server: Server) -> None:
    """Somebody has put them there; what the name promises is for what arrives."""
    weights.parent.mkdir(parents=True)
    torch.save({"weight": torch.arange(4.0)}, weights)
    before = weights.read_bytes()
    assert download_weights() == weights
    assert weights.read_bytes() == before
    assert server.requests == 0


def test_the_expected_weights_are_used_in_any_format(
    weights: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = legacy({"weight": torch.arange(3.0)})
    name = f"official-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    monkeypatch.setattr(sources, "WEIGHTS_URL", f"{server.url}/{name}")
    weights.parent.mkdir(parents=True)
    weights.with_name(name).write_bytes(body)
    assert download_weights() == weights.with_name(name)
    assert server.requests == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "change the permissions"),
        (OSError(5, "Input/output error"), "connect it"),
    ],
)
def test_weights_that_cannot_be_read_are_not_called_damaged(
    weights: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    words: str,
) -> None:
    download_weights()
    before = weights.read_bytes()
    with monkeypatch.context() as patch:

        def refuse(path: Path) -> bytes:
            raise error

        patch.setattr(Path, "read_bytes", refuse)
        assert_weights_fail(weights, str(error.strerror), words)
    assert weights.read_bytes() == before
    assert server.requests == 1


# Trouble of this computer, not of the network


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (28, "free some space"),
        (13, "change the permissions"),
        (30, "choose another folder"),
        (5, "connect it"),
        (24, "too many files are open"),
        (12, "memory is full"),
        (16, "another program is using it"),
    ],
)
@pytest.mark.parametrize("function", ["open", "extract", "replace"])
def test_each_refusal_has_its_advice(
    photos: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: str,
    function: str,
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), "/some/where/.hidden")

    server.handle = answer(make_zip())
    if function == "open":
        monkeypatch.setattr(Path, "open", refuse)
    elif function == "extract":
        monkeypatch.setattr(zipfile.ZipFile, "extract", refuse)
    else:
        monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DownloadError) as caught:
        download_photos()
    message = str(caught.value)
    assert_clear(message, os.strerror(number), words, f"in {photos.parent};")
    another_folder_helps = number not in (12, 24)
    assert ("set COURSE_DATASETS to another folder" in message) == another_folder_helps
    assert everything_in(photos.parent) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(24, "too many files are open"), (23, "too many files are open"), (12, "memory is full")],
)
def test_no_socket_is_not_called_no_network(
    photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*arguments: object, **options: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    server.handle = answer(make_zip())
    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_connection", refuse)
        assert_fails(photos, "127.0.0.1", "was not asked", os.strerror(number), words)
    assert download_photos() == photos, "the host was taken for unreachable"


def test_no_room_for_a_thread(
    photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", Refused)
    assert_fails(photos, "was not asked (can't start new thread); the system is busy")


def test_full_memory_says_so(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> str:
        raise MemoryError

    server.handle = answer(make_zip())
    monkeypatch.setattr(sources, "folder_digest", full)
    with pytest.raises(MemoryError) as caught:
        download_photos()
    assert_clear(str(caught.value), str(photos), "not enough memory; memory is full")
    assert everything_in(photos.parent) == []


LIMITED = """
import ctypes, resource
ctypes.CDLL("libgcc_s.so.1")  # which the first thread that ends would load
resource.setrlimit(resource.{limit}, ({number}, {number}))
try:
    sources.download_photos()
except sources.DownloadError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep other limits")
@pytest.mark.parametrize(
    ("limit", "number", "words"),
    [
        ("RLIMIT_FSIZE", 1000, "File too large in .*; no file may be that large"),
        ("RLIMIT_NOFILE", 3, "Too many open files in .*; too many files are open"),
        ("RLIMIT_NOFILE", 4, r"was not asked \(Too many open files\); too many files are open"),
    ],
)
def test_limits_of_a_real_process(
    photos: Path, server: Server, limit: str, number: int, words: str
) -> None:
    server.handle = answer(make_zip())
    code = PROCESS[: PROCESS.rindex("signal.signal")] + LIMITED.format(limit=limit, number=number)
    output = run_python(code, *process_arguments(photos))
    assert re.search(words, output), output
    # Who may open no file cannot look into the work folder to empty it. The next one does.
    assert [path for path in photos.parent.iterdir() if not path.name.endswith(".tmp")] == []
    assert download_photos() == photos
    assert list(photos.parent.iterdir()) == [photos]
