"""Files and folders appear whole or not at all, whoever else writes and whatever goes wrong."""

import errno
import inspect
import io
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from course.files import writing
from course.files.trouble import advice_for
from course.files.writing import make_folder, move_into_place, work_folder, write_whole
from new_python import obey_permissions, run_python

OLD, NEW = b"old" * 1000, b"new" * 2000

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="made with means of Linux")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with older content, alone in its folder."""
    path = tmp_path / "folder" / "run.pth"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- one file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [NEW, b"", memoryview(NEW), bytes(2_000_000)])
def test_a_file_is_made_or_replaced(path: Path, content: bytes | memoryview) -> None:
    for target in (path, path.with_name("fresh"), path.parent / "new" / "folders" / "run.pth"):
        write_whole(target, content)
        assert target.read_bytes() == content
        assert [name for name in names_in(target.parent) if name.startswith(".")] == []


def test_a_reader_sees_the_old_or_the_new_file(path: Path) -> None:
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(50):
        write_whole(path, bytes([i]) * 5000)
    done.set()
    reader.join()
    assert seen <= {OLD} | {bytes([i]) * 5000 for i in range(50)}
    assert len(seen) > 1


def test_threads_that_write_the_same_file(path: Path) -> None:
    contents = [bytes([i]) * 300_000 for i in range(8)]
    start = threading.Barrier(8)

    def write(content: bytes) -> None:
        start.wait(10)
        for _ in range(5):
            write_whole(path, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert names_in(path.parent) == ["run.pth"]


REFUSALS = [
    (errno.ENOSPC, "free some space"),
    (errno.EACCES, "permissions"),
    (errno.EROFS, "choose another folder"),
    (errno.EIO, "connect it"),
    (errno.EMFILE, "too many files"),
    (errno.ENOMEM, "memory is full"),
    (errno.EBUSY, "another program"),
]
if os.name == "posix":
    REFUSALS.append((errno.EDQUOT, "free some space"))


@pytest.mark.parametrize("function", ["os.fsync", "os.replace", "course.files.writing.open"])
@pytest.mark.parametrize(("number", "words"), REFUSALS)
def test_a_refusal_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str, number: int, words: str
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number), "one name", None, "another name")

    monkeypatch.setattr(function, refuse, raising=False)
    with pytest.raises(OSError) as caught:
        write_whole(path, NEW)
    monkeypatch.undo()
    assert caught.value.filename == str(path), "nobody knows the temporary name"
    assert str(caught.value) == f"[Errno {number}] {os.strerror(number)}: {str(path)!r}"
    assert words in str(advice_for(caught.value))
    assert path.read_bytes() == OLD
    assert names_in(path.parent) == ["run.pth"]


def interrupted_at(number: int, work: Callable[[], object]) -> bool:
    """Press Ctrl-C at one line of the module; whether `work` came that far.

    Lines that tidy up are left out: between two of them nothing can be done.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != writing.__file__ or "_remove" in frame.f_code.co_name:
            return None
        line = inspect.getsource(writing).splitlines()[frame.f_lineno - 1]
        if event == "line" and "_remove(" not in line:
            count += 1
            if count == number:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_any_line_leaves_the_old_or_the_new_file(path: Path) -> None:
    number = 0
    while interrupted_at(number + 1, lambda: write_whole(path, NEW)):
        number += 1
        assert path.read_bytes() in (OLD, NEW), number
        assert names_in(path.parent) == ["run.pth"], number
        path.write_bytes(OLD)
    assert number > 30, "the module was not traced"
    assert path.read_bytes() == NEW


def test_ctrl_c_at_any_line_leaves_no_work_folder(path: Path) -> None:
    def work() -> None:
        with work_folder(path.with_name("made")) as folder:
            (folder / "half").write_bytes(NEW)
            move_into_place(folder / "half", path.with_name("made"))

    number = 0
    while interrupted_at(number + 1, work):
        number += 1
        assert [name for name in names_in(path.parent) if name.startswith(".")] == [], number
        path.with_name("made").unlink(missing_ok=True)
    assert number > 30, "the module was not traced"
    assert path.with_name("made").read_bytes() == NEW


def test_a_second_ctrl_c_while_tidying_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = shutil.rmtree
    presses = iter([KeyboardInterrupt, None])

    def rmtree(folder: Path, **options: Any) -> None:
        if press := next(presses):
            raise press
        remove(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    with pytest.raises(KeyboardInterrupt), work_folder(path) as folder:
        (folder / "half").write_bytes(NEW)
    assert names_in(path.parent) == ["run.pth"]


# --- odd places -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a" * 250 + ".pth", "ü" * 127, "🎒" * 63, "b" * 100, "c" * 101])
def test_names_that_are_as_long_as_can_be(path: Path, name: str) -> None:
    target = path.with_name(name)
    for _ in range(2):
        write_whole(target, NEW)
    assert target.read_bytes() == NEW
    with work_folder(target.with_name(name[:-1])) as folder:
        move_into_place(make(folder / "made"), target.with_name(name[:-1]))
    assert names_in(path.parent) == sorted(["run.pth", name, name[:-1]])


def make(path: Path) -> Path:
    path.write_bytes(NEW)
    return path


@posix_only
def test_a_link_stays_and_what_it_leads_to_is_written(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "larger disk"
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "second link").symlink_to("link")
    (tmp_path / "to nothing").symlink_to(elsewhere / "new" / "run.pth")
    for link in ("link", "second link", "to nothing"):
        write_whole(tmp_path / link, link.encode())
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / link).read_bytes() == link.encode()
    assert path.read_bytes() == b"second link"
    assert names_in(elsewhere / "new") == ["run.pth"]


@posix_only
def test_a_link_to_a_folder_that_is_not_there_yet(path: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to(tmp_path / "disk" / "photos")
    with work_folder(tmp_path / "photos") as folder:
        assert folder.parent == (tmp_path / "disk").resolve(), "renaming cannot cross disks"
        (folder / "made").mkdir()
        move_into_place(folder / "made", tmp_path / "photos")
    assert (tmp_path / "photos").is_symlink()
    assert (tmp_path / "disk" / "photos").is_dir()


@posix_only
def test_a_device_or_a_pipe_is_not_replaced(path: Path) -> None:
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a file"):
        write_whole(pipe, NEW)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names_in(path.parent) == ["pipe", "run.pth"]


def test_a_folder_is_not_replaced(path: Path) -> None:
    with pytest.raises(OSError):
        write_whole(path.parent, NEW)
    with pytest.raises(OSError):
        write_whole(path / "below", NEW)
    assert path.read_bytes() == OLD
    assert names_in(path.parent.parent) == ["folder"]
    assert names_in(path.parent) == ["run.pth"]


# --- what others left, or are making ----------------------------------------------------------

LEAVE = """
import os, signal, sys
from pathlib import Path
from course.files import writing
target = Path(sys.argv[2])
def stop(*arguments):
    print("ready", flush=True)
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
if sys.argv[3] == "file":
    os.fsync = stop
    writing.write_whole(target, b"half")
else:
    with writing.work_folder(target) as folder:
        (folder / "train").mkdir()
        (folder / "train" / "half.jpg").write_bytes(b"half")
        stop()
"""


@pytest.fixture(params=["file", "folder"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def writer(path: Path, kind: str) -> Iterator[Callable[[str], Path]]:
    """Starts a process that is stopped while it writes; returns what it has made so far."""
    started = []

    def start(end: str) -> Path:
        process = subprocess.Popen(
            [sys.executable, "-c", LEAVE, end, path.with_name("other"), kind],
            env=os.environ | {"PYTHONPATH": str(Path(writing.__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline()
        if end == "killed":
            assert process.wait(60) == -signal.SIGKILL
        (made,) = path.parent.glob(".*.tmp")
        return made

    yield start
    for process in started:
        process.kill()
        process.communicate()


def write_beside(path: Path, how: str) -> None:
    if how == "file":
        write_whole(path, NEW)
    else:
        with work_folder(path):
            pass


@posix_only
@pytest.mark.parametrize("how", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_at_once(
    path: Path, writer: Callable[[str], Path], how: str
) -> None:
    left = writer("killed")
    assert left.exists()
    write_beside(path, how)
    assert names_in(path.parent) == ["run.pth"]


@posix_only
def test_what_another_process_is_making_stays(path: Path, writer: Callable[[str], Path]) -> None:
    made = writer("waits")
    week_ago = time.time() - 7 * 24 * 3600  # asleep over the holidays, and alive
    os.utime(made, (week_ago, week_ago))
    write_beside(path, "file")
    assert made.exists()


def on(machine: str, target: Path, monkeypatch: pytest.MonkeyPatch, pid: int) -> Path:
    """The temporary name that a process of another machine would take."""
    with monkeypatch.context() as patch:
        patch.setattr(platform, "node", lambda: machine)
        patch.setattr(writing, "PROCESS_TABLE", writing._process_table())
        patch.setattr(os, "getpid", lambda: pid)
        return writing._temporary_beside(target)


@pytest.mark.parametrize("how", ["file", "folder"])
def test_machines_that_share_a_home(
    path: Path, monkeypatch: pytest.MonkeyPatch, how: str, kind: str
) -> None:
    """The number of a process says nothing on another machine: what is made there stays a day."""
    dead = 999_999_999
    here = on(platform.node(), path, monkeypatch, dead)
    young = on("lab-2.example.org", path, monkeypatch, dead)
    old = on("lab-3.example.org", path, monkeypatch, os.getpid())
    for place in (here, young, old):
        place.mkdir() if kind == "folder" else place.touch()
    a_day_and_a_bit = time.time() - 25 * 3600
    os.utime(old, (a_day_and_a_bit, a_day_and_a_bit))
    write_beside(path, how)
    assert names_in(path.parent) == sorted([young.name, "run.pth"])


@linux_only
def test_containers_with_the_same_name_are_told_apart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readlink = os.readlink
    monkeypatch.setattr(
        os, "readlink", lambda p: "pid:[7]" if str(p).endswith("pid") else readlink(p)
    )
    assert writing._process_table() != writing.PROCESS_TABLE


@pytest.mark.parametrize("name", ["", "größer.local", "a/b\\c:d*?\x00", "x" * 300])
def test_names_of_machines_that_no_file_may_have(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(platform, "node", lambda: name)
    monkeypatch.setattr(writing, "PROCESS_TABLE", writing._process_table())
    write_whole(path, NEW)
    assert path.read_bytes() == NEW


def test_files_that_only_look_alike_stay(path: Path) -> None:
    table, pid, token = "0123abcd", "999999999", "89abcdef"
    names = [
        f"run.pth.{table}.{pid}.{token}.tmp",  # not hidden
        f".run.pth.{table}.{pid}.{token}.tmp.bak",
        f".run.pth.{table}.{pid}.{token}",
        f".run.pth.{table}.{pid}.tmp",
        f".run.pth.{table}.pid.{token}.tmp",
        f".run.pth.{table.upper()}.{pid}.{token}.tmp",
        f".run.pth.{table}.{pid}0000.{token}.tmp",
        ".run.pth.1.tmp",
        ".tmp",
        "notes.tmp",
    ]
    for name in names:
        path.with_name(name).write_bytes(b"mine")
        os.utime(path.with_name(name), (0, 0))
    write_whole(path, NEW)
    assert names_in(path.parent) == sorted(["run.pth", *names])


@posix_only
def test_a_link_with_such_a_name_takes_nothing_along(path: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"mine")
    link = path.with_name(f".x.{writing.PROCESS_TABLE}.999999999.01234567.tmp")
    link.symlink_to(tmp_path / "photos")
    write_whole(path, NEW)
    assert not link.is_symlink()
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"mine"


# --- who may read it --------------------------------------------------------------------------

WRITE_AND_MAKE = """
import os, sys
from pathlib import Path
from course.files.writing import move_into_place, work_folder, write_whole
os.umask(int(sys.argv[2], 8))
folder = Path(sys.argv[1])
write_whole(folder / "file", b"x")
write_whole(folder / "new" / "deeper" / "file", b"x")
with work_folder(folder / "photos") as work:
    (work / "made" / "train" / "hat").mkdir(parents=True)
    (work / "made" / "train" / "hat" / "a.jpg").write_bytes(b"x")
    move_into_place(work / "made", folder / "photos")
with work_folder(folder / "weights") as work:
    (work / "weights").write_bytes(b"x")
    move_into_place(work / "weights", folder / "weights")
"""


@posix_only
@pytest.mark.parametrize(
    ("around", "umask", "folders", "files"),
    [
        (0o755, "022", 0o755, 0o644),
        (0o755, "077", 0o755, 0o644),
        (0o1777, "077", 0o755, 0o644),
        (0o2775, "077", 0o2755, 0o644),
        (0o2770, "077", 0o2750, 0o640),
        (0o750, "077", 0o750, 0o640),
        (0o700, "077", 0o700, 0o600),
        (0o700, "022", 0o755, 0o644),
        (0o775, "002", 0o775, 0o664),
    ],
)
def test_who_may_read_the_folder_may_read_what_is_made(
    tmp_path: Path, around: int, umask: str, folders: int, files: int
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(around)
    run_python(WRITE_AND_MAKE, shared, umask)
    found = {path.relative_to(shared).as_posix(): mode_of(path) for path in shared.rglob("*")}
    names = ("new", "new/deeper", "photos", "photos/train", "photos/train/hat")
    expected = dict.fromkeys(names, folders)
    names = ("file", "new/deeper/file", "photos/train/hat/a.jpg", "weights")
    assert found == expected | dict.fromkeys(names, files)


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_file_that_is_replaced_keeps_its_permissions(path: Path, mode: int) -> None:
    path.chmod(mode)
    path.parent.chmod(0o755)
    write_whole(path, NEW)
    assert mode_of(path) == mode
    assert path.read_bytes() == NEW


@posix_only
def test_a_private_file_is_never_readable_while_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    class Watched(io.FileIO):
        def write(self, content: Any) -> int:
            modes.append(mode_of(Path(os.fsdecode(self.name))))
            return super().write(content)

    monkeypatch.setattr(writing, "open", Watched, raising=False)
    path.chmod(0o600)
    write_whole(path, NEW)
    assert modes == [0o600]


# --- refusals of a real system ----------------------------------------------------------------

REFUSED = """
import os, sys
from pathlib import Path
from course.files.trouble import advice_for
from course.files.writing import write_whole
{limit}
for content in (bytes(100_000), bytes(1)):
    try:
        write_whole(Path(sys.argv[1]), content)
        print("written")
    except OSError as error:
        print(error.filename == sys.argv[1], advice_for(error))
"""


@linux_only
def test_a_full_disk(path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    first, second = run_python(REFUSED.format(limit=limit), path).splitlines()
    assert first == "True no file may be that large there: choose another folder, or a higher limit"
    assert second == "written"
    assert names_in(path.parent) == ["run.pth"]


@linux_only
def test_too_many_open_files(path: Path) -> None:
    limit = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
files = []
try:
    while True:
        files.append(open(os.devnull, "rb"))
except OSError:
    pass
"""
    lines = run_python(REFUSED.format(limit=limit), path).splitlines()
    assert all(line.startswith("True too many files are open") for line in lines)
    assert path.read_bytes() == OLD


@linux_only
def test_a_folder_that_may_only_be_read(path: Path) -> None:
    path.parent.chmod(0o555)
    lines = run_python(REFUSED.format(limit=""), path, before=obey_permissions).splitlines()
    assert lines == ["True ask for the right to do so, or change the permissions"] * 2
    path.parent.chmod(0o755)
    assert path.read_bytes() == OLD
    assert names_in(path.parent) == ["run.pth"]


@linux_only
def test_a_folder_that_may_be_written_and_not_listed(path: Path) -> None:
    path.parent.chmod(0o333)
    lines = run_python(REFUSED.format(limit=""), path, before=obey_permissions).splitlines()
    path.parent.chmod(0o755)
    assert lines == ["written", "written"]
    assert names_in(path.parent) == ["run.pth"]


class Held:
    """`os.replace` as on Windows while somebody reads the file: refused so many times."""

    def __init__(self, times: int, number: int | None) -> None:
        self.times, self.number, self.calls = times, number, 0
        self.replace = os.replace

    def __call__(self, source: Path, target: Path) -> None:
        self.calls += 1
        if self.calls <= self.times:
            error = PermissionError(13, "Access is denied", str(source), None, str(target))
            if self.number:
                error.winerror = self.number  # type: ignore[attr-defined]
            raise error
        self.replace(source, target)


@pytest.mark.parametrize("number", [5, 32])
def test_windows_refuses_while_somebody_reads(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(writing, "PAUSES", (0.001, 0.001))
    monkeypatch.setattr(os, "replace", Held(2, number))
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    monkeypatch.setattr(os, "replace", Held(99, number))
    with pytest.raises(PermissionError, match=r"run\.pth"):
        write_whole(path, OLD)
    assert path.read_bytes() == NEW
    assert names_in(path.parent) == ["run.pth"]


def test_a_refusal_that_will_not_pass_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(99, None)
    monkeypatch.setattr(os, "replace", held)
    with pytest.raises(PermissionError):
        write_whole(path, NEW)
    assert held.calls == 1


# --- folders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, MemoryError, SystemExit])
def test_a_work_folder_is_gone_afterwards(path: Path, error: type[BaseException] | None) -> None:
    try:
        with work_folder(path.parent / "new" / "photos") as folder:
            assert folder.is_dir() and not any(folder.iterdir())
            assert folder.name.startswith(".") and folder.parent == path.parent / "new"
            (folder / "a" / "b").mkdir(parents=True)
            (folder / "a" / "b" / "half").write_bytes(b"half")
            if error:
                raise error
    except BaseException as caught:
        assert type(caught) is error
    assert names_in(path.parent / "new") == []


def test_two_work_folders_for_the_same_place(path: Path) -> None:
    with work_folder(path) as first, work_folder(path) as second:
        assert first != second
        assert first.is_dir() and second.is_dir()


def test_a_folder_moves_into_place_once(path: Path) -> None:
    place = path.parent / "photos"
    for content in (b"first", b"second"):
        with work_folder(place) as folder:
            (folder / "made").mkdir()
            (folder / "made" / "a.jpg").write_bytes(content)
            move_into_place(folder / "made", place)
    assert (place / "a.jpg").read_bytes() == b"first"
    assert names_in(path.parent) == ["photos", "run.pth"]


def test_a_file_moves_into_place_and_replaces(path: Path) -> None:
    with work_folder(path) as folder:
        move_into_place(make(folder / "made"), path)
    assert path.read_bytes() == NEW


def test_the_same_file_of_another_process_will_do_another_one_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", Held(99, None))
    with work_folder(path) as folder:
        with pytest.raises(PermissionError):
            move_into_place(make(folder / "made"), path)
        assert path.read_bytes() == OLD
        path.write_bytes(NEW)
        move_into_place(make(folder / "made"), path)


@pytest.mark.parametrize("made_is_folder", [True, False])
def test_something_else_in_the_way_is_an_error(path: Path, made_is_folder: bool) -> None:
    place = path if made_is_folder else path.parent
    with work_folder(path) as folder:
        if made_is_folder:
            (folder / "made").mkdir()
        else:
            make(folder / "made")
        with pytest.raises(OSError):
            move_into_place(folder / "made", place)
    assert path.read_bytes() == OLD


def test_a_missing_drive_or_a_file_in_the_way(path: Path) -> None:
    make_folder(path.parent / "a" / "b" / "c")
    make_folder(path.parent / "a" / "b" / "c")
    assert (path.parent / "a" / "b" / "c").is_dir()
    for place in (path, path / "below", path / "below" / "more"):
        with pytest.raises(OSError) as caught:
            make_folder(place)
        assert advice_for(caught.value)
