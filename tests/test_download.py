"""Downloads of photos and weights, tried against a server on the loopback address."""

import hashlib
import http.server
import io
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
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

from course.files import downloads as download
from course.files import paths
from course.files.downloads import DownloadError, download_photos, download_weights
from course.stand_ins import photos_or_sketches, sketches

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
    monkeypatch.setattr(download, "PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(download, "_unreachable", {})
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
    monkeypatch.setattr(download, "PHOTOS_URL", f"{server.url}/photos.zip")
    monkeypatch.setattr(download, "PHOTOS_DIGEST", tiny_digest())
    monkeypatch.setattr(download, "NUM_PHOTOS", 30)
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
    assert_clear(message, *words, str(photos), download.PHOTOS_URL)
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
    monkeypatch.setattr(download, "PHOTOS_URL", url)
    assert_fails(photos, "refused")


def test_stalled_server(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        answer(b"PK\x03\x04", claim=1_000_000)(request)
        released.wait(30)

    server.handle = handle
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
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
        download, "time", types.SimpleNamespace(sleep=seconds.append, time=time.time)
    )
    monkeypatch.setattr(download, "PAUSES", (1.0, 2.0, 4.0))
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
    monkeypatch.setattr(download, "PAUSES", (0.01,))
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
    pieces = download._receive(server.url, "here", tqdm(disable=True))
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
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
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
    monkeypatch.setattr(download, "PHOTOS_URL", "http://photos.invalid/photos.zip")
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
    monkeypatch.setattr(download, "PHOTOS_URL", url)
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
    url = download.PHOTOS_URL.replace("http:", "https:")
    monkeypatch.setattr(download, "PHOTOS_URL", url)
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
        assert_weights_fail(weights, "No space left on device", "TORCH_HOME")
        assert not weights.exists()
    server.handle = answer(make_zip())
    assert_fails(photos, "No space left on device", str(photos.parent), "COURSE_DATASETS")


def test_folder_cannot_be_written(
    photos: Path, weights: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*, prefix: str, dir: Path, **options: object) -> str:
        raise PermissionError(13, "Permission denied", f"{dir / prefix}8zx")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    assert_fails(photos, "Permission denied", f"make {photos.parent} writable", "COURSE_DATASETS")
    assert_weights_fail(weights, "Permission denied", f"make {weights.parent}", "TORCH_HOME")
    assert server.requests == 0


def test_endless_answer(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
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
    monkeypatch.setattr(download, "MAX_BYTES", 4_000_000)
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
    with pytest.raises(DownloadError, match="make .* writable"):
        download_photos()
    assert photos.parent.read_bytes() == b"a file where the folder should be"
    assert server.requests == 0


def test_incomplete_folder_is_kept_and_named(photos: Path, server: Server) -> None:
    server.handle = answer(make_zip())
    download_photos()
    next(photos.glob("test/hat/*.jpg")).unlink()
    before = everything_in(photos)
    expected = r"is not the \d+ photos; move or delete it, then run"
    with pytest.raises(DownloadError, match=expected):
        download_photos()
    assert everything_in(photos) == before
    assert server.requests == 1


def test_hidden_files_do_not_count(photos: Path, server: Server) -> None:
    server.handle = answer(make_zip())
    download_photos()
    for name in (".DS_Store", "._test-hat.jpg"):
        (photos / "test" / "hat" / name).write_bytes(b"left by a file manager")
    assert download_photos() == photos


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
    assert download.folder_digest(photos) == tiny_digest()
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

    monkeypatch.setattr(download, "folder_digest", interrupted)
    with pytest.raises(error):
        download_photos()
    assert everything_in(photos.parent) == []


PROCESS = """
import signal, sys
from pathlib import Path
from course.command import main as __main__
from course.files import downloads as download, paths
paths.PHOTOS = Path(sys.argv[1])
download.PHOTOS_URL, download.PHOTOS_DIGEST = sys.argv[2:4]
download.NUM_PHOTOS = 30
download.weights_path = download.download_weights = lambda: Path(sys.executable)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores Ctrl-C
sys.exit(__main__.main(["download"]))
"""


def start_process(photos: Path) -> subprocess.Popen[bytes]:
    arguments = [str(photos), download.PHOTOS_URL, tiny_digest()]
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, *arguments],
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
    assert download.folder_digest(photos) == tiny_digest()
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


def test_what_a_killed_process_left_is_removed(photos: Path, server: Server) -> None:
    old, new = photos.parent / ".download-old", photos.parent / ".download-new"
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
        monkeypatch.setattr(download, "NUM_PHOTOS", 10 * sum(sketches.COUNTS.values()))
        monkeypatch.setattr(download, "PHOTOS_DIGEST", download.folder_digest(real))
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
    monkeypatch.setattr(download, "PHOTOS_URL", f"{server.url}/photos.zip")
    copy = download_photos()
    assert download.folder_digest(copy) == download.PHOTOS_DIGEST == download.folder_digest(real)
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
    monkeypatch.setattr(download, "WEIGHTS_URL", f"{server.url}/models/{name}")
    return tmp_path / "torch" / "hub" / "checkpoints" / name


def assert_weights_fail(weights: Path, *words: str) -> None:
    with pytest.raises(DownloadError) as caught:
        download_weights()
    message = str(caught.value)
    url = download.WEIGHTS_URL
    assert_clear(message, *words, str(weights), url)
    assert [path for path in everything_in(weights.parent) if path != weights] == []


def test_the_weights_are_those_of_torchvision() -> None:
    weights = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    assert weights.url == download.WEIGHTS_URL
    expected = Path(torch.hub.get_dir(), "checkpoints", "mobilenet_v2-b0353104.pth")
    assert download.weights_path() == expected


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
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
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
    monkeypatch.setattr(download, "WEIGHTS_URL", f"{server.url}/{name}")
    server.handle = Resuming(body)
    assert download_weights().read_bytes() == body
    assert server.requests == 3


def test_weights_folder_cannot_be_made(weights: Path) -> None:
    weights.parents[2].write_bytes(b"a file where the folder should be")
    with pytest.raises(DownloadError, match="make .* writable"):
        download_weights()
