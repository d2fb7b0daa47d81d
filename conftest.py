"""Let strict nbval compare the kept facts and nothing else, and fetch what notebooks need.

A notebook has two kinds of code cells. Cells tagged ``keep_output`` hold facts that are the same on
every machine: their outputs are stored in the file and compared. All others hold measurements and
pictures: their outputs are stripped and nothing is compared. nbstripout empties ``execution_count``
everywhere, and nbval takes an empty count with outputs for a mistake, so it is put back here.

A notebook that needs the clothing photos or the MobileNetV2 weights says so in its metadata. They
are fetched, or their stand-ins made, before the first test, so that no cell has to wait for them.
"""

from contextlib import suppress
from functools import cache

import pytest
from nbformat import NotebookNode

from course.files.downloads import DownloadError
from course.files.sources import download_weights
from course.stand_ins import photos_or_sketches


@cache
def fetch_weights() -> None:
    """Fetch the ImageNet weights once, if they can be had: their stand-in needs no preparation."""
    with suppress(DownloadError):
        download_weights()


PREPARE = {"photos": cache(photos_or_sketches), "weights": fetch_weights}


def is_fact(cell: NotebookNode) -> bool:
    """Whether the outputs of a code cell are stored in the notebook and compared."""
    return "keep_output" in cell["metadata"].get("tags", [])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell nbval what to compare, and prepare what the notebooks of this run need."""
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is None:
            continue
        if is_fact(cell):
            cell["execution_count"] = 1
        else:
            cell["execution_count"] = None
            cell["outputs"] = []
        for need in item.parent.nb.metadata.get("course", {}).get("needs", []):
            PREPARE[need]()
