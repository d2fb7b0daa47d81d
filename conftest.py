"""Let strict nbval compare the kept facts and nothing else.

A notebook has two kinds of code cells. Cells tagged ``keep_output`` hold facts that are the same on
every machine: their outputs are stored in the file and compared. All others hold measurements and
pictures: their outputs are stripped and nothing is compared. nbstripout empties ``execution_count``
everywhere, and nbval takes an empty count with outputs for a mistake, so it is put back here.
"""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is None or cell.get("cell_type") != "code":
            continue
        if "keep_output" in cell["metadata"].get("tags", []):
            cell["execution_count"] = 1
        else:
            cell["execution_count"] = None
            cell["outputs"] = []
