"""The README tells the truth about commands, links and minutes."""

import re

import pytest

from course.files import paths
from notebook_files import NAMES, read

README = (paths.PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_map_gives_the_title_and_minutes_of_each_notebook(name):
    title = read(name).cells[0].source
    row = re.search(
        rf"^\|.*\[([^]]+)\]\(notebooks/{name}\.ipynb\).*\| (\d+) \|$", README, flags=re.M
    )
    assert row, f"{name} is not in the map"
    assert title.startswith(f"# {name.partition('_')[0]} · {row[1]}\n")
    assert f"**Time**: about {row[2]} minutes" in title


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if not target.startswith("http"):
            assert (paths.PROJECT / target).exists(), target


def test_ci_runs_the_command_of_the_readme():
    block = re.search(r"<!-- test command -->\n```bash\n(.+)\n```", README)
    assert block and block[1].endswith("-m pytest --nbval notebooks/ tests/")
    assert "<!-- test command -->" in (paths.PROJECT / ".ci" / "run").read_text(encoding="utf-8")
