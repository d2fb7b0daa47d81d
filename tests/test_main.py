"""The command ``python -m course``."""

import os
import re
import runpy
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from course.command import main as __main__
from course.command.signals import STOPPING
from course.files import paths
from course.files import sources as download
from course.files.downloads import DownloadError


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The command takes over Ctrl-C, since it is the whole process; here it is not."""
    before = {kind: signal.getsignal(kind) for kind in STOPPING}
    for kind in STOPPING:  # a background job ignores Ctrl-C; these tests do not
        signal.signal(kind, signal.SIG_DFL)
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Path]:
    """Photos and weights that need no network, neither of them here yet."""
    photos, weights = tmp_path / "data" / "photos", tmp_path / "torch" / "weights.pth"
    weights.parent.mkdir()

    def download_photos() -> Path:
        photos.mkdir(parents=True, exist_ok=True)
        return photos

    def download_weights() -> Path:
        weights.touch()
        return weights

    monkeypatch.setattr(paths, "PHOTOS", photos)
    monkeypatch.setattr(download, "download_photos", download_photos)
    monkeypatch.setattr(download, "download_weights", download_weights)
    return {"photos": photos, "weights": weights}


def test_download(things: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for _ in ("fetched", "already here"):
        assert __main__.main(["download"]) == 0
        out, err = capsys.readouterr()
        assert out.splitlines() == [
            f"Here: {things['photos']}",
            f"Here: {things['weights']}",
        ]
        assert err == ""


@pytest.mark.parametrize("failing", [["photos"], ["weights"], ["photos", "weights"]])
def test_one_line_for_each_that_fails(
    things: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failing: list[str],
) -> None:
    def refuse() -> Path:
        raise DownloadError("no network; check it")

    for name in failing:
        monkeypatch.setattr(download, f"download_{name}", refuse)
    assert __main__.main(["download"]) == 1
    out, err = capsys.readouterr()
    assert err.splitlines() == ["no network; check it"] * len(failing)
    assert len(out.splitlines()) == 2 - len(failing)


@pytest.mark.parametrize("kind", STOPPING)
def test_interrupted(
    kind: signal.Signals,
    things: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt() -> None:
        try:
            signal.raise_signal(kind)
        finally:  # tidying up, which the signal does not interrupt again
            signal.raise_signal(kind)

    monkeypatch.setattr(download, "download_photos", interrupt)
    assert __main__.main(["download"]) == 128 + kind  # so 130 for Ctrl-C, 143 for kill
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip() == "Stopped. Nothing half-done was kept."


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "command"),
        (["dwonload"], "dwonload"),
        (["download", "x"], "x"),
        (["download", "--no"], "--no"),
        (["download", "naïve\nname"], "name"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        __main__.main(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"course: .*{word}.* \(course --help .*\)\n", err)


@pytest.mark.parametrize("arguments", [["--help"], ["download", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        __main__.main(arguments)
    out, err = capsys.readouterr()
    assert "example: python -m course download" in out
    assert "fetch the photos" in out
    assert err == ""


def test_run_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["course", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(paths.PROJECT / "course" / "__main__.py"), run_name="__main__")


def test_from_any_folder_without_network(tmp_path: Path) -> None:
    guard = paths.PROJECT / "tests" / "no_network"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(guard), str(paths.PROJECT)]),
        "COURSE_DATASETS": str(tmp_path / "données du cours"),
        "TORCH_HOME": str(tmp_path / "torch home"),
        "PYTHONIOENCODING": "utf-8",
    }
    result = subprocess.run(
        [sys.executable, "-m", "course", "download"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert result.returncode == 1
    assert result.stdout == ""
    bars = ("photos: ", "weights: ")  # what a terminal shows only for a moment
    lines = [line.strip() for line in result.stderr.splitlines()]
    photos, weights = (line for line in lines if line and not line.startswith(bars))
    assert "données du cours" in photos
    assert "github.com failed" in photos
    assert "torch home" in weights
    assert "download.pytorch.org failed" in weights
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_command_is_installed() -> None:
    project = tomllib.loads((paths.PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"course": "course.__main__:main"}
