"""02.1 A slope without autograd."""

from collections.abc import Callable

from course.exercises.task import Case, Task

Curve = Callable[[float], float]
NUDGE = 1e-4


def slope(f: Curve, w: float) -> float:
    """The change of the height per unit of the nudge. Half a nudge to each side is more exact than
    one nudge to the right."""
    return (f(w + NUDGE / 2) - f(w - NUDGE / 2)) / NUDGE


def slope_to_the_right(f: Curve, w: float) -> float:
    """One nudge to the right is exact enough, if it is small."""
    step = 1e-5
    return (f(w + step) - f(w)) / step


def nudges_by_one(f: Curve, w: float) -> float:
    """Your nudge is one. The curve bends within so long a step: take a much smaller one."""
    return f(w + 1) - f(w)


def gives_the_height(f: Curve, w: float) -> float:
    """You give the height of the curve at `w`. The slope says how much the height changes."""
    return f(w)


def forgets_to_divide(f: Curve, w: float) -> float:
    """You give the change of the height. Divide it by the nudge that caused it."""
    return f(w + NUDGE) - f(w)


def goes_down(f: Curve, w: float) -> float:
    """The size is right, the sign is not: which of the two heights is subtracted?"""
    return (f(w) - f(w + NUDGE)) / NUDGE


def halves_the_slope(f: Curve, w: float) -> float:
    """You went one nudge to each side and divided by two nudges too many, or went only half as far
    as you divided."""
    return (f(w + NUDGE) - f(w)) / (2 * NUDGE)


TASK = Task(
    minutes=6,
    solutions=(slope, slope_to_the_right),
    mistakes=(nudges_by_one, gives_the_height, forgets_to_divide, goes_down, halves_the_slope),
    hints=(
        "Call `f` twice: at `w`, and a tiny step beside it.",
        "A slope is the difference of the heights divided by the difference of the places.",
    ),
    cases=(
        Case(lambda: (lambda w: w**3 - 2 * w, 2.0), is_example=True),
        Case(lambda: (lambda w: w**2 - 5 * w, -1.5)),
        Case(lambda: (lambda w: 4.0 - 3.0 * w, 0.5)),
    ),
    relative=1e-3,
)
