"""Drawn garments: the same everywhere, whole or absent, and used only where photos are not."""

import errno
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course import stand_ins
from course.data import ClothingDataset
from course.files import paths
from course.files.downloads import DownloadError
from course.files.pictures import load_image
from course.stand_ins import photos_or_sketches, sketches
from course.stand_ins.garments import CLASSES
from course.stand_ins.sketches import draw_garment, draw_garments

COUNTS = {"train": 2, "validation": 1, "test": 1}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw 40 pictures instead of 850, and show no progress."""
    monkeypatch.setattr(sketches, "COUNTS", COUNTS)
    monkeypatch.setattr(sketches, "tqdm", lambda jobs, *args, **kwargs: jobs)


def replace_drawing(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> list[str]:
    """Draw plain pictures, then raise `error`; returns the list of what was asked for."""
    asked: list[str] = []

    def draw(name: str, seed: int) -> Image.Image:
        asked.append(f"{name} {seed}")
        if len(asked) > after:
            raise error
        return Image.new("RGB", (2, 3))

    monkeypatch.setattr(sketches, "draw_garment", draw)
    return asked


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def expected_files() -> set[str]:
    return {
        f"{split}/{name}/{i:04}.jpg"
        for split, count in COUNTS.items()
        for name in CLASSES
        for i in range(count)
    }


def test_classes_are_those_of_the_photos() -> None:
    photo_classes = "dress hat longsleeve outwear pants shirt shoes shorts skirt t-shirt"
    assert sorted(CLASSES) == photo_classes.split()


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_garments_are_portraits_that_differ_by_seed_only(name: str) -> None:
    pictures = [draw_garment(name, seed) for seed in range(6)]
    for seed, picture in enumerate(pictures):
        assert picture.mode == "RGB"
        assert 200 <= picture.width < picture.height <= 400
        assert np.asarray(picture).std() > 5  # neither black nor burnt out
        if seed < 2:
            assert picture.tobytes() == draw_garment(name, seed).tobytes()
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_drawing_leaves_other_dice_alone() -> None:
    random.seed(0)
    expected = random.random()
    random.seed(0)
    draw_garment("hat", 0)
    assert random.random() == expected


@pytest.mark.parametrize(
    ("name", "thumbnail"),
    [
        ("t-shirt", [[172, 166, 148], [185, 183, 162], [154, 155, 134], [181, 193, 163]]),
        ("shoes", [[83, 93, 90], [76, 82, 72], [115, 130, 134], [124, 131, 125]]),
    ],
)
def test_garments_are_the_same_on_every_system(name: str, thumbnail: list[list[int]]) -> None:
    """If the style was changed on purpose, update these numbers and delete old folders."""
    small = draw_garment(name, 1).resize((2, 2), Image.Resampling.BOX)
    np.testing.assert_allclose(np.asarray(small).reshape(4, 3), thumbnail, atol=3)


def test_folder_is_arranged_like_that_of_the_photos(tmp_path: Path, few: None) -> None:
    folder = tmp_path / "new" / "garments"
    assert draw_garments(folder) == folder
    assert files(folder) == expected_files()
    dataset = ClothingDataset(folder / "train")
    assert dataset.classes == sorted(CLASSES)
    assert len(dataset) == 20
    assert {load_image(path).height > 200 for path in dataset.image_paths} == {True}
    assert [path.name for path in folder.parent.iterdir()] == ["garments"]


def test_no_picture_is_in_two_places(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace_drawing(monkeypatch, 40, AssertionError())
    draw_garments(tmp_path / "garments")
    assert len(set(asked)) == 40


def test_complete_folder_is_used_at_once(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_drawing(monkeypatch, 40, AssertionError("drawn again"))
    draw_garments(tmp_path / "garments")
    assert draw_garments(tmp_path / "garments") == tmp_path / "garments"


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MemoryError(), OSError(errno.ENOSPC, "full")]
)
def test_interruption_leaves_nothing(
    error: BaseException, tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_drawing(monkeypatch, 17, error)
    with pytest.raises(type(error)):
        draw_garments(tmp_path / "garments")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_named_with_the_folder_and_the_next_step(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_drawing(monkeypatch, 5, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left on device") as caught:
        draw_garments(tmp_path / "garments")
    assert str(tmp_path / "garments") in str(caught.value)
    assert "COURSE_DATASETS" in str(caught.value)


def test_place_that_cannot_be_written_is_named(tmp_path: Path, few: None) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="could not be drawn") as caught:
        draw_garments(tmp_path / "file" / "garments")
    assert str(tmp_path / "file" / "garments") in str(caught.value)


@pytest.mark.parametrize("when", [0, 39], ids=["early", "late"])
def test_two_processes_at_once_leave_one_whole_folder(
    when: int, tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, calls = tmp_path / "garments", []

    def draw(name: str, seed: int) -> Image.Image:
        calls.append(name)
        if len(calls) == when + 1:
            draw_garments(folder)  # the other process, faster
            (folder / "train" / "hat" / "theirs.txt").touch()
        return Image.new("RGB", (2, 3))

    monkeypatch.setattr(sketches, "draw_garment", draw)
    assert draw_garments(folder) == folder
    assert files(folder) == expected_files() | {"train/hat/theirs.txt"}
    assert list(tmp_path.iterdir()) == [folder]


def test_photos_are_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stand_ins, "download_photos", lambda: tmp_path)
    monkeypatch.setattr(sketches, "draw_garments", lambda: pytest.fail("drawn all the same"))
    assert photos_or_sketches() == tmp_path
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert str(tmp_path) in output


@pytest.mark.parametrize("reason", ["no network", "a host: no answer\nat all", "x" * 1000, ""])
def test_drawn_garments_stand_in_for_photos(
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def download_photos() -> Path:
        raise DownloadError(f"{paths.PHOTOS} could not be fetched: {reason}; do something about it")

    monkeypatch.setattr(stand_ins, "download_photos", download_photos)
    monkeypatch.setattr(stand_ins, "draw_garments", lambda: tmp_path)
    assert photos_or_sketches() == tmp_path
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert len(output) < 500 + len(str(tmp_path))
    assert str(tmp_path) in output
    assert "python -m course download" in output
    assert "do something" not in output
    assert str(paths.PHOTOS) not in output
    assert reason != "no network" or reason in output
