"""Devices, seeds and folders."""

import importlib
import os
import random
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch

from course import device
from course.files import paths


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
