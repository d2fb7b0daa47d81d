"""Devices, seeds and folders."""

import importlib
import random

import numpy as np
import torch

from course import device, paths


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


def test_course_datasets_moves_the_photos_and_nothing_else(monkeypatch, tmp_path):
    try:
        monkeypatch.setenv("COURSE_DATASETS", str(tmp_path))
        importlib.reload(paths)
        assert paths.PHOTOS == tmp_path.resolve() / "clothing-dataset-small"
        assert paths.SHIPPED_DATASETS == paths.PROJECT / "datasets"
        monkeypatch.delenv("COURSE_DATASETS")
        importlib.reload(paths)
        assert paths.PHOTOS == paths.PROJECT / "datasets" / "clothing-dataset-small"
    finally:
        monkeypatch.undo()
        importlib.reload(paths)
