"""The model card: what a file of weights does not say about itself.

A ``state_dict`` holds numbers with names, and nothing else. Who finds it next year asks: of which
class is the model, which classes does it know, what has to be done to a photo first, what was it
trained on, how good is it? The card answers in a JSON file beside the weights, for people and for
``course.models.load_model`` alike. The idea: https://arxiv.org/abs/1810.03993.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from course.files.archives import read_torch_file
from course.files.savable import write_torch_file
from course.files.trouble import with_advice
from course.files.writing import write_whole

MAX_BYTES = 4_000_000  # a card of 10,000 classes has less than one million
SAVE_AGAIN = "save both again with course.models.save_model()"
KINDS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "arguments": (dict,),
    "classes": (list,),
    "transform": (dict,),
    "base": (str, type(None)),
    "data": (dict,),
    "settings": (dict,),
    "test_accuracy": (float, int, type(None)),
    "test_loss": (float, int, type(None)),
    "versions": (dict,),
    "sha256": (str, type(None)),
}


@dataclass(frozen=True)
class ModelCard:
    """What belongs to saved weights. All values are plain, as JSON has them.

    Args:
        model: the name in ``course.models.MODELS``, such as "mlp".
        arguments: what the class was called with, such as ``num_classes``.
        classes: the names of the K classes, in the order of the logits.
        transform: the name in ``course.data.TRANSFORMS``, as "name", and its arguments.
        base: the file of the weights that a pre-trained base came from, if there is one.
        data: what it was trained on: name, folder, how many pictures of each part.
        settings: epochs, batch size, learning rate, seed and the like.
        test_accuracy: a fraction from 0 to 1, or None if it was not measured.
        test_loss: the mean over the test set, or None if it was not measured or is infinite.
        versions: of Python, torch, torchvision and the course.
        sha256: of the file of weights, filled in when both are saved; None is not compared.
    """

    model: str
    arguments: dict[str, Any]
    classes: list[str]
    transform: dict[str, Any]
    base: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    test_accuracy: float | None = None
    test_loss: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    sha256: str | None = None


def card_path(weights: str | Path) -> Path:
    """Where the card of a file of weights is: beside it, with the same name and ``.json``.

    Raises:
        ValueError: if the weights themselves are called ``.json``.
    """
    path = Path(weights)
    if not path.name or path.suffix.lower() == ".json":
        raise ValueError(f"{str(weights)!r} is no name for weights: end it with .pth")
    return path.with_suffix(".json")


def write_weights(path: str | Path, state: dict[str, Any], card: ModelCard) -> None:
    """Write a ``state_dict`` and its card, which gets the digest of the file of weights.

    Raises:
        ValueError: if one of the two holds something that could not be read again.
        OSError: if the system cannot write a file.
    """
    place = card_path(path)
    _as_json(card)  # a card that cannot be written leaves the older weights alone
    write_torch_file(path, state)
    write_card(place, replace(card, sha256=_digest_of(path)))


def read_weights(path: str | Path) -> tuple[dict[str, Any], ModelCard]:
    """Read what `write_weights` wrote. Nothing in the files is run.

    Raises:
        ValueError: if a file is missing, damaged or unsafe, or if the two do not belong together.
        OSError: if the system cannot read a file, which may be good.
    """
    state = read_torch_file(path)
    place = card_path(path)
    try:
        card = read_card(place)
    except FileNotFoundError as error:
        advice = "copy it too; a checkpoint has none, and load_checkpoint() reads it"
        raise ValueError(f"{str(path)!r} has no model card {place.name!r}: {advice}") from error
    if card.sha256 not in (None, _digest_of(path)):
        problem = f"{str(path)!r} is not the file that {place.name!r} describes"
        raise ValueError(f"{problem}: copy both together, or {SAVE_AGAIN}")
    return state, card


def _digest_of(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal: it tells these weights from all others."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_card(path: str | Path, card: ModelCard) -> None:
    """Write a card as JSON, whole or not at all.

    Raises:
        ValueError: if an entry is wrong or holds what JSON does not have.
        OSError: if the system cannot write it.
    """
    try:
        write_whole(Path(path), _as_json(card))
    except OSError as error:
        raise with_advice(error, f"the model card {str(path)!r} was not saved") from error


def _as_json(card: ModelCard) -> bytes:
    """What a card looks like in its file."""
    entries = asdict(card)
    if problem := _problem_of(entries):
        raise ValueError(f"this is no model card ({problem}): correct the entry")
    for name in ("test_accuracy", "test_loss"):
        if entries[name] is not None and not math.isfinite(entries[name]):
            entries[name] = None  # JSON has no infinity
    try:
        text = json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        advice = "use text, finite numbers, lists and dictionaries"
        raise ValueError(f"a model card cannot hold this ({error}): {advice}") from error
    # Half a character, as in a file name that is no text, becomes \udc.., which JSON reads again.
    return f"{text}\n".encode(errors="backslashreplace")


def read_card(path: str | Path) -> ModelCard:
    """Read what `write_card` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if the system cannot read it.
        ValueError: if it is no card, or one with a wrong entry, which is named.
    """
    shown = repr(str(path))
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
            raise ValueError("it is not a file")
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        entries = json.loads(content)
        problem = _problem_of(entries)
    except OSError as error:
        raise with_advice(error, f"the model card {shown} cannot be read") from error
    except (ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
    if problem:
        raise ValueError(f"{shown} is no model card ({problem}): {SAVE_AGAIN}")
    return ModelCard(**entries)


def _problem_of(entries: Any) -> str:
    """What is wrong with the entries of a card, or nothing."""
    if not isinstance(entries, dict):
        return "it is no dictionary"
    for entry in fields(ModelCard):
        if entry.name not in entries:
            return f"it has no {entry.name!r}"
        if not isinstance(entries[entry.name], KINDS[entry.name]):
            return f"its {entry.name!r} is of type {type(entries[entry.name]).__name__}"
    if unknown := set(entries) - set(KINDS):
        return f"it has the unknown entry {min(unknown)!r:.80}"
    if not entries["classes"] or not all(isinstance(name, str) for name in entries["classes"]):
        return "its 'classes' must be names, at least one"
    if not isinstance(entries["transform"].get("name"), str):
        return "its 'transform' has no 'name'"
    return ""
