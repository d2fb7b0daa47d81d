"""The package as a whole: cheap to import, no circles, small files, tidy top level."""

import ast
import platform
import subprocess
import sys

import pytest

from course.files import paths

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


# --- The house: rooms, arrows, and what fits on a screen

# A room may import what stands before it, and nothing that stands behind it.
ROOMS = [
    "waiting", "files", "device", "training", "data", "stand_ins", "checkpoint", "pretrained",
    "models", "features", "tuning", "classifier", "plots", "widgets", "exercises", "command",
    "__main__",
]  # fmt: skip


def room_of(name):
    """The room of a module, such as "files" for ``course.files.paths``."""
    return (name.split(".") + ["__init__"])[1]


def name_of(path):
    parts = path.relative_to(paths.PROJECT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


NAMES = {name_of(path): path for path in MODULES}


def imports_of(path):
    """The modules of the course that a file imports, at the top or late."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "course")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            if (node.module or "").split(".")[0] == "course":
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    yield whole if whole in NAMES else node.module


@pytest.mark.parametrize("name", NAMES)
def test_arrows_point_one_way(name):
    here = room_of(name)
    if here == "__init__":
        assert set(imports_of(NAMES[name])) <= {"course.waiting"}, "importing course is cheap"
        return
    for target in imports_of(NAMES[name]):
        there = room_of(target)
        assert ROOMS.index(there) <= ROOMS.index(here), f"{name} imports {target}"


def test_no_circle_even_inside_a_room():
    remaining = {name: set(imports_of(path)) - {name} for name, path in NAMES.items()}
    while remaining:
        free = [name for name, needs in remaining.items() if not needs & remaining.keys()]
        assert free, f"circular import among {sorted(remaining)}"
        for name in free:
            del remaining[name]


def draws(path):
    return any(room_of(target) in ("plots", "widgets") for target in imports_of(path))


def test_the_lesson_draws_nothing():
    """Only notebooks and what is played with import figures."""
    rooms = {room_of(name): path for name, path in NAMES.items() if draws(path)}
    assert set(rooms) <= {"plots", "widgets", "exercises"}, rooms


def functions_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node):
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_read_in_one_sitting(name):
    assert len(NAMES[name].read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("name", NAMES)
def test_a_function_fits_on_a_screen(name):
    long = {node.name: length(node) for node in functions_of(NAMES[name]) if length(node) > 40}
    assert not long


def test_nine_functions_in_ten_have_at_most_25_lines():
    lengths = sorted(length(node) for path in MODULES for node in functions_of(path))
    assert lengths[int(0.9 * len(lengths))] <= 25


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
