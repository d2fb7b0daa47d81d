"""Kill a training process at random moments, resume it, compare with the run nobody stopped.

    python tests/benchmarks/kill_200.py [MOMENTS]

Every moment has a run of its own, which saves after each batch. It ends with SIGKILL
- `clock`: at a random time between the start and the end of the run,
- `watch`: at a random time of up to 3 ms after a half-written file was seen from outside,
- `bytes`: after a random number of the bytes of a random save are written,
- `calls`: before or after `os.fsync()` or `os.replace()` of a random save.
A second process goes on from what is left. Its last checkpoint has to equal that of the
uninterrupted run to the last bit: model, optimizer, scheduler, history and all random states.
Linux forks the processes from one that has torch loaded; elsewhere each has to load it anew.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

from course.checkpoint import load_checkpoint, remaining_batches, save_checkpoint
from course.device import seed_everything
from course.files import writing
from course.training import History

NUM_EPOCHS, NUM_BATCHES = 2, 4
NUM_SAVES = NUM_EPOCHS * NUM_BATCHES
PLACES = ("inside a write", "after a save", "before any save")
KINDS = ("clock", "watch", "bytes", "calls")
OPTIMIZERS: list[Any] = [
    lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    lambda parameters: torch.optim.AdamW(parameters, lr=0.01, fused=True),
]
PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


class Noisy(Dataset[tuple[Tensor, int]]):
    """Augmentation that draws from the random numbers of torch, NumPy and Python."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(1)
        self.inputs = torch.randn(50, 32, generator=draw)

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        noise = torch.rand(32) + np.random.rand() + random.random()
        return self.inputs[index] + 0.1 * noise, index % 3


def train(path: Path, optimizer_number: int) -> None:
    """Train to the end, from the checkpoint at `path` if there is one; save after each batch."""
    exists = path.exists()
    seed_everything(99 if exists else 0)  # a resumed run must not live on the first one's seed
    model = nn.Sequential(
        nn.Linear(32, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 3)
    )
    optimizer = OPTIMIZERS[optimizer_number](model.parameters())
    scheduler = StepLR(optimizer, step_size=1, gamma=0.5)
    generator = torch.Generator().manual_seed(99 if exists else 0)
    loader = DataLoader(Noisy(), 16, shuffle=True, generator=generator)
    criterion = nn.CrossEntropyLoss()
    first, history, losses = 0, History(), list[float]()
    if exists:
        found = load_checkpoint(path, model, optimizer, scheduler=scheduler, generator=generator)
        assert found.history is not None
        first, history, losses = found.epoch, found.history, found.batch_losses
    for epoch in range(first, NUM_EPOCHS):
        order = generator.clone_state()
        for inputs, targets in remaining_batches(loader, done=len(losses)):
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) < len(loader):  # else the epoch is over and saved below
                save_checkpoint(
                    path, model, optimizer, epoch, scheduler=scheduler, generator=order,
                    history=history, batch_losses=losses,
                )  # fmt: skip
        scheduler.step()
        history.train_loss.append(sum(losses) / len(losses))
        losses = []
        save_checkpoint(
            path, model, optimizer, epoch + 1, scheduler=scheduler, generator=generator,
            history=history,
        )  # fmt: skip


def train_and_die(path: Path, optimizer_number: int, kind: str, seed: int) -> None:
    """Train in a process that kills itself in the middle of one save."""
    draw = random.Random(seed)
    last = draw.randint(1, NUM_SAVES)
    saves = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def watched(function: Any, before: bool) -> Any:
        calls = 0

        def call(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == last and before:
                die()
            result = function(*arguments)
            if calls == last:
                die()
            return result

        return call

    def opened(*arguments: Any) -> Any:
        nonlocal saves
        file = open(*arguments, buffering=0)  # noqa: SIM115
        if arguments[1] == "wb":
            saves += 1
            if saves == last:

                def write(content: memoryview) -> None:
                    file.write(content[: draw.randrange(len(content) + 1)])
                    die()

                return type("Writer", (), {"write": staticmethod(write), "__enter__": lambda s: s,
                                           "__exit__": lambda *_: None})()  # fmt: skip
        return file

    if kind == "bytes":
        writing.open = opened  # type: ignore[attr-defined]
    elif kind == "calls":
        name = draw.choice(["fsync", "replace"])
        setattr(os, name, watched(getattr(os, name), draw.random() < 0.5))
    (path.parent / "started").touch()
    train(path, optimizer_number)


def start(target: Any, *arguments: Any) -> Any:
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    return process


def finish(path: Path, optimizer_number: int) -> dict[str, Any]:
    process = start(train, path, optimizer_number)
    process.join()
    assert process.exitcode == 0, f"the resumed run failed with {process.exitcode}"
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


def same(left: Any, right: Any) -> bool:
    """Whether two checkpoints hold the same bits."""
    if type(left) is not type(right):
        return False
    if isinstance(left, Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def kill(path: Path, optimizer_number: int, kind: str, seed: int, duration: float) -> str:
    """Start a run, kill it, and return what lay there when it was dead."""
    draw = random.Random(seed)
    process = start(train_and_die, path, optimizer_number, kind, seed)
    if kind in ("clock", "watch"):
        while not (path.parent / "started").exists():
            time.sleep(0.0005)
        time.sleep(draw.uniform(0, duration))
        if kind == "watch":
            while process.is_alive() and not list(path.parent.glob(".*.tmp")):
                pass
            time.sleep(draw.uniform(0, 0.003))
        process.kill()
    process.join()
    if process.exitcode != -signal.SIGKILL:
        return "too late"
    return PLACES[0 if any(path.parent.glob(".*.tmp")) else 1 if path.exists() else 2]


def kill_and_resume(num_moments: int, seed: int = 0) -> Counter[str]:
    """Kill and resume `num_moments` runs.

    Returns:
        How many kills fell inside a write, after a save and before any, and the number of runs
        that were `equal` in the end, and of half-written files that nobody cleared away.
    """
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        train(Path(scratch, "warm", "run.pth"), 0)  # what torch loads late, forks then have
        expected, duration = [], 0.0
        for number in range(len(OPTIMIZERS)):
            path = Path(scratch, f"whole{number}", "run.pth")
            begin = time.perf_counter()
            expected.append(finish(path, number))
            duration = time.perf_counter() - begin
        if sys.platform != "linux":
            duration = 0.1  # what is left of it without the start
        moment = 0
        while moment < num_moments:
            seed += 1
            number, kind = moment % len(OPTIMIZERS), KINDS[moment % len(KINDS)]
            folder = Path(tempfile.mkdtemp(dir=scratch))
            state = kill(folder / "run.pth", number, kind, seed, duration)
            if state == "too late":  # the run was over before the kill: draw another moment
                continue
            counts[state] += 1
            if same(finish(folder / "run.pth", number), expected[number]):
                counts["equal"] += 1
            counts["leftovers"] += len(list(folder.glob(".*.tmp")))  # the next save clears them
            moment += 1
    return counts


if __name__ == "__main__":
    torch.set_num_threads(1)
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    begin = time.perf_counter()
    counts = kill_and_resume(number)
    places = ", ".join(f"{counts[name]} {name}" for name in PLACES)
    seconds = time.perf_counter() - begin
    print(f"{counts['equal']} of {number} equal in {seconds:.0f} s; killed {places}")
    print(f"half-written files left over at the end: {counts['leftovers']}")
    sys.exit(counts["equal"] != number)
