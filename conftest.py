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


# JupyterLab shows the first line of a folded output. It finds none in an output of this kind, so an
# answer that is to be predicted stays folded whole.
NOTHING_TO_SEE = {"output_type": "display_data", "metadata": {}, "data": {"text/latex": " "}}


def is_folded(cell: NotebookNode) -> bool:
    """Whether a reader sees the stored outputs only after a click, or after running the cell."""
    return bool(cell["metadata"].get("jupyter", {}).get("outputs_hidden"))


def outputs_of(cell: NotebookNode) -> list[NotebookNode]:
    """The outputs of a code cell that have something to see."""
    return [output for output in cell["outputs"] if output != NOTHING_TO_SEE]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell nbval what to compare, and prepare what the notebooks of this run need."""
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is None:
            continue
        if is_fact(cell):
            cell["execution_count"] = 1
            cell["outputs"] = outputs_of(cell)
        else:
            cell["execution_count"] = None
            cell["outputs"] = []
        for need in item.parent.nb.metadata.get("course", {}).get("needs", []):
            PREPARE[need]()
