"""``course train``: it trains, saves, stops and goes on, to the last bit."""

# ruff: noqa: F811
import functools
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from command_line import (  # noqa: F401
    ENDED,
    SMALL,
    alone,
    assert_equal,
    course,
    kept,
    load,
    newest,
    pasted,
    start,
    wardrobe,
)
from course import data, models
from course.checkpoint import save_checkpoint
from course.command import train as train_command
from course.command.signals import NOBODY_READS, STOPPING, requests
from course.device import seed_everything
from course.files import paths
from course.files.cards import read_card
from course.training import fit


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
        "model_final.json",
        "model_final.pth",
    }
    # What it says last can be pasted.
    photo = tmp_path / "photo.png"
    Image.new("L", (28, 28)).save(photo)
    words = pasted(result.out[-1].replace("PHOTO.jpg", photo.as_posix()))
    assert words[:3] == ["python", "-m", "course"]
    assert course(*words[3:]).code == 0


def test_the_final_file_is_what_pytorchs_documentation_expects(course: Any, tmp_path: Path) -> None:
    """Without --model it is the MLP, as a plain state_dict, and the card says all about it."""
    words = ["--limit", 50, "--epochs", 1, "--seed", 4]
    result = course("train", "fashion-mnist", *words, "--output", tmp_path)
    model = models.MLP()
    model.load_state_dict(torch.load(tmp_path / ENDED, weights_only=True))
    card = read_card(tmp_path / "model_final.json")
    assert (card.model, card.classes, card.base) == ("mlp", data.FASHION_CLASSES, None)
    assert card.transform == {"name": "fashion_transform"}
    assert card.data["name"] == "fashion-mnist"
    assert card.data["counts"] == {"train": 50, "validation": 50, "test": 50}
    settings = {"epochs": 1, "batch_size": 64, "learning_rate": 0.001, "seed": 4, "limit": 50}
    assert card.settings == settings
    said = f"test: loss {card.test_loss:.4f}, accuracy {card.test_accuracy:.4f}"
    assert said in result.out
    assert card.versions["torch"] == torch.__version__
    about = load(tmp_path / "checkpoint_epoch1.pth")["about"]
    assert about["counts"] == card.data["counts"]
    assert about["learning_rate"] == 0.001


def test_it_learns_with_the_loop_of_the_lesson(course: Any, tmp_path: Path) -> None:
    """The same numbers as `fit` with the same model, data and seed."""
    course(*SMALL, "--epochs", 2, "--output", tmp_path, "--seed", 3, "--learning-rate", 0.002)
    content = newest(tmp_path)
    seed_everything(3)
    model = models.MLP()
    split = torch.Generator().manual_seed(0)
    parts = torch.utils.data.random_split(kept(True), [55_000, 5_000], split)
    small = [
        TensorDataset(
            *map(torch.stack, zip(*[(x, y) for x, y in (part[i] for i in range(50))], strict=True))
        )
        for part in parts
    ]
    loaders = data.make_loaders(*small, batch_size=16, seed=3)
    history = fit(model, torch.optim.Adam(model.parameters(), lr=0.002), *loaders, num_epochs=2)
    assert_equal(dict(content["model"]), dict(model.state_dict()))
    assert content["history"]["val_loss"] == history.val_loss
    assert content["history"]["train_accuracy"] == history.train_accuracy
    assert content["history"]["train_loss"] == pytest.approx(history.train_loss, rel=1e-12)


def test_the_same_seed_gives_the_same_numbers(course: Any, tmp_path: Path) -> None:
    for name, seed in [("a", 5), ("b", 5), ("c", 6)]:
        words = ["--epochs", 1, "--seed", seed, "--output", tmp_path / name, "--device", "cpu"]
        assert course(*SMALL, *words).code == 0
    a, b, c = (newest(tmp_path / name) for name in "abc")
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
    assert_equal(newest(parts), newest(whole))
    (parts / ENDED).unlink()  # as if it had been stopped while it was tested
    result = course(*SMALL, "--epochs", 3, "--output", parts, "--resume")
    assert_equal(newest(parts), newest(whole))
    named = ["--resume", parts / "checkpoint_epoch1.pth"]
    result = course(*SMALL, "--epochs", 3, "--output", tmp_path / "named", *named)
    assert [line[:9] for line in result.out[1:-3]] == ["epoch 2/3", "epoch 3/3"]
    assert_equal(newest(tmp_path / "named"), newest(whole))


def test_the_newest_checkpoint_is_the_one_that_came_furthest(course: Any, tmp_path: Path) -> None:
    """Whatever the clock says: a copy or a download can make an old file the youngest."""
    course(*SMALL, "--epochs", 11, "--output", tmp_path)
    for number in (9, 2):
        (tmp_path / f"checkpoint_epoch{number}.pth").touch()
    (tmp_path / "checkpoint_epoch99 (copy).pth").touch()
    result = course(*SMALL, "--epochs", 12, "--output", tmp_path, "--resume")
    assert (result.code, result.out[1][:11]) == (0, "epoch 12/12")


def test_resume_may_stand_before_the_data(course: Any, tmp_path: Path) -> None:
    """In `--resume fashion-mnist` the parser takes the data for a checkpoint."""
    first, data_name, *rest = [*SMALL, "--output", tmp_path]
    assert course(first, data_name, *rest, "--epochs", 1).code == 0
    result = course(first, *rest, "--epochs", 2, "--resume", data_name)
    assert (result.code, result.out[1][:9]) == (0, "epoch 2/2")
    result = course(first, *rest, "--epochs", 3, "--resume", tmp_path / "checkpoint_epoch2.pth")
    assert result.code == 2
    assert "required: data before --resume" in result.err[0]


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
    assert (result.code, result.err) == (128 + kind, [])
    path = tmp_path / "a b" / kept
    line = f"Stopped in epoch {epoch + 1}/3, batch {batches}; kept: {path}. Go on with:"
    assert result.out[-2] == line
    content = torch.load(path, weights_only=True)
    assert (content["epoch"], len(content["batch_losses"])) == (epoch, batches)
    result = course(*pasted(result.out[-1])[3:])
    assert (result.code, result.err) == (0, [])
    names = {f"checkpoint_epoch{n}.pth" for n in (1, 2, 3)}
    files = {path.name for path in (tmp_path / "a b").iterdir()}
    assert files == names | {"model_final.pth", "model_final.json"}
    for name in names:
        assert_equal(load(tmp_path / "a b" / name), load(tmp_path / "whole" / name))
    assert_equal(newest(tmp_path / "a b"), newest(tmp_path / "whole"))


@pytest.mark.parametrize("kind", [kind for kind in STOPPING if kind != signal.SIGINT])
def test_every_signal_that_ends_a_job_stops_it_cleanly(
    kind: signal.Signals, stop_at: Any, course: Any, tmp_path: Path
) -> None:
    """A terminal that closes, a limit of processor time, the warning of a batch system."""
    stop_at("train_one_epoch", 2, lambda: signal.raise_signal(kind))
    result = course(*SMALL, "--epochs", 1, "--output", tmp_path)
    assert (result.code, result.err) == (128 + kind, [])
    assert result.out[-2].startswith("Stopped in epoch 1/1, batch 2; kept: ")


@pytest.mark.parametrize("first", [signal.SIGINT, NOBODY_READS])
def test_how_to_go_on_is_told_where_somebody_reads(
    first: int, stop_at: Any, course: Any, tmp_path: Path
) -> None:
    """In `course train | tee log`, Ctrl-C ends both, and nobody reads the output any more."""
    stop_at("train_one_epoch", 2, lambda: [requests.add(n) for n in (first, NOBODY_READS)])
    result = course(*SMALL, "--epochs", 1, "--output", tmp_path)
    assert result.code == 128 + first
    assert result.err == result.out[-2:]
    assert result.err[0].startswith("Stopped in epoch 1/1, batch 2; kept: ")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no hang-up")
def test_nohup_is_obeyed(stop_at: Any, course: Any, tmp_path: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop_at("train_one_epoch", 2, lambda: signal.raise_signal(signal.SIGHUP))
    assert course(*SMALL, "--epochs", 1, "--output", tmp_path).code == 0
    assert (tmp_path / ENDED).is_file()


def test_stopped_several_times(stop_at: Any, course: Any, tmp_path: Path) -> None:
    words = [*SMALL, "--epochs", "2", "--output", tmp_path]
    interrupt = functools.partial(signal.raise_signal, signal.SIGINT)
    stop_at("train_one_epoch", 2, interrupt)
    assert course(*words).code == 130
    stop_at("train_one_epoch", 3, interrupt)
    result = course(*words, "--resume")
    assert result.code == 130
    assert result.out[-1].count("--resume") == 1
    assert course(*words, "--resume").code == 0
    course(*words[:-1], tmp_path / "whole")
    assert_equal(newest(tmp_path), newest(tmp_path / "whole"))


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
        assert_equal(newest(tmp_path), newest(tmp_path / "whole"))
    else:
        assert result.code == 1
        assert result.err == ["DataLoader worker (pid 42) exited unexpectedly"]


def test_a_bar_only_in_a_terminal(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*SMALL, "--epochs", 1, "--output"]
    assert course(*words, tmp_path / "a").err == []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = "".join(course(*words, tmp_path / "b").err)
    assert re.search("epoch 1/1: .*0/4", shown)


def test_a_full_disk(course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = course(*SMALL, "--output", tmp_path)
    assert result.code == 1
    assert len(result.err) == 1
    assert "No space left" in result.err[0]


def test_no_memory_is_told_from_a_mistake_in_the_code(
    stop_at: Any, course: Any, tmp_path: Path
) -> None:
    def full() -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator:\n can't allocate memory: 8 bytes")

    stop_at("train_one_epoch", 2, full)
    result = course(*SMALL, "--output", tmp_path)
    assert (result.code, len(result.err)) == (1, 1)
    assert result.err[0].endswith("choose a smaller --batch-size, or close other programs")


# --- Clothing


def test_clothing(
    wardrobe: Path, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = course("train", "clothing", "--epochs", 2, "--output", tmp_path / "out")
    assert (result.code, result.err) == (0, [])
    assert result.out[0] == "clothing on cpu; pictures: 6, 6, 6"
    model = tmp_path / "out" / ENDED
    photos = [wardrobe / "test" / "hat" / "0.png", wardrobe / "test" / "dress" / "1.png"]
    answer = course("predict", *photos, "--model", model)
    assert (answer.code, answer.err) == (0, [])
    assert [answer.out[0], answer.out[4]] == [str(photo) for photo in photos]
    assert {line.split()[1] for line in answer.out[1:4]} == {"dress", "hat", "pants"}

    # The checkpoint holds the head alone, and answers the same.
    checkpoint = tmp_path / "out" / "checkpoint_epoch2.pth"
    assert set(load(checkpoint)["model"]) == {"output_layer.weight", "output_layer.bias"}
    assert course("predict", *photos, "--model", checkpoint).out == answer.out

    # It is only for the base that its features came from. The finished model has its base.
    for module in ("prepare", "trained"):
        name = f"course.command.{module}.weights_or_stand_in"
        monkeypatch.setattr(name, lambda: Path("other.pth"))
    assert course("predict", *photos, "--model", model).out == answer.out
    answer = course("predict", *photos, "--model", checkpoint)
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


# --- Checkpoints of others


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


def first_edition(content: dict[str, Any]) -> dict[str, Any]:
    """What the first edition wrote: what a run is about stood among the optimizer's settings."""
    about = content.pop("about")
    old = ("data", "model", "learning_rate", "batch_size", "seed", "limit", "classes", "base")
    groups = content["optimizer"]["state"]["param_groups"]
    groups[0]["about"] = {name: about[name] for name in old}
    return content | {"version": 2}


def test_checkpoints_of_the_first_edition_go_on_and_predict(course: Any, tmp_path: Path) -> None:
    words = [*SMALL, "--output"]
    course(*words, tmp_path / "whole", "--epochs", 2)
    (tmp_path / "old").mkdir()
    path = tmp_path / "old" / "checkpoint_epoch1.pth"
    content = torch.load(tmp_path / "whole" / path.name, weights_only=True)
    torch.save(first_edition(content), path)
    assert course(*words, tmp_path / "old", "--epochs", 2, "--resume").code == 0
    assert_equal(newest(tmp_path / "old"), newest(tmp_path / "whole"))

    photo = tmp_path / "photo.png"
    Image.new("L", (28, 28)).save(photo)
    answers = [
        course("predict", photo, "--model", tmp_path / name / path.name)
        for name in ("old", "whole")
    ]
    assert answers[0].code == 0
    assert answers[0].out == answers[1].out
    result = course(*words, tmp_path / "old", "--epochs", 2, "--resume", path, "--seed", 1)
    assert (result.code, len(result.err)) == (2, 1)
    assert "was trained with {'seed': 0}: do the same" in result.err[0]


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
    history = torch.load(tmp_path / "checkpoint_epoch2.pth", weights_only=True)["history"]
    for name, values in history.items():
        scalars = events.Scalars(name.replace("_", "/"))
        assert [scalar.step for scalar in scalars] == [1, 2]
        assert [scalar.value for scalar in scalars] == pytest.approx(values)
