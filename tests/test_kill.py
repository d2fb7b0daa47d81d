"""A training process that is killed at a random moment goes on as if nothing had happened."""

import sys

import pytest
from benchmarks import kill_200

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


def test_killed_runs_end_like_the_uninterrupted_one() -> None:
    counts = kill_200.kill_and_resume(20 if sys.platform == "linux" else 8, seed=1000)
    assert counts["equal"] == sum(counts[place] for place in kill_200.PLACES) >= 8
    assert counts["inside a write"] >= 2
    assert counts["leftovers"] == 0


def test_the_comparison_sees_one_bit() -> None:
    torch = kill_200.torch
    left = {"a": [torch.zeros(3), (1, 2.0)]}
    assert kill_200.same(left, {"a": [torch.zeros(3), (1, 2.0)]})
    assert not kill_200.same(left, {"a": [torch.tensor([0, 0, 1e-45]), (1, 2.0)]})
    assert not kill_200.same(left, {"a": [torch.zeros(3), (1, 2.0000000000000004)]})
