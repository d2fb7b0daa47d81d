"""Where datasets, models and caches are.

Set the environment variable ``COURSE_DATASETS`` to keep the downloaded photos somewhere else, for
example on a larger disk or in a folder that a whole classroom shares. Where one of these folders
cannot be written, a folder in the cache of the user takes its place.
"""

import os
from pathlib import Path

from platformdirs import user_cache_dir


def _place(folder: Path) -> Path:
    """`folder` if it can be written or made, else one of the same name in the user's cache."""
    existing = next(place for place in [folder, *folder.parents] if os.path.exists(place))
    if os.access(existing, os.W_OK | os.X_OK):
        return folder
    return Path(user_cache_dir("pytorch-course", appauthor=False), folder.name)


def _find(name: str) -> Path:
    """The folder `name` of ``DATASETS`` if it is there, else where it can be made."""
    folder = DATASETS / name
    return folder if os.path.isdir(folder) else _place(DATASETS) / name


PROJECT = Path(__file__).resolve().parents[2]  # holds course/, notebooks/, datasets/, models/
SHIPPED_DATASETS = PROJECT / "datasets"  # comes with the course: the four Fashion-MNIST files
DATASETS = Path(os.environ.get("COURSE_DATASETS") or SHIPPED_DATASETS).expanduser().resolve()
PHOTOS = _find("clothing-dataset-small")  # in train/, validation/ and test/
SKETCHES = _find("drawn-garments")  # where the photos cannot be had
MODELS = _place(PROJECT / "models")  # what training writes
CACHE = _place(SHIPPED_DATASETS / "cache")  # safe to delete: all of it can be made again
