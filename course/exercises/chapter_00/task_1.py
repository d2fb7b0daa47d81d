"""00.1 How often is it right?"""

from course.exercises.task import Case, Task

Names = list[str]


def share_right(answers: Names, truths: Names) -> float:
    """Each pair is compared, and the count is divided by the number of pairs."""
    count = 0
    for answer, truth in zip(answers, truths, strict=True):
        if answer == truth:
            count += 1
    return count / len(truths)


def share_right_in_one_line(answers: Names, truths: Names) -> float:
    """A comparison is True or False, and True counts as one in a sum."""
    return sum(a == t for a, t in zip(answers, truths, strict=True)) / len(truths)


def gives_the_count(answers: Names, truths: Names) -> int:
    """That is how many are right. Which share of all is it?"""
    return sum(a == t for a, t in zip(answers, truths, strict=True))


def divides_by_three(answers: Names, truths: Names) -> float:
    """You divided by 3. Other lists have another length: ask for it with `len`."""
    return sum(a == t for a, t in zip(answers, truths, strict=True)) / 3


def divides_as_integers(answers: Names, truths: Names) -> int:
    """It is 1 if all are right and else 0. Two slashes cut off what stands behind the point, and
    `==` between whole lists compares them as one."""
    return sum(a == t for a, t in zip(answers, truths, strict=True)) // len(truths)


def share_wrong(answers: Names, truths: Names) -> float:
    """That is the share of the wrong answers."""
    return sum(a != t for a, t in zip(answers, truths, strict=True)) / len(truths)


def looks_anywhere(answers: Names, truths: Names) -> float:
    """You asked whether the answer stands anywhere among the truths. It has to stand at the same
    place."""
    return sum(answer in truths for answer in answers) / len(truths)


TASK = Task(
    minutes=5,
    solutions=(share_right, share_right_in_one_line),
    mistakes=(
        gives_the_count,
        divides_by_three,
        divides_as_integers,
        share_wrong,
        looks_anywhere,
    ),
    hints=(
        "Begin with `count = 0`, and go through both lists with `zip(answers, truths)`.",
        "After the loop, divide the count by the number of answers.",
    ),
    cases=(
        Case(lambda: (["shirt", "coat", "coat"], ["shirt", "coat", "bag"]), is_example=True),
        Case(lambda: (["a", "b", "a", "b"], ["b", "a", "a", "c"])),
        Case(lambda: (["bag"], ["bag"])),
        Case(lambda: (["x", "y", "z", "z", "z"], ["y", "x", "x", "x", "z"])),
    ),
)
