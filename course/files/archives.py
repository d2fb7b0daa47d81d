"""Looking into the archives that ``torch.save()`` writes, before anything in them is loaded.

Since version 1.6 such a file is a zip archive: ``data.pkl`` is a pickle that says which tensors
there are, ``data/0``, ``data/1`` and so on are their bytes. All of it may be damaged, or made to
do harm. ``torch.load(weights_only=True)`` stops most of that. What stands here comes before it,
says in words what is wrong, and tells a damaged file from a drive that is away.
"""

import copy
import errno
import os
import re
import stat
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from course.files.pickles import NAMEABLE, PickleError, check_pickle, names_in
from course.files.strangers import HEAD, kind_of_file, kind_of_zip
from course.files.trouble import advice_for, reason_of, with_advice

# What torch.save() calls its records. They lie in a folder with the name that the file had then.
RECORDS = re.compile(r"[^/\\:]+/(data\.pkl|(\.?data/)?\.?\w+)")
MAX_PICKLE = 2**22  # bytes; each may become a value of 60 bytes
MAX_NESTED = 500_000
NESTING = (Tensor, dict, list, tuple)
ADDRESS = re.compile(r"\w\w+:/")  # of two letters and more, because C:/ is a drive
GET_AGAIN = "get it again"
# How torch says that memory is full: on the CPU, on a GPU, while mapping a file.
NO_MEMORY = re.compile("can't allocate memory|out of memory|Cannot allocate memory")


class CheckpointError(ValueError):
    """A file of ``torch.save()`` cannot be read or written, or does not fit what was built."""


def read_torch_file(path: str | Path) -> Any:
    """Read what ``torch.save()`` wrote, onto the CPU. Nothing in the file is run.

    Raises:
        CheckpointError: if the file is missing, damaged, unsafe or of another kind.
        OSError: if the system cannot read it now. The file may be good.
        MemoryError: if it does not fit into the memory that is left.
    """
    try:
        _check_path(path)
        with open(path, "rb") as file:
            size = check_archive(file)
        return _load(path, size)
    except (CheckpointError, PickleError) as error:
        raise CheckpointError(one_line(f"{path} {error}")) from error
    except Exception as error:  # a damaged file can fail in any way
        trouble = trouble_with(path, "cannot be read", error)
        if trouble and not _points_nowhere(error):
            raise trouble from error
        problem = f"is damaged or unsafe ({reason_of(error):.300})"
        raise CheckpointError(one_line(f"{path} {problem}: {GET_AGAIN}")) from error


def check_archive(file: BinaryIO) -> int:
    """Look through a whole file of ``torch.save()`` without loading it.

    Returns:
        How many bytes its tensors have.

    Raises:
        CheckpointError, PickleError: with the end of a sentence that begins with the file.
        Exception: of any kind, if the file is damaged.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(HEAD)
    if not head.startswith(b"PK\3\4"):  # torch.load() would take it for one of its older formats
        kind, advice = kind_of_file(head)
        raise CheckpointError(f"is {kind} (torch.save() did not write it): {advice}")
    with zipfile.ZipFile(file) as archive:
        sizes = _check_records(archive, size)
        if damaged := archive.testzip():  # torch.load() does not compare the checksums
            raise CheckpointError(f"is damaged (wrong checksum in {damaged}): {GET_AGAIN}")
        folder = archive.namelist()[0].split("/")[0]
        _check_program(archive.read(f"{folder}/data.pkl"))
    return sum(number for name, number in sizes.items() if name.startswith("data/"))


def _check_records(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """How many bytes each record of an archive of `size` bytes claims to have, if all is well."""
    records = archive.infolist()
    names = archive.namelist()
    sizes = {record.filename.partition("/")[2].lower(): record.file_size for record in records}
    if len(sizes) < len(records) or not all(map(RECORDS.fullmatch, names)):
        kind, advice = kind_of_zip(names)
        raise CheckpointError(f"is {kind} (torch.save() does not write such records): {advice}")
    if "data.pkl" not in sizes:
        raise CheckpointError(f"is damaged (it has no data.pkl): {GET_AGAIN}")
    if sum(sizes.values()) > size or archive.comment:
        raise CheckpointError("would grow while loading: do not use it")
    if sizes["data.pkl"] > MAX_PICKLE:
        problem = f"would grow while loading (more than {MAX_PICKLE:,} bytes beside its tensors)"
        raise CheckpointError(f"{problem}: keep long lists of numbers as tensors")
    return sizes


def _check_program(program: bytes) -> None:
    """Refuse a pickle that names anything but tensors and the containers around them."""
    strange = ", ".join(sorted(names_in(program) - NAMEABLE))
    if not strange:
        check_pickle(program)
        return
    problem = f"asks for {strange!r:.80}, which could run a stranger's code"
    if "torch.nn.modules" in strange:
        problem = f"holds a whole model and {problem}"
    raise CheckpointError(f"{problem}: get its state_dict() instead")


def _load(path: str | Path, size: int) -> Any:
    """Load an archive whose tensors have `size` bytes, and see whether they do."""
    # On the CPU, where random states belong; load_state_dict() moves the others. With mmap no
    # tensor reads beyond the file, which torch 2.6 can do else; the copy lets go of the file.
    mappable = os.fsencode(path) == str(path).encode(errors="ignore")  # torch wants UTF-8
    content = copy.deepcopy(torch.load(path, "cpu", weights_only=True, mmap=mappable))
    found = {}  # by their address, because some tensors share their memory
    for tensor in tensors_in(content):
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        if tensor.nbytes > storage.nbytes():
            problem = "a tensor claims other bytes than it has, as after expand()"
            raise CheckpointError(f"would grow while loading ({problem}): save its .clone()")
    if sum(found.values()) != size:
        raise CheckpointError(f"is damaged (a tensor claims other bytes than it has): {GET_AGAIN}")
    return content


def tensors_in(content: Any) -> list[Tensor]:
    """All tensors, ``(...)`` of any dtype, in nested containers; one in two of them twice.

    Raises:
        CheckpointError: if there are too many containers. A short file can put a list into itself.
    """
    found = []
    waiting = [content]
    seen = 0
    while waiting:
        value = waiting.pop()
        entries: list[Any] = []
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, dict):
            entries = [*value.values(), *getattr(value, "__dict__", {}).values()]
        elif isinstance(value, list | tuple):
            entries = list(value)
        inner = [entry for entry in entries if isinstance(entry, NESTING)]
        waiting += inner
        seen += len(inner)
        if seen > MAX_NESTED:
            problem = f"would grow while loading (more than {MAX_NESTED:,} lists in lists)"
            raise CheckpointError(f"{problem}: keep long lists of numbers as tensors")
    return found


def _check_path(path: str | Path) -> None:
    """Say what is wrong with a path at which no file is."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # a ValueError for letters that no path may have
        nowhere = isinstance(error, FileNotFoundError | NotADirectoryError | ValueError)
        problem = _misspelt(str(path))
        if not nowhere and not problem:
            raise
        raise CheckpointError(problem or "is missing (no such file): check the path") from error
    if stat.S_ISDIR(mode):
        raise CheckpointError("is a folder (no such file): give a file that lies in it")
    if not stat.S_ISREG(mode):  # a pipe would be waited for
        raise CheckpointError("is not a file: give the path of a file")


def _misspelt(path: str) -> str | None:
    """What somebody meant who gave a path of a kind that no file has."""
    if ADDRESS.match(path):
        return "is an address: download it and give the file"
    if set("*?") & set(path):
        return "is missing: give the name of one file, without * and ?"
    if path.startswith("~"):
        return "is missing: write the path of your home in place of ~"
    return None


def _points_nowhere(error: Exception) -> bool:
    """Whether a table of contents pointed to before the first byte, which is an OSError, too."""
    return isinstance(error, OSError) and error.errno == errno.EINVAL and not error.filename


def trouble_with(path: str | Path, problem: str, error: Exception) -> Exception | None:
    """The error of a system that refuses, in a sentence; None if the system is not the cause."""
    if isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)):
        error = MemoryError()
    if isinstance(error, OSError | MemoryError) and advice_for(error):
        return with_advice(error, one_line(f"{path} {problem}"))
    return None


def one_line(text: str) -> str:
    """A text in which line breaks and the like are spelled out, as in a Python string."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
