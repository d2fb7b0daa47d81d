"""Kept outputs really are compared: each way of breaking a fact turns pytest red."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from conftest import is_fact
from course.files import paths
from notebook_files import read


@pytest.fixture
def fact(tmp_path):
    """A copy of the first notebook with facts, cut off after its first fact, and the root conftest.

    Returns the fact's cell and a function that writes the notebook and runs `pytest --nbval` on it.
    """
    nb = read("01_tensors")
    end = next(i for i, cell in enumerate(nb.cells) if is_fact(cell))
    nb.cells = nb.cells[: end + 1]
    shutil.copy(paths.PROJECT / "conftest.py", tmp_path)

    def run():
        nbformat.write(nb, tmp_path / "facts.ipynb")
        command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env"]
        command += ["-p", "no:cacheprovider", "facts.ipynb"]
        # Options for the outer run, such as a coverage report, are not for the inner one.
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return nb.cells[-1], run


def test_an_untouched_fact_passes(fact):
    _, run = fact
    result = run()
    assert result.returncode == 0, result.stdout


def test_a_changed_output_fails(fact):
    cell, run = fact
    output = cell.outputs[0]
    if "text" in output:
        output["text"] += "7"
    else:
        output["data"]["text/plain"] += "7"
    assert run().returncode == 1


def test_a_changed_result_fails(fact):
    cell, run = fact
    cell.source += "\nprint('one line more')"
    assert run().returncode == 1


def test_a_deleted_output_fails(fact):
    cell, run = fact
    cell.outputs = []
    assert run().returncode == 1


def test_a_measurement_is_not_compared(fact):
    cell, run = fact
    cell.metadata.tags = []
    cell.outputs = []
    assert run().returncode == 0
