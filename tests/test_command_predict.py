"""``course predict``: any model, any photo that is named, and what is said of what is not one."""

# ruff: noqa: F811
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageOps
from torchvision.models import mobilenet_v2

from command_line import ENDED, SMALL, alone, course, kept, load, wardrobe  # noqa: F401
from course import data, models, pretrained, stand_ins
from course.command import predict as predict_command
from course.command.photos import find_photos
from course.files import paths
from course.models import load_model
from course.pretrained import predict_top_k
from course.stand_ins.sketches import draw_garment


def with_names(model: Any) -> Any:
    model.categories = pretrained.CATEGORIES[1000]
    model.transform = pretrained.WEIGHTS.transforms()
    return model


def test_predict_names_photos(course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = with_names(mobilenet_v2(num_classes=1000).eval())
    monkeypatch.setattr(pretrained, "load_mobilenet_v2", lambda: model)
    monkeypatch.setattr(stand_ins, "weights_or_stand_in", lambda: print("Using some weights."))
    good, broken = tmp_path / "good one.png", tmp_path / "broken.png"
    draw_garment("hat", 0).save(good)
    broken.write_bytes(good.read_bytes()[:500])
    result = course("predict", tmp_path / "none.jpg", good, broken, tmp_path)
    assert result.code == 1
    for name in ("none.jpg", "broken.png", f"{str(tmp_path)!r} is a folder"):
        assert sum(name in line for line in result.err) == 1
    assert len(result.err) == 3
    assert result.out == [
        "Using some weights.",
        str(good),
        *(f"{share:8.1%}  {name}" for name, share in predict_top_k(model, good)),
    ]
    assert course("predict", good).code == 0


def test_predict_turns_photos_into_fashion_mnist(course: Any, tmp_path: Path) -> None:
    """A picture of the test set is read as it is; dark on white, wide and large the same."""
    course(*SMALL, "--epochs", 1, "--output", tmp_path)
    file = tmp_path / ENDED
    trained = load_model(file)
    model, classes = models.MLP(), data.FASHION_CLASSES
    model.load_state_dict(torch.load(file, weights_only=True))
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
        dict(predict_top_k(trained, tmp_path / f"{name}.png")) for name in ("same", "large", "wide")
    )
    assert list(same) == [classes[i] for i in expected.topk(5).indices]
    assert list(same.values()) == pytest.approx(expected.topk(5).values.tolist(), abs=1e-4)
    assert large_ == pytest.approx(same, abs=0.02)
    assert len(wide_) == 5
    thin = tmp_path / "thin.png"
    Image.new("L", (4000, 1)).save(thin)
    assert course("predict", thin, "--model", file).code == 0


# --- A folder of one's own, on the whole road


OWN = {"Anna's mug": "hat", "größer 🎒": "pants", "$5 note": "dress", "x\x1b[2J": "skirt"}


@pytest.fixture
def own_photos(wardrobe: Path, tmp_path: Path) -> Path:
    """Four classes of seven pictures, in one folder, with names that terminals and figures hate."""
    folder = tmp_path / "my photos"
    for name, garment in OWN.items():
        (folder / name).mkdir(parents=True)
        for i in range(7):
            draw_garment(garment, i).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow such names")
def test_a_folder_of_classes_is_trained_on_and_predicted_with(
    own_photos: Path, course: Any, tmp_path: Path
) -> None:
    words = ["train", own_photos, "--epochs", 2, "--output", tmp_path / "out"]
    result = course(*words)
    assert (result.code, result.err) == (0, [])
    names = r"$5 note, Anna's mug, größer 🎒, x\x1b[2J"
    assert result.out[0] == f"Pictures: 4 classes in {own_photos}: {names}."
    counts = [int(number) for number in re.findall(r"\d+", result.out[1])]
    assert sum(counts) == 28 and min(counts) >= 4
    card = load_model(tmp_path / "out" / ENDED).card
    assert card.classes == sorted(OWN)
    assert card.data["folder"] == str(own_photos)
    assert list(card.data["counts"].values()) == counts

    photo = own_photos / "$5 note" / "0.png"
    for file in (ENDED, "checkpoint_epoch2.pth"):
        answer = course("predict", photo, "--model", tmp_path / "out" / file)
        assert (answer.code, answer.err, answer.out[0]) == (0, [], str(photo))
        names = {line.split("  ")[-1] for line in answer.out[1:]}
        assert names == {"Anna's mug", "größer 🎒", "$5 note", r"x\x1b[2J"}
    again = course(*words[:2], "--epochs", 3, "--output", tmp_path / "out", "--resume")
    assert again.code == 0


def test_a_model_of_three_classes_gives_three_answers(
    wardrobe: Path, course: Any, tmp_path: Path
) -> None:
    """Each part of the folder is what its name says, and the command needs no other word."""
    course("train", wardrobe, "--epochs", 1, "--output", tmp_path / "out")
    about = load(tmp_path / "out" / "checkpoint_epoch1.pth")["about"]
    assert about["counts"] == {"train": 6, "validation": 6, "test": 6}
    assert (about["data"], about["pictures"]) == ("a folder", "photos of your own")
    photo = wardrobe / "test" / "hat" / "0.png"
    assert len(course("predict", photo, "--model", tmp_path / "out" / ENDED).out) == 1 + 3


def test_a_model_that_saw_drawings_alone_says_so(
    wardrobe: Path, course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "SKETCHES", wardrobe)
    course("train", "clothing", "--epochs", 1, "--output", tmp_path / "out")
    photo = wardrobe / "test" / "hat" / "0.png"
    for file in (ENDED, "checkpoint_epoch1.pth"):
        answer = course("predict", photo, "--model", tmp_path / "out" / file)
        assert (answer.code, len(answer.out), len(answer.err)) == (0, 4, 1)
        assert re.match("note: .* was trained on drawn garments: expect mistakes", answer.err[0])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("card is missing", "model_final.json"),
        ("weights of another model", "model_final.json"),
        ("cut", "model_final.pth"),
        ("folder", "is a folder"),
        ("an address", "is an address: download it"),
        ("a list", "model_final.json"),
    ],
)
def test_a_model_that_cannot_be_used(wrong: str, said: str, course: Any, tmp_path: Path) -> None:
    course(*SMALL, "--epochs", 1, "--output", tmp_path)
    file = tmp_path / ENDED
    if wrong == "card is missing":
        (tmp_path / "model_final.json").unlink()
    elif wrong == "weights of another model":
        torch.save(models.CNN().state_dict(), file)
    elif wrong == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif wrong == "folder":
        file = tmp_path
    elif wrong == "an address":
        file = "https://example.org/model_final.pth"  # type: ignore[assignment]
    else:
        (tmp_path / "model_final.json").unlink()
        torch.save([1, 2], file)
    photo = tmp_path / "photo.png"
    Image.new("L", (28, 28)).save(photo)
    result = course("predict", photo, "--model", file)
    assert (result.code, result.out, len(result.err)) == (2, [], 1)
    assert said in result.err[0]


# --- What is no photo


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("hats/red hat.jpg", "hats/blue hat.JPG", "b.png", "[1].png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("http://example.org/a.jpg", "is an address: download the picture first"),
        ("https://example.org/*.jpg", "is an address: download the picture first"),
        ("s3://bucket/a.jpg", "is an address: download the picture first"),
        ("hats", r"is a folder: name the pictures in it, such as hats.\*\.(jpg|JPG)"),
        (".", r"is a folder: name the pictures in it, such as ..\*\.png"),
        ("~", "is a folder: name the pictures in it, such as "),
        ("*.jpeg", r"no file fits '\*.jpeg': check the folder and the ending"),
        ("hats/*.png", "no file fits"),
        ("*s", "no file fits"),  # only a folder does
        ("hats/red hta.jpg", "there is no file .*: did you mean 'hats.red hat.jpg'"),
        ("B.PNG?", "no file fits"),
        ("bb.png", "there is no file 'bb.png': did you mean 'b.png'"),
        ("nowhere/b.png", "there is no file 'nowhere/b.png': check the name and the folder"),
        ("", "there is no file ''"),
        ("b.png/x", "there is no file"),
    ],
)
def test_a_word_that_is_no_photo(word: str, problem: str, album: Path) -> None:
    photos, problems = find_photos([word])
    assert (photos, len(problems)) == ([], 1)
    assert re.search(problem, problems[0]), problems[0]
    assert "delete" not in problems[0]


@pytest.mark.parametrize(
    ("words", "photos"),
    [
        (["b.png", "notes.txt"], ["b.png", "notes.txt"]),  # what is in it is looked at later
        (["[1].png"], ["[1].png"]),
        (["hats/*hat*"], ["hats/blue hat.JPG", "hats/red hat.jpg"]),
        (["**/*.png"], ["[1].png", "b.png"]),
        (["~/b.png"], ["HOME/b.png"]),
    ],
)
def test_words_that_are_photos(words: list[str], photos: list[str], album: Path) -> None:
    expected = [name.replace("HOME", str(album)).replace("/", os.sep) for name in photos]
    found, problems = find_photos(words)
    assert ([os.path.normpath(name) for name in found], problems) == (expected, [])


@pytest.mark.parametrize(
    "trouble",
    [
        PermissionError(13, "Permission denied", "a.png"),
        OSError(5, "Input/output error"),
        MemoryError(),
    ],
)
def test_trouble_of_the_system_is_not_called_damage(
    trouble: Exception, course: Any, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(predict_command, "load_pretrained", lambda: None)
    monkeypatch.setattr(pretrained, "predict_top_k", refuse)
    result = course("predict", "b.png")
    assert (result.code, result.out, len(result.err)) == (1, [], 1)
    assert "delete" not in result.err[0]


def test_no_model_is_loaded_when_no_photo_is_there(
    course: Any, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_command, "load_pretrained", None)
    result = course("predict", "nowhere.png", "hats")
    assert (result.code, result.out, len(result.err)) == (1, [], 2)
