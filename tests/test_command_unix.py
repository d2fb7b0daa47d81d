"""Terminals, pipes, schedulers and limits: nothing is lost, and nothing ends in a traceback."""

# ruff: noqa: F811
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from command_line import ENDED, alone, course, start  # noqa: F401
from course import models
from course.command import streams
from course.command.signals import NOBODY_READS, Stopped, StopRequests
from course.files import paths
from course.files.cards import ModelCard
from course.models import save_model

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
TRAIN = "train fashion-mnist --limit 50 --epochs 1"
ENDLESS = "train fashion-mnist --limit 640 --epochs 100000"


def shell(script: str, **environment: str) -> Any:
    """Run a line of shell in which ``course`` is the command; no terminal, no input."""
    course = f"{shlex.quote(sys.executable)} -m course"
    return subprocess.run(
        ["sh", "-c", script.replace("COURSE", course)],
        cwd=paths.PROJECT,
        env=os.environ | {"PYTHONUNBUFFERED": ""} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=200,
    )


@POSIX
def test_a_reader_who_has_seen_enough(alone: None, tmp_path: Path) -> None:
    """`course train ... | head -1`: it saves, says where on the terminal, and works for nobody."""
    script = f"{{ COURSE {ENDLESS} --output {tmp_path}; echo code $? >&2; }} | head -n 1"
    result = shell(script)
    assert result.stdout == "mlp on cpu; pictures: 640, 640, 640\n"
    said, again, code = result.stderr.strip().splitlines()
    assert code == f"code {128 + signal.SIGPIPE}"
    assert said.startswith("Stopped in epoch 2/100000, batch ")
    assert again.startswith("python -m course train fashion-mnist ")
    content = torch.load(Path(shlex.split(again)[-1]), weights_only=True)
    assert content["epoch"] == 1
    assert not list(tmp_path.glob(".*"))


@POSIX
def test_nothing_is_open(alone: None, tmp_path: Path) -> None:
    """Closed from the start, as some daemons do it: no file is taken for the output."""
    result = shell(f"COURSE {TRAIN} --output {tmp_path} <&- >&- 2>&-")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    models.load_model(tmp_path / ENDED)


@POSIX
def test_a_limit_of_file_size_and_a_full_disk_for_the_output(alone: None, tmp_path: Path) -> None:
    """The first cannot be saved, which is said. The second can, and only its lines are lost."""
    result = shell(f"ulimit -f 200; COURSE {TRAIN} --output {tmp_path}/a")
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "was not saved" in result.stderr and "no file may be that large" in result.stderr
    assert list((tmp_path / "a").iterdir()) == []
    if Path("/dev/full").exists():
        result = shell(f"COURSE {TRAIN} --output {tmp_path}/b > /dev/full")
        assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
        assert "No space left on device): free some space" in result.stderr
        models.load_model(tmp_path / "b" / ENDED)


@POSIX
def test_names_that_the_encoding_does_not_know(alone: None, tmp_path: Path) -> None:
    """A terminal of 1980 and a class with an emoji: what cannot be shown is spelled out."""
    file, photo = tmp_path / "größer 🎒.pth", tmp_path / "été 🎒.png"
    classes = ["größer 🎒", "naïve\ud800", "日本", *map(str, range(7))]
    card = ModelCard("mlp", {}, classes, {"name": "fashion_transform"})
    model = models.MLP()
    with torch.no_grad():  # whatever the picture is, the odd names come first
        model.output_layer.weight.zero_()
        model.output_layer.bias.copy_(torch.arange(10).flip(0))
    save_model(file, model, card)
    Image.new("L", (28, 28)).save(photo)
    shown = shlex.quote(str(photo))
    result = shell(
        f"COURSE predict {shown} nowhere-🎒.png --model {shlex.quote(str(file))}",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii:strict",
    )
    assert (result.returncode, len(result.stdout.splitlines())) == (1, 6)
    assert "Traceback" not in result.stderr and "nowhere-" in result.stderr
    names = [line.split("  ")[-1] for line in result.stdout.splitlines()[1:4]]
    assert names == [r"gr\xf6\xdfer \U0001f392", r"na\xefve\ud800", r"\u65e5\u672c"]


# --- The parts, without a process


STREAMS = """
import sys
from course.command import streams
streams.protect()
print("größer 🎒 \\udcff", flush=True)
print(type(sys.stdout.buffer).__name__)
"""


@POSIX
def test_a_closed_pipe_asks_to_stop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = StopRequests(patient=True)
    monkeypatch.setattr(streams, "requests", requests)
    reader, writer = os.pipe()
    os.close(reader)
    out = streams.Outlet(writer)
    assert [out.write(b"one"), out.write(b"three")] == [3, 5]
    assert requests.numbers == [NOBODY_READS]
    requests.patient = False
    with pytest.raises(Stopped) as stop:
        streams.Outlet(writer).write(b"x")
    assert stop.value.exit_code == 141
    os.close(writer)


@POSIX
def test_a_pipe_that_does_not_want_to_wait_gets_everything() -> None:
    """Some parents make a pipe non-blocking; print() then fails as soon as it is full."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    out = streams.Outlet(writer)
    content = bytes(range(256)) * 2000
    received = bytearray()

    def read_slowly() -> None:
        while piece := os.read(reader, 50_000):
            received.extend(piece)
            time.sleep(0.001)

    thread = threading.Thread(target=read_slowly)
    thread.start()
    position = 0
    while position < len(content):
        position += out.write(content[position:])
    os.close(writer)
    thread.join()
    os.close(reader)
    assert received == content


@POSIX
@pytest.mark.parametrize(
    ("unbuffered", "encoding", "shown", "layer"),
    [
        ("", "utf-8", r"größer 🎒 \udcff", "BufferedWriter"),
        ("1", "latin-1", r"größer \U0001f392 \udcff", "Outlet"),
        ("", "ascii:strict", r"gr\xf6\xdfer \U0001f392 \udcff", "BufferedWriter"),
        ("1", "cp1252", r"größer \U0001f392 \udcff", "Outlet"),
    ],
)
def test_streams_keep_their_encoding_and_buffer(
    unbuffered: str, encoding: str, shown: str, layer: str
) -> None:
    environment = {"PYTHONUNBUFFERED": unbuffered, "PYTHONIOENCODING": encoding}
    result = subprocess.run(
        [sys.executable, "-c", STREAMS], env=os.environ | environment, cwd=paths.PROJECT,
        capture_output=True, check=True,
    )  # fmt: skip
    name = encoding.partition(":")[0]
    first, second = result.stdout.decode(name).splitlines()
    assert first == shown
    assert second == layer


@pytest.mark.parametrize(("number", "words"), [(28, "free some space"), (5, ""), (32, "")])
def test_what_is_said_of_output_that_did_not_arrive(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that is gone is no reason to stop, and nobody is left to tell."""
    requests = StopRequests(patient=True)
    monkeypatch.setattr(streams, "requests", requests)
    out = streams.Outlet(1)
    out.trouble = OSError(number, os.strerror(number))
    fake = type("Stream", (), {"buffer": type("Buffer", (), {"raw": out})})
    monkeypatch.setattr(sys, "stdout", fake)
    assert streams.complaint().endswith(words)
    assert bool(streams.complaint()) == bool(words)


@pytest.mark.parametrize("patient", [True, False])
def test_requests_are_raised_or_collected(patient: bool) -> None:
    requests = StopRequests(patient=patient)
    if patient:
        requests.add(signal.SIGTERM)
        requests.add(signal.SIGINT)
        assert requests.numbers == [signal.SIGTERM, signal.SIGINT]
    else:
        with pytest.raises(KeyboardInterrupt):
            requests.add(signal.SIGTERM)
