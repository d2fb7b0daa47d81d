"""01.1 Shapes without running."""

from course.exercises.task import Task, Value

SHAPES = Value(
    {
        "g[0]": (3, 4),
        "g[:, 1]": (2, 4),
        "g[:, 1:2]": (2, 1, 4),
        "g[..., -1]": (2, 3),
        "g[g > 5]": (18,),
        "g.sum(dim=1)": (2, 4),
    },
    "A number removes its dimension, a slice keeps it, a mask gives a flat row, and a sum removes"
    " the dimension that it is told.",
)
SHAPES_AS_LISTS = Value(
    {question: list(shape) for question, shape in SHAPES.value.items()}, SHAPES.message
)
INDEX_KEEPS = Value(
    {"g[:, 1]": (2, 1, 4)},
    "You keep a dimension in `g[:, 1]`. A single number as an index removes its dimension.",
)
SLICE_REMOVES = Value(
    {"g[:, 1:2]": (2, 4)},
    "You remove a dimension in `g[:, 1:2]`. A slice keeps its dimension, even one of length one.",
)
MASK_KEEPS = Value(
    {"g[g > 5]": (2, 3, 4)},
    "You keep the shape in `g[g > 5]`. A mask picks single numbers, and what is left over would"
    " have holes.",
)
SUM_KEEPS = Value(
    {"g.sum(dim=1)": (2, 3)},
    "`dim=1` names the dimension that disappears in a sum. You removed another one.",
)


TASK = Task(
    minutes=5,
    solutions=(SHAPES, SHAPES_AS_LISTS),
    mistakes=(INDEX_KEEPS, SLICE_REMOVES, MASK_KEEPS, SUM_KEEPS),
    hints=(
        "Write 2, 3, 4 on paper, and cross out a dimension when a number stands at its place.",
        "`...` stands for all dimensions that are not named, so `-1` belongs to the last one.",
    ),
)
