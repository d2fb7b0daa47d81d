"""Pictures, archives and caches made to do harm: refused by name, within bounds of memory."""

import io
import os
import pickle
import signal
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image
from PIL import features as features_of_pillow

from course.data import ClothingDataset
from course.files import downloads, kept, paths, sources
from course.files.pictures import MAX_PIXELS, ImageFileError, load_image

MEGABYTES = 300
"""No crafted file here may take more memory than this, over what the imports take."""


class Payload:
    """Unpickling it leaves the file `marker`, which shows that code has run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


# --- pictures ---------------------------------------------------------------------------------


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (8, 8), bits: int = 8) -> bytes:
    """A PNG with RGB header that claims `size`, put together byte by byte."""
    header = (b"IHDR", struct.pack(">IIBBBBB", *size, bits, 2, 0, 0, 0))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in (header, *chunks, (b"IEND", b"")):
        body = kind + data
        parts += [struct.pack(">I", len(data)), body, struct.pack(">I", zlib.crc32(body))]
    return b"".join(parts)


def tiff(**changes: int) -> bytes:
    """An 8 x 8 greyscale TIFF; `changes` replaces the values of tags such as ``t273``."""
    tags = {"t256": 8, "t257": 8, "t258": 8, "t259": 1, "t262": 1, "t273": 8, "t278": 8, "t279": 64}
    tags.update(changes)
    entries = sorted((int(name[1:]), value) for name, value in tags.items())
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + directory + bytes(4)


def saved(kind: str, size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def huge_jpeg() -> bytes:
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0") + 5  # height and width in the start of frame
    data[at : at + 4] = b"\xff\xff\xff\xff"
    return bytes(data)


def progressive_jpeg() -> bytes:
    """A decoder needs memory for all of a progressive picture before it has seen any of it."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "JPEG", progressive=True, subsampling=0)
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 16_000, 16_000)
    return bytes(data)


def huge_avif() -> bytes:
    """The box of the size claims 65,535 x 65,535."""
    data = bytearray(saved("AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 65_535, 65_535)
    return bytes(data)


def huge_bmp() -> bytes:
    data = bytearray(saved("BMP"))
    data[18:26] = struct.pack("<ii", 2_000_000_000, 2_000_000_000)
    return bytes(data)


def huge_webp() -> bytes:
    frame = saved("WEBP")[12:]
    canvas = struct.pack("<I", 0x02) + (16383).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas
    body += b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += b"ANMF" + struct.pack("<I", 16 + len(frame)) + bytes(6) + bytes([7, 0, 0, 7, 0, 0])
    body += bytes(4) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def frame_of_gif(data: bytes | bytearray) -> int:
    """Where the first frame begins: after the table of colours."""
    return data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))


def gif_frame_outside() -> bytes:
    """The canvas is 8 x 8, the frame lies at 65,000 x 65,000."""
    data = bytearray(saved("GIF"))
    at = frame_of_gif(data)
    data[at + 1 : at + 5] = struct.pack("<HH", 65_000, 65_000)
    return bytes(data)


ZEROS = zlib.compress(bytes(60_000_000), 9)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(/tmp/escaped) (w) file closefile\n%%EOF\n"
PICTURES = {
    "claims-900-megapixels.png": png((b"IDAT", ZEROS), size=(30_000, 30_000)),
    "claims-4-billion-a-side.png": png((b"IDAT", ZEROS), size=(2**31 - 1, 2**31 - 1)),
    "one-row-too-wide.png": png((b"IDAT", ZEROS), size=(2**31 - 1, 1)),
    "just-too-large.png": png((b"IDAT", ZEROS), size=(MAX_PIXELS // 8000 + 1, 8000)),
    "fewer-rows-than-claimed.png": png((b"IDAT", zlib.compress(bytes(25))), size=(3000, 3000)),
    "compressed-text-bomb.png": png((b"zTXt", b"note\0\0" + ZEROS), (b"IDAT", b"")),
    "international-text-bomb.png": png((b"iTXt", b"a\0\1\0\0\0" + ZEROS), (b"IDAT", b"")),
    "many-texts.png": png(
        *[(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 100, (b"IDAT", b"")
    ),
    "colour-profile-bomb.png": png((b"iCCP", b"a\0\0" + ZEROS), (b"IDAT", b"")),
    "zero-pixels.png": png((b"IDAT", b""), size=(0, 0)),
    "chunk-claims-2-gigabytes.png": png()[:33] + b"\x7f\xff\xff\xffIDAT" + bytes(50),
    "claims-65535-a-side.jpg": huge_jpeg(),
    "claims-256-megapixels-progressive.jpg": progressive_jpeg(),
    "claims-900-megapixels-of-16-bits.png": png((b"IDAT", ZEROS), size=(30_000, 30_000), bits=16),
    "cut.jpg": saved("JPEG", (300, 200))[:-500],
    "claims-4-exapixels.bmp": huge_bmp(),
    "huge-canvas.webp": huge_webp(),
    "length-lies.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" + bytes(40),
    "huge-canvas.gif": b"GIF89a\xff\xff\xff\xff\0\0\0," + bytes(4) + b"\xff\xff\xff\xff\0\2\0\0;",
    "frame-outside.gif": gif_frame_outside(),
    "strip-beyond-the-end.tif": tiff(t273=4_000_000_000),
    "strip-claims-4-gigabytes.tif": tiff(t279=2**32 - 1, t256=5000, t257=5000),
    "claims-4-billion-a-side.tif": tiff(t256=2**32 - 1, t257=2**32 - 1),
    "tile-bomb.tif": tiff(t322=2**31, t323=2**31, t324=8, t325=2**32 - 1, t259=8),
    "directory-in-itself.tif": b"II*\0" + struct.pack("<IHI", 8, 0, 8),
    "scan.jpg": EPS,
    "sound-but-another-format.jpg": saved("PPM"),
    "vector.jpg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "page.jpg": b"<!doctype html><script>alert(1)</script>",
    "layers.jpg": b"8BPS\0\1" + bytes(6) + b"\0\3" + struct.pack(">IIHH", 30000, 30000, 8, 3),
    "document.jpg": b"%PDF-1.7\n1 0 obj << /OpenAction << /S /JavaScript >> >>\n%%EOF",
    **(
        {"cut.avif": saved("AVIF")[:-50], "huge.avif": huge_avif()}
        if features_of_pillow.check("avif")
        else {}
    ),
    "line\nbreak.jpg": b"not a picture",
    "\x1b[2Jclears the screen.jpg": b"not a picture",
    "\u202egpj.backwards.png": b"not a picture",
    "\udcff-no-utf-8.jpg": b"not a picture",
}


def write(folder: Path, name: str, content: bytes) -> Path:
    """The file, under another name where the system does not allow such a name."""
    path = folder / name
    try:
        path.write_bytes(content)
    except OSError:
        assert sys.platform in ("win32", "darwin")
        path = folder / "replaced.jpg"
        path.write_bytes(content)
    return path


REASONS = {
    "just-too-large.png": f"more than {MAX_PIXELS:,} pixels",
    "scan.jpg": "cannot identify",
    "sound-but-another-format.jpg": "cannot identify",
}


def assert_refused(path: Path, reason: str = "") -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for only_check in (False, True):
            with pytest.raises(ImageFileError) as caught:
                load_image(path, only_check)
            message = str(caught.value)
            assert repr(str(path)) in message
            assert message.isprintable(), "one line without control characters"
            assert "replace it or delete it" in message
            assert reason in message


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(tmp_path, name, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it ran a program"))
    assert_refused(write(tmp_path, name, PICTURES[name]), REASONS.get(name, ""))


def test_a_picture_of_20_000_frames_gives_its_first(tmp_path):
    one = saved("GIF")
    at = frame_of_gif(one)
    (tmp_path / "x.gif").write_bytes(one[:-1] + one[at:-1] * 20_000 + b";")
    assert load_image(tmp_path / "x.gif").size == (8, 8)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")


@pytest.fixture
def no_waiting():
    """Fail when 20 s have gone: reading a pipe that nobody writes to waits for ever."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waited for a pipe"))
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


@needs_pipes
def test_what_is_not_a_file_is_refused_and_not_waited_for(tmp_path, no_waiting):
    (tmp_path / "hat").mkdir()
    (tmp_path / "hat" / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "hat" / "pipe.jpg")
    (tmp_path / "hat" / "device.jpg").symlink_to("/dev/zero")
    (tmp_path / "hat" / "secret.jpg").symlink_to("/etc/passwd")
    (tmp_path / "hat" / "loop.jpg").symlink_to("loop.jpg")
    for name in ("pipe", "device"):
        assert_refused(tmp_path / "hat" / f"{name}.jpg", "it is not a file")
    with pytest.raises(ImageFileError, match="not a file but a folder.: choose a picture in it"):
        load_image(tmp_path / "hat" / "folder.jpg")
    for name in ("secret", "loop"):
        assert_refused(tmp_path / "hat" / f"{name}.jpg")
    dataset = ClothingDataset(tmp_path)
    assert [path.name for path in dataset.image_paths] == ["secret.jpg"]


@needs_pipes
def test_names_of_folders_are_escaped(tmp_path):
    odd = tmp_path / "a\nb\x1b[2J\u202e"
    (odd / "hat\n\x07").mkdir(parents=True)
    for folder in (odd, odd / "hat\n\x07", odd / "nowhere"):
        with pytest.raises(FileNotFoundError) as caught:
            ClothingDataset(folder)
        assert str(caught.value).isprintable()


# --- archives ---------------------------------------------------------------------------------

TOP = "clothing-dataset-small-1"


def entry(name: str, mode: int = stat.S_IFREG | 0o644, kind: int = 8) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # as it is: the constructor cuts and turns slashes
    info.create_system, info.external_attr, info.compress_type = 3, mode << 16, kind
    return info


def archive(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as file:
        warnings.simplefilter("ignore", UserWarning)  # duplicate names
        for info, content in entries:
            file.writestr(info, content)
    return buffer.getvalue()


def one(name: str, content: bytes = b"x", **options: int) -> bytes:
    return archive((entry(f"{TOP}/train/hat/{name}", **options), content))


def overlapping() -> bytes:
    """Ten entries in the directory that all mean the same bytes."""
    body = bytearray(one("0.jpg", bytes(1000)))
    start = body.index(b"PK\1\2")
    end = body.index(b"PK\5\6")
    directory = bytes(body[start:end])
    tail = bytearray(body[end:])
    tail[8:12] = struct.pack("<HH", 10, 10)
    tail[12:16] = struct.pack("<I", 10 * len(directory))
    return bytes(body[:start]) + directory * 10 + bytes(tail)


def lying(size: int) -> bytes:
    body = one("0.jpg", bytes(1_000_000))
    return body.replace(struct.pack("<I", 1_000_000), struct.pack("<I", size))


def encrypted() -> bytes:
    body = bytearray(one("0.jpg"))
    body[6] |= 1
    body[body.index(b"PK\1\2") + 8] |= 1
    return bytes(body)


def lzma_dictionary() -> bytes:
    """The header of the LZMA data asks for a dictionary of 4 GB."""
    body = one("0.jpg", bytes(1000), kind=zipfile.ZIP_LZMA)
    at = body.index(b"\x05\0\x5d") + 3
    return body[:at] + b"\xff\xff\xff\xff" + body[at + 4 :]


ARCHIVES = {
    "slip": one("../../../../escaped.jpg"),
    "slip in the middle": archive((entry(f"{TOP}/train/../../escaped.jpg"), b"x")),
    "absolute": archive((entry("/tmp/train/hat/escaped.jpg"), b"x")),
    "backslashes": one("..\\..\\..\\escaped.jpg"),
    "drive": one("C:escaped.jpg"),
    "other stream": one("a.jpg:escaped"),
    "link": one("escaped.jpg", b"/etc/passwd", mode=stat.S_IFLNK | 0o777),
    "linked folder": archive(
        (entry(f"{TOP}/train/hat", mode=stat.S_IFLNK | 0o777), b"/tmp"),
        (entry(f"{TOP}/train/hat/escaped.jpg"), b"x"),
    ),
    "pipe": one("a.jpg", mode=stat.S_IFIFO | 0o644),
    "device": one("a.jpg", mode=stat.S_IFCHR | 0o644),
    "bomb": archive(*((entry(f"{TOP}/train/hat/{i}.jpg"), bytes(60_000_000)) for i in range(9))),
    "nested": one("a.jpg", archive((entry("b.zip"), one("c.jpg", bytes(10_000_000))))),
    "overlapping": overlapping(),
    "claims less": lying(10),
    "claims more": lying(400_000_000),
    "claims 4 GB": lying(2**32 - 2),
    "encrypted": encrypted(),
    "lzma": one("a.jpg", bytes(1000), kind=zipfile.ZIP_LZMA),
    "lzma dictionary": lzma_dictionary(),
    "bzip2": one("a.jpg", bytes(1000), kind=zipfile.ZIP_BZIP2)[:-90],
    "unknown method": one("a.jpg").replace(b"\x08\0\0\0!\0", b"\x63\0\0\0!\0"),
    "duplicate names": archive(*[(entry(f"{TOP}/train/hat/a.jpg"), b"x")] * 3),
    "two cases": archive(
        (entry(f"{TOP}/train/hat/a.jpg"), b"x"), (entry(f"{TOP}/train/HAT/A.jpg"), b"y")
    ),
    "reserved by Windows": archive(
        *((entry(f"{TOP}/train/hat/{name}.jpg"), b"x") for name in ("CON", "NUL", "COM1", "a. "))
    ),
    "line break": one("a\nb.jpg"),
    "control characters": one("\x1b[2J\u202e.jpg"),
    "line break in a slip": one("../a\nb\x1b.jpg"),
    "zero byte": one("a\0b.jpg"),
    "file and folder": archive(
        (entry(f"{TOP}/train/hat"), b"x"), (entry(f"{TOP}/train/hat/a.jpg"), b"x")
    ),
    "long name": one("a" * 5000 + ".jpg"),
    "legacy tar": b"hat/escaped.jpg" + bytes(497) + bytes(1024),
    "pickle": pickle.dumps(Payload(Path("escaped"))),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "datasets" / "photos"
    monkeypatch.setattr(paths, "PHOTOS", photos)
    monkeypatch.setattr(downloads, "fetch", lambda url, path: path.write_bytes(ARCHIVES[name]))
    with pytest.raises(downloads.DownloadError) as caught:
        sources.download_photos()
    message = str(caught.value)
    assert str(photos) in message, "what was refused"
    assert message.isprintable() and len(message) < 20_000
    assert list(photos.parent.iterdir()) == [], "nothing is left"
    assert list(tmp_path.iterdir()) == [photos.parent], "nothing is written elsewhere"
    assert not list(Path("/tmp").glob("*escaped*"))


# --- kept features ----------------------------------------------------------------------------

FEATURES = torch.arange(3 * 1280, dtype=torch.float32).reshape(3, 1280)
SHAPE = (3, 1280)
KEY = "5" * 64


def forged(new: torch.Tensor) -> bytes:
    """Another tensor with a digest that fits: the digest is no secret."""
    digest = kept.digest_of(KEY, new)
    return safetensors.torch.save({"features": new, "sha256": digest})


def header(text: str | bytes, claim: int | None = None, body: bytes = b"") -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data) if claim is None else claim) + data + body


def torch_file(content: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def tensor_header(shape: str, offsets: str, dtype: str = "F32") -> str:
    return f'{{"features":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}'


SOUND = forged(FEATURES)
CACHES = {
    "pickle": lambda marker: pickle.dumps(Payload(marker)),
    "torch file": lambda marker: torch_file({"features": Payload(marker), "key": KEY}),
    "legacy torch file": lambda marker: torch_file(
        Payload(marker), _use_new_zipfile_serialization=False
    ),
    "half": lambda marker: SOUND[: len(SOUND) // 2],
    "empty": lambda marker: b"",
    "longer": lambda marker: SOUND + bytes(5000),
    "wrong shape": lambda marker: forged(FEATURES[:2]),
    "transposed": lambda marker: forged(FEATURES.T.contiguous()),
    "one row a thousand times": lambda marker: forged(FEATURES[:1].repeat(1000, 1)),
    "wrong dtype": lambda marker: forged(FEATURES.int()),
    "double": lambda marker: forged(FEATURES.double()),
    "bytes": lambda marker: forged(torch.zeros(3, 1280, dtype=torch.uint8)),
    "not numbers": lambda marker: SOUND[:-9] + b"\xff" * 9,
    "header claims 2**63": lambda marker: header("{}", 2**63),
    "header claims 80 MB": lambda marker: header("{}", 80_000_000),
    "header is no JSON": lambda marker: header("import os", body=bytes(64)),
    "header is deep JSON": lambda marker: header("[" * 900),
    "tensor claims 2**60": lambda marker: header(tensor_header(f"[{2**60}]", f"[0,{2**62}]")),
    "tensor overflows": lambda marker: header(tensor_header(f"[{2**63},{2**63}]", "[0,0]")),
    "offsets backwards": lambda marker: header(tensor_header("[1]", "[8,4]"), body=bytes(8)),
    "no rows": lambda marker: header(tensor_header("[0]", "[0,0]")),
}


@pytest.mark.parametrize("name", CACHES)
def test_kept_features(tmp_path, name):
    path, marker = tmp_path / "features.safetensors", tmp_path / "escaped"
    path.write_bytes(CACHES[name](marker))
    assert kept.read_kept(path, KEY, SHAPE) is None
    assert not marker.exists()
    kept.keep(path, KEY, FEATURES)  # what extract_features does next
    read = kept.read_kept(path, KEY, SHAPE)
    assert read is not None and torch.equal(read, FEATURES)
    assert list(tmp_path.iterdir()) == [path]


@needs_pipes
def test_a_cache_that_is_no_file_is_not_read(tmp_path, no_waiting):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    other = tmp_path / "other"
    other.write_bytes(b"belongs to somebody")
    (tmp_path / "link").symlink_to(other)
    for name in ("pipe", "zeros", "link"):
        assert kept.read_kept(tmp_path / name, KEY, SHAPE) is None
        kept.keep(tmp_path / name, KEY, FEATURES)
        assert kept.read_kept(tmp_path / name, KEY, SHAPE) is not None
    assert other.read_bytes() == b"belongs to somebody", "the link was replaced, not followed"


def test_a_cache_that_is_far_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "features.safetensors"
    path.write_bytes(SOUND + bytes(1000))
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    assert kept.read_kept(path, KEY, SHAPE) is None


# --- memory -----------------------------------------------------------------------------------

MEASURE = """
import resource, shutil, sys, warnings
from pathlib import Path
import torch
from course.files import downloads, kept, paths, pictures, sources
warnings.simplefilter("ignore")

folder = Path(sys.argv[1])
pictures.load_image(folder / "sound.png")
unit = 2**20 if sys.platform == "darwin" else 2**10
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
start, report = peak(), []
for path in sorted(folder.glob("*/*")):
    before = peak()
    try:
        if path.parent.name == "pictures":
            pictures.load_image(path)
        elif path.parent.name == "archives":
            paths.PHOTOS = folder / "photos" / "here"
            downloads.fetch = lambda url, target: shutil.copyfile(path, target)
            sources.download_photos()
        else:
            kept.read_kept(path, "5" * 64, (3, 1280))
    except (pictures.ImageFileError, downloads.DownloadError):
        report.append((peak() - before, path.parent.name, path.name))
print(peak() - start, sorted(report)[-3:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak this way")
def test_none_of_them_takes_much_memory(tmp_path):
    """All in one process, one after the other: its peak is the most that any of them took."""
    made = {name: make(tmp_path / "marker") for name, make in CACHES.items()}
    for kind, contents in {"pictures": PICTURES, "archives": ARCHIVES, "caches": made}.items():
        (tmp_path / kind).mkdir()
        for i, (name, content) in enumerate(contents.items()):
            safe = "".join(letter for letter in name if letter.isalnum() or letter in "-.")
            (tmp_path / kind / f"{i}-{safe}").write_bytes(content)
    (tmp_path / "sound.png").write_bytes(saved("PNG"))
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path],
        capture_output=True,
        text=True,
        cwd=paths.PROJECT,
    )
    assert result.returncode == 0, result.stderr
    peak = result.stdout.splitlines()[-1]  # the lines before it tell what is damaged
    assert int(peak.split()[0]) < MEGABYTES, peak
    assert not (tmp_path / "marker").exists()


def test_there_are_enough_of_them():
    assert len(PICTURES) + len(ARCHIVES) + len(CACHES) >= 80
