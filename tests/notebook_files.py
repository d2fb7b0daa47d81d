"""What several tests need to know about the notebooks."""

import functools
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from conftest import outputs_of
from course.files import paths
from course.stand_ins.sketches import draw_garments

NOTEBOOKS = sorted((paths.PROJECT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def read(name: str) -> NotebookNode:
    return nbformat.read(paths.PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)


def seen(cell: NotebookNode) -> list[dict]:
    """What a reader sees of the outputs: text and data, without counters and metadata."""
    return [{k: o[k] for k in ("name", "text", "data") if k in o} for o in outputs_of(cell)]


@functools.cache
def run_twice(name: str, folder: Path) -> tuple[NotebookNode, NotebookNode]:
    """Execute every cell twice in a row, in `folder`; return the first and the second results.

    As on a train: there are no photos and no ImageNet weights, and the network is refused. With
    the real ones, where they can be had, `--nbval` runs the notebooks.
    """
    draw_garments(folder / "drawn-garments")  # here, so that no cell has to wait for them
    nowhere = {"COURSE_DATASETS": str(folder), "TORCH_HOME": str(folder)}
    guard = {"PYTHONPATH": str(paths.PROJECT / "tests" / "no_network")}
    first, second = read(name), read(name)
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(second, timeout=600, coalesce_streams=True, resources=resources)
    with client.setup_kernel(env=os.environ | nowhere | guard):
        for i, cell in enumerate(second.cells):
            if cell.cell_type == "code":
                first.cells[i] = nbformat.from_dict(dict(client.execute_cell(cell, i)))
                client.execute_cell(cell, i)
    return first, second
