"""The glossary, a page of its own: each entry leads to where its term is taught."""

import re
from functools import cache

import pytest

from course.files import paths
from notebook_files import NAMES, read

GLOSSARY = (paths.PROJECT / "notebooks" / "glossary.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+) \| (.+) \| \[(\d\d|[AB])\]\((\w+)\.ipynb#(\S+)\) \|$", flags=re.M)


def entries() -> list[tuple[str, ...]]:
    """Term, meaning, number, notebook and anchor of every row."""
    return ROW.findall(GLOSSARY)


ENTRIES = entries()


def plain(term: str) -> str:
    """Small letters and digits, for comparing: `zero_grad` becomes zero grad."""
    return " ".join(re.findall(r"[a-z0-9]+", term.casefold()))


@cache
def sections(name: str) -> dict[str, str]:
    """Anchors of all headings of a notebook, with the text and code up to the next heading."""
    found: dict[str, str] = {}
    anchor = ""
    for cell in read(name).cells:
        fenced = False
        for line in cell.source.splitlines():
            fenced ^= line.startswith("```")
            if cell.cell_type == "markdown" and not fenced and re.match("#+ ", line):
                anchor = line.lstrip("# ").replace("`", "").replace(" ", "-")
            found[anchor] = found.get(anchor, "") + line + "\n"
    return found


def test_every_row_is_read():
    rows = [line for line in GLOSSARY.splitlines() if re.match(r"\| (?!term \|)", line)]
    assert len(rows) == len(ENTRIES) > 150


def test_the_entries_are_in_order_and_none_is_there_twice():
    terms = [plain(entry[0]) for entry in ENTRIES]
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("entry", ENTRIES, ids=[plain(entry[0]) for entry in ENTRIES])
def test_the_term_is_in_the_section_that_the_link_names(entry):
    term, _, number, name, anchor = entry
    assert name in NAMES and name.startswith(f"{number}_")
    assert anchor in sections(name)
    # "smooth L1" is also found as `SmoothL1Loss`, and "batch size" as `batch_size`.
    pattern = r"(?<![A-Za-z])" + r"[\W_]?".join(re.findall(r"[^\W_]+", term))
    case = 0 if term.isupper() else re.IGNORECASE
    text = sections(name)[anchor]
    assert re.search(pattern, " ".join(text.split()), case), f"{term} is not in {name}#{anchor}"


@pytest.mark.parametrize("name", NAMES)
def test_every_abbreviation_in_the_prose_has_an_entry(name):
    known = {word for entry in ENTRIES for word in re.findall(r"\w+", entry[0])}
    code_or_link = r"```.*?```|`[^`]*`|\]\([^)]*\)|https?://\S+"
    for cell in read(name).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(code_or_link, " ", cell.source, flags=re.S)
            for word in re.findall(r"\b([A-Z][A-Z0-9]*[A-Z][A-Z0-9]*)s?\b", prose):
                assert word in known, f"{word} in cell {cell.id}"
