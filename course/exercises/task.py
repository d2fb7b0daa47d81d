"""What a task is: cases to try an answer on, right answers, and wrong ones with a name.

Each task is a module in the folder of its chapter, such as ``chapter_04/task_2.py``. A right or a
wrong answer to it is a function or a `Value`. The docstring of such a function is what a learner
reads: why the solution is right, or which misconception the mistake shows.
"""

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """One call of the learner's function.

    Args:
        make: gives the arguments, new ones each time.
        is_example: whether the notebook shows it, so that its wanted result is never printed.
    """

    make: Callable[[], tuple[Any, ...]]
    is_example: bool = False


@dataclass(frozen=True)
class Value:
    """A right or a wrong answer to a question whose answer is no function.

    In a wrong one ``...`` stands for a part that may be anything.
    """

    value: Any
    message: str


Answer = Callable[..., Any] | Value


@dataclass(frozen=True)
class Task:
    """What the check of one task knows.

    Args:
        minutes: that a learner is likely to need.
        solutions: right answers of different make; the first is shown.
        mistakes: wrong answers, each with its message.
        hints: two or more, each says more than the one before.
        cases: what a function is tried on; none if the answer is a value.
        judge: for an open task: says what is still wrong with an answer, or None.
        changes_arguments: whether the task asks to change an argument, such as a model.
        relative: how far a floating-point number may be off.
    """

    minutes: int
    solutions: Sequence[Answer]
    mistakes: Sequence[Answer]
    hints: Sequence[str]
    cases: Sequence[Case] = ()
    judge: Callable[[Any], str | None] | None = None
    changes_arguments: bool = False
    relative: float = 1e-4


def message_of(answer: Answer) -> str:
    """What a learner reads about a right or wrong answer: its message or docstring, in one line."""
    text = answer.message if isinstance(answer, Value) else inspect.getdoc(answer) or ""
    return " ".join(text.split())


def all_tasks() -> dict[str, Task]:
    """The tasks of all chapters by their numbers, such as ``"04.2"``."""
    tasks: dict[str, Task] = {}
    for path in sorted(Path(__file__).parent.glob("chapter_*/task_*.py")):
        number = f"{path.parent.name.removeprefix('chapter_')}.{path.stem.removeprefix('task_')}"
        tasks[number] = find_task(number)
    return tasks


def find_task(number: str) -> Task:
    """The task with a number such as ``"04.2"``.

    Raises:
        ValueError: if there is none.
    """
    chapter, _, place = str(number).partition(".")
    try:
        module = importlib.import_module(f"course.exercises.chapter_{chapter}.task_{place}")
    except ImportError as error:
        known = ", ".join(sorted(all_tasks()))
        raise ValueError(f"there is no task {number!r}: choose from {known}") from error
    task: Task = module.TASK
    return task
