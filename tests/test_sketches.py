"""Drawn garments: the same everywhere, whole or absent, and used only where photos are not."""

import ctypes
import errno
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from course import stand_ins
from course.data import ClothingDataset
from course.files import paths, sources
from course.files.downloads import DownloadError
from course.files.pictures import load_image
from course.stand_ins import fabrics, photos_or_sketches, sketches
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


def throw(error: BaseException) -> Callable[..., None]:
    def raise_it(*args: object) -> None:
        raise error

    return raise_it


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


THUMBNAILS = {  # of every class, and among them of every fabric and every floor
    ("t-shirt", 1): [[172, 166, 148], [185, 183, 162], [154, 155, 134], [181, 193, 163]],
    ("shoes", 1): [[83, 93, 90], [76, 82, 72], [115, 130, 134], [124, 131, 125]],
    ("dress", 2): [[148, 156, 150], [137, 147, 139], [140, 149, 142], [143, 153, 145]],
    ("hat", 1): [[166, 153, 137], [175, 161, 164], [158, 142, 182], [149, 131, 204]],
    ("outwear", 2): [[166, 151, 158], [157, 135, 141], [153, 153, 156], [118, 123, 125]],
    ("shirt", 3): [[142, 157, 122], [146, 162, 125], [110, 117, 100], [129, 136, 118]],
    ("skirt", 5): [[197, 157, 151], [178, 158, 139], [204, 147, 154], [220, 167, 169]],
    ("longsleeve", 1): [[25, 12, 37], [29, 17, 51], [33, 22, 63], [36, 25, 72]],
    ("pants", 1): [[111, 106, 97], [104, 99, 92], [112, 108, 101], [118, 115, 107]],
    ("shorts", 1): [[105, 67, 79], [118, 74, 88], [127, 89, 100], [109, 75, 85]],
}


@pytest.mark.parametrize(("name", "seed"), THUMBNAILS)
def test_garments_are_the_same_on_every_system(name: str, seed: int) -> None:
    """If the style was changed on purpose, update these numbers and delete old folders."""
    small = draw_garment(name, seed).resize((2, 2), Image.Resampling.BOX)
    np.testing.assert_allclose(np.asarray(small).reshape(4, 3), THUMBNAILS[name, seed], atol=3)


def test_every_fabric_covers_between_nothing_and_all_of_the_cloth() -> None:
    patterns = fabrics.make_patterns(random.Random(0), (60, 80), 0.3)
    for fabric in fabrics.FABRICS:
        amount = fabric(patterns)
        assert amount.shape == (80, 60, 1)
        assert 0 <= amount.min() <= amount.max() <= 1
        assert (amount.max() == 0) == (fabric is fabrics.plain)


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


# --- A folder that is there, and no longer as it was drawn


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketches, "COUNTS", COUNTS)
        return draw_garments(tmp_path_factory.mktemp("forty") / "garments")


@pytest.fixture
def drawn(tmp_path: Path, few: None, forty: Path) -> Path:
    return shutil.copytree(forty, tmp_path / "garments")


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


DAMAGE: dict[str, Callable[[Path], object]] = {
    "removed": lambda folder: (folder / "train/hat/0001.jpg").unlink(),
    "emptied": lambda folder: (folder / "train/hat/0001.jpg").write_bytes(b""),
    "one byte": lambda folder: (folder / "train/hat/0001.jpg").write_bytes(b"\xd9"),
    "cut by one byte": lambda folder: os.truncate(
        path := folder / "test/dress/0000.jpg", path.stat().st_size - 1
    ),
    "cut in the middle": lambda folder: os.truncate(folder / "test/dress/0000.jpg", 3000),
    "zeros after a power cut": lambda folder: (folder / "train/hat/0000.jpg").write_bytes(
        bytes(9000)
    ),
    "a class removed": lambda folder: shutil.rmtree(folder / "train" / "skirt"),
    "a split removed": lambda folder: shutil.rmtree(folder / "validation"),
    "everything removed": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_missing_or_cut_off_is_drawn_anew_with_one_line(
    damage: str, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(drawn)
    assert capsys.readouterr().out == ""
    DAMAGE[damage](drawn)
    assert draw_garments(drawn) == drawn
    (line,) = capsys.readouterr().out.splitlines()
    assert str(drawn) in line
    assert "drawn anew" in line
    assert contents(drawn) == before
    draw_garments(drawn)
    assert capsys.readouterr().out == ""  # not a second time


def test_only_what_is_missing_is_drawn_anew(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (drawn / "train/hat/0001.jpg").unlink()
    asked = replace_drawing(monkeypatch, 1, AssertionError("drawn without need"))
    draw_garments(drawn)
    assert asked == [f"hat {2 * list(CLASSES).index('hat') + 1}"]


def test_what_somebody_added_stays(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added = ["train/hat/mine.jpg", "train/scarf/mine.jpg", "notes.txt", "train/hat/.DS_Store"]
    for name in added:
        (drawn / name).parent.mkdir(exist_ok=True)
        (drawn / name).write_bytes(b"mine")
    draw_garments(drawn)
    assert capsys.readouterr().out == ""
    (drawn / "train/hat/0001.jpg").unlink()
    draw_garments(drawn)
    assert files(drawn) == expected_files() | set(added)
    assert {(drawn / name).read_bytes() for name in added} == {b"mine"}


def test_drawing_anew_can_be_interrupted(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(drawn)
    shutil.rmtree(drawn / "train")
    with monkeypatch.context() as patch:
        replace_drawing(patch, 5, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            draw_garments(drawn)
    assert len(files(drawn)) == 25
    shutil.rmtree(drawn / "train")  # these five were not really drawn
    draw_garments(drawn)
    assert contents(drawn) == before


@pytest.mark.parametrize("what", ["file", "link to a file", "link to nothing"])
def test_something_else_in_place_of_the_folder_stays_and_is_named(
    what: str, tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "garments"
    if what == "file":
        folder.write_bytes(b"mine")
    else:
        (tmp_path / "file").write_bytes(b"mine")
        folder.symlink_to(tmp_path / ("file" if what == "link to a file" else "nowhere"))
    before = sorted(tmp_path.iterdir())
    replace_drawing(monkeypatch, 0, AssertionError("drawn for nothing"))
    with pytest.raises(OSError, match="is not a folder: .*COURSE_DATASETS") as caught:
        draw_garments(folder)
    assert str(folder) in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_in_place_of_a_class_is_named_with_what_to_do(drawn: Path) -> None:
    shutil.rmtree(drawn / "train" / "hat")
    (drawn / "train" / "hat").write_bytes(b"mine")
    with pytest.raises(OSError, match="2 of 40 pictures in .* could not be drawn anew") as caught:
        draw_garments(drawn)
    assert "COURSE_DATASETS" in str(caught.value)
    assert (drawn / "train" / "hat").read_bytes() == b"mine"


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Let the system answer with an error when a file of this name is opened."""
    usual = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == name:
            raise OSError(number, os.strerror(number), str(path))
        return usual(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "ask for the right"),
        (errno.EIO, "connect it"),
        (errno.EMFILE, "close other programs"),
    ],
)
def test_a_picture_that_may_not_be_read_is_neither_damaged_nor_drawn_over(
    number: int, advice: str, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_open(monkeypatch, "0001.jpg", number)
    replace_drawing(monkeypatch, 0, AssertionError("drawn over a good picture"))
    with pytest.raises(type(OSError(number, "")), match="cannot be read") as caught:
        draw_garments(drawn)
    assert advice in str(caught.value)
    assert "0001.jpg" in str(caught.value)
    assert "COURSE_DATASETS" in str(caught.value)


def obey_permissions() -> None:
    """Let root be refused like anybody else: give up its rights to overrule (Linux)."""
    drop_from_bounding_set, may_write_all, may_read_all = 24, 1, 2
    if sys.platform == "linux" and os.geteuid() == 0:
        for right in (may_write_all, may_read_all):
            ctypes.CDLL(None).prctl(drop_from_bounding_set, right)


DRAW = """
import sys
from course.stand_ins import sketches
sketches.COUNTS = {"train": 2, "validation": 1, "test": 1}
try:
    sketches.draw_garments(sketches.Path(sys.argv[1]))
except PermissionError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no read-only bit for folders")
@pytest.mark.parametrize(
    ("mode", "removed", "expected"),
    [
        (0o500, [], ""),  # a classroom's folder can be used by those who may only read it
        (
            0o500,
            ["train/hat/0001.jpg"],
            "1 of 40 pictures in .* could not be drawn anew .Permission",
        ),
        (0o000, [], "cannot be read .Permission denied.: ask for the right"),
    ],
)
def test_a_folder_without_rights(mode: int, removed: list[str], expected: str, drawn: Path) -> None:
    for name in removed:
        (drawn / name).unlink()
    folders = [drawn, *(path for path in drawn.rglob("*") if path.is_dir())]
    before = files(drawn)
    for path in reversed(folders):
        path.chmod(mode)
    result = subprocess.run(
        [sys.executable, "-c", DRAW, str(drawn)],
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        check=True,
    )
    for path in folders:
        path.chmod(0o755)
    assert re.search(expected, result.stdout)
    assert result.stdout.count("\n") == 2 * len(removed) + (mode == 0)
    assert files(drawn) == before


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "ask for the right"),
        (OSError(errno.EROFS, "Read-only file system"), "choose another folder"),
        (OSError(errno.ENOSPC, "No space left on device"), "free some space"),
        (OSError(errno.EBUSY, "Device or resource busy"), "another program is using it"),
    ],
)
@pytest.mark.parametrize("there", [True, False], ids=["drawn anew", "drawn"])
def test_the_advice_fits_the_cause(
    error: OSError, advice: str, there: bool, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = drawn if there else drawn.with_name("other")
    if there:
        shutil.rmtree(drawn / "test")
    with monkeypatch.context() as patch:
        patch.setattr(sketches, "write_whole", throw(error))
        with pytest.raises(type(error), match="could not be drawn") as caught:
            draw_garments(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert advice in message
    assert ("free some space" in message) == (error.errno == errno.ENOSPC)
    assert "COURSE_DATASETS" in message
    assert len(message.splitlines()) == 1


def test_a_rename_that_is_refused_is_not_a_full_disk(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_drawing(monkeypatch, 40, AssertionError())
    refused = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(sketches, "move_into_place", throw(refused))
    with pytest.raises(PermissionError, match="ask for the right") as caught:
        draw_garments(tmp_path / "garments")
    assert "space" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_named(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_drawing(monkeypatch, 3, MemoryError())
    with pytest.raises(MemoryError, match="could not be drawn .*close other notebooks") as caught:
        draw_garments(tmp_path / "garments")
    assert "COURSE_DATASETS" not in str(caught.value)  # another folder would not help


# --- Several processes


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


KILLED = """
import os, sys
from course.stand_ins import sketches
left = int(sys.argv[2])
usual = sketches.draw_garment
def draw(name, seed):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return usual(name, seed)
sketches.draw_garment = draw
sketches.draw_garments(sketches.Path(sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_what_a_killed_process_left_is_removed(tmp_path: Path, few: None) -> None:
    folder = tmp_path / "garments"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), "3"], capture_output=True)
    assert killed.returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    draw_garments(folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert files(folder) == expected_files()


@pytest.mark.skipif(os.name == "nt", reason="a file has the permissions of its folder there")
@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_whoever_may_read_the_folder_around_may_read_the_pictures(
    umask: int, tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_drawing(monkeypatch, 42, AssertionError())
    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        folder = draw_garments(tmp_path / "garments")
        shutil.rmtree(folder / "validation" / "hat")
        draw_garments(folder)
    finally:
        os.umask(before)
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o755 == (0o755 if path.is_dir() else 0o644)


# --- The line that says which pictures are in use


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


@pytest.mark.parametrize("name", ["plain", "with: a colon; and more", "two\nlines", "\udce4"])
def test_the_line_is_one_line_and_names_the_folder_once(
    name: str,
    tmp_path: Path,
    few: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    datasets = tmp_path / name
    datasets.mkdir()
    (datasets / "photos").touch()  # in the way of the photos
    replace_drawing(monkeypatch, 40, AssertionError())
    monkeypatch.setattr(paths, "PHOTOS", datasets / "photos" / "clothing")
    monkeypatch.setattr(stand_ins, "draw_garments", lambda: draw_garments(datasets / "garments"))
    photos_or_sketches()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert line.count(str(tmp_path)) == 1
    assert "photos" + os.sep not in line
    assert re.search(r" \(\w+ [\w ]+\)$", line)  # the reason, in the words of the system


def test_the_reason_is_that_of_the_network_wherever_the_folder_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    datasets = tmp_path / "my: data; sets"
    monkeypatch.setattr(paths, "PHOTOS", datasets / "clothing")
    monkeypatch.setattr(sources.downloads, "fetch", throw(ValueError("no answer; ask somebody")))
    monkeypatch.setattr(stand_ins, "draw_garments", lambda: datasets / "garments")
    photos_or_sketches()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("(no answer)")
    assert line.count("my: data; sets") == 1


def test_neither_photos_nor_garments_is_an_error_of_the_system(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "datasets"
    monkeypatch.setattr(paths, "PHOTOS", nowhere / "photos")
    monkeypatch.setattr(stand_ins, "draw_garments", lambda: draw_garments(nowhere / "garments"))
    with pytest.raises(OSError, match="could not be drawn .*COURSE_DATASETS"):
        photos_or_sketches()
