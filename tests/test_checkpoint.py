"""course.checkpoint: an exact resume, and a clear refusal of all that is not a checkpoint."""

import contextlib
import copy
import errno
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

from course.checkpoint import (
    CheckpointError,
    load_checkpoint,
    read_checkpoint,
    remaining_batches,
    save_checkpoint,
)
from course.device import pick_device, random_states, seed_everything, set_random_states
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
    assert content["version"] == 3
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


def test_a_checkpoint_says_what_it_is_about(tmp_path: Path) -> None:
    run = Run()
    about = {"classes": ["hat", "dress"], "base": None, "limit": 50, "sizes": {"train": 40}}
    save_checkpoint(tmp_path / "run.pth", run.model, run.optimizer, 1, about=about)
    assert load_checkpoint(tmp_path / "run.pth", run.model).about == about
    assert read_checkpoint(tmp_path / "run.pth")["about"] == about
    save_checkpoint(tmp_path / "run.pth", run.model, run.optimizer, 1)
    assert load_checkpoint(tmp_path / "run.pth", run.model).about == {}


VERSION_2 = Path(__file__).parent / "data" / "checkpoint_version_2.pth"
ABOUT = ["classes", "base", "data", "model", "learning_rate", "batch_size", "seed", "limit"]


def version_2() -> tuple[nn.Module, Optimizer, LRScheduler, torch.Generator]:
    """What the first edition trained when it wrote the file, before that."""
    model = nn.Linear(8, 3)
    group = {"params": model.parameters(), "about": {"classes": ["of today"]}}
    optimizer = torch.optim.Adam([group], lr=0.1)
    return model, optimizer, StepLR(optimizer, 2, 0.5), torch.Generator()


def test_a_checkpoint_of_the_first_edition_goes_on() -> None:
    """The file is by the first edition, which also noted the next random numbers in it."""
    model, optimizer, scheduler, generator = version_2()
    found = load_checkpoint(VERSION_2, model, optimizer, scheduler=scheduler, generator=generator)
    history = History([1.5], [0.25], [1.25], [0.5], [2.0])
    assert (found.epoch, found.history, found.batch_losses) == (1, history, [(1.0, 3), (2.0, 4)])
    assert list(found.about) == [*ABOUT, "next"]
    assert found.about["classes"] == ["coat", "dress", "hat"]
    assert all("about" not in group for group in optimizer.param_groups)
    drawn = [random.random(), np.random.rand(), torch.rand(1).item()]
    assert [*drawn, torch.rand(1, generator=generator).item()] == found.about["next"]
    assert scheduler.last_epoch == 1 and scheduler.get_last_lr() == [0.01]
    inputs = torch.linspace(-1, 1, 80).reshape(10, 8)
    model(inputs).square().sum().backward()
    optimizer.step()
    assert model.weight.sum().item() == pytest.approx(-0.16104871, abs=1e-6)  # as it did


def test_a_checkpoint_of_the_first_edition_is_saved_in_the_new_form(tmp_path: Path) -> None:
    model, optimizer, scheduler, _ = version_2()
    found = load_checkpoint(VERSION_2, model, optimizer, scheduler=scheduler)
    path = tmp_path / "run.pth"
    save_checkpoint(path, model, optimizer, 1, scheduler=scheduler, about=found.about)
    content = torch.load(path, weights_only=True)
    assert content["version"] == 3 and content["about"] == found.about
    assert "about" not in content["optimizer"]["state"]["param_groups"][0]


def test_a_checkpoint_of_the_first_edition_without_about(tmp_path: Path) -> None:
    """A notebook wrote none; and a file made by hand may have no optimizer in it."""
    content = torch.load(VERSION_2, weights_only=True)
    del content["optimizer"]["state"]["param_groups"][0]["about"]
    for optimizer in (
        content["optimizer"],
        None,
        {},
        {"state": 3},
        {"state": {"param_groups": []}},
    ):
        torch.save({**content, "optimizer": optimizer}, tmp_path / "run.pth")
        assert load_checkpoint(tmp_path / "run.pth", nn.Linear(8, 3)).about == {}


# --- Writing


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    run = Run()
    run.save(tmp_path / "new" / "folder" / "run.pth", epoch=1)
    assert run.load(tmp_path / "new" / "folder" / "run.pth") == 1


FULL = OSError(28, "No space left on device")
UNTOUCHED = r"run\.pth was not saved and is as it was \(.*\): "
FREE = UNTOUCHED + "free some space$"


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        ("fsync", FULL, FREE),
        ("replace", FULL, FREE),
        ("fsync", KeyboardInterrupt(), "^$"),
        ("replace", PermissionError(13, "Permission denied"), UNTOUCHED + "ask for the right"),
        ("fsync", OSError(5, "Input/output error"), UNTOUCHED + "the drive .* does not answer"),
        ("replace", OSError(16, "Device or resource busy"), UNTOUCHED + "another program is us"),
        ("fsync", OSError(12, "Cannot allocate memory"), UNTOUCHED + "memory is full"),
        ("fsync", MemoryError(), UNTOUCHED + "memory is full"),
        ("replace", OSError(30, "Read-only file system"), UNTOUCHED + "it can only be read there"),
    ],
)
def test_a_failed_save_leaves_the_older_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException, words: str
) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(os, function, Mock(side_effect=error))
    with pytest.raises(type(error), match=words) as raised:
        Run().save(path, epoch=3)
    assert getattr(raised.value, "errno", None) == getattr(error, "errno", None)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["run.pth"]


def test_only_a_full_disk_is_told_to_make_space(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run()
    for number in sorted(set(errno.errorcode) - {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}):
        monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(number, os.strerror(number))))
        with pytest.raises(OSError, match=UNTOUCHED) as error:
            run.save(path, epoch=3)
        assert "free some space" not in str(error.value)


def test_what_a_killed_save_left_is_cleared(path: Path) -> None:
    before = path.read_bytes()
    killed = """
import os, sys
from pathlib import Path
from course.files.writing import write_whole
os.fsync = lambda _: os._exit(9)
write_whole(Path(sys.argv[1]), b"half")
"""
    result = subprocess.run([sys.executable, "-c", killed, str(path)])
    assert result.returncode == 9
    assert path.read_bytes() == before
    assert len(os.listdir(path.parent)) == 2
    Run().save(path, epoch=3)
    assert os.listdir(path.parent) == ["run.pth"]
    assert Run().load(path) == 3


def test_a_disk_that_fills_up_half_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(file: str, mode: str = "r") -> io.FileIO:
        class Full(io.FileIO):
            def write(self, content: object) -> int:
                super().write(bytes(memoryview(content))[:1000])  # type: ignore[arg-type]
                raise OSError(28, "No space left on device")

        return Full(file, mode)

    before = path.read_bytes()
    monkeypatch.setattr("course.files.writing.open", half, raising=False)
    with pytest.raises(OSError, match=FREE):
        Run().save(path, epoch=3)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["run.pth"]


def test_a_folder_that_is_removed_while_saving(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def remove(*arguments: Path) -> None:
        shutil.rmtree(path.parent)
        replace(*arguments)

    monkeypatch.setattr("os.replace", remove)
    with pytest.raises(OSError, match=UNTOUCHED + "check the path"):
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
        with pytest.raises(PermissionError, match=UNTOUCHED + "ask for the right"):
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


def test_a_loader_of_other_data_has_too_few_batches() -> None:
    loader = Run().loader  # of 4 batches
    assert list(remaining_batches(loader, 4)) == []
    with pytest.raises(CheckpointError, match="5 batches of this epoch are done, .* only 4: give"):
        remaining_batches(loader, 5)


def test_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a folder")
    with pytest.raises(OSError, match="was not saved .*: (something of that name|check the path)"):
        Run().save(tmp_path / "file" / "run.pth", epoch=1)
    (tmp_path / "run.pth").mkdir()
    with pytest.raises(OSError, match="was not saved .*: "):
        Run().save(tmp_path / "run.pth", epoch=1)
    with pytest.raises(OSError, match="was not saved .*: choose a shorter name"):
        Run().save(tmp_path / ("x" * 300 + ".pth"), epoch=1)


def test_what_could_not_be_loaded_is_not_saved(path: Path) -> None:
    run = Run()
    before = path.read_bytes()
    for group in run.optimizer.param_groups:
        group["lr"] = np.float64(0.01)  # what np.logspace() gives
    place = r"was not saved, optimizer\.state\.param_groups\.0\.lr is of type "
    with pytest.raises(CheckpointError, match=place + r"numpy.*: use float\(\)"):
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
    refused(tmp_path, "is a folder .no such file.: give a file that lies in it")


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
    refused(path, "no checkpoint: torch.load.. reads the list that is in it")
    torch.save({"head": Run().model.state_dict(), "classes": ["hat"], 3: 4}, path)
    refused(path, "no checkpoint: .* the dictionary that is in it, with 'head', 'classes', 3")


@pytest.mark.parametrize("version", [1, 4, 2.0, "3", None, True, [3], 10**300])
def test_another_format_version(path: Path, version: object) -> None:
    torch.save({**torch.load(path, weights_only=True), "version": version}, path)
    shown = f"{version}"[:20] if type(version) is int else type(version).__name__
    refused(path, f"has version {shown}, not 3: use the course that wrote it")


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


def test_a_model_that_has_no_shapes_yet(path: Path) -> None:
    """A lazy layer that was filled could not be emptied again if the rest did not fit."""
    model = nn.Sequential(nn.LazyLinear(16), *list(Run().model)[1:])  # type: ignore[call-overload]
    with pytest.raises(CheckpointError, match="run one batch through the model first"):
        load_checkpoint(path, model)
    model(torch.zeros(2, 8))
    load_checkpoint(path, model)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
        MemoryError(),
    ],
)
def test_no_memory_for_the_model_is_not_a_checkpoint_that_does_not_fit(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run, untouched = Run(seed=3), Run(seed=3)
    monkeypatch.setattr(run.optimizer, "load_state_dict", Mock(side_effect=[error, None]))
    with pytest.raises(CheckpointError, match="cannot be loaded .not enough memory.: memory is"):
        run.load(path)
    assert_same(run.model, untouched.model)


def test_random_states_are_plain_and_come_back() -> None:
    def draw() -> tuple[float, ...]:
        return random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item()

    seed_everything(5)
    np.random.randn()  # NumPy keeps the second of each pair
    states = random_states()
    first = draw()
    assert draw() != first
    set_random_states(states)
    assert draw() == first
    assert all(type(number) is int for number in states["numpy_random"][1])
    for name, wrong in (("python_random", (3, (), None)), ("torch_random", torch.zeros(3))):
        with pytest.raises((ValueError, TypeError, RuntimeError)):
            set_random_states({**states, name: wrong})
