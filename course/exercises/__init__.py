"""Tasks that answer: a learner's answer is tried, and a mistake is called by its name.

``check("04.2", my_function)`` shows a box. A task is a module in the folder of its chapter; how an
answer is tried stands in `verdict`, how results are compared in `compare`.
"""

from typing import Any


def check(number: str, answer: Any) -> None:
    """Try the answer to a task and say what to think of it.

    Args:
        number: of the task, as its heading says it, such as ``"04.2"``.
        answer: a function by its name, or a value.

    Raises:
        ValueError: if there is no such task.
    """
    from IPython.display import display

    from course.exercises.box import Box
    from course.exercises.task import find_task
    from course.exercises.verdict import judge

    task = find_task(number)
    display(Box(number, task, judge(task, answer)))


def quiz(chapter: str) -> None:
    """Show the questions at the end of a chapter, such as ``quiz("05")``.

    Raises:
        ValueError: if the chapter has none.
    """
    from IPython.display import display

    from course.exercises.questions import Quiz, find_questions

    display(Quiz(chapter, find_questions(chapter)))
