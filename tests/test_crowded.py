"""Two trainings on one machine: libgomp's threads must not spin for long while they wait.

How long they spin is read from GOMP_SPINCOUNT at the moment when torch loads libgomp, so it has to
be set before. What it is worth is measured by tests/benchmarks/crowded.py.
"""

import ast
import os
import re
import subprocess
import sys

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from course.files import paths
from notebook_files import NAMES, read

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch has no libgomp")

LOAD_LIBGOMP = {"torch", "torchvision"}
# What this pytest was told about libgomp, or about itself, is nothing to the programs below. A
# kernel that believes it is part of a test does not pass on what libgomp prints.
OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST")
FRESH = {name: value for name, value in os.environ.items() if name not in OURS}
FRESH |= {"OMP_DISPLAY_ENV": "verbose", "OMP_NUM_THREADS": "2"}


def spin_counts(text):
    """What libgomp says about itself when it is loaded."""
    return re.findall(r"GOMP_SPINCOUNT = '(\d+)'", text)


def spin_counts_of(*words, **settings):
    """What libgomp says in a new Python, started as from a terminal."""
    command = [sys.executable, *words]
    result = subprocess.run(
        command,
        cwd=paths.PROJECT,
        env=FRESH | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return spin_counts(result.stdout + result.stderr)


@on_linux
def test_libgomp_itself_sees_what_importing_the_course_sets():
    assert spin_counts_of("-c", "import course, torch") == ["1000"]


@on_linux
def test_the_other_order_is_too_late():
    """So the other tests can fail."""
    assert spin_counts_of("-c", "import torch, course") != ["1000"]


@on_linux
def test_who_has_chosen_a_value_keeps_it():
    assert spin_counts_of("-c", "import course, torch", GOMP_SPINCOUNT="77") == ["77"]


@on_linux
def test_the_command_has_it():
    assert spin_counts_of("-c", "from course.__main__ import main; import torch") == ["1000"]


@on_linux
def test_pytest_has_it():
    words = ("--collect-only", "--quiet", "--capture=no", "tests/test_training.py")
    assert spin_counts_of("-m", "pytest", *words) == ["1000"]


def test_what_pytest_starts_inherits_it():
    assert "GOMP_SPINCOUNT" in os.environ


# --- Notebooks


def python_of(cell):
    """The Python of a cell, without the lines that are IPython's."""
    if cell.source.startswith("%%"):
        return ""
    return re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)


def imported(name):
    """The packages that a notebook imports, from top to bottom."""
    for cell in read(name).cells:
        if cell.cell_type != "code":
            continue
        nodes = list(ast.walk(ast.parse(python_of(cell))))
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in sorted(imports, key=lambda node: node.lineno):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else node.names
            yield from (getattr(module, "name", module).split(".")[0] for module in modules)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_imports_the_course_before_it_loads_torch(name):
    first = next(package for package in imported(name) if package in {"course"} | LOAD_LIBGOMP)
    assert first == "course", "run: ruff check --select I --fix notebooks"


@on_linux
def test_libgomp_sees_it_in_a_kernel_that_jupyter_starts():
    """The first cell of a notebook, in a kernel whose Jupyter knows nothing of the course."""
    first = next(cell for cell in read(NAMES[4]).cells if cell.cell_type == "code")
    notebook = new_notebook(cells=[new_code_cell(first.source), new_code_cell("import torch")])
    client = NotebookClient(notebook, resources={"metadata": {"path": str(paths.PROJECT)}})
    with client.setup_kernel(env=FRESH):
        printed = [client.execute_cell(cell, i).outputs for i, cell in enumerate(notebook.cells)]
    assert spin_counts(str(printed)) == ["1000"]
