"""Where the course writes, for ``course doctor``."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from course.files import paths


class Place(NamedTuple):
    """Where the course writes something, and the variable that moves it elsewhere."""

    what: str
    folder: Path
    variable: str
    needed: bool = True


def has_home() -> bool:
    """Whether the system knows a home for this user."""
    return os.path.expanduser("~") != "~"


def places() -> Iterator[Place]:
    """What the course will write, and where."""
    from course.files.sources import weights_path

    yield Place("models", paths.MODELS, "HOME")
    yield Place("caches", paths.CACHE, "HOME")
    if not paths.PHOTOS.exists():  # then it makes drawings, if it cannot have them
        yield Place("photos", paths.PHOTOS.parent, "COURSE_DATASETS", needed=False)
        yield Place("drawings", paths.SKETCHES.parent, "COURSE_DATASETS")
    if not weights_path().exists():
        yield Place("weights", weights_path().parent, "TORCH_HOME", needed=False)
    if has_home() and importlib.util.find_spec("jupyter_core"):
        from jupyter_core.paths import jupyter_runtime_dir

        yield Place("Jupyter's own files", Path(jupyter_runtime_dir()), "JUPYTER_RUNTIME_DIR")
