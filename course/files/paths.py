"""Where datasets, models and caches are.

Set the environment variable ``COURSE_DATASETS`` to keep the downloaded photos somewhere else, for
example on a larger disk or in a folder that a whole classroom shares. Where one of these folders
cannot be written, a folder in the cache of the user takes its place, and where the user has none,
a temporary folder. Importing this module makes no folder.
"""

import os
import tempfile
from functools import cache
from pathlib import Path

from platformdirs import user_cache_dir

HOW_TO_INSTALL = (
    "the course was installed without its folders (notebooks, datasets, models); "
    "install it from its folder with: python -m pip install -e ."
)


def installed_without_folders() -> bool:
    """Whether only the package is here, as ``pip install .`` leaves it: see `HOW_TO_INSTALL`."""
    belongs = ("notebooks/00_start_here.ipynb", "datasets/FashionMNIST")
    return not any(os.path.exists(PROJECT / name) for name in belongs)


@cache
def can_write(folder: Path) -> bool:
    """Whether `folder` can be written, or made if it is not there. It is tried, and not made.

    The system's own answer is not enough: Windows says yes for every folder, and some network
    drives say yes and then refuse.
    """
    existing = next((place for place in (folder, *folder.parents) if os.path.exists(place)), None)
    if existing is None or not os.access(existing, os.W_OK | os.X_OK):
        return False
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError:
        return False
    return True


def _cache_of_user() -> Path | None:
    """The folder of the course in the user's cache, or None if the user has no home to write to."""
    try:
        folder = Path(user_cache_dir("pytorch-course", appauthor=False))
    except RuntimeError:  # the system does not know the user; older versions answer "~/.cache"
        return None
    return folder if folder.is_absolute() and can_write(folder) else None


def _user_folder() -> Path:
    """The folder of the course in the user's cache, or else in the folder for temporary files."""
    if folder := _cache_of_user():
        return folder
    user = os.getuid() if hasattr(os, "getuid") else ""  # Windows has a temporary folder per user
    try:
        return Path(tempfile.gettempdir(), f"pytorch-course-{user}")
    except OSError:  # nothing at all can be written, which whoever tries is told
        return PROJECT


def _place(folder: Path) -> Path:
    """`folder` if it can be written or made, else one of the same name in the user's folder."""
    return folder if can_write(folder) else _user_folder() / folder.name


def _find(name: str) -> Path:
    """The folder `name` of ``DATASETS`` if it is there, else where it can be made."""
    folder = DATASETS / name
    return folder if os.path.isdir(folder) else _place(DATASETS) / name


def _chosen(variable: str) -> Path | None:
    """The folder that an environment variable names, or None.

    A relative one starts at the folder of the course, because notebooks and terminals work in
    different ones. Quotes stay in the value where a file of settings or Windows sets it.
    """
    value = os.environ.get(variable, "").strip().strip("\"'").strip()
    return Path(os.path.realpath(BASE / os.path.expanduser(value))) if value else None


PROJECT = Path(__file__).resolve().parents[2]  # holds course/, notebooks/, datasets/, models/
BASE = _user_folder() if installed_without_folders() else PROJECT  # of what the course writes
SHIPPED_DATASETS = PROJECT / "datasets"  # comes with the course: the four Fashion-MNIST files
DATASETS = _chosen("COURSE_DATASETS") or BASE / "datasets"
PHOTOS = _find("clothing-dataset-small")  # in train/, validation/ and test/
SKETCHES = _find("drawn-garments")  # where the photos cannot be had
MODELS = _place(BASE / "models")  # what training writes
CACHE = _place(BASE / "datasets" / "cache")  # safe to delete: all of it can be made again
