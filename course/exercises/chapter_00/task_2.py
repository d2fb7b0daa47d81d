"""00.2 The order of cells."""

from typing import Any

from course.exercises.task import Task, Value

CELLS = {"A": "price = 10", "B": "price = price * 2", "C": "printed.append(price)"}
WANTED = 80

RIGHT = Value(
    "ABBBC",
    "A sets the price, each B doubles what is there, and C prints what the kernel remembers.",
)
RIGHT_AFTER_A_RESTART = Value("ABABBBC", RIGHT.message)
TOO_MANY = Value("ABBBBC", "The price is too high: B ran too often.")
TOO_FEW = Value("ABC", "The price is too low: how often does it have to double?")
NO_PRINT = Value("ABBB", "Nothing was printed: which cell does that, and when?")
TOO_EARLY = Value(
    "BABBBC",
    "NameError: B ran before anything had the name price, so it had nothing to double.",
)
STRANGE = Value("ABBBD", "There are only the cells A, B and C: write their letters, in order.")


def problem_of(answer: Any) -> str | None:
    """Run the cells in this order in an empty kernel; say what is wrong with what is printed."""
    if not isinstance(answer, str):
        return "The answer is a text such as 'ABC'."
    if not set(answer) <= set(CELLS):
        return STRANGE.message
    memory: dict[str, Any] = {"printed": []}
    try:
        for letter in answer:
            exec(CELLS[letter], memory)
    except NameError:
        return TOO_EARLY.message
    printed = memory["printed"]
    if not printed:
        return NO_PRINT.message
    if printed[-1] == WANTED:
        return None
    return TOO_MANY.message if printed[-1] > WANTED else TOO_FEW.message


TASK = Task(
    minutes=3,
    solutions=(RIGHT, RIGHT_AFTER_A_RESTART),
    mistakes=(TOO_MANY, TOO_FEW, NO_PRINT, TOO_EARLY, STRANGE),
    hints=(
        "Which cell gives the price its first value?",
        "Write down the price after each cell, beginning with 10.",
    ),
    judge=problem_of,
)
