"""Questions to choose an answer from. Every option explains itself, the wrong ones too."""

import html
import importlib
from collections.abc import Sequence
from dataclasses import dataclass

# The explanation of an option appears when it is chosen. No program has to run for that, so it
# works in exported pages and without a kernel.
STYLE = """<style>
.course-quiz fieldset { border: 0; border-left: 0.35em solid currentColor; margin: 0.8em 0;
  padding: 0.2em 1em; max-width: 50em; font-size: 1.05em; line-height: 1.5; }
.course-quiz label { display: block; padding: 0.15em 0; }
.course-quiz .why { display: none; margin: 0 0 0.4em 1.7em; }
.course-quiz input:checked + label + .why { display: block; }
.course-quiz input { float: left; margin: 0.45em 0.6em 0 0; }
</style>"""


@dataclass(frozen=True)
class Option:
    """One answer, whether it is the right one, and what is to be said about it."""

    text: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with its options; `chapter` is the notebook that teaches the answer."""

    chapter: str
    text: str
    options: Sequence[Option]


@dataclass(frozen=True)
class Quiz:
    """The questions of a chapter. Jupyter shows radio buttons, a console the text."""

    chapter: str
    questions: Sequence[Question]

    def __repr__(self) -> str:
        lines = []
        for i, question in enumerate(self.questions, start=1):
            lines.append(f"{i}. {question.text}")
            for letter, option in zip("abcdef", question.options, strict=False):
                lines.append(f"   {letter}) {option.text}")
            for letter, option in zip("abcdef", question.options, strict=False):
                word = "right" if option.right else "no"
                lines.append(f"      answer {letter}: {word}. {option.why}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        fields = [self._field(i, question) for i, question in enumerate(self.questions, start=1)]
        # Keys that move between the buttons are not shortcuts of the notebook.
        head = '<div class="course-quiz" data-lm-suppress-shortcuts="true">'
        return f"{STYLE}{head}{''.join(fields)}</div>"

    def _field(self, number: int, question: Question) -> str:
        group = f"quiz-{self.chapter}-{number}"
        options = []
        for letter, option in zip("abcdef", question.options, strict=False):
            word = "✔ Right." if option.right else "✘ No."
            options.append(
                f'<input type="radio" name="{group}" id="{group}-{letter}">'
                f'<label for="{group}-{letter}">{html.escape(option.text)}</label>'
                f'<div class="why"><strong>{word}</strong> {html.escape(option.why)}</div>'
            )
        legend = f"<legend><strong>{number}.</strong> {html.escape(question.text)}</legend>"
        return f"<fieldset>{legend}{''.join(options)}</fieldset>"


def find_questions(chapter: str) -> Sequence[Question]:
    """The questions of a chapter such as ``"05"``.

    Raises:
        ValueError: if it has none.
    """
    try:
        module = importlib.import_module(f"course.exercises.chapter_{chapter}.quiz")
        questions: Sequence[Question] = module.QUIZ
    except ImportError as error:
        raise ValueError(f"chapter {chapter!r} has no quiz: use its number, as in '05'") from error
    return questions
