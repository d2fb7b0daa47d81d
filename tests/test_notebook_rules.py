"""The rules that every notebook obeys. They read the files; nothing is executed here."""

import ast
import builtins
import importlib
import pkgutil
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
import torchvision
from torch import nn, optim

import course
from conftest import NOTHING_TO_SEE, is_fact, is_folded
from course.files import paths
from notebook_files import NAMES, NOTEBOOKS, read

ROOTS = {
    "course": course,
    "torch": torch,
    "torchvision": torchvision,
    "nn": nn,
    "optim": optim,
    "F": nn.functional,
    "np": np,
    "plt": plt,
    "transforms": torchvision.transforms,
    "models": torchvision.models,
    "datasets": torchvision.datasets,
}
COURSE_MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(course.__path__, "course.")
]


def test_all_chapters_are_here():
    numbers = [f"{i:02}" for i in (*range(15), 16, 17)]
    assert [name.partition("_")[0] for name in NAMES] == [*numbers, "A", "B"]


def markdown(name):
    return [cell.source for cell in read(name).cells if cell.cell_type == "markdown"]


def code(name):
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_valid_notebook_with_speaking_cell_ids(name):
    nb = read(name)
    nbformat.validate(nb)
    ids = [cell.id for cell in nb.cells]
    assert len(set(ids)) == len(ids)
    assert nb.cells[0].id == "title"


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_goal_prerequisites_and_minutes(name):
    title = markdown(name)[0]
    assert title.startswith(f"# {name.partition('_')[0]} · ")
    for promise in ("**You will be able to**", "**You need**", "**Time**"):
        assert promise in title
    assert re.search(r"\*\*Time\*\*: about \d+ minutes", title)


@pytest.mark.parametrize("name", NAMES)
def test_it_breaks_things_checks_things_and_ends_with_a_recap(name):
    headings = re.findall(r"^##+ (.+)", "\n".join(markdown(name)), flags=re.M)
    if name != NAMES[0]:
        assert any("Break it" in heading for heading in headings)
        assert any("Check it" in heading for heading in headings)
    assert headings[-1] == "Recap"
    recap = markdown(name)[-1]
    assert re.search(r"^\|.+\|$", recap, flags=re.M), "the recap is a table"
    assert name == NAMES[-1] or "**Next**" in recap


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_short(name):
    lengths = [len(cell.source.splitlines()) for cell in code(name)]
    assert max(lengths) <= 25
    full = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code(name)]
    assert sorted(full)[len(full) // 2] <= 8


@pytest.mark.parametrize("name", NAMES)
def test_there_are_enough_facts_and_each_has_an_output(name):
    facts = [cell for cell in code(name) if is_fact(cell)]
    assert len(facts) >= (2 if name == NAMES[0] else 8)
    for cell in facts:
        assert cell.outputs, cell.id
        assert (cell.outputs[0] == NOTHING_TO_SEE) == is_folded(cell), f"{cell.id}: store_facts.py"
        for output in cell.outputs[is_folded(cell) :]:
            assert output.get("name") != "stderr", cell.id
            kinds = set(output.get("data", {"text/plain": ""}))
            assert kinds == {"text/plain"}, f"{cell.id}: pictures and widgets are not facts"


def test_outputs_are_only_in_facts():
    command = [sys.executable, "-m", "nbstripout", "--keep-id", "--verify", *map(str, NOTEBOOKS)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_figures_go_through_the_one_helper(name):
    for cell in code(name):
        assert "plt.show(" not in cell.source, f"{cell.id}: use show_figure(fig, alt=…)"
        if "plt.subplots(" in cell.source or "plt.figure(" in cell.source:
            assert "show_figure(" in cell.source, f"{cell.id}: use show_figure(fig, alt=…)"


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_one_machine(name):
    text = "\n".join(cell.source + str(cell.get("outputs", "")) for cell in read(name).cells)
    found = re.search(r"(?<![\w.:/])(/(home|Users|root|work|tmp|var)/\w+|[A-Z]:\\\\?\w+)", text)
    assert not found, found


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    here = paths.PROJECT / "notebooks"
    headings = re.findall(r"^#+ (.+)", "\n".join(markdown(name)), flags=re.M)
    anchors = {heading.replace("`", "").replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(((?:[^()]|\(\))+)\)", "\n".join(markdown(name))):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not re.match(r"https?://", target):
            assert (here / target.split("#")[0]).exists(), target


def names_defined_in(name):
    """Every function, class, variable, argument and attribute that the notebook's code mentions."""
    found = set()
    for cell in code(name):
        for node in ast.walk(ast.parse(re.sub(r"^\s*[%!].*", "", cell.source, flags=re.M))):
            for attribute in ("id", "attr", "name", "arg"):
                found.add(getattr(node, attribute, None))
    return found


def exists(dotted):
    root, *attributes = dotted.split(".")
    if root not in ROOTS:
        return True
    thing = ROOTS[root]
    for i, attribute in enumerate(attributes):
        try:
            thing = getattr(thing, attribute)
        except AttributeError:
            try:
                thing = importlib.import_module(".".join([thing.__name__, *attributes[i : i + 1]]))
            except (ImportError, AttributeError):
                return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_prose_names_only_what_exists(name):
    places = [builtins, torch, nn, nn.functional, optim, torch.Tensor, nn.Module, np]
    places += [optim.Optimizer, *COURSE_MODULES]
    defined = names_defined_in(name)
    for text in markdown(name):
        text = re.sub(r"```.*?```", "", text, flags=re.S)
        for line in text.splitlines():
            if "You may read" in line:  # there, wrong names are quoted on purpose
                continue
            for quoted in re.findall(r"`([^`]+)`", line):
                if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+(\(.*\))?", quoted):
                    assert exists(quoted.split("(")[0]), f"{quoted} in: {line}"
                elif match := re.fullmatch(r"([A-Za-z_]\w*)\(.*\)", quoted):
                    called = match[1]
                    known = called in defined or any(hasattr(place, called) for place in places)
                    assert known, f"{quoted} in: {line}"
