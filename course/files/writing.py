"""Writing files and folders so that they appear whole or not at all.

Everything is made under a temporary name beside its place and then renamed, in one step. The
temporary name tells who makes it, so that what a killed process left can be told from what another
process is making at this moment.
"""

import errno
import filecmp
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# .NAME.TABLE.PROCESS.RANDOM.tmp, see `_temporary_beside`
TEMPORARY = re.compile(r"\..+\.(?P<table>[0-9a-f]{8})\.(?P<process>\d{1,9})\.[0-9a-f]{8}\.tmp")
LONGEST_NAME = 100  # bytes; file systems allow 255, encrypted ones 143
DAY = 24 * 3600  # seconds
ACCESS_DENIED, SHARING_VIOLATION = 5, 32  # what Windows answers while somebody reads the old file
PAUSES = (0.05, 0.1, 0.2, 0.4)  # seconds; a virus scanner lets go within the first


def _is_device(path: Path) -> bool:
    """Whether there is something that is neither a file nor a folder.

    It is looked at once, because another process may make or remove a file in the meantime.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # nothing, or no possible name
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _process_table() -> str:
    """Eight digits that differ between machines, and between containers on one machine."""
    words = platform.node()
    with suppress(OSError):  # Linux tells more, because several machines may have the same name
        words += Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        words += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(words.encode(errors="replace")).hexdigest()[:8]


PROCESS_TABLE = _process_table()


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that a crash or an error leaves the old one or the new one, whole.

    Raises:
        OSError: if it cannot be written; `course.files.trouble` knows what helps.
    """
    target = Path(os.path.realpath(path))  # a link stays, and what it leads to is written
    try:
        temporary = _temporary_beside(target)
        try:
            with open(temporary, "wb") as file:
                _set_permissions(temporary, target)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # on the disk, not only on its way there
            _replace(temporary, target)  # os.replace(): readers see the old file or the new one
        finally:
            _remove(temporary)
        _sync_folder(target.parent)
    except OSError as error:
        error.filename = str(path)  # nobody knows the temporary name
        del error.filename2
        raise


@contextmanager
def work_folder(destination: Path) -> Iterator[Path]:
    """A hidden folder for making what `move_into_place` then renames to `destination`.

    It lies beside `destination`, because renaming cannot cross disks, and is gone afterwards.
    """
    folder = _temporary_beside(Path(os.path.realpath(destination)))
    try:
        folder.mkdir()
        yield folder
    finally:
        _remove(folder)


def move_into_place(made: Path, destination: Path) -> None:
    """Rename a file or folder that is finished; if another process was faster, its copy stays.

    A file replaces another one, a folder does not. Whoever may read the folder around `destination`
    may read what was made, too.
    """
    target = Path(os.path.realpath(destination))
    for path in (made, *made.rglob("*")):
        _let_others_read(path, target.parent)
    try:
        _replace(made, target)
    except OSError:
        if not _is_copy(target, made):
            raise
    _sync_folder(target.parent)


def _is_copy(target: Path, made: Path) -> bool:
    """Whether another process has made the same; folders are too large to be compared."""
    if made.is_dir():
        return target.is_dir()
    return target.is_file() and filecmp.cmp(made, target, shallow=False)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, open to everybody who may read the one around them."""
    missing = [place for place in (folder, *folder.parents) if not os.path.isdir(place)]
    folder.mkdir(parents=True, exist_ok=True)
    for place in reversed(missing):
        _let_others_read(place, place.parent)


def _temporary_beside(target: Path) -> Path:
    """A new name in the folder of `target`, after what dead processes left there is removed.

    The number of a process means something in one process table only. Machines that share a home
    have one each, hence the second part of the name; threads share a number, hence the last part.
    """
    if _is_device(target):
        raise OSError(errno.EINVAL, "not a file", str(target))  # it would replace a device
    make_folder(target.parent)
    _remove_leftovers(target.parent)
    name = target.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return target.with_name(f".{name}.{PROCESS_TABLE}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes left in `folder` that were killed before they could tidy up."""
    with suppress(OSError):  # a folder need not be readable to be written
        for name in os.listdir(folder):
            if not (parts := TEMPORARY.fullmatch(name)):
                continue
            if parts["table"] == PROCESS_TABLE:
                dead = not psutil.pid_exists(int(parts["process"]))
            else:  # of another machine, which cannot be asked
                dead = _age(folder / name) > DAY
            if dead:
                _remove(folder / name)


def _age(path: Path) -> float:
    """Seconds since something was last written; 0 if it is gone by now."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there and can be; a second Ctrl-C does not prevent it."""
    try:
        _remove_once(path)
    except KeyboardInterrupt:
        _remove_once(path)
        raise


def _remove_once(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _replace(source: Path, target: Path) -> None:
    """Rename in one step. Windows refuses while somebody reads `target`, so try a few times."""
    for pause in PAUSES:
        try:
            return os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in (ACCESS_DENIED, SHARING_VIOLATION):
                raise
            time.sleep(pause)
    return os.replace(source, target)


def _set_permissions(temporary: Path, target: Path) -> None:
    """Those of the file that is replaced, or those of a new file that others may read."""
    if os.name == "nt":  # a file has those of its folder
        return
    if target.exists():
        with suppress(OSError):  # some file systems have none
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    else:
        _let_others_read(temporary, target.parent)


def _let_others_read(path: Path, folder: Path) -> None:
    """Let everybody read `path` who may read `folder`, also if the umask says that none may.

    In a folder that a classroom shares, the first who downloads something would else lock out all
    others.
    """
    if os.name == "nt":
        return
    with suppress(OSError):  # some file systems have no permissions
        mode = path.stat().st_mode
        readers = folder.stat().st_mode & (0o555 if stat.S_ISDIR(mode) else 0o444)
        if readers & ~mode:
            path.chmod(stat.S_IMODE(mode) | readers)


def _sync_folder(folder: Path) -> None:
    """Let the new name survive a power cut, too; not every system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
