"""``course doctor`` tries what the course will do, and its exit code means something."""

# ruff: noqa: F811
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from command_line import alone, course  # noqa: F401
from course.command import crowd, doctor
from course.files import paths, sources
from course.files.downloads import DownloadError


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A computer on which nothing is missing, and nobody else is at work."""
    photo = tmp_path / "photos" / "test" / "hat" / "1.png"
    photo.parent.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(photo)
    weights = tmp_path / "weights.pth"
    weights.touch()
    monkeypatch.setattr(paths, "PHOTOS", tmp_path / "photos")
    monkeypatch.setattr(paths, "MODELS", tmp_path / "models")
    monkeypatch.setattr(sources, "weights_path", lambda: weights)
    monkeypatch.setattr(sources, "download_photos", lambda: paths.PHOTOS)
    monkeypatch.setattr(sources, "download_weights", lambda: weights)
    monkeypatch.setattr("course.pretrained.load_mobilenet_v2", lambda: None)
    monkeypatch.setattr("course.stand_ins.load_stand_in", dict)
    monkeypatch.setattr("course.data.fashion_mnist", lambda train: ["a picture"] * 10_000)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "x" if name != "nvidia-smi" else None)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: SimpleNamespace(free=9e9))
    monkeypatch.setattr(doctor.os, "getloadavg", lambda: (0.1, 0.1, 0.1), raising=False)
    monkeypatch.setattr(crowd, "busy_torch_processes", list)
    return tmp_path


def refuse(error: Exception) -> Any:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


def levels(lines: list[str]) -> set[str]:
    return {line.split()[0] for line in lines}


def test_all_is_well(healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "77")
    result = course("doctor")
    assert (result.code, result.err, levels(result.out)) == (0, [], {"ok"})
    text = "\n".join(result.out)
    for word in ("Python 3", "torchvision", "threads on", "can write models", "Fashion-MNIST"):
        assert word in text
    assert re.search(r"torch \S+ \((CUDA \S+|no CUDA)\), .*; computes on (cpu|cuda|mps)", text)
    assert "GOMP_SPINCOUNT=77" in text


CHANGES: dict[str, tuple[str, Any, str]] = {
    # what is changed, into what, and the line that says so
    "git-lfs": ("doctor.shutil.which", lambda name: None, "note +no git-lfs.*https://git-lfs.com"),
    "gpu": ("doctor.shutil.which", lambda name: name, "note +there is an NVIDIA GPU, and this tor"),
    "space": (
        "doctor.shutil.disk_usage",
        lambda place: SimpleNamespace(free=1e8),
        r"note +less than a GB is free for models in .* \(0.1 GB\): free some space",
    ),
    "load": ("doctor.os.getloadavg", lambda: (99.0, 0, 0), "note +99.0 processes want .* cores"),
    "crowd": ("crowd.busy_torch_processes", lambda: [7, 8], r"note .*another process \(7, 8\)"),
    "threads": ("torch.get_num_threads", lambda: 999, "note +999 threads on"),
    "folders": ("paths.installed_without_folders", lambda: True, "fault +the course was installed"),
    "rights": ("paths.can_write", lambda folder: False, "fault +no right to write models in .*: "),
    "pictures": (
        "course.data.fashion_mnist",
        refuse(RuntimeError("not found\nor corrupted")),
        "fault +pictures: not found or corrupted",
    ),
    "photos": (
        "sources.download_photos",
        refuse(DownloadError("some photos were changed; move them")),
        "note +pictures: some photos were changed; move them",
    ),
    "weights": (
        "sources.download_weights",
        refuse(DownloadError("the file there is damaged")),
        "note +weights: the file there is damaged",
    ),
    "temporary": (
        "doctor.tempfile.gettempdir",
        refuse(FileNotFoundError(2, "No usable temporary directory")),
        "fault +places: No usable temporary directory",
    ),
}
MODULES = {
    "doctor": doctor, "crowd": crowd, "paths": paths, "sources": sources, "torch": torch,
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_one_thing_is_wrong(
    what: str, healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, replacement, line = CHANGES[what]
    first, _, rest = place.partition(".")
    if first in MODULES:
        *path, name = rest.split(".")
        target: Any = MODULES[first]
        for part in path:
            target = getattr(target, part)
        monkeypatch.setattr(target, name, replacement, raising=False)
    else:
        monkeypatch.setattr(place, replacement)
    result = course("doctor")
    assert [text for text in result.out if re.match(line, text)], result.out
    level = line.split(" ")[0]
    assert levels(result.out) == {"ok", level}
    assert (result.code, result.err) == (level == "fault", [])


@pytest.mark.parametrize("what", ["photos", "weights"])
def test_what_is_missing_has_a_stand_in(
    what: str, healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = healthy / "nowhere" / "gone"
    if what == "photos":
        monkeypatch.setattr(paths, "PHOTOS", gone)
    else:
        monkeypatch.setattr(sources, "weights_path", lambda: gone)
    result = course("doctor")
    assert (result.code, result.err) == (0, [])
    notes = [line for line in result.out if not line.startswith("ok ")]
    assert len(notes) == 1
    assert re.match(f"note +{what} in {re.escape(str(gone))} are missing: .*download", notes[0])
    assert any(line.startswith(f"ok      can write {what} in ") for line in result.out)


@pytest.mark.parametrize(
    ("what", "level", "variable"),
    [
        ("models", "fault", "HOME"),
        ("photos", "note", "COURSE_DATASETS"),
        ("drawings", "fault", "COURSE_DATASETS"),
        ("weights", "note", "TORCH_HOME"),
        ("Jupyter's own files", "fault", "JUPYTER_RUNTIME_DIR"),
    ],
)
def test_a_place_that_cannot_be_written(
    what: str,
    level: str,
    variable: str,
    healthy: Path,
    course: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has a stand-in is worth a note. The variable is the one that moves just this."""
    gone = healthy / "gone"
    monkeypatch.setattr(paths, "PHOTOS", gone / "photos")
    monkeypatch.setattr(sources, "weights_path", lambda: gone / "weights")
    folders = {place.what: place.folder for place in doctor.places()}
    monkeypatch.setattr(paths, "can_write", lambda folder: folder != folders[what])
    lines = course("doctor").out
    expected = (
        f"{level} +no right to write {what} in {re.escape(str(folders[what]))}: .* {variable} "
    )
    assert sum(bool(re.match(expected, line)) for line in lines) == 1


def test_a_user_without_a_home(healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(Path, "home", refuse(RuntimeError("Could not determine home directory.")))
    result = course("doctor")
    faults = [line for line in result.out if line.startswith("fault")]
    assert len(faults) == 1
    assert "no home, which Jupyter needs: set HOME to a folder" in faults[0]


def test_without_torchvision(healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is tried nevertheless."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    result = course("doctor")
    assert (result.code, result.err) == (1, [])
    faults = [line for line in result.out if line.startswith("fault")]
    expected = r"fault +torch and torchvision do not fit \(.*\): reinstall both together"
    assert re.match(expected, faults[0])
    assert any(line.startswith("ok      can write models in ") for line in result.out)


def test_a_device_that_does_not_compute(
    healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.device.pick_device", lambda: torch.device("meta"))
    result = course("doctor")
    assert result.code == 1
    assert any(re.match("fault .*: meta does not compute", line) for line in result.out)


@pytest.mark.parametrize("missing", ["jupyterlab", "ipykernel", "nbval"])
def test_a_part_of_jupyter_is_missing(
    missing: str, healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name: None if name == missing else find(name)
    )
    result = course("doctor")
    line = f"{missing} is missing, so notebooks cannot be .*: python -m pip install {missing}"
    assert sum(bool(re.search(line, text)) for text in result.out) == 1
    assert result.code == (missing != "nbval")


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("program", ["other", "same folder", "by name"])
def test_a_kernel_that_starts_another_python(
    program: str, healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has it opens a notebook and reads: No module named course."""
    other = healthy / "python"  # of another environment, made from the same Python
    other.symlink_to(sys.executable)
    beside = str(Path(sys.executable).with_name("python3.99"))
    argv = {"other": str(other), "same folder": beside, "by name": "python3"}[program]
    spec = SimpleNamespace(argv=[argv, "-m", "ipykernel_launcher"])
    manager = "jupyter_client.kernelspec.KernelSpecManager.get_kernel_spec"
    monkeypatch.setattr(manager, lambda self, name: spec)
    notes = [line for line in course("doctor").out if line.startswith("note")]
    assert len(notes) == (program == "other")
    expected = f"note +the kernel 'python3' is {re.escape(str(other))}, not"
    assert all(re.match(expected, line) for line in notes)


# --- Who else is at work


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[str]]:
    """A process that has torch and computes without an end."""
    code = "import torch; print('ready', flush=True)\nwhile True: pass"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has loaded")
def test_a_process_that_computes_with_torch_is_found(worker: subprocess.Popen[str]) -> None:
    assert any(worker.pid in crowd.busy_torch_processes() for _ in range(5))
    assert os.getpid() not in crowd.busy_torch_processes()


def test_a_surprise_is_a_fault_and_no_traceback(
    healthy: Path, course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_something_new() -> Iterator[tuple[str, str]]:
        yield "ok", "the first half"
        raise LookupError("a surprise")

    monkeypatch.setattr(doctor, "CHECKS", (check_something_new,))
    result = course("doctor")
    assert result.out == ["ok      the first half", "fault   something new: a surprise"]
    assert result.code == 1
