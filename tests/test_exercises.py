"""Every task is tried: solutions, named mistakes, mutants, and answers that are out of place."""

import itertools
import random
import re
import time

import numpy as np
import pytest
import torch

import course.exercises
from course.exercises import check, quiz
from course.exercises.box import Box
from course.exercises.questions import find_questions
from course.exercises.task import Task, Value, all_tasks, find_task, message_of
from course.exercises.verdict import NOT_YET, RIGHT, WRONG, judge
from mutants import mutants
from new_python import run_python
from notebook_files import NAMES, read

TASKS = all_tasks()
MOST_WORDS = 40

# Mutants that compute the same as the solution, so that nobody could refuse them.
EQUIVALENT = {
    "00.1 share_right": ["zip(truths, answers", "strict=False"],
    "00.1 share_right_in_one_line": ["zip(truths, answers", "strict=False"],
    "01.2 brighten_in_a_loop": ["strict=False", "zip(gain, batch"],
    "01.3 normalise_each": ["dim=(2, 1, 3)"],  # the order of the dimensions does not matter
}


def given(answer):
    """What a learner would hand in."""
    return answer.value if isinstance(answer, Value) else answer


def name_of(answer):
    return getattr(answer, "__name__", repr(given(answer)))


SOLUTIONS = [(number, answer) for number, task in TASKS.items() for answer in task.solutions]
MISTAKES = [(number, answer) for number, task in TASKS.items() for answer in task.mistakes]
FUNCTIONS = [pair for pair in SOLUTIONS if callable(pair[1])]


def ids(pairs):
    return [f"{number}-{name_of(answer)}" for number, answer in pairs]


# --- Every task --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", TASKS)
def test_a_task_is_complete(number):
    task = find_task(number)
    assert len(task.solutions) >= 2
    assert len(task.mistakes) >= 3
    assert len(task.hints) >= 2
    assert 1 <= task.minutes <= 20
    messages = [message_of(answer) for answer in (*task.solutions, *task.mistakes)]
    assert all(messages)
    wrong = messages[len(task.solutions) :]
    assert len(set(wrong)) == len(wrong)
    for text in (*messages, *task.hints):
        assert len(text.split()) <= MOST_WORDS, text


@pytest.mark.parametrize(("number", "answer"), SOLUTIONS, ids=ids(SOLUTIONS))
def test_a_solution_passes(number, answer):
    assert judge(TASKS[number], given(answer)).word == RIGHT


@pytest.mark.parametrize(("number", "answer"), MISTAKES, ids=ids(MISTAKES))
def test_a_named_mistake_gets_its_own_message(number, answer):
    value = given(answer)
    if isinstance(value, dict):  # the other answers may be right
        value = given(TASKS[number].solutions[0]) | value
    verdict = judge(TASKS[number], value)
    assert (verdict.word, verdict.message) == (WRONG, message_of(answer))


@pytest.mark.parametrize(("number", "answer"), FUNCTIONS, ids=ids(FUNCTIONS))
def test_mutants_are_refused(number, answer):
    passed = []
    for source, mutant in mutants(answer):
        if judge(TASKS[number], mutant).word == RIGHT:
            passed.append(source)
    allowed = EQUIVALENT.get(f"{number} {answer.__name__}", [])
    assert [source for source in passed if not any(line in source for line in allowed)] == []


OUT_OF_PLACE = {
    "None": None,
    "a text": "three",
    "a module": torch,
    "a tensor of rank 5": torch.zeros(1, 2, 1, 2, 1),
    "a generator": (i for i in range(3)),
    "a million numbers": torch.zeros(1000, 1000),
    "nan": float("nan"),
    "an empty list": [],
    "a function that raises": lambda *args: 1 / 0,
    "a function that prints": lambda *args: print("here"),
    "a function that yields": lambda *args: (yield 1),
    "a function that gives nan": lambda *args: torch.tensor(float("nan")),
    "a function that gives a million numbers": lambda *args: torch.zeros(1000, 1000),
    "a function that ends the program": lambda *args: exit(3),
    "a function without arguments": lambda: 3,
    "a class": dict,
}


@pytest.mark.parametrize("number", TASKS)
@pytest.mark.parametrize("answer", OUT_OF_PLACE.values(), ids=OUT_OF_PLACE)
def test_what_is_out_of_place_gets_a_sentence(number, answer):
    verdict = judge(TASKS[number], answer)
    assert verdict.word == WRONG
    assert 2 <= len(verdict.message.split()) <= MOST_WORDS
    assert "course/exercises" not in verdict.message
    assert len(verdict.example) <= 12


@pytest.mark.parametrize("number", TASKS)
def test_no_message_gives_a_value_away(number):
    """The wanted result of a value task is in no message and no hint."""
    task = TASKS[number]
    solution = task.solutions[0]
    texts = [*task.hints, *(message_of(mistake) for mistake in task.mistakes)]
    if isinstance(solution, Value):
        parts = solution.value.values() if isinstance(solution.value, dict) else [solution.value]
        for part in parts:
            assert not any(re.search(rf"(?<!\w){re.escape(str(part))}(?!\w)", t) for t in texts)
    else:
        lines = [
            line.strip() for line in Box(number, task, judge(task, ...))._solution().split("\n")
        ]
        code = [line for line in lines if len(line) > 20 and not line.startswith("<")]
        assert not any(line in text for line in code for text in texts)


def test_nearly_every_check_answers_within_a_second():
    seconds = []
    for number, answer in SOLUTIONS + MISTAKES:
        start = time.perf_counter()
        judge(TASKS[number], given(answer))
        seconds.append(time.perf_counter() - start)
    # Other programs may want the processor at the same time, so this bound is far away.
    assert sorted(seconds)[int(0.95 * len(seconds))] < 5


# --- What a check leaves alone ----------------------------------------------------------------


def test_random_numbers_go_on_as_if_nothing_had_been_checked():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    for number, answer in SOLUTIONS + MISTAKES:
        judge(TASKS[number], given(answer))
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_gradients_are_on_afterwards():
    def turns_them_off(batch, gain):
        torch.set_grad_enabled(False)
        return batch

    judge(TASKS["01.2"], turns_them_off)
    assert torch.is_grad_enabled()


def test_the_same_answer_gets_the_same_verdict():
    def draws(batch, gain):
        return batch + torch.rand(1)

    assert judge(TASKS["01.2"], draws) == judge(TASKS["01.2"], draws)


# --- What is still to be done -----------------------------------------------------------------


def dots(x): ...


def dots_and_a_text(x):
    """Do it."""
    ...


def dots_for_a_value(x):
    y = ...
    return x + y


def passes(x):
    pass


def takes_all_but_the_last(x):
    return x[..., 0] + x[...]


def stops(x):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [..., {"a": ...}, (3, ...), dots, dots_and_a_text])
def test_dots_are_not_yet_an_answer(answer):
    assert judge(TASKS["01.2"], answer).word == NOT_YET


@pytest.mark.parametrize("answer", [dots_for_a_value, passes])
def test_half_an_answer_is_not_yet_one(answer):
    assert judge(TASKS["01.2"], answer).word == NOT_YET


@pytest.mark.parametrize("answer", [takes_all_but_the_last, stops, dict()])
def test_dots_in_an_index_are_code(answer):
    assert judge(TASKS["01.2"], answer).word == WRONG


# --- The usual faults of tensors ----------------------------------------------------------------


def change(x):
    result = 2 * x
    x.data.zero_()
    return result


def forgets_to_return(x):
    x = 2 * x  # noqa: F841


FAULTS = {
    "gives nothing back": forgets_to_return,
    "prints its result": lambda x: print(2 * x),
    r"shape is \(1, 3\)": lambda x: 2 * x[None],
    "broadcast": lambda x: x[:, None] + x[None],
    "dtype is torch.float64": lambda x: (2 * x).double(),
    "nan": lambda x: 2 * x + float("nan"),
    "lost their graph": lambda x: (2 * x).detach(),
    "values are not": lambda x: 3 * x,
    "changes what it was given": change,
    "a list": lambda x: (2 * x).tolist(),
    r"stops with IndexError.*x\[7\]": lambda x: x[7],
}


def double(x):
    """Twice."""
    return 2 * x


def plus(x):
    """Twice, in another way."""
    return x + x


def tensor_task():
    from course.exercises.task import Case

    make = lambda: (torch.tensor([1.0, 2.0, 3.0], requires_grad=True),)  # noqa: E731
    return Task(1, (double, plus), (), ("one", "two"), (Case(make),))


@pytest.mark.parametrize("words", FAULTS)
def test_the_usual_faults_are_named(words):
    verdict = judge(tensor_task(), FAULTS[words])
    assert verdict.word == WRONG
    assert re.search(words, verdict.message), verdict.message


def test_the_smallest_counterexample_is_shown():
    verdict = judge(TASKS["01.4"], lambda pixels: pixels.permute(2, 0, 1) / 256)
    rows = dict(verdict.example)
    assert rows["given"] == "tensor (2, 2, 3) uint8"


def test_the_wanted_result_of_the_example_is_not_shown():
    task = TASKS["01.2"]
    only = Task(1, task.solutions, task.mistakes, task.hints, task.cases[:1])
    assert "wanted" not in dict(judge(only, lambda batch, gain: gain).example)


# --- The box ----------------------------------------------------------------------------------


def test_the_box_is_text_in_a_console():
    said = run_python("from course.exercises import check; check('01.2', ...)")
    assert said.startswith("… Task 01.2: not yet. Replace the dots")


def test_the_box_folds_hints_and_solution():
    task = TASKS["01.2"]
    page = Box("01.2", task, judge(task, lambda batch, gain: batch * gain))._repr_html_()
    assert page.count("<details>") == len(task.hints) + 1
    assert "You scaled columns" in page and "✘" in page
    solved = Box("01.2", task, judge(task, task.solutions[0]))._repr_html_()
    assert solved.count("<details>") == 1 and "✔" in solved


def test_what_a_learner_writes_is_escaped():
    box = Box("01.2", TASKS["01.2"], judge(TASKS["01.2"], lambda *args: {}["<script>"]))
    assert "<script>" not in box._repr_html_()


@pytest.mark.parametrize("number", ["", "99.1", "01.77", "01", 1, "../01.1", None])
def test_a_number_without_a_task_is_refused(number):
    with pytest.raises(ValueError, match=r"choose from .*01\.1"):
        check(number, 3)


def tasks_of(name):
    """Number, minutes and code of the tasks of a notebook: a heading, and the cell after it."""
    cells = read(name).cells
    for cell, after in itertools.pairwise(cells):
        for number, minutes in re.findall(
            r"^### Task (\S+) · .+ \((\d+) minutes\)$", cell.source, flags=re.M
        ):
            yield number, int(minutes), after.source


NOT_YET_IN_A_NOTEBOOK = {"01", "02", "04"}


def test_every_task_stands_in_its_notebook_and_the_other_way_round():
    found = [task for name in NAMES for task in tasks_of(name)]
    missing = [number for number in TASKS if number[:2] not in NOT_YET_IN_A_NOTEBOOK]
    assert [number for number, _, _ in found] == missing
    for number, minutes, source in found:
        assert TASKS[number].minutes == minutes, number
        assert f'check("{number}", ' in source, number
    checks = sum('check("' in cell.source for name in NAMES for cell in read(name).cells)
    assert checks == len(found)


@pytest.mark.parametrize("name", [name for name in NAMES if list(tasks_of(name))])
def test_a_task_as_shipped_says_not_yet(name, capsys):
    memory = {"check": check}
    for number, _, source in tasks_of(name):
        exec(compile(source, number, "exec"), memory)
        assert f"Task {number}: not yet" in capsys.readouterr().out


def test_everything_that_a_chapter_holds_is_found():
    assert {number.partition(".")[0] for number in TASKS} <= {f"{i:02}" for i in range(19)}
    assert course.exercises.__doc__


# --- Quizzes ----------------------------------------------------------------------------------


def chapters_with_a_quiz():
    return sorted({number.partition(".")[0] for number in TASKS})


@pytest.mark.parametrize("chapter", chapters_with_a_quiz())
def test_a_quiz_is_complete(chapter):
    questions = find_questions(chapter)
    assert 3 <= len(questions) <= 5
    if chapter not in ("00", "01"):
        assert sum(question.chapter < chapter for question in questions) >= 2
    for question in questions:
        assert question.text.endswith("?") and len(question.text.split()) <= MOST_WORDS
        assert sum(option.right for option in question.options) == 1
        assert 3 <= len(question.options) <= 5
        for option in question.options:
            assert len(option.why.split()) <= MOST_WORDS and option.why.endswith(".")


@pytest.mark.parametrize("chapter", ["", "99", "1", None])
def test_a_chapter_without_a_quiz_is_refused(chapter):
    with pytest.raises(ValueError, match="has no quiz"):
        quiz(chapter)
