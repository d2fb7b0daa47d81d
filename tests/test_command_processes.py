"""Training in several processes: the numbers of one, one voice, one stop."""

# ruff: noqa: F811
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import ENDED, SMALL, alone, course, load, newest, pasted, start  # noqa: F401
from course.command import processes
from course.command.lines import torchrun
from course.command.ranks import Ranks
from course.files import paths

TORCHRUN = ["torch.distributed.run", *torchrun(Ranks(0, 2, 0, 2)).split()[1:], "-m"]


@pytest.mark.parametrize(
    ("limit", "size", "here"),  # the last batch has 5 pictures, or none is left for one process
    [(53, 16, 0), (49, 8, 1)],
)
def test_two_processes_give_what_one_gives(
    limit: int, size: int, here: int, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torchrun does, with one of the processes in this one."""
    words = ["train", "fashion-mnist", "--model", "cnn", "--limit", str(limit), "--epochs", "2"]
    words += ["--batch-size", str(size), "--output"]
    one = course(*words, tmp_path / "one")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    other = start(
        *words, tmp_path / "two", env=both | {"RANK": str(1 - here), "LOCAL_RANK": str(1 - here)}
    )
    for name, value in (both | {"RANK": str(here), "LOCAL_RANK": str(here)}).items():
        monkeypatch.setenv(name, value)
    result = course(*words, tmp_path / "two")
    other_out, other_err = other.communicate(timeout=120)
    assert (result.code, result.err, other.returncode) == (0, [], 0), other_err
    out, silent = (result.out, other_out.splitlines())[:: -1 if here else 1]
    assert silent == []  # the first process speaks for both
    without_seconds = functools.partial(re.sub, "  seconds .*", "")
    assert [*map(without_seconds, out[:4])] == [*map(without_seconds, one.out[:4])]
    single, double = (newest(tmp_path / name) for name in ("one", "two"))
    for name in ("model", "history"):
        torch.testing.assert_close(double[name], single[name], rtol=1e-4, atol=1e-5)
    # Adam hides the size of gradients in its steps, but keeps their means.
    means, expected = (x["optimizer"]["state"]["state"] for x in (double, single))
    torch.testing.assert_close(means, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("num_samples", "shares"), [(8, [[0, 2, 4, 6], [1, 3, 5, 7]]), (3, [[0, 1, 2], [0, 1, 2]])]
)
def test_who_takes_what_of_a_batch(num_samples: int, shares: list[list[int]]) -> None:
    samples = list(range(num_samples))
    found = [samples[processes.share_of(num_samples, Ranks(rank, 2))] for rank in (0, 1)]
    assert found == shares
    assert samples[processes.share_of(num_samples, Ranks())] == samples


def test_each_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch, "zeros", lambda size, device: torch.ones(()))
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    second = Ranks(rank=1, world_size=2, local_rank=1, local_world_size=2)
    assert processes.choose_device("cuda", second) == torch.device("cuda:1")
    assert processes.choose_device("cuda", Ranks()) == torch.device("cuda")
    assert chosen == [torch.device("cuda:1"), torch.device("cuda")]


def test_a_batch_that_processes_cannot_share(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    result = course(*SMALL, "--output", tmp_path)
    assert (result.code, result.out, len(result.err)) == (2, [], 1)
    assert "--batch-size must be a multiple of 3 for 3 processes" in result.err[0]


def nameless(command: list[str]) -> list[str]:
    """On Linux, run on a computer whose own name nobody knows, as many laptops and containers are.

    Without ``--local-addr`` torchrun waits there for minutes.
    """
    unshare = ["unshare", "--uts", "sh", "-c", 'hostname nosuchhost && exec "$@"', "sh"]
    if shutil.which("unshare") is None:
        return command
    allowed = subprocess.run([*unshare, "true"], capture_output=True).returncode == 0
    return [*unshare, *command] if allowed else command


def test_torchrun(course: Any, tmp_path: Path) -> None:
    """With the line that help, README and the command itself tell people to paste."""
    words = [*SMALL, "--epochs", "1", "--output"]
    command = [sys.executable, "-m", *TORCHRUN, "course", *words, str(tmp_path / "two")]
    process = subprocess.run(
        nameless(command), cwd=paths.PROJECT, capture_output=True, text=True, timeout=100
    )
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr
    one = course(*words, tmp_path / "one").out
    out = process.stdout.splitlines()
    assert out[1].partition("  seconds")[0] == one[1].partition("  seconds")[0]
    assert out[2] == one[2]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "checkpoint_epoch1.pth",
        "model_final.json",
        "model_final.pth",
    ]


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot send these signals to one process")
@pytest.mark.parametrize(("how", "kind"), [([], "SIGTERM"), (TORCHRUN, "SIGINT")])
def test_a_signal_from_outside(how: list[str], kind: str, course: Any, tmp_path: Path) -> None:
    """As in a terminal: it reaches all processes, and torchrun repeats it for its own.

    Before that it is halted and goes on, as with Ctrl-Z and ``fg``.
    """
    words = ["train", "fashion-mnist", "--model", "mlp", "--limit", "640"]
    words += ["--epochs", "100000", "--output", str(tmp_path)]
    with start(*words, before=how) as process:
        for line in process.stdout:
            if line.startswith("epoch 2"):
                os.killpg(process.pid, signal.SIGSTOP)
                os.killpg(process.pid, signal.SIGCONT)
            if line.startswith("epoch 3"):
                os.killpg(process.pid, getattr(signal, kind))
                break
        out, err = process.communicate()
    assert "course/command" not in err and "__main__.py" not in err
    assert err.count("Traceback") == (how == TORCHRUN)  # which reports so what signal it got
    if how != TORCHRUN:
        assert process.returncode == 128 + signal.SIGTERM
    *_, said, again = out.splitlines()
    assert re.match(r"Stopped in epoch \d+/100000, batch \d+; kept: ", said)
    assert again.startswith("torchrun --nproc-per-node=2 " if how == TORCHRUN else "python ")
    assert not list(tmp_path.glob(".*"))
    path = Path(pasted(again)[-1])
    epoch = torch.load(path, weights_only=True)["epoch"]
    words[words.index("100000")] = str(epoch + 1)
    assert course(*words, "--resume").code == 0
    if how != TORCHRUN:  # after many epochs, rounding may have led two processes elsewhere
        course(*words[:-1], tmp_path / "whole")
        assert_same(tmp_path, tmp_path / "whole")


def assert_same(one: Path, other: Path) -> None:
    left, right = (load(max(f.glob("*h[0-9]*.pth"), key=os.path.getmtime)) for f in (one, other))
    torch.testing.assert_close(left["model"], right["model"], rtol=0, atol=0)
    assert left["history"] == right["history"]
    assert (one / ENDED).read_bytes() == (other / ENDED).read_bytes()


def test_only_the_first_process_says_what_is_wrong(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder holds a run. The other process waits, and ends without a word of its own."""
    (tmp_path / "checkpoint_epoch1.pth").touch()
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    for name, value in both.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", "0")
    result = course(*SMALL, "--output", tmp_path)
    assert (result.code, len(result.err)) == (2, 1)
    assert "holds another run (checkpoint_epoch1.pth)" in result.err[0]

    def broken() -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("torch.distributed.init_process_group", lambda backend: None)
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    monkeypatch.setattr("torch.distributed.barrier", broken)
    result = course(*SMALL, "--output", tmp_path)
    assert (result.code, result.out, result.err) == (1, [], [])


@pytest.mark.parametrize(
    ("names", "found"), [(["eth0", "lo"], "lo"), (["en0", "lo0"], "lo0"), (["loopback_0"], None)]
)
def test_processes_of_one_computer_meet_where_no_name_is_needed(
    names: list[str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.if_nameindex", lambda: list(enumerate(names)))
    assert processes.loopback() == found
