"""The package as a whole: cheap to import, no circles, small files, tidy top level."""

import ast
import platform
import subprocess
import sys

import pytest

from course import paths

MODULES = sorted((paths.PROJECT / "course").rglob("*.py"))


def output_of(code):
    """What a new Python prints that runs `code`."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_importing_course_loads_neither_torchvision_nor_matplotlib():
    code = (
        "import course, sys; print([m for m in ('torchvision', 'matplotlib') if m in sys.modules])"
    )
    assert output_of(code).strip() == "[]"


PAGE_FAULTS = """
import resource, torch
from course.models import CNN

cnn, images = CNN().to(memory_format=torch.channels_last), torch.randn(32, 1, 28, 28)
def page_faults():
    cnn(images).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
seen = [page_faults() for _ in range(60)]
print((seen[-1] - seen[29]) / 30)
"""


def glibc_version():
    name, version = platform.libc_ver()
    return tuple(map(int, version.split("."))) if name == "glibc" else (0,)


@pytest.mark.skipif(glibc_version() < (2, 35), reason="other allocators are left as they are")
def test_a_training_step_takes_no_new_memory_from_the_system():
    """Without `mallopt` in course/__init__.py it is about two thousand pages a step."""
    assert float(output_of(PAGE_FAULTS)) < 100


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_file_is_read_in_one_sitting(module):
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 300


def imports_of(module):
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course"):
            if node.module == "course":
                yield from (alias.name for alias in node.names)
            else:
                yield node.module.split(".")[1]


def test_arrows_point_one_way():
    """No circle, and only notebooks import what is looked at and played with."""
    graph = {module.stem: set(imports_of(module)) for module in MODULES}
    remaining = dict(graph)
    while remaining:
        free = [name for name, needs in remaining.items() if not needs & remaining.keys()]
        assert free, f"circular import among {sorted(remaining)}"
        for name in free:
            del remaining[name]
    lessons = set(graph) - {"plots", "widgets", "exercises", "__main__"}
    assert not {n for n in lessons if graph[n] & {"plots", "widgets"}}


def test_nothing_unexpected_at_the_top():
    expected = {
        "notebooks",
        "course",
        "datasets",
        "models",
        "tests",
        "environment.yml",
        "README.md",
    }
    expected |= {"pyproject.toml", "conftest.py", "LICENSE"}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=paths.PROJECT, capture_output=True, text=True
    ).stdout.split()
    top = {name.split("/")[0] for name in tracked}
    assert {name for name in top if not name.startswith(".")} <= expected
