"""The folder of a run: what it holds, and how two runs are kept apart.

A run writes ``checkpoint_epochN.pth`` after every epoch, and in the end ``model_final.pth`` with
its card. Two runs in one folder would overwrite each other's files, so a folder that holds a run is
refused to another, whether that one has ended or is still at work.
"""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course.files.trouble import reason_of

if TYPE_CHECKING:  # loaded late, because nobody waits for it who asks for help
    from filelock import BaseFileLock

CHECKPOINT = re.compile(r"checkpoint_epoch(\d+)\.pth")
FINAL = "model_final.pth"
LOCK, OWNER = ".course-train.lock", ".course-train.owner"
MAY_DIFFER = {"folder"}  # pictures may move to another place, as long as they are the same


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """The file that holds a run after `epoch` epochs, or on the way there."""
    return folder / f"checkpoint_epoch{epoch}.pth"


def checkpoints_in(folder: Path) -> list[Path]:
    """All checkpoints of a folder, the one that came furthest at the end."""
    found = [path for path in folder.iterdir() if CHECKPOINT.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem.removeprefix("checkpoint_epoch")))


def refuse_another_run(output: Path, resume: Path | None) -> None:
    """Refuse a folder that holds a run, unless this training goes on with that run.

    Raises:
        ValueError: with the files that are there, and the two ways on.
    """
    if resume is not None and resume.parent.resolve() == output.resolve():
        return
    held = [path.name for path in (*checkpoints_in(output), output / FINAL) if path.exists()]
    if held:
        names = ", ".join([held[0], "...", held[-1]] if len(held) > 3 else held)
        ways = "go on with it (--resume), or choose another folder (--output)"
        raise ValueError(f"--output {output} holds another run ({names}): {ways}")


def find_checkpoint(resume: Path | None, output: Path) -> Path | None:
    """What to go on from: the file that was named, or the newest in a folder.

    Raises:
        ValueError: if there is no such file.
    """
    if resume is None:
        return None
    if resume == Path():  # --resume without a name
        resume = output
    if resume.is_dir():
        if found := checkpoints_in(resume):
            return found[-1]
        advice = "leave out --resume to start anew, or name the folder of the run with --output"
        raise ValueError(f"{resume / 'checkpoint_epoch*.pth'} is missing: {advice}")
    if not resume.exists():
        raise ValueError(f"{resume} is missing: {_what_is_there(resume)}")
    if resume.name == FINAL and resume.with_suffix(".json").exists():
        problem = f"{resume} holds the finished model without its training"
        raise ValueError(f"{problem}: go on from a checkpoint_epochN.pth")
    return resume


def _what_is_there(missing: Path) -> str:
    """Advice for a file that does not exist."""
    if not missing.parent.is_dir():
        return "its folder does not exist, check the path"
    names = [path.name for path in checkpoints_in(missing.parent)]
    near = get_close_matches(missing.name, names, 3) or names[-3:]
    return f"there is {', '.join(near)}" if near else "check the path"


def refuse_other_settings(checkpoint: Path, had: dict[str, Any], about: dict[str, Any]) -> None:
    """Refuse to go on with a run that was about something else.

    Args:
        had: what the checkpoint says that it depends on; empty if it says nothing.
        about: the same for this training. What an older checkpoint did not note is not compared.

    Raises:
        ValueError: with the names and both values of what is different.
    """
    compared = [name for name in about if name not in MAY_DIFFER and (name in had or not had)]
    if other := [name for name in compared if had.get(name) != about[name]]:
        before = {name: had.get(name) for name in other}
        now = {name: about[name] for name in other}
        problem = f"{checkpoint} does not fit, it was trained with {before}"
        ways = f"do the same (now it is {now}), or start anew in another folder (--output)"
        raise ValueError(f"{problem}: {ways}")


@contextmanager
def claimed(folder: Path, resume: Path | None) -> Iterator[None]:
    """Keep the folder for this process, until it ends in whatever way.

    Raises:
        ValueError: if another process trains into it now, or if it holds another run.
    """
    lock = _locked(folder)
    try:
        refuse_another_run(folder, resume)
        name = f"process {os.getpid()} on {socket.gethostname()}"
        (folder / OWNER).write_text(name, encoding="utf-8", errors="replace")
        yield
    finally:
        # Gone while it is still locked, so that nobody finds a name without an owner. Windows
        # deletes no open file; there the lock itself does so at its end.
        for leftover in (folder / OWNER, folder / LOCK):
            with suppress(OSError):
                leftover.unlink()
        lock.release()


def _locked(folder: Path) -> "BaseFileLock":
    """A lock that the system gives up when the process ends, also if it is killed."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        advice = "wait until it ends, or choose another folder (--output)"
        raise ValueError(f"--output {folder} is in use by {_owner(folder)}: {advice}") from error
    except (OSError, NotImplementedError) as error:  # some network drives have no locks
        advice = "see to it that no other training writes there"
        print(f"note: {folder} cannot be locked ({reason_of(error)}): {advice}", file=sys.stderr)
    return lock


def _owner(folder: Path) -> str:
    """Who has locked the folder, as far as that can be read."""
    with suppress(OSError):
        if name := (folder / OWNER).read_text(encoding="utf-8", errors="replace"):
            return f"another training ({name:.100})"
    return "another training"
