"""The guard that `.ci/run` puts around the notebooks for the run without network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course.files import paths

GUARD = paths.PROJECT / "tests" / "no_network"

ATTEMPTS = """
import socket, urllib.request
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
print("loopback works")
for attempt in (
    lambda: urllib.request.urlopen("https://github.com", timeout=5),
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=5),
    lambda: socket.socket().connect(("192.0.2.1", 80)),
    lambda: socket.socket().connect_ex(("192.0.2.1", 80)),
    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("192.0.2.1", 53)),
    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", 0, ("192.0.2.1", 53)),
):
    try:
        attempt()
        print("got out")
    except OSError as error:
        print(error)
"""

STAND_INS = """
from course.stand_ins import weights_or_stand_in
from course.stand_ins import photos_or_sketches
print(weights_or_stand_in().name, sorted(path.name for path in photos_or_sketches().glob("t*")))
"""


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """An environment with the guard, and with neither photos nor weights."""
    folders = {"COURSE_DATASETS": str(tmp_path / "data"), "TORCH_HOME": str(tmp_path / "torch")}
    return os.environ | folders | {"PYTHONPATH": str(GUARD)}


def run(code: str, environment: dict[str, str]) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout


def test_nothing_but_the_loopback_is_reachable(offline: dict[str, str]) -> None:
    output = run(ATTEMPTS, offline)
    assert output.startswith("loopback works")
    assert output.count("no network in this test") == 6


def test_stand_ins_replace_photos_and_weights(offline: dict[str, str]) -> None:
    output = run(STAND_INS, offline)
    assert "fashion_mobilenet_v2.safetensors ['test', 'train']" in output
