"""What makes a notebook a lesson: a spine of bounded length, honest minutes, questions before
answers. The rules read the files; nothing is executed here."""

import re

import pytest
from nbformat import NotebookNode

from conftest import is_fact, is_folded
from notebook_files import NAMES, read

WORDS_PER_MINUTE = 120
LINES_PER_MINUTE = 6
MOST_CELLS = 80
MOST_LINES = 16
START = "00"
APPENDIX = ("A", "B")


def has_number(name: str) -> bool:
    """Whether it is a chapter, not an appendix."""
    return not name.startswith(APPENDIX)


CHAPTERS = [name for name in NAMES if has_number(name)]


def is_hidden(cell: NotebookNode) -> bool:
    """A collapsed code cell: it guards a sentence of the prose, or only draws."""
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def heading(cell: NotebookNode) -> tuple[int, str] | None:
    """Level and text, if the cell begins with a heading."""
    match = re.match(r"(#+) (.+)", cell.source) if cell.cell_type == "markdown" else None
    return (len(match[1]), match[2]) if match else None


def parts(name: str) -> tuple[list[NotebookNode], list[NotebookNode]]:
    """The cells of the spine, and those of the Deeper sections."""
    spine: list[NotebookNode] = []
    deeper: list[NotebookNode] = []
    inside = False
    for cell in read(name).cells:
        found = heading(cell)
        if found and found[0] <= 3:
            inside = found[1].startswith("Deeper: ")
        (deeper if inside else spine).append(cell)
    return spine, deeper


def minutes(cells: list[NotebookNode]) -> float:
    """Time to read the words and the lines of code that are not collapsed, and to do the tasks."""
    tasks = 0
    words = 0
    lines = 0
    for cell in cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"\]\([^)]*\)", "]", cell.source)  # nobody reads the target of a link
            words += sum(bool(re.search(r"\w", word)) for word in prose.split())
            tasks += sum(
                map(int, re.findall(r"^### Task .+ \((\d+) minutes\)$", prose, flags=re.M))
            )
        elif not is_hidden(cell):
            lines += sum(bool(line.strip()) for line in cell.source.splitlines())
    return tasks + words / WORDS_PER_MINUTE + lines / LINES_PER_MINUTE


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_spine_is_short_enough_to_be_walked_in_one_go(name):
    assert len(parts(name)[0]) <= MOST_CELLS


@pytest.mark.parametrize("name", NAMES)
def test_deeper_sections_are_collapsed(name):
    for cell in read(name).cells:
        found = heading(cell)
        deeper = bool(found) and found[1].startswith("Deeper: ")
        # What else stands in the cell of a collapsed heading is not hidden.
        assert not deeper or (found[0] == 3 and len(cell.source.splitlines()) == 1), cell.id
        collapsed = cell.metadata.get("jp-MarkdownHeadingCollapsed", False)
        assert collapsed == deeper, f"{cell.id}: Deeper sections are collapsed, others are not"


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_minutes_are_honest(name):
    title = read(name).cells[0].source
    spine, deeper = parts(name)
    said = re.search(
        r"\*\*Time\*\*: about (\d+) minutes(?: \((\d+) more with all Deeper sections\))?", title
    )
    assert said, "**Time**: about N minutes (M more with all Deeper sections)"
    for words, cells in ((said[1], spine), (said[2], deeper)):
        counted = minutes(cells)
        assert abs(int(words or 0) - counted) <= max(2, counted / 5), f"{counted:.0f} minutes"


@pytest.mark.parametrize("name", CHAPTERS)
def test_code_cells_are_short_and_never_come_in_a_row(name):
    spine, _ = parts(name)
    in_a_row = 0
    for cell in spine:
        if cell.cell_type == "markdown":
            in_a_row = 0
        elif not is_hidden(cell):
            in_a_row += 1
            assert len(cell.source.splitlines()) <= MOST_LINES, cell.id
        assert in_a_row < 3, f"{cell.id}: the third code cell without a sentence"


@pytest.mark.parametrize("name", NAMES)
def test_cells_that_only_guard_or_only_draw_are_collapsed(name):
    for cell in read(name).cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if line.strip()]
            guards = all(re.match(r"assert\b|[\s)]|#", line) for line in lines)
            draws = "show_figure(" in cell.source and len(lines) > 12
            assert is_hidden(cell) or not (guards or draws), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_can_predict_before_a_reveal(name):
    cells = read(name).cells
    questions = [i for i, cell in enumerate(cells) if "**Predict.**" in cell.source]
    assert len(questions) >= (2 if name.startswith((START, *APPENDIX)) else 8)
    for i in questions:
        question, answer = cells[i], cells[i + 1]
        assert question.cell_type == "markdown", question.id
        asked = question.source.split("**Predict.**")[1]
        assert "?" in asked, f"{question.id} asks nothing"
        assert answer.cell_type == "code", f"{question.id}: the answer has to come from a cell"
        shown = is_fact(answer) and not is_folded(answer)
        assert not shown, f"{answer.id}: the stored output gives it away"


@pytest.mark.parametrize("name", NAMES)
def test_words(name):
    for cell in read(name).cells:
        if cell.cell_type == "markdown" and not name.startswith("B"):
            for wrong in (r"commonest", r"\bthe notes\b", r"In the notes", r"NotesClassifier"):
                assert not re.search(wrong, cell.source), f"{cell.id}: {wrong}"


TEST_DATA = r"train=False|fashion_mnist(?:_tensors)?\(False|[\"']test[\"']"
TRAINING = r"\b(?:fit|train_one_epoch|train_head|sweep)\("


@pytest.mark.parametrize("name", NAMES)
def test_test_data_is_opened_once_and_nothing_is_trained_after_that(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    opened = [i for i, cell in enumerate(cells) if re.search(TEST_DATA, cell.source)]
    assert len(opened) <= 1, [cells[i].id for i in opened]
    for cell in cells[opened[0] + 1 :] if opened else []:
        assert not re.search(TRAINING, cell.source), f"{cell.id}: a choice after the test"


def test_a_second_look_at_test_data_would_be_found():
    for code in ("fashion_mnist(train=False)", "photos / 'test'", 'datasets["test"]'):
        assert re.search(TEST_DATA, code)
    assert not re.search(TEST_DATA, "fashion_mnist(train=True)  # no test here")
