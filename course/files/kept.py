"""Keeping what took long to compute: under which key, in which file, and whether it is still sound.

A file that is kept for months meets a lot: full disks, killed processes, other programs, other
users. So whatever is read here is checked, and what is not sound is computed again.
"""

import errno
import hashlib
import math
import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from course.files.trouble import advice_for, reason_of, with_advice
from course.files.writing import write_whole

LONGEST_NAME = 20  # letters of a folder's name that the name of a file takes over
HEADER_SIZE = 1000  # bytes of a file that are not features: a digest and what safetensors adds
ENOUGH_BYTES = 4 * 2**30  # of kept features; the photos of the course take 0.15 GB
DAY = 24 * 3600  # seconds


def key_of(
    settings: Mapping[str, str], tensors: Mapping[str, Tensor], files: Iterable[tuple[Path, int]]
) -> str:
    """A digest of settings, of named tensors ``(...)``, and of files with their labels.

    The order of all of them counts.

    Raises:
        OSError, MemoryError: if a file cannot be read, with what helps.
    """
    digest = hashlib.sha256()
    for name, value in settings.items():
        digest.update(f"{name}: {value}\n".encode())
    for name, tensor in tensors.items():
        digest.update(f"{name}: {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(numbers_of(tensor))
    for path, label in files:
        content = _content_of(path)
        digest.update(f"{label}: {len(content)} bytes\n".encode())
        digest.update(content)
    return digest.hexdigest()


def numbers_of(tensor: Tensor) -> memoryview:
    """The numbers of a tensor ``(...)`` as bytes, in row-major order."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().data


def digest_of(key: str, features: Tensor) -> Tensor:
    """A digest ``(32,) uint8`` of the key and of features ``(...)``, which tells damage."""
    digest = hashlib.sha256(key.encode())
    digest.update(numbers_of(features))
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def file_of(cache: Path, name: str, key: str) -> Path:
    """Where in the folder `cache` features of the photos in a folder called `name` are kept."""
    return cache / f"features-{name[:LONGEST_NAME]}-{key[:16]}.safetensors"


def read_kept(path: Path, key: str, shape: Sequence[int]) -> Tensor | None:
    """Features ``(...) float32`` that an earlier call kept under `key`.

    Whoever put the file there, reading it runs no code and takes little more memory than it should.

    Args:
        path: see `file_of`.
        shape: what the features must have, with the number of photos first.

    Returns:
        None if there is nothing; also if it is not sound or cannot be read, which is told in one
        line.
    """
    if not os.path.lexists(path) or _is_folder(path):  # a folder is in the way of `keep`
        return None
    try:
        features = _read_checked(path, key, shape)
    except FileNotFoundError:  # gone by now
        return None
    except Exception as error:  # a damaged file can fail in any way
        advice = advice_for(error)
        problem = f"cannot be read ({reason_of(error)}): {advice}" if advice else "is damaged"
        print(f"{str(path)!r} {problem}. The features in it are computed again.")
        return None
    with suppress(OSError):  # the file of somebody else
        os.utime(path)  # used today, see `_forget_unused`
    return features


def keep(path: Path, key: str, features: Tensor) -> None:
    """Write features ``(...) float32`` for `read_kept`; others see a whole file or none.

    If they cannot be kept, that is no reason to stop, and is told in one line.
    """
    content = {"features": features, "sha256": digest_of(key, features)}
    try:
        _make_room(path)
        write_whole(path, safetensors.torch.save(content))
    except (OSError, MemoryError) as error:
        problem = f"features cannot be kept in {str(path)!r} ({reason_of(error)})"
        print(f"{problem}: {advice_for(error)}. The next call computes them again.")
    with suppress(OSError):
        _forget_unused(path.parent)


def _make_room(path: Path) -> None:
    """Remove what cannot be written over: `write_whole` follows links and takes over permissions.

    Raises:
        FileExistsError: if it is a folder, which may hold anything.
    """
    if _is_folder(path):
        raise FileExistsError(errno.EEXIST, "it is a folder")
    if os.path.islink(path) or not (path.is_file() and os.access(path, os.R_OK)):
        with suppress(FileNotFoundError, NotADirectoryError):  # there is nothing
            path.unlink()


def _content_of(path: Path) -> bytes:
    """The bytes of a file. What is no file has none: who opens it as a photo says what it is."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except (OSError, MemoryError) as error:
        raise with_advice(error, f"{str(path)!r} cannot be read") from error


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _read_checked(path: Path, key: str, shape: Sequence[int]) -> Tensor:
    """Features from a file; an error of any kind if they are not those that were kept."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise ValueError("not a file")
    if status.st_size > 4 * math.prod(shape) + HEADER_SIZE:
        raise ValueError("too large")
    kept = safetensors.torch.load(path.read_bytes())
    features = kept["features"]
    if features.dtype != torch.float32 or features.shape != tuple(shape):
        raise ValueError("wrong shape or dtype")
    if not torch.equal(kept["sha256"], digest_of(key, features)):
        raise ValueError("wrong digest")
    return features


def _forget_unused(folder: Path) -> None:
    """Remove the features that were not used for longest, as long as all take too much room.

    When photos, weights or a transform have changed, nobody asks for the old features again. What
    was used today stays: another process may come back to it.
    """
    status = {path: path.stat() for path in folder.glob("features-*.safetensors")}
    size = sum(entry.st_size for entry in status.values())
    for path in sorted(status, key=lambda path: status[path].st_mtime):
        if size <= ENOUGH_BYTES or time.time() - status[path].st_mtime < DAY:
            break
        path.unlink(missing_ok=True)
        size -= status[path].st_size
