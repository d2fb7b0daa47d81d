"""Model cards and the weights beside them: what is written is read again, or refused by name."""

import dataclasses
import errno
import json
import math
import os
from pathlib import Path

import pytest
import torch

from course.files import cards
from course.files.cards import (
    ModelCard,
    card_path,
    read_card,
    read_weights,
    write_card,
    write_weights,
)

CARD = ModelCard(
    model="mlp",
    arguments={"num_hidden": 7},
    classes=["été", "T-shirt/top", "", "$x^2$", "帽子 👒", "two\nlines", "\udcff"],
    transform={"name": "fashion_transform"},
    base=None,
    data={"name": "fashion-mnist", "train": 55_000},
    settings={"epochs": 5, "learning_rate": 0.001, "limit": None},
    test_accuracy=0.875,
    test_loss=0.4,
    versions={"torch": "2.14.1"},
)
STATE = {"weight": torch.arange(6.0).reshape(2, 3), "seen": torch.tensor(3)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model_final.pth"


def assert_message(error, *words):
    message = str(error)
    assert message.isprintable(), "one line without control characters"
    for word in words:
        assert word in message


def test_a_card_comes_back_as_it_was(tmp_path):
    write_card(tmp_path / "card.json", CARD)
    assert read_card(tmp_path / "card.json") == CARD
    assert list(tmp_path.iterdir()) == [tmp_path / "card.json"]


def test_a_card_is_json_that_people_can_read(tmp_path):
    write_card(tmp_path / "card.json", CARD)
    text = (tmp_path / "card.json").read_text(encoding="utf-8")
    assert json.loads(text)["classes"] == CARD.classes
    assert '  "model": "mlp",\n' in text
    assert "été" in text and "帽子" in text


def test_a_card_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CARD.model = "cnn"


@pytest.mark.parametrize("loss", [math.inf, -math.inf, math.nan])
def test_a_loss_that_is_no_number_is_not_lost_with_the_model(tmp_path, loss):
    write_card(tmp_path / "card.json", dataclasses.replace(CARD, test_loss=loss))
    assert read_card(tmp_path / "card.json").test_loss is None
    assert "NaN" not in (tmp_path / "card.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"folder": Path("photos")}},
        {"settings": {"rate": math.inf}},
        {"data": {"counts": torch.tensor(3)}},
        {"arguments": {"sizes": {1, 2}}},
        {"versions": {(1, 2): "3"}},
        {"classes": []},
        {"classes": "abc"},
        {"classes": [1, 2]},
        {"model": None},
        {"transform": {}},
        {"transform": {"name": 3}},
        {"test_accuracy": "good"},
    ],
    ids=str,
)
def test_a_card_that_could_not_be_read_is_not_written(tmp_path, path, change):
    write_weights(path, STATE, CARD)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    wrong = dataclasses.replace(CARD, **change)
    for write in (
        lambda: write_card(card_path(path), wrong),
        lambda: write_weights(path, {"weight": torch.ones(2)}, wrong),
    ):
        with pytest.raises(ValueError) as caught:
            write()
        assert_message(caught.value, "model card")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def entries():
    return dataclasses.asdict(dataclasses.replace(CARD, classes=["a", "b"]))


WRONG = {
    "empty": (b"", "is no model card"),
    "no JSON": (b"model: mlp", "is no model card"),
    "half": (json.dumps(entries()).encode()[:70], "is no model card"),
    "a list": (b"[1, 2]", "it is no dictionary"),
    "no UTF-8": (b"\xff\xfe\x00", "is no model card"),
    "deep": (b"[" * 100_000, "is no model card"),
    "a long number": (b'{"model": ' + b"9" * 5000 + b"}", "is no model card"),
    "a huge file": (b" " * (cards.MAX_BYTES + 1), "more than 4,000,000 bytes"),
    "weights": (b"PK\3\4" + bytes(100), "is no model card"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "is no model card"),
    **{f"no {name}": (name, f"it has no {name!r}") for name in entries()},
    "another name": ({"categories": []}, "the unknown entry 'categories'"),
    "no names": ({"classes": [None]}, "its 'classes' must be names"),
    "no class": ({"classes": []}, "its 'classes' must be names"),
    "no transform": ({"transform": {"size": 224}}, "its 'transform' has no 'name'"),
    "model as a list": ({"model": ["mlp"]}, "its 'model' is of type list"),
    "arguments as a number": ({"arguments": 10}, "its 'arguments' is of type int"),
    "line breaks": ({"a\nb\x1b[2J\u202e": 1}, "unknown entry"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_card_is_refused_by_name(tmp_path, name):
    content, reason = WRONG[name]
    if isinstance(content, str):
        content = {key: value for key, value in entries().items() if key != content}
    elif isinstance(content, dict):
        content = entries() | content
    if isinstance(content, dict):
        content = json.dumps(content).encode()
    (tmp_path / "a card.json").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_card(tmp_path / "a card.json")
    assert_message(caught.value, "a card.json", reason, "save_model()")


def test_a_folder_or_a_pipe_is_no_card_and_not_waited_for(tmp_path):
    with pytest.raises(ValueError, match="it is not a file"):
        read_card(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="it is not a file"):
            read_card(tmp_path / "pipe")


def test_a_missing_card_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read_card(tmp_path / "none.json")
    assert_message(caught.value, "none.json", "check the path")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_trouble_of_the_system_is_not_called_damage(tmp_path, monkeypatch, number):
    write_card(tmp_path / "card.json", CARD)

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(OSError) as caught:
        read_card(tmp_path / "card.json")
    monkeypatch.undo()
    assert caught.value.errno == number
    assert_message(caught.value, "card.json", os.strerror(number))
    assert "save" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_card_that_the_system_does_not_write_says_why(tmp_path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cards, "write_whole", refuse)
    with pytest.raises(OSError) as caught:
        write_card(tmp_path / "card.json", CARD)
    assert caught.value.errno == number
    assert_message(caught.value, "card.json", "was not saved", os.strerror(number))


# --- the weights beside it


def test_weights_and_card_come_back(tmp_path, path):
    write_weights(path, STATE, CARD)
    state, card = read_weights(path)
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)
    assert dataclasses.replace(card, sha256=None) == CARD
    assert sorted(tmp_path.iterdir()) == [tmp_path / "model_final.json", path]
    plain = torch.load(path, weights_only=True)
    assert plain.keys() == STATE.keys()


@pytest.mark.parametrize(
    ("weights", "card"),
    [
        ("model_final.pth", "model_final.json"),
        ("a.b/best.pt", "a.b/best.json"),
        ("weights", "weights.json"),
        ("epoch.5.pth", "epoch.5.json"),
    ],
)
def test_the_card_lies_beside_the_weights(weights, card):
    assert card_path(weights) == Path(card)


@pytest.mark.parametrize("name", ["model.json", "model.JSON", "", "."])
def test_weights_cannot_have_the_name_of_the_card(tmp_path, name):
    with pytest.raises(ValueError, match=r"end it with \.pth"):
        card_path(name)
    if name.endswith("json"):
        with pytest.raises(ValueError, match=r"end it with \.pth"):
            write_weights(tmp_path / name, STATE, CARD)
        assert not list(tmp_path.iterdir())


def test_weights_without_a_card_say_so(path):
    write_weights(path, STATE, CARD)
    card_path(path).unlink()
    with pytest.raises(ValueError) as caught:
        read_weights(path)
    assert_message(caught.value, "model_final.pth", "has no model card 'model_final.json'", "copy")


def test_weights_of_another_run_are_not_read_with_this_card(tmp_path, path):
    write_weights(path, STATE, CARD)
    write_weights(tmp_path / "other.pth", {"weight": torch.zeros(2, 3)}, CARD)
    path.write_bytes((tmp_path / "other.pth").read_bytes())
    with pytest.raises(ValueError) as caught:
        read_weights(path)
    assert_message(caught.value, "is not the file that 'model_final.json' describes")


def test_a_card_written_by_hand_needs_no_digest(path):
    write_weights(path, STATE, CARD)
    write_card(card_path(path), CARD)
    assert read_weights(path)[1] == CARD


def test_damaged_weights_are_named_before_the_card_is_asked(path):
    write_weights(path, STATE, CARD)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError) as caught:
        read_weights(path)
    assert_message(caught.value, "model_final.pth", "damaged")
