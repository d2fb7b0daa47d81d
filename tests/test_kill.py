"""A training process that is killed at a random moment goes on as if nothing had happened."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks import kill_200

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


def test_killed_runs_end_like_the_uninterrupted_one() -> None:
    """In a Python of its own, since a process with threads at work had better not be forked."""
    number = 20 if sys.platform == "linux" else 8
    script = [sys.executable, str(Path(kill_200.__file__)), str(number)]
    result = subprocess.run(script, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{number} of {number} equal" in result.stdout
    assert "left over at the end: 0" in result.stdout
    inside = re.search(r"(\d+) inside a write", result.stdout)
    assert inside is not None and int(inside[1]) >= 2


def test_the_comparison_sees_one_bit() -> None:
    left = {"a": [torch.zeros(3), (1, 2.0)]}
    assert kill_200.same(left, {"a": [torch.zeros(3), (1, 2.0)]})
    assert not kill_200.same(left, {"a": [torch.tensor([0, 0, 1e-45]), (1, 2.0)]})
    assert not kill_200.same(left, {"a": [torch.zeros(3), (1, 2.0000000000000004)]})
