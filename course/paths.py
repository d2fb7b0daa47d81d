"""Where datasets, models and caches are.

Set the environment variable ``COURSE_DATASETS`` to keep the downloaded photos somewhere else, for
example on a larger disk or in a folder that a whole classroom shares. Where one of these folders
cannot be written, a folder in the cache of the user takes its place.
"""

import os
from pathlib import Path

from platformdirs import user_cache_dir


def _writable(folder: Path) -> bool:
    """Try to make a file in `folder` or, if it does not exist yet, in the nearest that does."""
    while not os.path.exists(folder):
        folder = folder.parent
    trial = folder / f".trial-{os.getpid()}"
    try:
        trial.touch()
        trial.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _place(folder: Path) -> Path:
    """`folder` if it can be written, else one of the same name in the cache of the user."""
    return folder if _writable(folder) else USER_CACHE / folder.name


def _find(name: str) -> Path:
    """The folder `name` of ``DATASETS`` if it is there, else where it can be made."""
    folder = DATASETS / name
    return folder if os.path.isdir(folder) else _place(DATASETS) / name


USER_CACHE = Path(user_cache_dir("pytorch-course", appauthor=False))

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds ``notebooks/``, ``course/``, ``datasets/`` and ``models/``."""

MODELS = _place(PROJECT / "models")
"""What training writes."""

SHIPPED_DATASETS = PROJECT / "datasets"
"""Data that comes with the course: the four Fashion-MNIST files."""

DATASETS = Path(os.environ.get("COURSE_DATASETS") or SHIPPED_DATASETS).expanduser().resolve()
"""Where downloaded data lands."""

PHOTOS = _find("clothing-dataset-small")
"""The clothing photos, in ``train``, ``validation`` and ``test``."""

SKETCHES = _find("drawn-garments")
"""Garments drawn by `course.sketches`, for places where the photos cannot be had."""

CACHE = _place(SHIPPED_DATASETS / "cache")
"""Kept features and unpacked archives. Safe to delete: all of it can be made again."""
