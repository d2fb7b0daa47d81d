"""Folders in every state: what counts as a class and as a picture, and what is said of the rest."""

import ctypes
import errno
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from course.data import ClothingDataset
from course.files import folders, left_out
from course.files.folders import find_classes, find_images, find_parts
from course.files.names import canonical, look_alikes, spelled
from course.files.pictures import READERS, ImageFileError, check_images

COLOURS = {"dress": "red", "hat": "lime", "pants": "blue"}


@pytest.fixture
def folder(tmp_path):
    """Three classes with two pictures each, in `train`."""
    for name in COLOURS:
        fill(tmp_path / "train" / name, "0.jpg", "1.jpg")
    return tmp_path


def fill(place, *names):
    """Put a small picture under each of these names, whatever kind they say."""
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), "teal").save(place / name, format="PNG")


def names_in(dataset):
    return [path.relative_to(dataset.data_dir).as_posix() for path in dataset.image_paths]


@pytest.fixture(autouse=True)
def nothing_was_said(monkeypatch):
    monkeypatch.setattr(left_out, "_said", set())


# --- classes ----------------------------------------------------------------------------------


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*download_photos"):
        ClothingDataset(tmp_path / "nowhere")


def test_a_file_is_not_a_folder(folder):
    with pytest.raises(FileNotFoundError, match="no folder .*0.jpg"):
        ClothingDataset(folder / "train" / "dress" / "0.jpg")


def test_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no class folder: put the pictures"):
        ClothingDataset(tmp_path)


def test_pictures_without_class_folders(folder, capsys):
    with pytest.raises(FileNotFoundError, match=r"dress' holds no class folder"):
        ClothingDataset(folder / "train" / "dress")
    assert capsys.readouterr().out == ""


def test_empty_class_folder(folder):
    (folder / "train" / "skirt").mkdir()
    with pytest.raises(FileNotFoundError, match=r"skirt' holds no picture .*add some or remove"):
        ClothingDataset(folder / "train")


def test_one_folder_too_high(folder):
    with pytest.raises(
        FileNotFoundError, match=r"train' holds no picture .*, it is the data_dir that you want"
    ):
        ClothingDataset(folder)


@pytest.mark.parametrize("part", ["train", "Training", "validation", "val", "VALID", "test"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_any_number_of_folders_too_high(tmp_path, part, depth):
    data_dir = tmp_path.joinpath(*"xyz"[: depth - 1])
    fill(data_dir / part / "hat", "0.jpg")
    fill(data_dir / part / "dress", "0.jpg")
    with pytest.raises(FileNotFoundError, match=f"{part}' holds no picture of its own, only fold"):
        ClothingDataset(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    fill(tmp_path / "bus", "0.jpg")
    fill(tmp_path / "train", "0.jpg", "steam/1.jpg")
    assert ClothingDataset(tmp_path).labels == [0, 1, 1]


@pytest.mark.parametrize(
    "name",
    [
        "__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", ".ipynb_checkpoints",
        "lost+found", "#recycle", "@Recycle", "__pycache__", ".git", ".Trash-1000", "RECYCLER",
    ],
)  # fmt: skip
def test_what_systems_make_for_themselves_is_no_class_and_not_read(folder, name, capsys):
    fill(folder / "train" / name, "0.jpg", "hat/0.jpg")
    fill(folder / "train" / "hat" / name, "0.jpg", "0.jpg.d/small.jpg")
    dataset = ClothingDataset(folder / "train")
    assert dataset.classes == list(COLOURS) and len(dataset) == 6
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "$100 bill",
        "$x_1$",
        "é",
        "кот",
        "猫",
        "🧢",
        "#1",
        "@home",
        "100%",
        "it's",
        'a"b',
        "-x",
    ],
)
def test_class_names_of_all_kinds(tmp_path, name):
    fill(tmp_path / name, "0.jpg")
    fill(tmp_path / "zz", "0.jpg")
    dataset = ClothingDataset(tmp_path)
    assert sorted(dataset.classes) == dataset.classes == sorted([name, "zz"])
    assert dataset.class_to_idx == {label: i for i, label in enumerate(dataset.classes)}
    assert dataset.labels == [0, 1]
    check_images(dataset.image_paths)


@pytest.mark.parametrize("number", [1, 2, 3, 12, 100])
def test_any_number_of_classes(tmp_path, number):
    for i in range(number):
        fill(tmp_path / f"class {i}", "0.jpg", "1.jpg")
    dataset = ClothingDataset(tmp_path)
    assert dataset.classes == sorted(f"class {i}" for i in range(number))
    assert dataset.labels == [label for label in range(number) for _ in range(2)]


# --- names that look alike --------------------------------------------------------------------

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")
TWINS = {
    "two forms of one letter": (COMPOSED, DECOMPOSED),
    "case": ("Hat", "hat"),
    "a space at the end": ("hat", "hat "),
    "a space before": ("hat", " hat"),
    "two spaces": ("red hat", "red  hat"),
    "a space that does not break": ("red hat", "red\xa0hat"),
    "a letter that cannot be seen": ("hat", "h\u200bat"),
    "a mark of direction": ("hat", "\u200ehat"),
    "a cyrillic letter": ("hat", "h\u0430t"),
    "a greek letter": ("top", "t\u03bfp"),
    "a longer dash": ("t-shirt", "t\u2013shirt"),
    "a dash that does not break": ("t-shirt", "t\u2011shirt"),
    "two drawings of one emoji": ("\u2764", "\u2764\ufe0f"),
}


@pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS)
def test_names_that_look_alike_are_shown_with_what_differs(tmp_path, twins):
    for name in (*twins, "zz"):
        fill(tmp_path / name, "0.jpg")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this system takes both for one name")
    with pytest.raises(ValueError, match="look alike: .*: rename one, or put their") as caught:
        ClothingDataset(tmp_path)
    message = str(caught.value)
    shown = message.split("look alike: [")[1].split("]: rename")[0].split(", ")
    assert len(set(shown)) == 2 and all(word.isascii() for word in shown)
    assert message.isprintable()


@pytest.mark.parametrize(
    "names", [("hat", "cat"), ("a", "aa"), ("кот", "кит"), ("o", "0"), ("1", "l")]
)
def test_names_that_can_be_told_apart_are_no_twins(names):
    assert not look_alikes(names)
    assert spelled(names) == str(list(names))


def test_classes_have_the_same_names_and_numbers_whatever_form_the_system_stores(tmp_path):
    """As letters, "cafz" comes first in one form and last in the other."""
    for split, name in (("train", COMPOSED), ("validation", DECOMPOSED)):
        for label in (name, "cafz", "hat"):
            fill(tmp_path / split / label, "0.jpg")
    train, validation = (ClothingDataset(tmp_path / split) for split in ("train", "validation"))
    assert train.class_to_idx == validation.class_to_idx == {"cafz": 0, COMPOSED: 1, "hat": 2}
    check_images(validation.image_paths)


def test_the_canonical_form_is_the_composed_one():
    assert canonical(DECOMPOSED) == canonical(COMPOSED) == COMPOSED != DECOMPOSED


# --- pictures ---------------------------------------------------------------------------------


def test_stray_and_hidden_files_are_left_out(folder):
    train = folder / "train"
    (train / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (train / "README.txt").write_bytes(b"not a class")
    (train / ".ipynb_checkpoints").mkdir()
    (train / "dress" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (train / "dress" / "._0.jpg").write_bytes(b"what macOS puts into archives")
    (train / "dress" / "Thumbs.db").write_bytes(b"what Windows puts into folders")
    (train / "dress" / "notes.txt").write_bytes(b"nice dress")
    (train / "dress" / "folder.jpg").mkdir()
    dataset = ClothingDataset(train)
    assert dataset.classes == list(COLOURS)
    assert len(dataset) == 6
    check_images(dataset.image_paths)


@pytest.mark.parametrize(
    "name",
    ["A.JPG", "b.Jpeg", "c.PNG", "d.TIF", "d.tiff", "e.WebP", "f.GIF", "g.bmp", "h.jfif", "i.JPE"],
)
def test_all_usual_extensions_count_in_any_case(folder, name):
    fill(folder / "train" / "dress", name)
    assert len(ClothingDataset(folder / "train")) == 7


def test_avif_counts_where_pillow_can_read_it(folder):
    fill(folder / "train" / "dress", "x.avif")
    assert len(ClothingDataset(folder / "train")) == 6 + ("AVIF" in READERS)


def test_without_support_avif_is_left_out_with_a_hint():
    code = """
from pathlib import Path
import sys
sys.modules["PIL.AvifImagePlugin"] = None
from course.files.left_out import describe, is_picture
print(is_picture(Path("x.avif")), describe([Path("x.avif")]))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "False 1 x .avif (save them as JPEG)\n", result.stderr


def test_photos_in_subfolders_of_a_class_belong_to_it_in_the_order_of_their_paths(tmp_path):
    fill(tmp_path / "hat", "b.jpg", "2023/b.jpg", "2023/a.jpg", "2023/may/c.jpg", "2024/a.jpg")
    fill(tmp_path / "hat", "2023.jpg", "a.jpg")
    fill(tmp_path / "dress", "2023/a.jpg")
    dataset = ClothingDataset(tmp_path)
    assert dataset.classes == ["dress", "hat"] and dataset.labels == [0] + 7 * [1]
    assert names_in(dataset) == [
        "dress/2023/a.jpg",
        "hat/2023/a.jpg",
        "hat/2023/b.jpg",
        "hat/2023/may/c.jpg",
        "hat/2023.jpg",
        "hat/2024/a.jpg",
        "hat/a.jpg",
        "hat/b.jpg",
    ]


def test_one_class_with_all_photos_in_subfolders(tmp_path):
    fill(tmp_path / "hat", "2023/a.jpg", "2024/a.jpg")
    assert ClothingDataset(tmp_path).labels == [0, 0]


def test_the_order_does_not_depend_on_the_system(folder, monkeypatch):
    fill(folder / "train" / "hat", "old/b.jpg", "old/a.jpg", "new/c.jpg")
    expected = names_in(ClothingDataset(folder / "train"))
    scandir = os.scandir

    class Backwards(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def backwards(place):
        with scandir(place) as entries:
            return Backwards(sorted(entries, key=lambda entry: entry.name, reverse=True))

    monkeypatch.setattr(os, "scandir", backwards)
    assert names_in(ClothingDataset(folder / "train")) == expected


# --- what is left out is said -----------------------------------------------------------------


def left_out_of(place, capsys):
    """The printed lines about what was left out, without the folder."""
    lines = capsys.readouterr().out.splitlines()
    return [line.removeprefix(f"Left out in {str(place)!r}: ") for line in lines]


def test_what_is_left_out_is_said_once_with_numbers_and_advice(folder, capsys):
    hat = folder / "train" / "hat"
    fill(hat, "a.HEIC", "b.heic", "2023/c.heic", "d.txt", "e.txt", "f.cr2", "g.jpg.crdownload")
    fill(hat, "h.zip", "i.mp4", "LICENSE", "j.txt")
    for _ in range(3):
        assert len(ClothingDataset(folder / "train")) == 6
    assert left_out_of(hat, capsys) == [
        "3 x .heic (save them as JPEG), 3 x .txt, 1 x file without extension, "
        "1 x .cr2 (save them as JPEG), "
        "1 x .crdownload (download them again, they are not complete), 1 x .mp4, "
        "1 x .zip (unpack them)"
    ]
    fill(hat, "k.heic")
    ClothingDataset(folder / "train")
    assert left_out_of(hat, capsys)[0].startswith("4 x .heic"), "other numbers are news"


@pytest.mark.parametrize(
    "name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._0.jpg", "ehthumbs.db"]
)
def test_what_systems_leave_is_not_worth_a_line(folder, name, capsys):
    (folder / "train" / "hat" / name).write_bytes(b"?")
    ClothingDataset(folder / "train")
    assert capsys.readouterr().out == ""


def test_photos_beside_the_class_folders_are_said_too(folder, capsys):
    fill(folder / "train", "a.jpg", "b.jpg", "c.png", "README.md")
    ClothingDataset(folder / "train")
    assert left_out_of(folder / "train", capsys) == [
        "2 x .jpg (move them into class folders), 1 x .png (move them into class folders)"
    ]


def test_a_class_of_nothing_but_other_files_is_refused_with_what_is_there(folder):
    fill(folder / "train" / "skirt", "a.heic", "b.heic")
    with pytest.raises(FileNotFoundError) as caught:
        ClothingDataset(folder / "train")
    assert "skirt' holds no picture (by its name), but 2 x .heic (save them" in str(caught.value)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_odd_names_do_not_stop_it_on_a_narrow_terminal(tmp_path, encoding):
    fill(tmp_path / "🧢 кот", "0.jpg", "a.tüt", "b.\x1b[2J")
    code = "import sys; from course.files.folders import *; find_images(*find_classes("
    code += "Path(sys.argv[1])).values())"
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr
    line = result.stdout.decode(encoding).strip()
    assert line.isprintable() and line.count("Left out") == 1
    assert r"1 x .\x1b[2j" in line
    assert (".tüt" if encoding == "utf-8" else r".t\xfct") in line


# --- links ------------------------------------------------------------------------------------

needs_links = pytest.mark.skipif(os.name == "nt", reason="Windows gives links only to some")


@needs_links
def test_linked_classes_and_linked_photos_are_followed(tmp_path):
    fill(tmp_path / "elsewhere", "0.jpg", "1.jpg", "old/2.jpg")
    (tmp_path / "train" / "dress").mkdir(parents=True)
    (tmp_path / "train" / "hat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "train" / "dress" / "x.jpg").symlink_to(tmp_path / "elsewhere" / "0.jpg")
    (tmp_path / "train" / "dress" / "old").symlink_to("../../elsewhere/old")
    dataset = ClothingDataset(tmp_path / "train")
    assert names_in(dataset) == [
        "dress/old/2.jpg",
        "dress/x.jpg",
        "hat/0.jpg",
        "hat/1.jpg",
        "hat/old/2.jpg",
    ]
    check_images(dataset.image_paths)


@needs_links
@pytest.mark.parametrize("target", [".", "..", "../..", "sub", "/", "../hat", "sub/deep"])
def test_a_circle_of_links_ends_and_brings_no_photos_of_other_classes(folder, target):
    hat = folder / "train" / "hat"
    fill(hat, "sub/deep/2.jpg")
    (hat / "sub" / "back").symlink_to(os.path.normpath(hat / target))
    (hat / "around").symlink_to("sub")
    dataset = ClothingDataset(folder / "train")
    assert len(dataset) == 7, "each photo once"
    assert len({os.path.realpath(path) for path in dataset.image_paths}) == 7


@needs_links
def test_a_class_that_leads_back_to_the_folder_around_it_is_none(folder, tmp_path):
    (folder / "train" / "all").symlink_to(folder / "train")
    (folder / "train" / "higher").symlink_to(tmp_path)
    assert ClothingDataset(folder / "train").classes == list(COLOURS)


@needs_links
def test_a_linked_class_does_not_bring_the_other_classes_with_it(folder, tmp_path):
    fill(tmp_path / "elsewhere", "0.jpg")
    (tmp_path / "elsewhere" / "back").symlink_to(folder / "train")
    (folder / "train" / "skirt").symlink_to(tmp_path / "elsewhere")
    assert ClothingDataset(folder / "train").labels.count(3) == 1


@needs_links
def test_links_that_lead_nowhere_are_said(folder, capsys):
    hat = folder / "train" / "hat"
    for i in range(3):
        (hat / f"lost{i}.jpg").symlink_to("gone.jpg")
    (hat / "loop.png").symlink_to("loop.png")
    os.mkfifo(hat / "pipe.jpg")
    assert len(ClothingDataset(folder / "train")) == 6
    why = "(not files, or links that lead nowhere)"
    assert left_out_of(hat, capsys) == [f"4 x .jpg {why}, 1 x .png {why}"]


# --- trouble of the system --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "ask for the right"),
        (errno.EIO, "connect it"),
        (errno.ETIMEDOUT, "connect it"),
        (errno.ESTALE, "connect it"),
        (errno.EMFILE, "too many files are open"),
        (errno.ENOMEM, "memory is full"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
    ],
)
@pytest.mark.parametrize("where", ["train", "hat", "a link in hat"])
def test_trouble_of_the_system_while_listing_gets_its_own_advice(
    folder, monkeypatch, number, advice, where
):
    if where == "a link in hat":
        monkeypatch.setattr(folders, "_kind_of", lambda *_: fail())
    scandir = os.scandir

    def fail(place="?"):
        raise OSError(number, os.strerror(number), str(place))

    def away(place):
        return fail(place) if Path(place).name == where else scandir(place)

    monkeypatch.setattr(os, "scandir", away)
    with pytest.raises(OSError) as caught:
        ClothingDataset(folder / "train")
    message = str(caught.value)
    assert type(caught.value) is type(OSError(number, "")) and caught.value.errno == number
    assert advice in message and where.split()[-1][:3] in message or where == "a link in hat"
    assert "no folder" not in message and "remove" not in message and message.isprintable()


LISTING = """
import sys
from pathlib import Path
from course.files.folders import *
try:
    print([len(find_images(place)) for place in find_classes(Path(sys.argv[1])).values()])
except OSError as error:
    print(type(error).__name__, str(error))
"""


def obey_permissions():
    """Let permissions count for root, too: give up the right to overrule them."""
    for right in (1, 2):  # to read and write, to search
        ctypes.CDLL(None).prctl(24, right)


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as on Linux")
@pytest.mark.parametrize("closed", ["train", "train/hat", "."])
def test_a_folder_that_may_not_be_read_is_not_called_empty_or_missing(folder, closed):
    (folder / closed).chmod(0)
    try:
        result = subprocess.run(
            [sys.executable, "-c", LISTING, folder / "train"],
            capture_output=True,
            text=True,
            preexec_fn=obey_permissions,
        )
    finally:
        (folder / closed).chmod(0o755)
    assert result.stdout.startswith("PermissionError"), result.stdout + result.stderr
    assert "ask for the right" in result.stdout and "no folder" not in result.stdout


# --- parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("train", "validation", "test"),
        ("train", "val", "test"),
        ("Train", "VALID", "Test"),
        ("training", "validation", "testing"),
    ],
)
def test_the_parts_of_a_data_set_are_found_by_their_usual_names(tmp_path, names):
    for name in names:
        fill(tmp_path / name / "hat", "0.jpg")
    expected = zip(("train", "validation", "test"), names, strict=True)
    assert find_parts(tmp_path) == {part: tmp_path / name for part, name in expected}


def test_other_folders_and_files_beside_the_parts_do_not_matter(tmp_path):
    fill(tmp_path / "train" / "hat", "0.jpg")
    fill(tmp_path / "val" / "hat", "0.jpg")
    fill(tmp_path / "raw", "0.jpg")
    fill(tmp_path, "overview.jpg")
    assert list(find_parts(tmp_path)) == ["train", "validation"]


def test_classes_are_no_parts(tmp_path):
    fill(tmp_path / "bus", "0.jpg")
    fill(tmp_path / "train", "steam/0.jpg", "electric/1.jpg")
    assert find_parts(tmp_path) == {}
    fill(tmp_path / "train", "2.jpg")
    fill(tmp_path / "test", "2.jpg")
    assert find_parts(tmp_path) == {}


def test_two_folders_for_one_part_are_refused(tmp_path):
    for name in ("train", "val", "valid"):
        fill(tmp_path / name / "hat", "0.jpg")
    with pytest.raises(ValueError, match=r"holds both \['val', 'valid'\]: rename or remove one"):
        find_parts(tmp_path)


def test_the_functions_of_the_lesson_can_be_used_alone(folder):
    classes = find_classes(folder / "train")
    assert classes == {name: folder / "train" / name for name in COLOURS}
    assert [path.name for path in find_images(classes["hat"])] == ["0.jpg", "1.jpg"]


def test_a_damaged_file_is_still_a_picture_by_its_name(folder):
    (folder / "train" / "hat" / "2.jpg").write_bytes(b"")
    dataset = ClothingDataset(folder / "train")
    assert len(dataset) == 7
    with pytest.raises(ImageFileError, match=r"2\.jpg"):
        check_images(dataset.image_paths)
