"""Trouble of the system gets an advice of its own, and is never taken for damage of a file."""

import errno
import gzip
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from course.files.trouble import BY_NAME, DEFAULT, advice_for, reason_of

ABOUT_THE_FILE = re.compile(r"delete|save it|replace it|damaged", re.IGNORECASE)


def windows_error(number: int, errno_of_python: int) -> OSError:
    """An error as Python makes it on Windows; elsewhere the constructor knows no such number."""
    error = OSError(errno_of_python, "some words of Windows")
    error.winerror = number  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("number", errno.errorcode, ids=errno.errorcode.get)
def test_every_number_has_an_advice_that_spares_the_file(number: int) -> None:
    advice = advice_for(OSError(number, os.strerror(number), "photo.jpg"))
    assert advice
    assert advice.isprintable()
    assert not ABOUT_THE_FILE.search(advice)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("EACCES", "permissions"),
        ("EPERM", "permissions"),
        ("ENOSPC", "free some space"),
        ("EDQUOT", "free some space"),
        ("EFBIG", "no file may be that large there"),
        ("EROFS", "choose another folder"),
        ("EMFILE", "too many files"),
        ("ENFILE", "too many files"),
        ("ENOMEM", "memory is full"),
        ("EAGAIN", "busy"),
        ("EBUSY", "another program"),
        ("EIO", "connect it"),
        ("ESTALE", "connect it"),
        ("ETIMEDOUT", "connect it"),
        ("ENOTCONN", "connect it"),
        ("ENODEV", "connect it"),
        ("EHOSTDOWN", "connect it"),
        ("ENOENT", "check the path"),
        ("ENOTDIR", "check the path"),
        ("ELOOP", "check the path"),
        ("EINVAL", "check the path"),
        ("EEXIST", "in the way"),
        ("ENAMETOOLONG", "shorter name"),
        ("ECHILD", DEFAULT),
    ],
)
def test_the_advice_fits_the_number(name: str, word: str) -> None:
    if not hasattr(errno, name):
        pytest.skip(f"this system has no {name}")
    advice = advice_for(OSError(getattr(errno, name), "words", "photo.jpg"))
    assert advice is not None and word in advice


def test_no_number_has_two_advices() -> None:
    names = [name for names in BY_NAME.values() for name in names]
    assert len(names) == len(set(names))
    known = [getattr(errno, name) for name in names if hasattr(errno, name)]
    assert len(known) == len(set(known)), "two names of one number on this system"


@pytest.mark.parametrize(
    ("number", "errno_of_python", "word"),
    [
        (5, errno.EACCES, "permissions"),
        (32, errno.EACCES, "another program"),
        (33, errno.EACCES, "another program"),
        (1224, errno.EINVAL, "another program"),
        (19, errno.EACCES, "only be read"),
        (21, errno.EACCES, "connect it"),
        (53, errno.ENOENT, "connect it"),
        (59, errno.EINVAL, "connect it"),
        (64, errno.EINVAL, "connect it"),
        (1117, errno.EINVAL, "connect it"),
        (362, errno.EINVAL, "connect it"),
        (112, errno.ENOSPC, "free some space"),
        (39, errno.EACCES, "free some space"),
        (1295, errno.EINVAL, "free some space"),
        (8, errno.ENOMEM, "memory is full"),
        (1450, errno.EINVAL, "memory is full"),
        (1455, errno.EINVAL, "memory is full"),
        (206, errno.ENOENT, "shorter name"),
        (123, errno.EINVAL, "check the path"),
        (2, errno.ENOENT, "check the path"),
        (99_999, errno.EINVAL, DEFAULT),
    ],
)
def test_numbers_of_windows(number: int, errno_of_python: int, word: str) -> None:
    advice = advice_for(windows_error(number, errno_of_python))
    assert advice is not None and word in advice


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (PermissionError, "permissions"),
        (FileNotFoundError, "check the path"),
        (IsADirectoryError, "check the path"),
        (NotADirectoryError, "check the path"),
        (FileExistsError, "in the way"),
        (TimeoutError, "connect it"),
        (ConnectionResetError, "connect it"),
        (BlockingIOError, "busy"),
    ],
)
def test_the_kind_tells_where_the_number_is_missing(kind: type[OSError], word: str) -> None:
    advice = advice_for(kind("raised again, with better words"))
    assert advice is not None and word in advice


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("1 TB of it"), OSError(12, "no")])
def test_memory(error: BaseException) -> None:
    advice = advice_for(error)
    assert advice is not None and "memory is full" in advice


@pytest.mark.parametrize(
    "error",
    [
        OSError("image file is truncated (5 bytes not processed)"),
        OSError(),
        UnidentifiedImageError("cannot identify image file"),
        gzip.BadGzipFile("Not a gzipped file"),
        zipfile.BadZipFile("File is not a zip file"),
        ValueError("nonsense"),
        EOFError(),
        RuntimeError("PytorchStreamReader failed"),
        KeyError("data.pkl"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_damage_is_no_trouble_of_the_system(error: BaseException) -> None:
    assert advice_for(error) is None


def test_a_picture_that_pillow_finds_cut(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.effect_noise((64, 64), 90).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(OSError) as caught, Image.open(path) as image:
        image.load()
    assert advice_for(caught.value) is None


LIMITED = """
import resource, sys
from pathlib import Path
from course.files.trouble import advice_for
try:
    resource.setrlimit(getattr(resource, sys.argv[1]), (int(sys.argv[2]),) * 2)
    {code}
except (OSError, MemoryError) as error:
    print(advice_for(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep other limits")
@pytest.mark.parametrize(
    ("limit", "number", "code", "word"),
    [
        ("RLIMIT_NOFILE", 40, "files = [open('/dev/null', 'rb') for _ in range(60)]", "too many"),
        (
            "RLIMIT_FSIZE",
            40_000,
            "Path('big').write_bytes(bytes(2**16))",
            "no file may be that large",
        ),
        ("RLIMIT_AS", 2**27, "bytes(2**28)", "memory is full"),
    ],
)
def test_limits_of_a_real_process(
    limit: str, number: int, code: str, word: str, tmp_path: Path
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", LIMITED.format(code=code), limit, str(number)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert word in result.stdout


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(13, "Permission denied", "/a/b.jpg"), "Permission denied"),
        (OSError(5, "Input/output\n error"), "Input/output error"),
        (OSError("words\x1b[2J only"), "words?[2J only"),
        (OSError(), "OSError"),
        (MemoryError(), "not enough memory"),
        (MemoryError("cannot allocate"), "not enough memory"),
        (ValueError("a\n\tb"), "a b"),
        (ValueError(), "ValueError"),
    ],
    ids=repr,
)
def test_the_reason_is_one_printable_line(error: BaseException, expected: str) -> None:
    assert reason_of(error) == expected
