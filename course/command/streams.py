"""Standard output and error that no surroundings can break.

A pipe is closed by ``| head``, a terminal by its window, both from the start by ``>&-``. A disk is
full, an encoding does not know the name of a class. None of that may cost a training, and none may
end in a traceback.
"""

import errno
import io
import os
import sys
import time
from typing import Any, TextIO

from course.command.signals import NOBODY_READS, requests
from course.files.trouble import advice_for, reason_of

# Windows says "invalid argument" of a pipe that nobody reads.
CLOSED_PIPE = (errno.EPIPE, errno.EINVAL) if os.name == "nt" else (errno.EPIPE,)
TERMINAL_GONE = errno.EIO  # SIGHUP has said so, or was told not to


class Outlet(io.FileIO):
    """The lowest layer of standard output or error: what cannot be written is dropped."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.trouble: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of `data`, or ask the command to stop if nobody reads it."""
        if self.trouble is None:
            try:
                return self._write_patiently(data)
            except OSError as error:
                self.trouble = error
                if error.errno in CLOSED_PIPE:
                    requests.add(NOBODY_READS)
        return len(data)

    def _write_patiently(self, data: Any) -> int:
        """Wait where the other end of a pipe has chosen not to let writers wait."""
        while (written := super().write(data)) is None:
            time.sleep(0.01)
        return written


def protect() -> None:
    """Put safe streams in the place of ``sys.stdout`` and ``sys.stderr``."""
    _fill_closed_descriptors()
    sys.stdout = _safe(sys.stdout, 1)
    sys.stderr = _safe(sys.stderr, 2)


def complaint() -> str:
    """Why the output did not arrive, or nothing. That a reader has left needs no words."""
    buffer = getattr(sys.stdout, "buffer", None)
    error = getattr(getattr(buffer, "raw", buffer), "trouble", None)
    if error is None or error.errno in (*CLOSED_PIPE, TERMINAL_GONE):
        return ""
    return f"the output could not be written ({reason_of(error)}): {advice_for(error)}"


def _fill_closed_descriptors() -> None:
    """Open what was closed at the start, else the next file would be taken for the output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _safe(stream: TextIO | None, descriptor: int) -> TextIO:
    """A stream that writes to the same place, in the same encoding, and never fails."""
    if stream is None:  # it was closed when Python started
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    buffered = isinstance(stream.buffer, io.BufferedWriter)  # not with PYTHONUNBUFFERED
    # The console of Windows has a layer of its own, and no reader who could leave.
    if type(stream.buffer.raw if buffered else stream.buffer) is not io.FileIO:
        return stream
    outlet = Outlet(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(outlet) if buffered else outlet,
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=not buffered,
    )
