"""Other processes of this computer that compute with torch at the same time."""

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

MOMENT = 0.3  # seconds to watch
BUSY = 5.0  # percent of one core; a notebook that waits needs less


def busy_torch_processes() -> list[int]:
    """The numbers of other processes that have torch loaded and are computing now."""
    watched = [process for process in psutil.process_iter() if has_torch(process)]
    for process in watched:
        with suppress(psutil.Error):
            process.cpu_percent()  # the first call begins to count
    if watched:
        time.sleep(MOMENT)
    return [process.pid for process in watched if is_busy(process)]


def has_torch(process: psutil.Process) -> bool:
    """Whether another process has torch in its memory, as far as the system says so."""
    if process.pid == os.getpid():
        return False
    with suppress(psutil.Error, OSError):
        if "python" not in process.name().lower():
            return False
        maps = Path(f"/proc/{process.pid}/maps")
        if maps.exists():  # on Linux
            return "libtorch_cpu" in maps.read_text(encoding="utf-8", errors="replace")
        return any("torch" in word for word in process.cmdline())
    return False


def is_busy(process: psutil.Process) -> bool:
    """Whether it has computed since the first call of ``cpu_percent``."""
    with suppress(psutil.Error):
        return process.cpu_percent() > BUSY
    return False
