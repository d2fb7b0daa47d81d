"""Runs code in a new Python: with another umask, fewer rights, no home, or limits of the system."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def obey_permissions() -> None:
    """Let a read-only folder be one for root too: give up the right to overrule (Linux)."""
    if sys.platform == "linux" and os.geteuid() == 0:
        drop_from_bounding_set, may_overrule_permissions, may_read_all = 24, 1, 2
        for right in (may_overrule_permissions, may_read_all):
            ctypes.CDLL(None).prctl(drop_from_bounding_set, right)


def be_nobody() -> None:
    """Become a user of whom the system knows nothing, as in many containers (Linux, from root).

    Such a user owns nothing and may write nothing. Reading everything is left, because Python may
    lie in the home of root.
    """
    may_read_all = 2
    keep_rights, ambient, add = 8, 47, 2  # names of prctl()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(keep_rights, 1)
    os.setgroups([])
    os.setgid(54321)
    os.setuid(54321)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    rights = (ctypes.c_uint32 * 6)(1 << may_read_all, 1 << may_read_all, 1 << may_read_all, 0, 0, 0)
    if libc.capset(header, rights) or libc.prctl(ambient, add, may_read_all, 0, 0):
        raise OSError(ctypes.get_errno(), "the rights could not be changed")


def run_python(
    code: str,
    *arguments: str | Path,
    before: Callable[[], object] | None = None,
    remove: tuple[str, ...] = (),
    **environment: str,
) -> str:
    """What `code` prints in a new Python that imports the course from this checkout.

    Args:
        arguments: what ``sys.argv[1:]`` holds.
        before: called in the new process before Python starts (not on Windows).
        remove: variables of the environment that the new process lacks.
    """
    kept = {name: value for name, value in os.environ.items() if name not in remove}
    result = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],  # -P: not from the working folder
        env=kept | {"PYTHONPATH": str(PROJECT)} | environment,
        preexec_fn=before,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
