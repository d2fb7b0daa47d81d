"""00.3 A comprehension."""

from course.exercises.task import Case, Task

Names = list[str]


def long_names(names: Names, n: int) -> Names:
    """Read it from the `for`: for each name, if it is long enough, take it in capital letters."""
    return [name.upper() for name in names if len(name) > n]


def long_names_in_a_loop(names: Names, n: int) -> Names:
    """The loop says the same in four lines."""
    chosen = []
    for name in names:
        if len(name) > n:
            chosen.append(name.upper())
    return chosen


def takes_equal_lengths(names: Names, n: int) -> Names:
    """You also took names of exactly `n` letters. Asked for are those with more."""
    return [name.upper() for name in names if len(name) >= n]


def takes_all(names: Names, n: int) -> Names:
    """You took every name: the condition stands at the end of the comprehension."""
    return [name.upper() for name in names]


def keeps_small_letters(names: Names, n: int) -> Names:
    """The right names were chosen. They are to be in capital letters: `name.upper()`."""
    return [name for name in names if len(name) > n]


def takes_the_short_ones(names: Names, n: int) -> Names:
    """You took the short names: turn the comparison round."""
    return [name.upper() for name in names if len(name) < n]


def gives_lengths(names: Names, n: int) -> list[int]:
    """You gave the lengths. What stands before the `for` is what is taken."""
    return [len(name) for name in names if len(name) > n]


TASK = Task(
    minutes=4,
    solutions=(long_names, long_names_in_a_loop),
    mistakes=(
        takes_equal_lengths,
        takes_all,
        keeps_small_letters,
        takes_the_short_ones,
        gives_lengths,
    ),
    hints=(
        "Begin with the loop alone: `[name for name in names]`.",
        "Put the condition behind it, then change what stands before the `for`.",
    ),
    cases=(
        Case(lambda: (["shirt", "bag", "sandal"], 4), is_example=True),
        Case(lambda: (["hat", "coat", "dress"], 4)),
        Case(lambda: (["a", "bb"], 1)),
    ),
)
