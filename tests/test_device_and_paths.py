"""Devices, seeds and folders."""

import importlib
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch

from course import device
from course.files import paths
from new_python import be_nobody, obey_permissions, run_python

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="made with means of Linux")
as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root becomes somebody else"
)


def test_the_fastest_device_is_picked(monkeypatch):
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert device.pick_device().type == expected


def test_a_seed_repeats_all_three_generators():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    device.seed_everything(3)
    first = draw()
    device.seed_everything(3)
    assert draw() == first
    device.seed_everything(4)
    assert draw() != first


@pytest.fixture
def reload_paths(monkeypatch, tmp_path):
    """Loads `course.paths` afresh: as if nothing inside the given folders could be written.

    The cache of the user is ``tmp_path / "user"``.
    """
    monkeypatch.delenv("COURSE_DATASETS", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "user"))
    access = os.access

    def load(*read_only: Path) -> None:
        def guarded(path: Path, mode: int) -> bool:
            return access(path, mode) and not any(map(Path(path).is_relative_to, read_only))

        monkeypatch.setattr(os, "access", guarded)
        importlib.reload(paths)

    yield load
    monkeypatch.undo()
    importlib.reload(paths)


def test_course_datasets_moves_the_photos_and_nothing_else(reload_paths, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATASETS", str(tmp_path))
    reload_paths()
    assert paths.PHOTOS == tmp_path.resolve() / "clothing-dataset-small"
    assert paths.SKETCHES == tmp_path.resolve() / "drawn-garments"
    assert paths.SHIPPED_DATASETS == paths.PROJECT / "datasets"
    monkeypatch.delenv("COURSE_DATASETS")
    reload_paths()
    assert paths.PHOTOS == paths.PROJECT / "datasets" / "clothing-dataset-small"
    assert paths.SKETCHES == paths.PROJECT / "datasets" / "drawn-garments"
    assert paths.CACHE == paths.PROJECT / "datasets" / "cache"
    assert paths.MODELS == paths.PROJECT / "models"


def test_a_read_only_checkout_sends_everything_to_the_users_cache(reload_paths, tmp_path):
    reload_paths(paths.PROJECT)
    user = tmp_path / "user"
    assert (paths.CACHE, paths.MODELS) == (user / "cache", user / "models")
    for folder in (paths.PHOTOS, paths.SKETCHES):
        here = paths.PROJECT / "datasets" / folder.name
        assert folder == (here if here.is_dir() else user / "datasets" / folder.name)
    assert paths.SHIPPED_DATASETS == paths.PROJECT / "datasets"
    assert not user.exists()


def test_photos_in_a_read_only_folder_are_used_there(reload_paths, monkeypatch, tmp_path):
    shared = tmp_path.resolve() / "shared"
    (shared / "clothing-dataset-small").mkdir(parents=True)
    monkeypatch.setenv("COURSE_DATASETS", str(shared))
    reload_paths(shared)
    assert paths.PHOTOS == shared / "clothing-dataset-small"
    assert paths.SKETCHES == tmp_path / "user" / "shared" / "drawn-garments"
    assert paths.CACHE == paths.PROJECT / "datasets" / "cache"


def test_what_is_not_there_yet_belongs_to_the_nearest_folder_that_is(tmp_path):
    (tmp_path / "file").touch()
    assert paths._place(tmp_path / "not" / "yet") == tmp_path / "not" / "yet"
    assert tmp_path not in paths._place(tmp_path / "file" / "folder").parents


# --- what COURSE_DATASETS may be --------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "'/data/x'",
        '"/data/x"',
        "/data/x/",
        " /data/x ",
        "' /data/x '",
        "\"'/data/x'\"",
        "/data/y/../x",
    ],
)
def test_quotes_and_blanks_around_a_folder_do_not_count(reload_paths, monkeypatch, value):
    monkeypatch.setenv("COURSE_DATASETS", value)
    reload_paths()
    assert Path(os.path.realpath("/data/x")) == paths.DATASETS


@pytest.mark.parametrize("value", ["data", "./data", '"data"', "'./data/'", "notebooks/../data"])
@pytest.mark.parametrize("place", ["notebooks", "tests", "."])
def test_a_relative_folder_is_one_place_for_notebooks_and_terminals(
    reload_paths, monkeypatch, value, place
):
    monkeypatch.setenv("COURSE_DATASETS", value)
    monkeypatch.chdir(paths.PROJECT / place)
    reload_paths()
    assert paths.PROJECT / "data" == paths.DATASETS
    assert paths.PROJECT / "data" / "drawn-garments" == paths.SKETCHES
    assert not paths.DATASETS.exists()


@pytest.mark.parametrize("value", ["~/x", "'~/x'", '"~/x/"', " ~/x"])
def test_the_home_may_be_written_as_a_tilde(reload_paths, monkeypatch, tmp_path, value):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("COURSE_DATASETS", value)
    reload_paths()
    assert Path(os.path.realpath(tmp_path / "x")) == paths.DATASETS


@pytest.mark.parametrize("value", ["", " ", '""', "''", "' '"])
def test_an_empty_setting_is_none(reload_paths, monkeypatch, value):
    monkeypatch.setenv("COURSE_DATASETS", value)
    reload_paths()
    assert paths.SHIPPED_DATASETS == paths.DATASETS


def test_a_drive_that_is_away_is_replaced_by_the_users_cache(reload_paths, monkeypatch, tmp_path):
    exists = os.path.exists
    away = Path("/drive-z")

    def gone(path):
        return not Path(path).is_relative_to(away) and Path(path) != Path("/") and exists(path)

    monkeypatch.setattr(os.path, "exists", gone)
    monkeypatch.setenv("COURSE_DATASETS", str(away / "photos"))
    reload_paths()
    assert tmp_path / "user" / "photos" / "drawn-garments" == paths.SKETCHES


# --- what can be written ----------------------------------------------------------------------


@linux_only
def test_a_folder_that_says_it_can_be_written_is_tried():
    """Root is told so of /proc, and Windows says it of every folder."""
    if os.geteuid() == 0:
        assert os.access("/proc", os.W_OK | os.X_OK)
    assert not paths.can_write(Path("/proc"))
    assert not paths.can_write(Path("/proc/new/folder"))


def test_trying_leaves_nothing(tmp_path):
    assert paths.can_write(tmp_path / "not" / "yet")
    assert paths.can_write(tmp_path)
    assert list(tmp_path.iterdir()) == []


PLACES = """
import os, sys, tempfile
from pathlib import Path
from course.files import paths
for name in ("CACHE", "MODELS", "PHOTOS", "SKETCHES"):
    place = getattr(paths, name)
    assert place.is_absolute(), place
    place.mkdir(parents=True)
    (place / "file").touch()
    print(name, place)
"""
NO_HOME = ("HOME", "XDG_CACHE_HOME", "COURSE_DATASETS", "TORCH_HOME")


@pytest.fixture
def read_only_checkout(tmp_path):
    """A copy of the package, of which nothing can be written by those who obey permissions."""
    checkout = tmp_path / "checkout"
    shutil.copytree(
        paths.PROJECT / "course", checkout / "course", ignore=shutil.ignore_patterns("__pycache__")
    )
    (checkout / "datasets" / "FashionMNIST").mkdir(parents=True)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary").chmod(0o1777)
    for folder in [checkout, *checkout.rglob("*")]:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and folder.name.startswith("pytest"):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    yield checkout
    for folder in [checkout, *checkout.rglob("*")]:
        folder.chmod(0o755)


@linux_only
@pytest.mark.parametrize(
    "home",
    [
        {"HOME": "/proc"},
        {"HOME": "/proc/nowhere"},
        {"HOME": "/dev/null"},
        {"HOME": "/proc", "XDG_CACHE_HOME": "relative"},
        {"XDG_CACHE_HOME": "/proc/cache"},
    ],
)
def test_without_a_home_that_can_be_written_a_temporary_folder_is_used(
    read_only_checkout, tmp_path, home
):
    temporary = tmp_path / "temporary"
    settings = {"TMPDIR": str(temporary), "PYTHONPATH": str(read_only_checkout)}
    output = run_python(PLACES, before=obey_permissions, remove=NO_HOME, **settings, **home)
    places = [line.split()[1] for line in output.splitlines()]
    assert len(places) == 4
    user = f"pytorch-course-{os.geteuid()}"
    assert all(Path(place).is_relative_to(temporary / user) for place in places), output


@as_root
@pytest.mark.parametrize("home", [{}, {"HOME": "/"}, {"HOME": "/nonexistent"}, {"HOME": "/root"}])
def test_a_user_of_whom_the_system_knows_nothing(read_only_checkout, tmp_path, home):
    temporary = tmp_path / "temporary"
    settings = {"TMPDIR": str(temporary), "PYTHONPATH": str(read_only_checkout)}
    output = run_python(PLACES, before=be_nobody, remove=NO_HOME, **settings, **home)
    assert output.count(f"{temporary}/pytorch-course-54321/") == 4


@linux_only
def test_where_nothing_at_all_can_be_written_the_import_works(read_only_checkout, tmp_path):
    code = """
import tempfile
from course.files import paths
paths.MODELS.mkdir(parents=True)
"""
    for folder in (tmp_path / "temporary", tmp_path):
        folder.chmod(0o555)
    # Elsewhere than /tmp and the working folder nothing can be tried; these two are hidden here.
    code = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/proc']\n" + code
    settings = {"HOME": "/proc", "PYTHONPATH": str(read_only_checkout)}
    try:
        with pytest.raises(AssertionError, match=r"mkdir"):
            run_python(code, before=obey_permissions, remove=NO_HOME, **settings)
    finally:
        tmp_path.chmod(0o755)


def test_a_home_that_is_not_known_is_no_folder_of_that_name(reload_paths, monkeypatch, tmp_path):
    """What older versions of platformdirs answer then, would lie in the working folder."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: "~/.cache/pytorch-course")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reload_paths(paths.PROJECT)
    assert paths.MODELS.is_relative_to(tmp_path)


def test_importing_makes_no_folder(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    settings = {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    datasets = tmp_path / "not" / "yet"
    code = "from course.files import paths; print(paths.SKETCHES)"
    output = run_python(code, remove=("XDG_CACHE_HOME",), COURSE_DATASETS=str(datasets), **settings)
    assert Path(output.strip()) == datasets.resolve() / "drawn-garments"
    assert sorted(tmp_path.rglob("*")) == [home]


# --- installed without its folders ------------------------------------------------------------

INSTALLED = """
from course.files import paths
print(paths.installed_without_folders())
for name in ("CACHE", "MODELS", "PHOTOS", "SKETCHES", "DATASETS"):
    print(getattr(paths, name))
"""


@pytest.mark.parametrize("setting", [None, "data", "elsewhere"])
def test_installed_without_its_folders_nothing_goes_beside_the_package(tmp_path, setting):
    site, home = tmp_path / "site-packages", tmp_path / "home"
    shutil.copytree(paths.PROJECT / "course", site / "course")
    (site / "datasets").mkdir()  # another package of this name
    home.mkdir()
    settings = {"XDG_CACHE_HOME": str(home), "HOME": str(home), "PYTHONPATH": str(site)}
    settings |= {"USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    if setting:
        value = setting if setting == "data" else str(tmp_path / "elsewhere")
        settings["COURSE_DATASETS"] = value
    output = run_python(INSTALLED, remove=("COURSE_DATASETS",), **settings)
    installed, *places = output.splitlines()
    assert installed == "True"
    cache, models, *datasets = map(Path, places)
    for place in (cache, models):
        assert place.is_relative_to(home)
    for place in datasets:
        assert place.is_relative_to(tmp_path / "elsewhere" if setting == "elsewhere" else home)
    assert not (site / "datasets" / "cache").exists()


def test_a_checkout_is_not_taken_for_an_installation(monkeypatch, tmp_path):
    assert not paths.installed_without_folders()
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert paths.installed_without_folders()
    (tmp_path / "datasets" / "FashionMNIST").mkdir(parents=True)
    assert not paths.installed_without_folders()


def test_how_to_install_is_one_line_with_the_command():
    assert paths.HOW_TO_INSTALL.isprintable()
    assert paths.HOW_TO_INSTALL.endswith("python -m pip install -e .")
