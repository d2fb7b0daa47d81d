"""Writing a file whole or not at all."""

import glob
import os
from contextlib import suppress
from pathlib import Path

import psutil


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that a crash or an error leaves the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError, ValueError, OverflowError):
            if not psutil.pid_exists(int(leftover.name.split(".")[-2])):  # its writer was killed
                leftover.unlink()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # on the disk, not only on its way there
        os.replace(temporary, path)  # in one step: a reader sees the old file or the new one
    finally:
        temporary.unlink(missing_ok=True)
