"""Run notebooks and store their facts again.

    python tests/store_facts.py notebooks/04_mlp.ipynb

Needed after a change of a notebook. Look at ``git diff`` afterwards: a fact that has changed
without a reason is a fault.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

from conftest import NOTHING_TO_SEE, is_fact, is_folded, outputs_of  # noqa: E402


def stored(cell: NotebookNode) -> list[NotebookNode]:
    """The outputs that stay in the file: those of facts, without counters."""
    if not is_fact(cell):
        return []
    outputs = outputs_of(cell)
    for output in outputs:
        if "execution_count" in output:
            output.execution_count = None
    first = [nbformat.from_dict(NOTHING_TO_SEE)] if is_folded(cell) else []
    return first + outputs


def store(path: Path) -> None:
    """Execute one notebook in its folder and write it back."""
    nb = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(nb, timeout=600, coalesce_streams=True, resources=resources).execute()
    nb.metadata.pop("language_info", None)  # it names the version of Python
    nb.metadata.pop("widgets", None)  # how far progress bars had come
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = stored(cell)
    nbformat.write(nb, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        store(Path(name).absolute())
