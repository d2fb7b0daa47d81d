"""Fashion-MNIST: the archives that come with the course, unpacked where torchvision finds them.

What is unpacked lies in the cache, where it can be damaged in many ways. It is compared with its
digests before each use, which takes less than a tenth of a second, and made again if need be. The
network is never asked.
"""

import gzip
import hashlib
import os
import zlib
from contextlib import suppress
from pathlib import Path

from course.files import paths
from course.files.trouble import advice_for, with_advice
from course.files.writing import move_into_place, work_folder

# The SHA-256 digests of the unpacked files.
DIGESTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def unpack_fashion_mnist() -> Path:
    """Return the folder that torchvision reads, and unpack the archives into it if need be.

    One line is printed if what was there was damaged.

    Raises:
        FileNotFoundError, RuntimeError: if an archive of the course is missing or damaged.
        OSError: if the system refuses to read or write.
    """
    folder = paths.CACHE / "fashion-mnist"
    if _is_sound(folder):
        return folder
    was_there = os.path.lexists(folder)
    contents = {name: _read_archive(name) for name in DIGESTS}
    try:
        with work_folder(folder) as work:
            raw = work / "whole" / "FashionMNIST" / "raw"
            raw.mkdir(parents=True)
            for name, content in contents.items():
                (raw / name).write_bytes(content)
            _set_aside(folder, work)
            move_into_place(work / "whole", folder)
    except OSError as error:
        raise with_advice(error, f"Fashion-MNIST cannot be unpacked into {folder}") from error
    if was_there:
        print(f"Fashion-MNIST in {folder} was damaged; it has been unpacked again.")
    return folder


def _set_aside(folder: Path, work: Path) -> None:
    """Make room for what is whole. What was damaged goes away with the work folder."""
    with suppress(FileNotFoundError):  # another process, which also unpacks, was faster
        if folder.is_symlink():
            folder.unlink()  # what it leads to belongs to somebody
        elif folder.exists() and not _is_sound(folder):
            os.replace(folder, work / "damaged")


def _is_sound(folder: Path) -> bool:
    """Whether all four files are there, with the right bytes."""
    try:
        for name, digest in DIGESTS.items():
            path = folder / "FashionMNIST" / "raw" / name
            if not path.is_file():  # reading a pipe would wait for ever
                return False
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    return False
    except OSError:  # it may not be read
        return False
    # torchvision would prefer this folder, in which its old versions kept other files.
    return not os.path.lexists(folder / "FashionMNIST" / "processed")


def _read_archive(name: str) -> bytes:
    """The content of one archive of the course."""
    archive = paths.SHIPPED_DATASETS / "FashionMNIST" / "raw" / f"{name}.gz"
    remedy = "run `git checkout datasets/FashionMNIST` in the folder of the course"
    try:
        content = gzip.decompress(archive.read_bytes())
    except FileNotFoundError as error:
        if paths.installed_without_folders():
            remedy = paths.HOW_TO_INSTALL
        raise FileNotFoundError(f"{archive} is missing: {remedy}") from error
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and advice_for(error):
            raise with_advice(error, f"{archive} cannot be read") from error
        content = b""
    if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
        raise RuntimeError(f"{archive} is damaged: {remedy}")
    return content
