"""What was asked for: the settings of a training, checked before torch is loaded."""

import math
import os
import tempfile
from argparse import Namespace
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from course.command.ranks import Ranks
from course.command.runs import checkpoints_in
from course.files import paths
from course.files.trouble import advice_for, reason_of

SMALL_MODELS = ("mlp", "cnn", "lstm")  # for grey pictures of 28 x 28
DRAWN = "drawn garments"  # what a run notes that had no photos
KNOWN_DATA = ("fashion-mnist", "clothing")
FITTING = {  # what can be trained on what; the first is the default
    "fashion-mnist": SMALL_MODELS,
    "clothing": ("clothing",),
    "a folder": ("clothing",),
}
MODEL_NAMES = (*SMALL_MODELS, "clothing")


@dataclass(frozen=True)
class Settings:
    """One field for each option of ``course train``, with its default."""

    data: str
    model: str
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 0.001
    seed: int = 0
    workers: int = 0
    limit: int | None = None
    device: str | None = None
    output: Path = paths.MODELS
    resume: Path | None = None
    tensorboard: bool = False

    def words(self) -> list[str]:
        """What to type to get these settings, without those that are the default anyway."""
        words = ["train", self.data, "--model", self.model]
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if value != field.default:
                words.append(f"--{field.name.replace('_', '-')}")
                if value is not True:
                    words.append(str(value))
        return words


class Number(NamedTuple):
    """An option that is a number, with the range in which it makes sense."""

    name: str
    kind: type
    lowest: float
    highest: float
    meaning: str


NUMBERS = (
    Number("epochs", int, 1, 10**6, "passes over the pictures"),
    Number("batch-size", int, 1, 10**6, "pictures per step, of all processes together"),
    Number("learning-rate", float, 1e-9, 1000, "of Adam"),
    Number("seed", int, 0, 2**32 - 1, "of weights and shuffling"),
    Number("workers", int, 0, 256, "processes that load pictures ahead"),
    Number("limit", int, 1, 10**6, "pictures to use of each part, for a quick try"),
)


def settings_from(args: Namespace, ranks: Ranks) -> Settings:
    """Check what was typed, and fill in what was left out.

    Raises:
        ValueError: if something cannot work; the message names the option.
    """
    data, resume = data_and_resume(args.data, args.resume)
    kind = data if data in FITTING else "a folder"
    model = args.model or FITTING[kind][0]
    if model not in FITTING[kind]:
        raise ValueError(f"--model {model} is not for {data}: choose {list(FITTING[kind])}")
    check_numbers(args)
    if args.batch_size % ranks.world_size:
        number = ranks.world_size
        raise ValueError(f"--batch-size must be a multiple of {number} for {number} processes")
    output = Path(os.path.expanduser(args.output))
    check_writable(output)
    values = vars(args) | {"data": data, "model": model, "output": output, "resume": resume}
    return Settings(**{field.name: values[field.name] for field in fields(Settings)})


def data_and_resume(data: str | None, resume: str | None) -> tuple[str, Path | None]:
    """Tell the data from the checkpoint, since in ``--resume fashion-mnist`` one word is both.

    Returns:
        The data, and the checkpoint: None for none, an empty path for the newest.
    """
    if data is None and resume and is_data(resume):
        data, resume = resume, ""
    if data is None:
        hint = f" before --resume {resume}" if resume else ""
        choice = "fashion-mnist, clothing or a folder of photos"
        raise ValueError(f"the following arguments are required: data{hint} ({choice})")
    if data not in KNOWN_DATA:
        data = os.path.expanduser(data)
        check_folder(data)
    return data, None if resume is None else Path(os.path.expanduser(resume))


def is_data(word: str) -> bool:
    """Whether a word can be meant as data: a name, or a folder of folders that holds no run."""
    return word in KNOWN_DATA or (holds_folders(word) and not checkpoints_in(Path(word)))


def check_folder(data: str) -> None:
    """Refuse what is neither a name nor a folder with folders in it."""
    choice = "choose fashion-mnist, clothing, or a folder that holds one folder per class"
    if not os.path.isdir(data):
        near = get_close_matches(data, KNOWN_DATA, 1)
        guess = f"did you mean {near[0]}? Else " if near else ""
        raise ValueError(f"argument data: invalid choice: {data!r}: {guess}{choice}")
    if not holds_folders(data):
        raise ValueError(f"argument data: {data!r} holds no folder: {choice}")


def holds_folders(path: str) -> bool:
    """Whether this is a folder with visible folders in it."""
    if not os.path.isdir(path):
        return False
    with os.scandir(path) as entries:
        return any(entry.is_dir() and entry.name[0] != "." for entry in entries)


def check_numbers(args: Namespace) -> None:
    """Refuse a number that is out of range, or none at all ("nan")."""
    for number in NUMBERS:
        value: Any = getattr(args, number.name.replace("-", "_"))
        if value is None:
            continue
        if math.isnan(value) or not number.lowest <= value <= number.highest:
            allowed = f"must be from {number.lowest} to {number.highest}"
            raise ValueError(f"--{number.name}: {allowed}, got '{value}'")


def check_writable(folder: Path) -> None:
    """Make the folder, and try to write into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        problem = f"--output cannot be written ({folder}: {reason_of(error)})"
        raise ValueError(f"{problem}: {advice_for(error)}") from error
