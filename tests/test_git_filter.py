"""Git strips the outputs of notebooks where nbstripout is, and refuses nothing where it is not."""

import os
import shutil
import subprocess
import sys
import sysconfig

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course.files import paths

FILTER_FILES = (".gitattributes", ".gitconfig", ".gitfilter.sh")
SCRIPTS = sysconfig.get_path("scripts")  # where this environment has nbstripout
OUTSIDE = os.pathsep.join(  # the PATH of a shell in which no environment is active
    folder
    for folder in os.environ["PATH"].split(os.pathsep)
    if not shutil.which("nbstripout", path=folder)
)
WARNING = "nbstripout was not found"

pytestmark = pytest.mark.skipif(
    not shutil.which("git", path=OUTSIDE), reason="needs git outside the environment"
)
on_unix = pytest.mark.skipif(sys.platform == "win32", reason="makes a program of three lines")


class Clone:
    """A small repository with the filter of the course switched on."""

    def __init__(self, folder):
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")
        for name in FILTER_FILES:
            shutil.copy(paths.PROJECT / name, folder)
        self.git("config", "--local", "include.path", "../.gitconfig")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "the filter")

    def git(self, *arguments, path=OUTSIDE, where="."):
        """Run git; what it says and the warnings of the filter. A git that fails is an error."""
        nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": path}
        author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        result = subprocess.run(
            ["git", *author, *arguments],
            cwd=self.folder / where,
            env=os.environ | nobody,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    def write_notebook(self, name="lesson one.ipynb", output="MEASURED"):
        """A notebook as Jupyter saves it: with a measurement and a fact."""
        measurement = new_code_cell("f()", outputs=[new_output("stream", text=output)])
        fact = new_code_cell("g()", outputs=[new_output("stream", text="FACT")])
        fact.metadata["tags"] = ["keep_output"]
        notebook = new_notebook(cells=[measurement, fact])
        notebook.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    def stored(self, name="lesson one.ipynb"):
        return self.git("show", f":{name}")

    def put_program(self, name, text):
        """Put an executable file where the environment has its own."""
        program = self.folder / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


INSIDE = os.pathsep.join([SCRIPTS, OUTSIDE])


def test_in_the_environment_outputs_are_stripped_and_facts_kept(clone):
    clone.write_notebook()
    said = clone.git("add", ".", path=INSIDE)
    assert WARNING not in said
    assert "MEASURED" not in clone.stored()
    assert "3.11.7" not in clone.stored()  # which Python ran it last is no change
    assert "FACT" in clone.stored()


def test_outside_the_environment_a_notebook_is_stored_as_it_is_and_a_line_says_so(clone):
    path = clone.write_notebook()
    said = clone.git("add", ".")
    assert clone.stored() == path.read_text(encoding="utf-8")
    assert "lesson one.ipynb keeps its outputs; activate the environment" in said
    assert said.count(WARNING) == 1


def test_the_advice_of_the_warning_strips_what_was_stored_with_outputs(clone):
    clone.write_notebook()
    said = clone.git("add", ".")
    advice = said.partition("then: git ")[2].split()
    clone.git(*advice, path=INSIDE)
    assert "MEASURED" not in clone.stored()
    assert "FACT" in clone.stored()


def test_a_day_of_work_outside_the_environment(clone):
    """Commit, change, stash, branch, compare, go back: git refuses none of it."""
    path = clone.write_notebook("notebooks/lesson.ipynb")
    clone.git("add", ".", where="notebooks")
    clone.git("commit", "--quiet", "--message", "first")
    first = path.read_text(encoding="utf-8")

    clone.write_notebook("notebooks/lesson.ipynb", output="SECOND")
    second = path.read_text(encoding="utf-8")
    assert "SECOND" in clone.git("diff", where="notebooks")
    clone.git("stash")
    assert path.read_text(encoding="utf-8") == first
    clone.git("stash", "pop")
    assert path.read_text(encoding="utf-8") == second

    clone.git("checkout", "-b", "other")
    clone.git("commit", "--quiet", "--all", "--message", "second")
    assert "SECOND" in clone.git("log", "--patch")
    clone.git("checkout", "main")
    assert path.read_text(encoding="utf-8") == first
    clone.git("merge", "--quiet", "other")
    assert path.read_text(encoding="utf-8") == second
    path.write_text("{}", encoding="utf-8")
    clone.git("checkout", "--", "notebooks/lesson.ipynb")
    assert path.read_text(encoding="utf-8") == second
    clone.git("diff", "--quiet", "HEAD")  # fails where anything differs


@on_unix
def test_the_environment_in_the_folder_is_found_though_it_is_not_active(clone):
    clone.put_program(".venv/bin/nbstripout", "#!/bin/sh\nexec sed s/MEASURED/stripped/\n")
    clone.write_notebook("notebooks/lesson.ipynb")
    said = clone.git("add", "lesson.ipynb", where="notebooks")
    assert WARNING not in said
    assert "stripped" in clone.stored("notebooks/lesson.ipynb")


@on_unix
def test_an_environment_that_was_moved_is_passed_over(clone):
    """Its programs name a Python that is no longer there."""
    clone.put_program(".venv/bin/nbstripout", "#!/nowhere/bin/python\n")
    path = clone.write_notebook()
    assert WARNING in clone.git("add", ".")
    assert clone.stored() == path.read_text(encoding="utf-8")

    clone.put_program("elsewhere/nbstripout", "#!/bin/sh\nexec sed s/MEASURED/stripped/\n")
    path = os.pathsep.join([str(clone.folder / "elsewhere"), OUTSIDE])
    clone.git("add", "--renormalize", ".", path=path)
    assert "stripped" in clone.stored()


@on_unix
@pytest.mark.parametrize("content", ["", "{", "<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n"])
def test_a_file_that_is_no_notebook_is_never_lost(clone, content):
    """Git takes it as it is, also where the filter has read all of it and then fails."""
    clone.put_program("bin/nbstripout", "#!/bin/sh\ncat >/dev/null\nexit 1\n")
    path = os.pathsep.join([str(clone.folder / "bin"), OUTSIDE])
    (clone.folder / "broken.ipynb").write_text(content, encoding="utf-8")
    clone.git("add", "broken.ipynb", path=path)
    assert clone.stored("broken.ipynb") == content
    clone.git("diff", "--cached", path=path)


def test_so_it_is_with_the_real_nbstripout(clone):
    (clone.folder / "broken.ipynb").write_text("{", encoding="utf-8")
    said = clone.git("add", "broken.ipynb", path=INSIDE)
    assert "No valid notebook" in said
    assert clone.stored("broken.ipynb") == "{"


def test_a_trained_model_can_be_added_where_git_lfs_is_not_installed(clone):
    model = clone.folder / "models" / "mine.pth"
    model.parent.mkdir()
    model.write_bytes(bytes(range(256)))
    clone.git("add", "--force", "models/mine.pth")
    assert clone.git("cat-file", "-s", ":models/mine.pth").strip() == "256"
