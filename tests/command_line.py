"""What the tests of the command share: fixtures, and ways to run it here or in a process."""

import copy
import functools
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torchvision.models import mobilenet_v2

from course import data, models, pretrained
from course.command import main as command
from course.command import pictures, prepare, processes, trained
from course.command.signals import STOPPING
from course.files import paths
from course.stand_ins.sketches import draw_garment

SMALL = ["train", "fashion-mnist", "--model", "mlp", "--limit", "50", "--batch-size", "16"]
ENDED = "model_final.pth"
kept = functools.cache(data.fashion_mnist_tensors)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pictures are read once for all tests. No test runs on a GPU or among other processes."""
    monkeypatch.setattr(data, "fashion_mnist_tensors", kept)
    monkeypatch.setattr(processes, "pick_device", lambda: torch.device("cpu"))
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:  # a background job ignores Ctrl-C; these tests do not
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():  # the command takes them over and keeps them
        signal.signal(number, handler)


@pytest.fixture
def course(alone: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the command in this process: exit code, what it prints, and what it complains about."""

    def run(*words: object) -> Any:
        try:
            code = command.main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.strip() and "photo/s" not in line]
        return SimpleNamespace(code=code, out=out.splitlines(), err=lines)

    return run


@pytest.fixture
def wardrobe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two pictures of three classes for each part, and a base that learned nothing."""
    folder = tmp_path / "wardrobe"
    for seed, part in enumerate(["train", "validation", "test"]):
        for name in ("dress", "hat", "pants"):
            (folder / part / name).mkdir(parents=True)
            for i in range(2):
                draw_garment(name, 2 * seed + i).save(folder / part / name / f"{i}.png")
    torch.manual_seed(0)
    base = mobilenet_v2(num_classes=10).eval()
    monkeypatch.setattr(pictures, "photos_or_sketches", lambda: folder)
    monkeypatch.setattr(prepare, "weights_or_stand_in", lambda: Path("some.pth"))
    monkeypatch.setattr(trained, "weights_or_stand_in", lambda: Path("some.pth"))
    monkeypatch.setattr(models, "load_mobilenet_v2", lambda: copy.deepcopy(base))
    monkeypatch.setattr(pretrained, "load_mobilenet_v2", lambda: copy.deepcopy(base))
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    return folder


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, without the seconds that it took."""
    content = torch.load(path, weights_only=True)
    assert len(content["history"].pop("seconds")) == content["epoch"]
    return content


def newest(folder: Path) -> dict[str, Any]:
    """The last checkpoint of a run that came to its end, whose weights are those of the model."""
    path = max(folder.glob("checkpoint_epoch*.pth"), key=lambda path: (len(path.name), path.name))
    content = load(path)
    final = torch.load(folder / ENDED, weights_only=True)
    weights = {name.removeprefix("head."): value for name, value in final.items()}
    assert_equal({name: weights[name] for name in content["model"]}, dict(content["model"]))
    return content


def assert_equal(one: Any, other: Any) -> None:
    """To the last bit, whatever is nested in what."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def pasted(line: str) -> list[str]:
    """The words of a line that the command told to paste."""
    return [word.strip('"') for word in shlex.split(line, posix=os.name != "nt")]


def start(*words: object, before: list[str] | None = None, **options: Any) -> Any:
    """Start the command in a process of its own, as a terminal does.

    Args:
        before: what stands before ``course`` after ``python -m``.
        options: of ``subprocess.Popen``.
    """
    command = [sys.executable, "-m", *(before or []), "course", *map(str, words)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    options["env"] = os.environ | options.get("env", {})
    return subprocess.Popen(command, cwd=paths.PROJECT, start_new_session=True, **options)
