"""One folder, one run: nothing is mixed, nothing is overwritten, whoever comes second is told."""

# ruff: noqa: F811
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import (  # noqa: F401
    ENDED,
    SMALL,
    alone,
    assert_equal,
    course,
    load,
    newest,
    pasted,
    start,
    wardrobe,
)
from course.command import pictures, runs
from course.files import paths


def fingerprints(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- A folder that holds a run


@pytest.mark.parametrize(
    "held",
    [
        ["checkpoint_epoch1.pth"],
        ["checkpoint_epoch12.pth", "checkpoint_epoch3.pth"],
        ["model_final.pth"],
        [*(f"checkpoint_epoch{n}.pth" for n in range(1, 7)), "model_final.pth"],
    ],
)
def test_a_folder_that_holds_a_run_is_refused_by_name(
    held: list[str], course: Any, tmp_path: Path
) -> None:
    for name in held:
        (tmp_path / name).write_text(name, encoding="utf-8")
    before = fingerprints(tmp_path)
    result = course(*SMALL, "--output", tmp_path)
    assert (result.code, result.out, len(result.err)) == (2, [], 1)
    assert f"--output {tmp_path} holds another run ({sorted_by_epoch(held)[0]}" in result.err[0]
    assert sorted_by_epoch(held)[-1] in result.err[0]
    assert "go on with it (--resume), or choose another folder (--output)" in result.err[0]
    assert fingerprints(tmp_path) == before


def sorted_by_epoch(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (name == ENDED, len(name), name))


def test_a_run_of_elsewhere_does_not_go_on_in_the_folder_of_another(
    course: Any, tmp_path: Path
) -> None:
    for name in "ab":
        assert course(*SMALL, "--epochs", 1, "--output", tmp_path / name).code == 0
    before = fingerprints(tmp_path / "b")
    checkpoint = tmp_path / "a" / "checkpoint_epoch1.pth"
    result = course(*SMALL, "--epochs", 2, "--output", tmp_path / "b", "--resume", checkpoint)
    assert result.code == 2
    assert "holds another run (checkpoint_epoch1.pth, model_final.pth)" in result.err[0]
    assert fingerprints(tmp_path / "b") == before
    # The same folder under another name is the same folder.
    other_name = tmp_path / "b" / ".." / "a" / "checkpoint_epoch1.pth"
    result = course(*SMALL, "--epochs", 2, "--output", tmp_path / "a", "--resume", other_name)
    assert result.code == 0


def test_other_files_in_the_folder_are_no_run(course: Any, tmp_path: Path) -> None:
    names = ["checkpoint_epoch.pth", "checkpoint_epoch1.pth.txt", "notes.md", "my_model_final.pth"]
    for name in names:
        (tmp_path / name).touch()
    assert course(*SMALL, "--epochs", 1, "--output", tmp_path).code == 0
    assert set(names) < {path.name for path in tmp_path.iterdir()}


# --- A folder in which another process trains


def test_who_is_at_work_is_named(course: Any, tmp_path: Path) -> None:
    words = [*SMALL, "--epochs", 1, "--output", tmp_path]
    with runs.claimed(tmp_path, None):
        result = course(*words)
        assert (result.code, result.out, len(result.err)) == (2, [], 1)
        who = f"another training (process {os.getpid()} on {socket.gethostname()})"
        assert f"--output {tmp_path} is in use by {who}: wait" in result.err[0]
        (tmp_path / runs.OWNER).unlink()
        assert "is in use by another training: wait" in course(*words).err[0]
    assert list(tmp_path.iterdir()) == []
    assert course(*words).code == 0


@pytest.mark.parametrize(
    "trouble", [OSError(95, "Operation not supported"), NotImplementedError("no flock here")]
)
def test_a_drive_without_locks_is_used_with_a_note(
    trouble: Exception, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, timeout: float) -> None:
        raise trouble

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    result = course(*SMALL, "--epochs", 1, "--output", tmp_path)
    assert (result.code, len(result.err)) == (0, 1)
    assert result.err[0].startswith(f"note: {tmp_path} cannot be locked (")
    assert "see to it that no other training writes there" in result.err[0]


def test_the_lock_goes_whatever_happens(course: Any, tmp_path: Path) -> None:
    for words in (["--device", "abacus"], ["--resume", "nowhere.pth"]):
        assert course(*SMALL, "--output", tmp_path, *words).code == 2
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_second_training_is_refused_at_once_and_a_killed_one_blocks_nobody(
    course: Any, tmp_path: Path
) -> None:
    words = ["train", "fashion-mnist", "--limit", "640", "--epochs", "100000"]
    words += ["--output", str(tmp_path)]
    with start(*words) as first:
        for line in first.stdout:
            if line.startswith("epoch 2"):
                break
        for more in ([], ["--resume"]):
            result = course(*words, *more)
            assert (result.code, result.out) == (2, [])
            assert f"is in use by another training (process {first.pid} on " in result.err[0]
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    assert (tmp_path / runs.LOCK).exists(), "nobody was left to remove it"
    last = runs.checkpoints_in(tmp_path)[-1]
    epochs = load(last)["epoch"] + 1
    words[words.index("100000")] = str(epochs)
    assert course(*words, "--resume").code == 0
    assert not list(tmp_path.glob(".*"))
    course(*words[:-1], tmp_path / "whole")
    assert_equal(newest(tmp_path), newest(tmp_path / "whole"))


LATE = """
import sys
from course.command.main import main
for words in {cases!r}:
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    print(code, "torch" in sys.modules, file=sys.stderr)
"""


def test_what_is_refused_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "checkpoint_epoch1.pth").touch()
    output = ["--output", str(tmp_path)]
    cases = [
        ["train", "fashion-mnist", *output],
        ["train", "fashion-mnist", *output, "--resume", "nowhere.pth"],
        ["train", "fashion-mnist", *output, "--epochs", "0"],
        ["train", "no such folder", *output],
        ["train", str(tmp_path), *output],
        ["train", "--resume"],
        ["predict", "nowhere.jpg", "https://example.org/a.jpg"],
        ["--help"],
    ]
    result = subprocess.run(
        [sys.executable, "-c", LATE.format(cases=cases)],
        cwd=paths.PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = [line for line in result.stderr.splitlines() if line[1:] in (" False", " True")]
    assert said == [*(f"{code} False" for code in (2, 2, 2, 2, 2, 2, 1, 0))]


# --- Going on with the same


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--epochs 1 --batch-size 16", "has come further than --epochs 1"),
        ("--epochs 3 --batch-size 8", "was trained with {'batch_size': 16}: do the same"),
        ("--epochs 3 --batch-size 16 --learning-rate 0.1", "with {'learning_rate': 0.001}"),
        ("--epochs 3 --batch-size 16 --seed 4", "was trained with {'seed': 0}: do the same"),
        ("--epochs 3 --batch-size 16 --model cnn", "does not fit"),
        ("--epochs 3 --batch-size 16 --model cnn", "{'model': 'mlp'}: do the same"),
        ("--epochs 3 --batch-size 8", "(now it is {'batch_size': 8}), or start anew"),
        ("--epochs 3 --batch-size 16 --limit 60", "'limit': 50}: do the same"),
        ("--epochs 3 --batch-size 16 --limit 60", "'test': 60}, 'limit': 60})"),
    ],
)
def test_resumed_with_other_options(words: str, problem: str, course: Any, tmp_path: Path) -> None:
    course(*SMALL, "--epochs", 2, "--output", tmp_path)
    before = fingerprints(tmp_path)
    result = course(*SMALL, *words.split(), "--output", tmp_path, "--resume")
    assert (result.code, len(result.err)) == (2, 1)
    assert problem in result.err[0]
    assert fingerprints(tmp_path) == before


def test_photos_are_not_continued_with_drawn_garments(
    wardrobe: Path, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped where photos are, resumed where only drawings can be had: refused before training."""
    words = ["train", "clothing", "--output", tmp_path / "out"]
    assert course(*words, "--epochs", 1).code == 0
    drawn = tmp_path / "drawn"
    shutil.copytree(wardrobe, drawn)
    (drawn / "train" / "hat" / "1.png").unlink()
    monkeypatch.setattr(paths, "SKETCHES", drawn)
    monkeypatch.setattr(pictures, "photos_or_sketches", lambda: drawn)
    monkeypatch.setattr("course.command.prepare.extract_features", None)  # it does not come so far
    result = course(*words, "--epochs", 2, "--resume")
    assert (result.code, len(result.err)) == (2, 1)
    said = result.err[0]
    assert "was trained with {'pictures': 'clothing photos', 'files': '" in said
    assert "'counts': {'train': 6, 'validation': 6, 'test': 6}}: do the same (now it is " in said
    assert "{'pictures': 'drawn garments', " in said
    assert "'counts': {'train': 5, 'validation': 6, 'test': 6}}" in said


@pytest.mark.parametrize("change", ["added", "renamed", "replaced", "class renamed"])
def test_a_photo_that_has_changed_is_noticed(
    change: str, wardrobe: Path, course: Any, tmp_path: Path
) -> None:
    words = ["train", wardrobe, "--output", tmp_path / "out"]
    assert course(*words, "--epochs", 1).code == 0
    photo = wardrobe / "train" / "hat" / "1.png"
    if change == "added":
        shutil.copy(photo, photo.with_name("2.png"))
    elif change == "renamed":
        photo.rename(photo.with_name("3.png"))
    elif change == "replaced":
        shutil.copy(wardrobe / "train" / "dress" / "0.png", photo)
    else:
        for part in pictures.PARTS:
            (wardrobe / part / "hat").rename(wardrobe / part / "cap")
    result = course(*words, "--epochs", 2, "--resume")
    assert (result.code, len(result.err)) == (2, 1)
    assert "checkpoint_epoch1.pth does not fit, it was trained with {" in result.err[0]
    assert "'files': '" in result.err[0]


def test_photos_may_move_to_another_place(wardrobe: Path, course: Any, tmp_path: Path) -> None:
    output = ["--output", tmp_path / "out"]
    assert course("train", wardrobe, "--epochs", 1, *output).code == 0
    wardrobe.rename(tmp_path / "larger disk")
    result = course("train", tmp_path / "larger disk", "--epochs", 2, *output, "--resume")
    assert result.code == 0
    course("train", tmp_path / "larger disk", "--epochs", 2, "--output", tmp_path / "whole")
    assert_equal(newest(tmp_path / "out")["model"], newest(tmp_path / "whole")["model"])


def test_the_finished_model_is_no_checkpoint(course: Any, tmp_path: Path) -> None:
    course(*SMALL, "--epochs", 1, "--output", tmp_path)
    words = ["--epochs", 2, "--output", tmp_path, "--resume", tmp_path / ENDED]
    result = course(*SMALL, *words)
    assert (result.code, len(result.err)) == (2, 1)
    assert "holds the finished model without its training: go on from a check" in result.err[0]


@pytest.mark.parametrize(
    ("named", "advice"),
    [
        ("checkpoint_epoch3.pth", "there is checkpoint_epoch2.pth, checkpoint_epoch1.pth"),
        ("x.pth", "there is checkpoint_epoch1.pth, checkpoint_epoch2.pth"),
        ("nowhere/checkpoint_epoch1.pth", "its folder does not exist"),
    ],
)
def test_a_checkpoint_that_is_missing(named: str, advice: str, course: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"checkpoint_epoch{number}.pth").touch()
    result = course(*SMALL, "--output", tmp_path, "--resume", tmp_path / named)
    assert (result.code, result.out, len(result.err)) == (2, [], 1)
    assert f"{tmp_path / named} is missing: {advice}" in result.err[0]


def test_a_folder_can_be_named_to_go_on_from(course: Any, tmp_path: Path) -> None:
    course(*SMALL, "--epochs", 1, "--output", tmp_path / "a", "--tensorboard")
    words = ["--epochs", 2, "--output", tmp_path / "b", "--resume", tmp_path / "a"]
    assert course(*SMALL, *words).out[1][:9] == "epoch 2/2"
    torch.load(tmp_path / "b" / "checkpoint_epoch2.pth", weights_only=True)
