"""Trying an answer: is it right, which known mistake is it, or what else is wrong?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from course.exercises.compare import difference, name_of_type, same
from course.exercises.running import (
    Outcome,
    call,
    describe,
    is_unsolved,
    nothing_else_changed,
    where,
)
from course.exercises.task import Case, Task, Value, message_of

RIGHT, NOT_YET, WRONG = "right", "not yet", "not right"


@dataclass(frozen=True)
class Verdict:
    """What a check says: a word, a sentence or two, and perhaps an example as rows of a table."""

    word: str
    message: str
    example: tuple[tuple[str, str], ...] = ()


def judge(task: Task, answer: Any) -> Verdict:
    """Try an answer. The same one gets the same verdict, and nothing of the learner's changes."""
    if is_unsolved(answer):
        return Verdict(NOT_YET, "Replace the dots, then run the cell again.")
    with nothing_else_changed():
        if task.judge is not None:
            return _judge_open(task, answer)
        if task.cases:
            return _judge_function(task, answer)
        return _judge_value(task, answer)


def _judge_open(task: Task, answer: Any) -> Verdict:
    assert task.judge is not None
    try:
        problem = task.judge(answer)
    except Exception as error:  # whatever an answer of another kind does
        problem = f"This cannot be tried: {type(error).__name__}: {_first_line(error)}"
    return Verdict(WRONG, problem) if problem else Verdict(RIGHT, message_of(task.solutions[0]))


def _judge_value(task: Task, answer: Any) -> Verdict:
    wanted = task.solutions[0]
    assert isinstance(wanted, Value)
    right = [s.value for s in task.solutions if isinstance(s, Value)]
    if any(same(value, answer, task.relative) for value in right):
        return Verdict(RIGHT, wanted.message)
    for mistake in task.mistakes:
        if isinstance(mistake, Value) and _matches(mistake.value, answer, task.relative):
            return Verdict(WRONG, mistake.message)
    return Verdict(WRONG, _what_is_wrong(wanted.value, answer, task.relative))


def _what_is_wrong(wanted: Any, answer: Any, relative: float) -> str:
    """Name the part that is wrong, without a word about what would be right."""
    if type(answer) in (tuple, list) and isinstance(wanted, tuple | list):
        wanted = dict(enumerate(wanted, start=1))
        answer = dict(enumerate(answer, start=1))
    if not isinstance(wanted, dict) or not isinstance(answer, dict):
        alike = isinstance(answer, type(wanted))
        return (
            "This is not the answer." if alike else f"It is {name_of_type(answer)}: see the task."
        )
    if missing := [key for key in wanted if key not in answer]:
        return f"There is no answer to {missing[0]!r}."
    wrong = [key for key, value in wanted.items() if not same(value, answer[key], relative)]
    named = ", ".join(repr(key) for key in wrong)
    return f"Look once more at {named}." if wrong else "There are more answers than questions."


def _matches(mistake: Any, answer: Any, relative: float) -> bool:
    """Whether an answer is this wrong one; ``...`` in it stands for anything."""
    if mistake is ...:
        return True
    if isinstance(mistake, tuple) and isinstance(answer, tuple | list):
        parts = zip(mistake, answer, strict=False)
        return len(mistake) == len(answer) and all(_matches(m, a, relative) for m, a in parts)
    if isinstance(mistake, dict) and isinstance(answer, dict):
        return all(k in answer and _matches(v, answer[k], relative) for k, v in mistake.items())
    return same(mistake, answer, relative)


def _judge_function(task: Task, answer: Any) -> Verdict:
    if not callable(answer):
        kind = name_of_type(answer)
        message = f"The check needs your function itself, by its name alone. It was given {kind}."
        return Verdict(WRONG, message)
    cases = [(case, case.make()) for case in task.cases]
    outcomes = [call(answer, arguments) for _, arguments in cases]
    solution = _function(task.solutions[0])
    wanted = [call(solution, arguments) for _, arguments in cases]

    problems = [
        _problem(task, *both, arguments, answer)
        for both, (_, arguments) in zip(zip(wanted, outcomes, strict=True), cases, strict=True)
    ]
    if not any(problems):
        return Verdict(RIGHT, message_of(task.solutions[0]))
    if named := _named_mistake(task, cases, outcomes):
        return Verdict(WRONG, named)
    return _smallest(cases, wanted, outcomes, problems)


def _function(answer: Any) -> Callable[..., Any]:
    assert callable(answer)
    return answer


def _named_mistake(
    task: Task, cases: list[tuple[Case, tuple[Any, ...]]], outcomes: list[Outcome]
) -> str | None:
    """The message of the wrong answer that does the same in every case."""
    for mistake in task.mistakes:
        theirs = [call(_function(mistake), arguments) for _, arguments in cases]
        pairs = zip(theirs, outcomes, strict=True)
        if all(_alike(task, theirs, yours) for theirs, yours in pairs):
            return message_of(mistake)
    return None


def _alike(task: Task, first: Outcome, second: Outcome) -> bool:
    if first.error or second.error:
        return type(first.error) is type(second.error)
    before, after = first.arguments_after, second.arguments_after
    return same(first.result, second.result, task.relative) and same(before, after, task.relative)


def _problem(
    task: Task, wanted: Outcome, outcome: Outcome, arguments: tuple[Any, ...], answer: Any
) -> str | None:
    """What is wrong in one case, or None."""
    if outcome.error:
        place = where(outcome.error, answer)
        text = f"{type(outcome.error).__name__}: {_first_line(outcome.error)}"
        return f"Your code stops with {text}" + (f" ({place})" if place else "")
    if outcome.result is None and wanted.result is not None and outcome.printed:
        return "It prints its result: use `return`, so that others can go on with it."
    if found := difference(wanted.result, outcome.result, task.relative):
        return found
    expected = wanted.arguments_after if task.changes_arguments else arguments
    if not same(expected, outcome.arguments_after, task.relative):
        if task.changes_arguments:
            return "What it was given is not changed as asked."
        return "It changes what it was given: the caller's tensor is another one afterwards."
    return None


def _smallest(
    cases: list[tuple[Case, tuple[Any, ...]]],
    wanted: list[Outcome],
    outcomes: list[Outcome],
    problems: list[str | None],
) -> Verdict:
    """The problem of the failing case with the fewest numbers, and that case."""
    failing = [i for i, problem in enumerate(problems) if problem]
    first = min(failing, key=lambda i: (_size(cases[i][1]), i))
    rows = [("given", _shown(cases[first][1]))]
    if not outcomes[first].error:
        ours, yours = describe(wanted[first].result), describe(outcomes[first].result)
        if not cases[first][0].is_example and ours != yours:
            rows.append(("wanted", ours))
        rows.append(("yours", yours))
    return Verdict(WRONG, problems[first] or "", tuple(rows))


def _size(arguments: tuple[Any, ...]) -> int:
    """How many numbers are in the tensors."""
    return sum(argument.numel() for argument in arguments if isinstance(argument, Tensor))


def _shown(arguments: tuple[Any, ...]) -> str:
    return ", ".join(describe(argument) for argument in arguments)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no message"
