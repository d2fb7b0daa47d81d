"""What can be typed after ``course``, and what is said of what cannot."""

# ruff: noqa: F811
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from command_line import alone, course, pasted  # noqa: F401
from course.command import lines, notes, parser
from course.command.errors import explain
from course.command.lines import again, printable
from course.command.ranks import Ranks, ranks_from_environment
from course.command.settings import Settings, settings_from
from course.files import paths


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "required: command"),
        ("train", "required: data"),
        ("train mnist", "invalid choice: 'mnist'"),
        ("train fashion_mnist", "did you mean fashion-mnist"),
        ("train Clothing", "did you mean clothing"),
        ("train EMPTY", "argument data: 'EMPTY' holds no folder: choose"),
        ("train FILE", "argument data: invalid choice: 'FILE'"),
        ("train --resume FILE", "required: data before --resume FILE"),
        ("train fashion-mnist --frobnicate", "unrecognized arguments: --frobnicate"),
        ("train fashion-mnist clothing", "unrecognized arguments: clothing"),
        ("train fashion-mnist --model resnet", "invalid choice: 'resnet'"),
        (
            "train fashion-mnist --model clothing",
            r"is not for fashion-mnist: choose \['mlp', 'cnn', 'lstm'\]",
        ),
        ("train clothing --model cnn", "--model cnn is not for clothing: choose"),
        ("train TWO --model lstm", r"--model lstm is not for TWO: choose \['clothing'\]"),
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
        ("train ONE --limit 1", "'ONE' holds one class, 'hat'"),
        ("train NONE", "'NONE.hat' holds no picture"),
        ("train TWO --limit 1", "class 'hat' has 1 photos, too few to be cut"),
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
    folders = {"EMPTY": 0, "NONE/hat": 0, "ONE/hat": 3, "TWO/hat": 1, "TWO/shoe": 1}
    for folder, number in folders.items():
        (tmp_path / folder).mkdir(parents=True)
        for i in range(number):
            Image.new("L", (9, 9)).save(tmp_path / folder / f"{i}.png")
    output = [] if "--output" in words or "train" not in words else ["--output", tmp_path / "out"]
    result = course(*words.split(), *output)
    assert (result.code, result.out) == (2, [])
    assert len(result.err) == 1
    assert re.match("course.*: .*" + problem, result.err[0]), result.err[0]


NO_ROOM = "memory is full: close other notebooks and programs, then try again"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(13, "Permission denied", "a\nb"),
            r"'a\nb': Permission denied: ask for the right",
        ),
        (
            OSError(5, "'x.jpg' cannot be read (x): connect it"),
            "'x.jpg' cannot be read (x): connect",
        ),
        (OSError("only words"), "only words"),
        (MemoryError(), f"not enough memory: {NO_ROOM}"),
        (MemoryError("x.pth cannot be read: close something"), "x.pth cannot be read: close some"),
        (ImportError("No module named 'torch'"), "No module named 'torch': python -m course doc"),
        (ImportError("libtorch.so: failed to map segment"), f"failed to map segment: {NO_ROOM}"),
        (RuntimeError("CUDA out of memory.\n Tried"), "Tried: choose a smaller --batch-size"),
        (RuntimeError("two\nlines"), "two lines"),
        (ValueError("\x1b[2J"), r"\x1b[2J"),
    ],
)
def test_an_error_is_one_line_with_advice_that_fits(error: Exception, line: str) -> None:
    assert line in explain(error)
    assert explain(error).isprintable()


def test_output_that_did_not_arrive_is_a_failure(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.command.streams.complaint", lambda: "the output is incomplete")
    monkeypatch.setattr("jupyterlab.labapp.main", lambda options: None)
    result = course("lab")
    assert (result.code, result.err) == (1, ["the output is incomplete"])


def test_the_card_says_so_where_the_course_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> str:
        raise notes.PackageNotFoundError(name)

    assert notes.versions()["course"] != "not installed"
    monkeypatch.setattr(notes, "version", missing)
    assert notes.versions()["course"] == "not installed"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such bits")
def test_advice_fits_what_the_system_says(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    result = course("train", "fashion-mnist", "--output", tmp_path)
    assert result.code == 2
    expected = "--output cannot be written .*Read-only file system.*: .*choose another folder"
    assert re.search(expected, result.err[0])


def test_a_home_is_a_home_also_behind_an_equals_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shells do not replace the ~ in `--output=~/models`, and nobody wants a folder named "~"."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "photos" / "hat").mkdir(parents=True)
    words = ["train", "~/photos", "--output=~/models", "--resume=~/a.pth"]
    settings = settings_from(parser.read_arguments(words), Ranks())
    assert settings.output == tmp_path / "models"
    assert settings.data == str(tmp_path / "photos")
    assert settings.resume == tmp_path / "a.pth"


# --- Lines to paste


@pytest.mark.parametrize(
    "words",
    [
        ["train", "fashion-mnist"],
        ["train", "clothing", "--epochs", "7", "--tensorboard"],
        ["train", "fashion-mnist", "--model", "cnn", "--learning-rate", "1e-4", "--limit", "9"],
        ["train", "fashion-mnist", "--seed", "0", "--workers", "2", "--device", "cpu"],
        ["train", "fashion-mnist", "--output", "a b/c'd", "--batch-size", "128"],
    ],
)
def test_the_words_of_settings_give_these_settings_again(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_from(parser.read_arguments(words), Ranks())
    line = again(*settings.words())
    assert settings_from(parser.read_arguments(pasted(line)[3:]), Ranks()) == settings


ONE = Ranks()
TWO = Ranks(rank=1, world_size=2, local_rank=1, local_world_size=2)
TWO_COMPUTERS = Ranks(rank=0, world_size=8, local_rank=0, local_world_size=4)


@pytest.mark.parametrize(
    ("system", "ranks", "line"),
    [
        ("posix", ONE, "python -m course train 'a b'"),
        ("nt", ONE, 'python -m course train "a b"'),
        (
            "posix",
            TWO,
            "torchrun --nproc-per-node=2 --standalone --local-addr=127.0.0.1 -m course train 'a b'",
        ),
        (
            "nt",
            TWO,
            'cmd /c "set USE_LIBUV=0&& torchrun --nproc-per-node=2 --standalone'
            ' --local-addr=127.0.0.1 -m course train "a b""',
        ),
        (
            "posix",
            TWO_COMPUTERS,
            "torchrun --nproc-per-node=4 --nnodes=2 --rdzv-backend=c10d"
            " --rdzv-endpoint=HOST:29400 -m course train 'a b'",
        ),
    ],
)
def test_the_line_that_goes_on(
    system: str, ranks: Ranks, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = SimpleNamespace(name=system)
    monkeypatch.setattr(lines, "os", fake)
    assert again("train", "a b", ranks=ranks) == line


def test_torchrun_accepts_what_the_line_says() -> None:
    from torch.distributed.run import get_args_parser

    words = lines.torchrun(TWO).split()[1:]
    args = get_args_parser().parse_args([*words, "-m", "course"])
    assert (args.nproc_per_node, args.standalone, args.local_addr) == ("2", True, "127.0.0.1")
    words = lines.torchrun(TWO_COMPUTERS).split()[1:]
    assert get_args_parser().parse_args([*words, "-m", "course"]).nnodes == "2"


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert ranks_from_environment() == Ranks(0, 1, 0, 1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer 🎒", "größer 🎒"),
        ("a\nb\x1b[2J\u202e", r"a\nb\x1b[2J\u202e"),
        ("\udcff", r"\udcff"),
    ],
)
def test_text_from_outside_cannot_command_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


# --- Help, lab


def test_help_lists_options_and_examples_that_work(course: Any) -> None:
    result = course("train", "--help")
    assert result.code == 0
    text = " ".join(" ".join(result.out).split())
    for option in ("model", "epochs", "batch-size", "learning-rate", "seed", "device", "workers"):
        assert f"--{option}" in text
    assert "(default: 64)" in text and "(default: None)" not in text
    for line in parser.EXAMPLES.removeprefix("example: ").splitlines():
        words = line.split(" -m course ")[1].split()
        assert parser.make_parser().parse_args(words).run
    examples = [line for line in parser.EXAMPLES.splitlines() if "torchrun" in line]
    assert all("--standalone --local-addr=127.0.0.1" in line for line in examples)


def test_the_readme_shows_commands_that_work() -> None:
    readme = (paths.PROJECT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(?:\S*/)?python -m course (.+)$", readme, flags=re.M)
    assert len(commands) >= 6
    for words in commands:
        assert parser.make_parser().parse_args(words.split()).run


def test_the_defaults_are_those_of_the_settings(tmp_path: Path) -> None:
    words = ["train", "fashion-mnist", "--output", str(tmp_path)]
    settings = settings_from(parser.read_arguments(words), Ranks())
    assert settings == Settings("fashion-mnist", "mlp", output=tmp_path)


NOTEBOOK = str(paths.PROJECT / "notebooks" / "00_start_here.ipynb")


@pytest.mark.parametrize(
    ("options", "passed_on"),
    [
        ([], [NOTEBOOK]),
        (["--allow-root"], ["--allow-root", NOTEBOOK]),
        (["--port", "9999", "--no-browser"], ["--port", "9999", "--no-browser", NOTEBOOK]),
        (["--IdentityProvider.token=x"], ["--IdentityProvider.token=x", NOTEBOOK]),
        (["notebooks/04_mlp.ipynb"], ["notebooks/04_mlp.ipynb"]),
        (["--allow-root", "x.ipynb"], ["--allow-root", "x.ipynb"]),
    ],
)
def test_lab_passes_on_what_it_does_not_know(
    options: list[str], passed_on: list[str], course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr("jupyterlab.labapp.main", calls.append)
    assert course("lab", *options).code == 0
    assert calls == [passed_on]
    assert Path(NOTEBOOK).is_file()


def test_help_for_lab_is_that_of_the_command(course: Any) -> None:
    result = course("lab", "--help")
    assert result.code == 0
    assert "JupyterLab, which gets all further options" in " ".join("\n".join(result.out).split())
