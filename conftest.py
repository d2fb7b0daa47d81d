"""Let strict nbval compare the kept facts and nothing else, and fetch what notebooks need.

A notebook has two kinds of code cells. Cells tagged ``keep_output`` hold facts that are the same on
every machine: their outputs are stored in the file and compared. All others hold measurements and
pictures: their outputs are stripped and nothing is compared. nbstripout empties ``execution_count``
everywhere, and nbval takes an empty count with outputs for a mistake, so it is put back here.

A notebook that needs the clothing photos or the MobileNetV2 weights says so in its metadata. They
are downloaded before the first test; where that is impossible, the notebook is skipped by name.
"""

from functools import cache

import pytest
from nbformat import NotebookNode

from course.download import DownloadError, download_photos, download_weights

DOWNLOADS = {"photos": download_photos, "weights": download_weights}


def is_fact(cell: NotebookNode) -> bool:
    return "keep_output" in cell["metadata"].get("tags", [])


@cache
def fetch(need: str) -> str:
    """Fetch the photos or the weights; return the reason if that fails, else an empty string."""
    try:
        DOWNLOADS[need]()
    except DownloadError as error:
        return f"{need} are not here: {error}"
    return ""


def why_skipped(nb: NotebookNode) -> str:
    """The first thing that the notebook needs and cannot have, or an empty string."""
    needs = nb.metadata.get("course", {}).get("needs", [])
    return next(filter(None, map(fetch, needs)), "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is None:
            continue
        if is_fact(cell):
            cell["execution_count"] = 1
        else:
            cell["execution_count"] = None
            cell["outputs"] = []
        if reason := why_skipped(item.parent.nb):
            item.add_marker(pytest.mark.skip(reason=reason))
