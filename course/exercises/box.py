"""The answer of a check as a small box on the page, and as plain text for a console."""

import html
import inspect
import re
from dataclasses import dataclass
from typing import Any

from course.exercises.task import Task, Value, message_of
from course.exercises.verdict import NOT_YET, RIGHT, Verdict

MARKS = {RIGHT: "✔", NOT_YET: "…"}
WRONG_MARK = "✘"

# The colours are those of the page, so that the box is legible in light and in dark themes.
STYLE = (
    "border-left: 0.35em solid currentColor; padding: 0.4em 1em; margin: 0.3em 0;"
    " max-width: 50em; font-size: 1.05em; line-height: 1.5"
)


@dataclass(frozen=True)
class Box:
    """A verdict on a task. Jupyter shows the HTML, a console the text."""

    number: str
    task: Task
    verdict: Verdict

    @property
    def title(self) -> str:
        """A mark and a word, so that neither is the only cue."""
        mark = MARKS.get(self.verdict.word, WRONG_MARK)
        return f"{mark} Task {self.number}: {self.verdict.word}"

    def __repr__(self) -> str:
        rows = [f"  {name:7}{value}" for name, value in self.verdict.example]
        return "\n".join([f"{self.title}. {self.verdict.message}", *rows])

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{_html(self.title)}.</strong> {_html(self.verdict.message)}</p>"]
        if self.verdict.example:
            rows = "".join(
                f'<tr><th scope="row" style="text-align:left">{_html(name)}</th>'
                f'<td style="text-align:left"><code>{_html(value)}</code></td></tr>'
                for name, value in self.verdict.example
            )
            parts.append(f"<table>{rows}</table>")
        if self.verdict.word != RIGHT:
            parts += [
                _folded(f"Hint {i}", f"<p>{_html(hint)}</p>")
                for i, hint in enumerate(self.task.hints, start=1)
            ]
        parts.append(_folded("A solution", self._solution()))
        # Keys that move through the box are not shortcuts of the notebook.
        return f'<div data-lm-suppress-shortcuts="true" style="{STYLE}">{"".join(parts)}</div>'

    def _solution(self) -> str:
        solution = self.task.solutions[0]
        return f"<pre>{html.escape(source_of(solution))}</pre><p>{_html(message_of(solution))}</p>"


def source_of(solution: Any) -> str:
    """The code of a solution without its docstring, or the repr of a value."""
    if isinstance(solution, Value):
        return repr(solution.value)
    source = inspect.cleandoc("\n" + inspect.getsource(solution))
    return re.sub(r'\n    """.*?"""', "", source, count=1, flags=re.S)


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{_html(summary)}</summary>{content}</details>"


def _html(text: str) -> str:
    """Escape a text; what stands in backticks becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
