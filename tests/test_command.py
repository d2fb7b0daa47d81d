"""The commands ``course train``, ``predict``, ``doctor`` and ``lab``, by running them."""

import copy
import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image, ImageOps
from torch.utils.data import TensorDataset
from torchvision.models import mobilenet_v2

from course import data, models, pretrained, stand_ins
from course.checkpoint import save_checkpoint
from course.command import main as __main__
from course.command import train as train_command
from course.files import downloads as download
from course.files import paths
from course.stand_ins.sketches import draw_garment

SMALL = ["train", "fashion-mnist", "--model", "mlp", "--limit", "50", "--batch-size", "16"]
kept = functools.cache(data.fashion_mnist_tensors)


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pictures are read once for all tests. No test runs on a GPU or among other processes."""
    monkeypatch.setattr(data, "fashion_mnist_tensors", kept)
    monkeypatch.setattr(train_command, "pick_device", lambda: torch.device("cpu"))
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    yield
    for kind, handler in before.items():  # the command takes them over and keeps them
        signal.signal(kind, handler)


@pytest.fixture
def course(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the command in this process: exit code, what it prints, and what it complains about."""

    def run(*words: object) -> Any:
        try:
            code = __main__.main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.strip() and "photo/s" not in line]
        return SimpleNamespace(code=code, out=out.splitlines(), err=lines)

    return run


def load(path: Path) -> dict[str, Any]:
    content = torch.load(path, weights_only=True)
    assert len(content["history"].pop("seconds")) == content["epoch"]
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


# --- Training


@pytest.mark.parametrize("model", ["mlp", "cnn", "lstm"])
def test_train(model: str, course: Any, tmp_path: Path) -> None:
    options = ["--model", model, "--epochs", 2, "--output", tmp_path / "new folder"]
    result = course("train", "fashion-mnist", *options, "--limit", 70, "--batch-size", 32)
    assert (result.code, result.err) == (0, [])
    assert result.out[0] == f"{model} on cpu; pictures: 70, 70, 70"
    for epoch in (1, 2):
        values = r"  train_loss N  train_accuracy N  val_loss N  val_accuracy N  seconds N"
        assert re.fullmatch(
            f"epoch {epoch}/2" + values.replace("N", r"\d+\.\d{4}"), result.out[epoch]
        )
    assert {path.name for path in (tmp_path / "new folder").iterdir()} == {
        "checkpoint_epoch1.pth",
        "checkpoint_epoch2.pth",
        "model_final.pth",
    }
    # What it says last can be pasted.
    photo = tmp_path / "photo.png"
    Image.new("L", (28, 28)).save(photo)
    words = shlex.split(
        result.out[-1].replace("PHOTO.jpg", photo.as_posix()), posix=os.name != "nt"
    )
    assert words[:3] == ["python", "-m", "course"]
    assert course(*(word.strip('"') for word in words[3:])).code == 0


def test_it_learns_with_the_loop_of_the_lesson(course: Any, tmp_path: Path) -> None:
    """The same numbers as `fit` with the same model, data and seed."""
    course(*SMALL, "--epochs", 2, "--output", tmp_path, "--seed", 3, "--learning-rate", 0.002)
    content = load(tmp_path / "model_final.pth")
    train_command.seed_everything(3)
    model = models.MLP()
    split = torch.Generator().manual_seed(0)
    parts = torch.utils.data.random_split(kept(True), [55_000, 5_000], split)
    small = [
        TensorDataset(
            *map(torch.stack, zip(*[(x, y) for x, y in (part[i] for i in range(50))], strict=True))
        )
        for part in parts
    ]
    from course.training import fit

    loaders = data.make_loaders(*small, batch_size=16, seed=3)
    history = fit(model, torch.optim.Adam(model.parameters(), lr=0.002), *loaders, num_epochs=2)
    assert_equal(content["model"], model.state_dict())
    assert content["history"]["val_loss"] == history.val_loss
    assert content["history"]["train_accuracy"] == history.train_accuracy


def test_the_same_seed_gives_the_same_numbers(course: Any, tmp_path: Path) -> None:
    for name, seed in [("a", 5), ("b", 5), ("c", 6)]:
        words = ["--epochs", 1, "--seed", seed, "--output", tmp_path / name, "--device", "cpu"]
        assert course(*SMALL, *words).code == 0
    a, b, c = (load(tmp_path / name / "model_final.pth") for name in "abc")
    assert_equal(a, b)
    assert a["history"] != c["history"]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_ends_where_a_whole_one_ends(
    workers: int, course: Any, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    course(*SMALL, "--epochs", 3, "--output", whole)
    course(*SMALL, "--epochs", 2, "--output", parts, "--workers", workers)
    result = course(*SMALL, "--epochs", 3, "--output", parts, "--resume", "--workers", workers)
    assert [line[:9] for line in result.out[1:-3]] == ["epoch 3/3"]
    assert_equal(load(parts / "model_final.pth"), load(whole / "model_final.pth"))
    (parts / "model_final.pth").unlink()  # as if it had been stopped while it was tested
    result = course(*SMALL, "--epochs", 3, "--output", parts, "--resume")
    assert_equal(load(parts / "model_final.pth"), load(whole / "model_final.pth"))
    named = ["--resume", parts / "checkpoint_epoch1.pth"]
    result = course(*SMALL, "--epochs", 3, "--output", tmp_path / "named", *named)
    assert [line[:9] for line in result.out[1:-3]] == ["epoch 2/3", "epoch 3/3"]
    assert_equal(load(tmp_path / "named" / "model_final.pth"), load(whole / "model_final.pth"))


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let something happen in the `n`-th call of a function of the command, then never again."""

    def stop_at(name: str, n: int, happens: Callable[[], object]) -> None:
        original, calls = getattr(train_command, name), []

        def call(*arguments: Any) -> Any:
            calls.append(1)
            if len(calls) == n:
                happens()
            return original(*arguments)

        monkeypatch.setattr(train_command, name, call)

    return stop_at


@pytest.mark.parametrize(
    ("name", "call", "kept", "batches", "epoch"),
    [  # the 50 pictures make 4 batches
        ("train_one_epoch", 1, "checkpoint_epoch1.pth", 1, 0),
        ("train_one_epoch", 3, "checkpoint_epoch1.pth", 3, 0),
        ("train_one_epoch", 4, "checkpoint_epoch1.pth", 4, 0),
        ("train_one_epoch", 6, "checkpoint_epoch2.pth", 2, 1),
        ("evaluate", 1, "checkpoint_epoch2.pth", 1, 1),  # the validation comes to its end
    ],
)
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_stopped(
    name: str, call: int, kept: str, batches: int, epoch: int, kind: signal.Signals,
    stop_at: Any, course: Any, tmp_path: Path,
) -> None:  # fmt: skip
    """What was interrupted goes on to the numbers of a run that was not, to the last bit."""
    words = [*SMALL, "--epochs", "3", "--output"]
    course(*words, tmp_path / "whole")
    stop_at(name, call, lambda: [signal.raise_signal(kind) for _ in range(2)])
    result = course(*words, tmp_path / "a b")
    assert (result.code, result.err) == (130, [])
    path = tmp_path / "a b" / kept
    line = f"Stopped in epoch {epoch + 1}/3, batch {batches}; kept: {path}. Go on with:"
    assert result.out[-2] == line
    content = torch.load(path, weights_only=True)
    assert (content["epoch"], len(content["batch_losses"])) == (epoch, batches)
    pasted = shlex.split(result.out[-1], posix=os.name != "nt")
    result = course(*(word.strip('"') for word in pasted[3:]))
    assert (result.code, result.err) == (0, [])
    names = {f"checkpoint_epoch{n}.pth" for n in (1, 2, 3)} | {"model_final.pth"}
    assert {path.name for path in (tmp_path / "a b").iterdir()} == names
    for name in names:
        assert_equal(load(tmp_path / "a b" / name), load(tmp_path / "whole" / name))


def test_stopped_several_times(stop_at: Any, course: Any, tmp_path: Path) -> None:
    words = [*SMALL, "--epochs", "2", "--output", tmp_path]
    interrupt = functools.partial(signal.raise_signal, signal.SIGINT)
    stop_at("train_one_epoch", 2, interrupt)
    assert course(*words).code == 130
    stop_at("train_one_epoch", 3, interrupt)
    assert course(*words, "--resume").code == 130
    assert course(*words, "--resume").code == 0
    course(*words[:-1], tmp_path / "whole")
    assert_equal(load(tmp_path / "model_final.pth"), load(tmp_path / "whole/model_final.pth"))


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_worker_that_is_gone(
    interrupted: bool, stop_at: Any, course: Any, tmp_path: Path
) -> None:
    """Where workers start anew and not as copies, Ctrl-C ends them, and the loader complains."""

    def gone() -> None:
        if interrupted:
            signal.raise_signal(signal.SIGINT)
        raise RuntimeError("DataLoader worker (pid 42) exited unexpectedly")

    stop_at("train_one_epoch", 3, gone)
    words = [*SMALL, "--epochs", "1", "--output", tmp_path]
    result = course(*words)
    if interrupted:
        assert (result.code, result.err) == (130, [])
        assert course(*words, "--resume").code == 0
        course(*words[:-1], tmp_path / "whole")
        assert_equal(load(tmp_path / "model_final.pth"), load(tmp_path / "whole/model_final.pth"))
    else:
        assert result.code == 1
        assert result.err == ["DataLoader worker (pid 42) exited unexpectedly"]


def start(start: list[str], words: list[str]) -> subprocess.Popen[str]:
    """A process of its own. A background job ignores Ctrl-C; what it starts here does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", *start, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=paths.PROJECT,
        start_new_session=True,
    )


TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "course"]


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot send these signals to one process")
@pytest.mark.parametrize(("how", "kind"), [(["course"], "SIGTERM"), (TORCHRUN, "SIGINT")])
def test_a_signal_from_outside(how: list[str], kind: str, course: Any, tmp_path: Path) -> None:
    """As in a terminal: it reaches all processes, and torchrun repeats it for its own."""
    words = ["train", "fashion-mnist", "--model", "mlp", "--limit", "640"]
    words += ["--epochs", "100000", "--output", str(tmp_path)]
    with start(how, words) as process:
        assert process.stdout and process.stderr
        for line in process.stdout:
            if line.startswith("epoch 2"):
                os.killpg(process.pid, getattr(signal, kind))
                break
        out, err = process.communicate()
    assert "train_command.py" not in err and "__main__.py" not in err
    assert err.count("Traceback") == (how == TORCHRUN)  # which reports so what signal it got
    *_, said, again = out.splitlines()
    assert re.match(r"Stopped in epoch \d+/100000, batch \d+; kept: ", said)
    assert again.startswith("torchrun --nproc-per-node=2 " if how == TORCHRUN else "python ")
    assert not list(tmp_path.glob(".*"))
    path = Path(shlex.split(again)[-1])
    epoch = torch.load(path, weights_only=True)["epoch"]
    words[words.index("100000")] = str(epoch + 1)
    assert course(*words, "--resume").code == 0
    if how != TORCHRUN:  # after many epochs, rounding may have led two processes elsewhere
        course(*words[:-1], tmp_path / "whole")
        assert_equal(load(tmp_path / "model_final.pth"), load(tmp_path / "whole/model_final.pth"))


def test_a_bar_only_in_a_terminal(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*SMALL, "--epochs", 1, "--output", tmp_path]
    assert course(*words).err == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = "".join(course(*words).err)
    assert re.search("epoch 1/1: .*0/4", shown)


def test_a_full_disk(course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = course(*SMALL, "--output", tmp_path)
    assert result.code == 1
    assert len(result.err) == 1
    assert "No space left" in result.err[0]


# --- Two processes


@pytest.mark.parametrize(
    ("limit", "size", "here"),  # the last batch has 5 pictures, or none is left for one process
    [(53, 16, 0), (49, 8, 1)],
)
def test_two_processes_give_what_one_gives(
    limit: int,
    size: int,
    here: int,
    course: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What torchrun does, with one of the processes in this one."""
    words = ["train", "fashion-mnist", "--model", "cnn", "--limit", str(limit), "--epochs", "2"]
    words += ["--batch-size", str(size), "--output"]
    one = course(*words, tmp_path / "one")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    other = subprocess.Popen(
        [sys.executable, "-m", "course", *words, str(tmp_path / "two")],
        env=os.environ | both | {"RANK": str(1 - here), "LOCAL_RANK": str(1 - here)},
        cwd=paths.PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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
    single, double = (load(tmp_path / n / "model_final.pth") for n in ("one", "two"))
    for name in ("model", "history"):
        torch.testing.assert_close(double[name], single[name], rtol=1e-4, atol=1e-5)
    # Adam hides the size of gradients in its steps, but keeps their means.
    means, expected = (x["optimizer"]["state"]["state"] for x in (double, single))
    torch.testing.assert_close(means, expected, rtol=1e-3, atol=1e-5)


def test_each_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["train", "fashion-mnist", "--device", "cuda", "--output", str(tmp_path)]
    args = __main__.make_parser().parse_args(words)
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch, "zeros", lambda size, device: torch.ones(()))
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert train_command.check(args, 2) == torch.device("cuda:1")
    assert train_command.check(args, 1) == torch.device("cuda")
    assert chosen == [torch.device("cuda:1"), torch.device("cuda")]


def test_a_batch_that_processes_cannot_share(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    result = course(*SMALL, "--output", tmp_path)
    assert (result.code, result.out, len(result.err)) == (2, [], 1)
    assert "--batch-size must be a multiple of 3 for 3 processes" in result.err[0]


def test_torchrun(course: Any, tmp_path: Path) -> None:
    words = [*SMALL, "--epochs", "1", "--output"]
    process = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node=2", "-m", "course", *words, str(tmp_path / "two")),
        ],
        cwd=paths.PROJECT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr
    one = course(*words, tmp_path / "one").out
    out = process.stdout.splitlines()
    assert out[1].partition("  seconds")[0] == one[1].partition("  seconds")[0]
    assert out[2] == one[2]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "checkpoint_epoch1.pth",
        "model_final.pth",
    ]


# --- Clothing


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
    monkeypatch.setattr(train_command, "photos_or_sketches", lambda: folder)
    monkeypatch.setattr(train_command, "weights_or_stand_in", lambda: Path("some.pth"))
    monkeypatch.setattr(pretrained, "load_mobilenet_v2", lambda: copy.deepcopy(base))
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    return folder


def test_clothing(
    wardrobe: Path, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = course("train", "clothing", "--epochs", 2, "--output", tmp_path / "out")
    assert (result.code, result.err) == (0, [])
    assert result.out[0] == "clothing on cpu; pictures: 6, 6, 6"
    model = tmp_path / "out" / "model_final.pth"
    photos = [wardrobe / "test" / "hat" / "0.png", wardrobe / "test" / "dress" / "1.png"]
    answer = course("predict", *photos, "--model", model)
    assert (answer.code, answer.err) == (0, [])
    assert [answer.out[0], answer.out[4]] == [str(photo) for photo in photos]
    assert {line.split()[1] for line in answer.out[1:4]} == {"dress", "hat", "pants"}
    # Only for the base that its features came from:
    monkeypatch.setattr(train_command, "weights_or_stand_in", lambda: Path("other.pth"))
    answer = course("predict", *photos, "--model", model)
    assert (answer.code, answer.out) == (2, [])
    assert "fits only some.pth: train again" in answer.err[0]
    other = course("train", "clothing", "--epochs", 3, "--output", tmp_path / "out", "--resume")
    assert other.code == 2
    assert "was trained with {'base': 'some.pth'}" in other.err[0]


def test_a_few_photos_of_each_class(wardrobe: Path, course: Any, tmp_path: Path) -> None:
    result = course("train", "clothing", "--epochs", 1, "--limit", 3, "--output", tmp_path / "out")
    assert result.out[0] == "clothing on cpu; pictures: 3, 3, 3"
    kept_features = list(paths.CACHE.glob("features-train-*"))
    assert len(kept_features) == 1


# --- What cannot work


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "required: command"),
        ("train", "required: data"),
        ("train mnist", "invalid choice: 'mnist'"),
        ("train fashion-mnist --frobnicate", "unrecognized arguments: --frobnicate"),
        ("train fashion-mnist --model resnet", "invalid choice: 'resnet'"),
        (
            "train fashion-mnist --model clothing",
            r"is not for fashion-mnist: choose \['cnn', 'mlp', 'lstm'\]",
        ),
        ("train clothing --model cnn", "--model cnn is not for clothing: choose"),
        ("train clothing --epochs 0", "--epochs: must be from 1 to .*, got '0'"),
        ("train clothing --epochs 2.5", "--epochs: invalid int value: '2.5'"),
        ("train clothing --batch-size 0", "--batch-size: must be"),
        ("train clothing --learning-rate 0", "--learning-rate: must be from 1e-09 to"),
        ("train clothing --learning-rate -0.1", "--learning-rate"),
        ("train clothing --learning-rate nan", "got 'nan'"),
        ("train clothing --learning-rate fast", "--learning-rate: invalid float value: 'fast'"),
        ("train clothing --learning-rate inf", "got 'inf'"),
        ("train clothing --seed -1", "--seed: must be"),
        ("train clothing --seed 4294967296", "--seed: must be"),
        ("train clothing --workers -1", "--workers: must be"),
        ("train clothing --limit 0", "--limit: must be"),
        ("train clothing --device abacus", "--device abacus cannot be used"),
        ("train clothing --device meta", "--device meta cannot be used"),
        ("train clothing --device cuda:99", "--device cuda:99 cannot be used"),
        ("train clothing --output FILE", "--output cannot be written"),
        ("train clothing --output FILE/folder", "--output cannot be written"),
        ("train fashion-mnist --limit 1 --resume", r".*checkpoint_epoch\*.pth is missing"),
        ("train fashion-mnist --limit 1 --resume nowhere.pth", "nowhere.pth is missing"),
        ("train fashion-mnist --limit 1 --resume FILE", "FILE is a Git LFS"),
        ("predict", "required: PHOTO"),
        ("predict x.jpg --model nowhere.pth", "nowhere.pth is missing"),
        ("predict x.jpg --model FILE", "FILE is a Git LFS pointer"),
        ("doctor now", "unrecognized arguments: now"),
    ],
)
def test_one_line_for_a_wrong_value(
    words: str, problem: str, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text(
        "version https://git-lfs.github.com/spec/v1\nsize 3\n", encoding="utf-8"
    )
    output = [] if "--output" in words or "train" not in words else ["--output", tmp_path / "out"]
    result = course(*words.split(), *output)
    assert (result.code, result.out) == (2, [])
    assert len(result.err) == 1
    assert re.match("course.*: .*" + problem, result.err[0]), result.err[0]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--epochs 1 --batch-size 16", "has come further than --epochs 1"),
        ("--epochs 3 --batch-size 8", "was trained with {'batch_size': 16}: do the same"),
        ("--epochs 3 --batch-size 16 --learning-rate 0.1", "with {'learning_rate': 0.001}"),
        ("--epochs 3 --batch-size 16 --seed 4", "was trained with {'seed': 0}: do the same"),
        ("--epochs 3 --batch-size 16 --model cnn", "does not fit"),
    ],
)
def test_resumed_with_other_options(words: str, problem: str, course: Any, tmp_path: Path) -> None:
    course(*SMALL, "--epochs", 2, "--output", tmp_path)
    result = course(*SMALL, *words.split(), "--output", tmp_path, "--resume")
    assert (result.code, len(result.err)) == (2, 1)
    assert problem in result.err[0]


def test_a_checkpoint_from_a_notebook(course: Any, tmp_path: Path) -> None:
    model = models.MLP()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    path = tmp_path / "checkpoint_epoch1.pth"
    save_checkpoint(path, model, optimizer, 1, generator=torch.Generator())
    result = course(*SMALL, "--epochs", 2, "--output", tmp_path, "--resume")
    assert (result.code, len(result.err)) == (2, 1)
    assert "was trained with {'classes': None, " in result.err[0]
    result = course("predict", "x.jpg", "--model", path)
    assert (result.code, len(result.err)) == (2, 1)
    assert "was not saved by course train" in result.err[0]


# --- TensorBoard


def test_tensorboard(course: Any, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    course(*SMALL, "--epochs", 1, "--output", tmp_path, "--tensorboard")
    words = ["--epochs", 2, "--output", tmp_path, "--tensorboard", "--resume"]
    result = course(*SMALL, *words)
    folder = tmp_path / "tensorboard"
    assert f"Curves: tensorboard --logdir {folder}" in result.out
    events = EventAccumulator(str(folder / "fashion-mnist-mlp-seed0"))
    events.Reload()
    history = torch.load(tmp_path / "model_final.pth", weights_only=True)["history"]
    for name, values in history.items():
        scalars = events.Scalars(name.replace("_", "/"))
        assert [scalar.step for scalar in scalars] == [1, 2]
        assert [scalar.value for scalar in scalars] == pytest.approx(values)


# --- predict, doctor, lab, help


def test_predict_names_photos(course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = mobilenet_v2(num_classes=1000).eval()
    monkeypatch.setattr(pretrained, "load_mobilenet_v2", lambda: model)
    monkeypatch.setattr(stand_ins, "weights_or_stand_in", lambda: print("Using some weights."))
    good, broken = tmp_path / "good one.png", tmp_path / "broken.png"
    draw_garment("hat", 0).save(good)
    broken.write_bytes(good.read_bytes()[:500])
    result = course("predict", tmp_path / "none.jpg", good, broken, tmp_path)
    assert result.code == 1
    assert [
        str(name) in line
        for name, line in zip(("none.jpg", "broken.png", tmp_path), result.err, strict=True)
    ] == [True] * 3
    assert result.out == [
        "Using some weights.",
        str(good),
        *(f"{share:8.1%}  {name}" for name, share in pretrained.predict_top_k(model, good)),
    ]
    assert course("predict", good).code == 0


def test_predict_turns_photos_into_fashion_mnist(course: Any, tmp_path: Path) -> None:
    """A picture of the test set is read as it is; dark on white, wide and large the same."""
    course(*SMALL, "--epochs", 1, "--output", tmp_path)
    file = tmp_path / "model_final.pth"
    answer = train_command.load_trained(str(file))
    model, classes = models.MLP(), data.FASHION_CLASSES
    model.load_state_dict(load(file)["model"])
    picture = kept(False)[0][0]
    pixels = (picture[0] * data.FASHION_STD + data.FASHION_MEAN).mul(255).round().byte().numpy()
    image = Image.fromarray(pixels)
    image.save(tmp_path / "same.png")
    large = ImageOps.invert(image).resize((280, 280), Image.Resampling.NEAREST)
    large.convert("RGB").save(tmp_path / "large.png")
    wide = ImageOps.expand(image, (14, 0))
    wide.save(tmp_path / "wide.png")
    with torch.no_grad():
        expected = model(picture[None]).softmax(1)[0]
    same, large_, wide_ = (
        dict(answer(str(tmp_path / f"{name}.png"))) for name in ("same", "large", "wide")
    )
    assert list(same) == [classes[i] for i in expected.topk(5).indices]
    assert list(same.values()) == pytest.approx(expected.topk(5).values.tolist(), abs=1e-4)
    assert large_ == pytest.approx(same, abs=0.02)
    assert len(wide_) == 5
    thin = tmp_path / "thin.png"
    Image.new("L", (4000, 1)).save(thin)
    assert course("predict", thin, "--model", file).code == 0


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("nothing", "ok +Python .*, torch .*, torchvision .*, (cpu|cuda|mps)"),
        ("git-lfs", "missing +git-lfs: .*https://git-lfs.com"),
        ("photos", "missing photos in .*: .*course download"),
        ("weights", "missing weights in .*: .*course download"),
        ("disk", r"missing a GB of free disk \(it has 0.1\): free some space"),
    ],
)
def test_doctor(
    what: str, line: str, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.touch()
    monkeypatch.setattr(__main__.shutil, "which", lambda name: what != name)
    space = SimpleNamespace(free=1e8 if what == "disk" else 9e9)
    monkeypatch.setattr(__main__.shutil, "disk_usage", lambda place: space)
    monkeypatch.setattr(paths, "PHOTOS", gone if what == "photos" else here)
    monkeypatch.setattr(download, "weights_path", lambda: gone if what == "weights" else here)
    result = course("doctor")
    assert (result.code, result.err) == (0, [])
    assert [text for text in result.out if re.match(line, text)]
    others = [text for text in result.out if not text.startswith("ok ")]
    assert len(others) == (what != "nothing")


def test_doctor_without_torchvision(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    result = course("doctor")
    assert (result.code, result.out, len(result.err)) == (1, [], 1)
    assert re.match(r"torch and torchvision do not fit \(.*\): reinstall them", result.err[0])


def test_lab(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr("jupyterlab.labapp.main", calls.append)
    notebook = str(paths.PROJECT / "notebooks" / "00_start_here.ipynb")
    assert course("lab").code == 0
    assert calls == [[notebook]]
    assert Path(notebook).is_file()


def test_help_lists_options_and_examples_that_work(course: Any) -> None:
    result = course("train", "--help")
    assert result.code == 0
    text = "\n".join(result.out)
    for option in ("model", "epochs", "batch-size", "learning-rate", "seed", "device", "workers"):
        assert f"--{option}" in text
    for line in __main__.EXAMPLES.removeprefix("example: ").splitlines():
        words = line.split(" -m course ")[1].split()
        assert __main__.make_parser().parse_args(words).run


def test_the_readme_shows_commands_that_work() -> None:
    readme = (paths.PROJECT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(?:\S*/)?python -m course (.+)$", readme, flags=re.M)
    assert len(commands) >= 6
    for words in commands:
        assert __main__.make_parser().parse_args(words.split()).run
