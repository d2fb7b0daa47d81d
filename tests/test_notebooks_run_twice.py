"""Every cell twice, without network, from another folder: same facts, no warning, alt texts."""

import os
import platform
import re
import shutil
import subprocess
import sysconfig

import nbformat
import pytest

from conftest import is_fact, outputs_of
from course.files import paths
from notebook_files import NAMES, read, run_twice, seen

pytestmark = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory):
    """A folder far from the project, with a space and an accent in its name."""
    return tmp_path_factory.mktemp("a folder à part")


def test_facts_are_the_same_each_time(name, elsewhere):
    stored = read(name)
    for cells in zip(stored.cells, *(nb.cells for nb in run_twice(name, elsewhere)), strict=True):
        if is_fact(cells[0]):
            assert seen(cells[1]) == seen(cells[0]), cells[0].id
            assert seen(cells[2]) == seen(cells[0]), cells[0].id


def test_stand_ins_took_the_place_of_photos_and_weights(name, elsewhere):
    first, _ = run_twice(name, elsewhere)
    printed = str([seen(cell) for cell in first.cells if cell.id == "what-is-in-use"])
    assert "Pictures: the clothing photos" not in printed
    assert "MobileNetV2: the ImageNet weights" not in printed


def test_no_warning_reaches_the_reader(name, elsewhere):
    for nb in run_twice(name, elsewhere):
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                assert output.get("name") != "stderr", f"{cell.id}: {output.text}"


def test_every_picture_has_alternative_text(name, elsewhere):
    first, _ = run_twice(name, elsewhere)
    for cell in first.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            assert "image/png" not in data, f"{cell.id}: use course.plots.show_figure"
            for image in re.findall(r"<img [^>]*>", data.get("text/html", "")):
                assert re.search(r'alt="[^"]{20,}"', image), f"{cell.id}: {image[:200]}"


def test_a_run_leaves_git_clean(name, elsewhere, tmp_path):
    """Run all, save, `git add`: the filter stores what was there before."""

    def git(*arguments):
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
        options = {"check": True, "capture_output": True, "text": True}
        return subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": path}, **options)

    first, _ = run_twice(name, elsewhere)
    git("init", "--quiet")
    for file in (".gitattributes", ".gitconfig", ".gitfilter.sh"):
        shutil.copy(paths.PROJECT / file, tmp_path)
    git("config", "--local", "include.path", "../.gitconfig")
    shipped = read(name)
    for cell in shipped.cells:  # an answer that was run is not folded any more
        if cell.cell_type == "code":
            cell.outputs = outputs_of(cell)
    nbformat.write(shipped, tmp_path / f"{name}.ipynb")
    git("add", ".")
    git("commit", "--quiet", "-m", "as shipped")
    # JupyterLab writes the version of Python, too
    first.metadata.language_info = {"name": "python", "version": platform.python_version()}
    nbformat.write(first, tmp_path / f"{name}.ipynb")
    git("add", ".")
    assert git("status", "--porcelain").stdout == ""
