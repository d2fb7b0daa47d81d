"""course.checkpoint: an exact resume, and a clear refusal of all that is not a checkpoint."""

import contextlib
import copy
import hashlib
import io
import os
import pickle
import random
import shutil
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR
from torch.utils.data import DataLoader, TensorDataset

from course.checkpoint import CheckpointError, load_checkpoint, remaining_batches, save_checkpoint
from course.device import pick_device, seed_everything
from course.training import History, train_one_epoch


class Run:
    """A small training run in which everything that can be random is random."""

    def __init__(self, seed: int = 0, num_hidden: int = 16) -> None:
        seed_everything(seed)
        self.model: nn.Module = nn.Sequential(
            nn.Linear(8, num_hidden), nn.BatchNorm1d(num_hidden), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(num_hidden, 3),
        )  # fmt: skip
        self.optimizer: Optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.scheduler: LRScheduler = StepLR(self.optimizer, step_size=2, gamma=0.5)
        self.generator = torch.Generator().manual_seed(seed)
        draw = torch.Generator().manual_seed(42)  # the same data in every run
        dataset = TensorDataset(
            torch.randn(50, 8, generator=draw), torch.randint(0, 3, (50,), generator=draw)
        )
        self.loader = DataLoader(dataset, 16, shuffle=True, generator=self.generator)
        self.history = History()

    def train(self, num_epochs: int) -> None:
        for _ in range(num_epochs):
            loss, accuracy = train_one_epoch(
                self.model, self.loader, nn.CrossEntropyLoss(), self.optimizer
            )
            self.scheduler.step()
            self.history.train_loss.append(loss)
            self.history.train_accuracy.append(accuracy)

    def save(self, path: Path, epoch: int) -> None:
        save_checkpoint(
            path,
            self.model,
            self.optimizer,
            epoch,
            scheduler=self.scheduler,
            generator=self.generator,
            history=self.history,
        )

    def load(self, path: Path) -> int:
        checkpoint = load_checkpoint(
            path,
            self.model,
            self.optimizer,
            scheduler=self.scheduler,
            generator=self.generator,
        )
        assert checkpoint.history is not None
        self.history = checkpoint.history
        return checkpoint.epoch


def assert_same(left: nn.Module, right: nn.Module) -> None:
    for (name, ours), theirs in zip(
        left.state_dict().items(), right.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of a run after two epochs."""
    path = tmp_path / "run.pth"
    run = Run()
    run.train(2)
    run.save(path, epoch=2)
    return path


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_last_bit(tmp_path: Path) -> None:
    whole = Run()
    whole.train(5)
    after = torch.rand(1), np.random.rand(), random.random()

    first = Run()
    first.train(2)
    first.save(tmp_path / "run.pth", epoch=2)
    second = Run(seed=99)  # nothing of the first run survives, not even its seed
    assert second.load(tmp_path / "run.pth") == 2
    second.train(3)

    assert_same(second.model, whole.model)
    assert second.history == whole.history
    assert second.scheduler.get_last_lr() == whole.scheduler.get_last_lr()
    assert (torch.rand(1), np.random.rand(), random.random()) == after


def test_the_file_needs_no_trust(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    assert content["format"] == "pytorch-course checkpoint"
    assert content["version"] == 2
    assert content["epoch"] == 2


def test_loading_for_prediction_leaves_the_random_numbers_alone(path: Path) -> None:
    model = Run(seed=1).model
    state = torch.get_rng_state()
    assert load_checkpoint(path, model).epoch == 2
    assert torch.equal(torch.get_rng_state(), state)
    trained = Run()
    trained.train(2)
    assert_same(model, trained.model)


def test_scheduler_generator_and_history_are_optional(tmp_path: Path) -> None:
    run = Run()
    save_checkpoint(tmp_path / "run.pth", run.model, run.optimizer, 0)
    checkpoint = load_checkpoint(tmp_path / "run.pth", run.model, run.optimizer)
    assert (checkpoint.epoch, checkpoint.history) == (0, None)
    for name, part in (("scheduler", run.scheduler), ("generator", run.generator)):
        with pytest.raises(CheckpointError, match=f"its {name} is None, not"):
            load_checkpoint(tmp_path / "run.pth", run.model, run.optimizer, **{name: part})


def test_model_and_optimizer_state_go_to_the_device(path: Path) -> None:
    device = pick_device()
    run = Run()
    load_checkpoint(path, run.model, run.optimizer, device=device)
    moments = run.optimizer.state_dict()["state"][0]["exp_avg"]
    assert {tensor.device.type for tensor in run.model.state_dict().values()} == {device.type}
    assert moments.device.type == device.type


def test_the_states_of_the_gpus_come_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[list[torch.Tensor]] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_rng_state_all", lambda: [torch.arange(3.0)])
    monkeypatch.setattr("torch.cuda.set_rng_state_all", restored.append)
    run = Run()
    run.save(path, epoch=1)
    for count in (1, 2):  # with another number of GPUs there is no right state to restore
        monkeypatch.setattr("torch.cuda.device_count", lambda count=count: count)
        run.load(path)
    assert [[state.tolist() for state in states] for states in restored] == [[[0.0, 1.0, 2.0]]]


# --- Writing


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    run = Run()
    run.save(tmp_path / "new" / "folder" / "run.pth", epoch=1)
    assert run.load(tmp_path / "new" / "folder" / "run.pth") == 1


FULL = OSError(28, "No space left on device")
UNTOUCHED = r"run\.pth was not saved and is as it was \(.*: free some space"


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        ("fsync", FULL, UNTOUCHED),
        ("replace", FULL, UNTOUCHED),
        ("fsync", KeyboardInterrupt(), "^$"),
    ],
)
def test_a_failed_save_leaves_the_older_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException, words: str
) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(os, function, Mock(side_effect=error))
    with pytest.raises(type(error), match=words):
        Run().save(path, epoch=3)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["run.pth"]


def test_half_written_files_of_dead_processes_are_cleared(path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover = path.with_name(f".run.pth.{dead.pid}.tmp")
    kept = [path.with_name(f".run.pth.{os.getppid()}.tmp"), path.with_name(".other.pth.1.tmp")]
    kept += [path.with_name(f".run.pth.{word}.tmp") for word in ("no number", "9" * 30)]
    for file in (leftover, *kept):
        file.write_bytes(b"half")
    Run().save(path, epoch=3)
    assert not leftover.exists()
    assert all(file.exists() for file in kept)


def test_a_disk_that_fills_up_half_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(file: str, mode: str = "r") -> io.FileIO:
        class Full(io.FileIO):
            def write(self, content: object) -> int:
                super().write(bytes(memoryview(content))[:1000])  # type: ignore[arg-type]
                raise OSError(28, "No space left on device")

        return Full(file, mode)

    before = path.read_bytes()
    monkeypatch.setattr("course.files.writing.open", half, raising=False)
    with pytest.raises(OSError, match=UNTOUCHED):
        Run().save(path, epoch=3)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["run.pth"]


def test_a_folder_that_is_removed_while_saving(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def remove(*arguments: Path) -> None:
        shutil.rmtree(path.parent)
        replace(*arguments)

    monkeypatch.setattr("os.replace", remove)
    with pytest.raises(OSError, match=UNTOUCHED):
        Run().save(path, epoch=3)
    assert not path.parent.exists()
    monkeypatch.undo()
    Run().save(path, epoch=4)  # the next save makes it again
    assert Run().load(path) == 4


def test_a_folder_that_may_only_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    with contextlib.ExitStack() as stack:
        if os.name != "posix":  # Windows has no such folders: refuse by hand
            error = PermissionError(13, "Permission denied")
            monkeypatch.setattr("course.files.writing.open", Mock(side_effect=error), raising=False)
        elif os.geteuid() == 0:  # root may write everywhere: be somebody else
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = shutil.copy(path, Path(folder, "run.pth"))
            stack.callback(os.seteuid, 0)
            os.chmod(folder, 0o755)
            os.seteuid(1)
        else:
            stack.callback(path.parent.chmod, 0o755)
            path.parent.chmod(0o555)
        with pytest.raises(OSError, match=r"run\.pth was not saved .*[Pp]ermission.* elsewhere"):
            Run().save(path, epoch=3)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == ["run.pth"]


@pytest.mark.parametrize("done", [0, 1, 3])
def test_inside_an_epoch_too(tmp_path: Path, done: int) -> None:
    def go_on(run: Run, losses: list[float], stop: int = 4) -> torch.Generator:
        order = run.generator.clone_state()
        batches = remaining_batches(run.loader, len(losses))
        for inputs, targets in islice(batches, stop - len(losses)):
            run.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(run.model(inputs), targets)
            loss.backward()
            run.optimizer.step()
            losses.append(loss.item())
        return order

    whole, expected = Run(), list[float]()
    go_on(whole, expected)
    first, losses = Run(), list[float]()
    order = go_on(first, losses, stop=done)
    save_checkpoint(
        tmp_path / "run.pth", first.model, first.optimizer, 0, generator=order, batch_losses=losses
    )
    second = Run(seed=99)
    found = load_checkpoint(
        tmp_path / "run.pth", second.model, second.optimizer, generator=second.generator
    )
    assert len(found.batch_losses) == done
    go_on(second, found.batch_losses)
    assert found.batch_losses == expected
    assert_same(second.model, whole.model)


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a folder")
    with pytest.raises(OSError, match="was not saved"):
        Run().save(tmp_path / "file" / "run.pth", epoch=1)


def test_what_could_not_be_loaded_is_not_saved(path: Path) -> None:
    run = Run()
    before = path.read_bytes()
    for group in run.optimizer.param_groups:
        group["lr"] = np.float64(0.01)  # what np.logspace() gives
    with pytest.raises(CheckpointError, match=r"numpy.*: use float\(\)"):
        run.save(path, epoch=3)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["run.pth"]


# --- Files that are not checkpoints


def pointer_of(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    ).encode()


def refused(path: Path, match: str) -> None:
    """Loading fails with one clear error that names the file, and changes nothing."""
    run, untouched = Run(seed=3), Run(seed=3)
    state = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=match) as error:
        run.load(path)
    assert path.name in str(error.value)
    assert_same(run.model, untouched.model)
    assert not run.optimizer.state_dict()["state"]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.pth", "no such file.*check the path")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, "no such file")


def test_a_git_lfs_pointer(path: Path) -> None:
    path.write_bytes(pointer_of(path.read_bytes()))
    refused(path, "git lfs pull")


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"epoch": 1})])
def test_other_files(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, "torch.save.. did not write it")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_truncated_file(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: 4 + int(share * (len(content) - 5))])
    refused(path, "damaged")


def test_one_wrong_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    weights = torch.load(path, weights_only=True)["model"]["0.weight"].numpy().tobytes()
    content[content.index(weights) + 100] ^= 64
    path.write_bytes(content)
    refused(path, "wrong checksum")


def test_weights_alone(path: Path) -> None:
    torch.save(Run().model.state_dict(), path)
    refused(path, "no checkpoint: weights go to load_state_dict")
    torch.save([1, 2, 3], path)
    refused(path, "no checkpoint")


def test_another_format_version(path: Path) -> None:
    torch.save({**torch.load(path, weights_only=True), "version": 1}, path)
    refused(path, "has version 1, not 2: use the course that wrote it")


# --- Checkpoints that do not fit


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            Run(num_hidden=4).model,
            r"0\.weight.*\[16, 8\]\) from checkpoint.*is torch.Size\(\[4, 8\]\)",
        ),
        (nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)), r"Missing.*2\.weight"),
    ],
)
def test_another_model(path: Path, model: nn.Module, expected: str) -> None:
    before = copy.deepcopy(model)
    with pytest.raises(CheckpointError, match=expected + ".*: build and pass what was saved in it"):
        load_checkpoint(path, model)
    assert_same(model, before)


def test_another_optimizer_or_scheduler(path: Path) -> None:
    run = Run()
    before = copy.deepcopy(run.model)
    sgd = torch.optim.SGD(run.model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match="its optimizer is Adam, not SGD"):
        load_checkpoint(path, run.model, sgd)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(run.optimizer, T_max=3)
    with pytest.raises(CheckpointError, match="its scheduler is StepLR, not CosineAnnealingLR"):
        load_checkpoint(path, run.model, run.optimizer, scheduler=cosine)
    fewer = torch.optim.Adam(list(run.model.parameters())[:2], lr=0.1)
    with pytest.raises(CheckpointError, match="parameter group"):
        load_checkpoint(path, run.model, fewer)
    assert_same(run.model, before)
