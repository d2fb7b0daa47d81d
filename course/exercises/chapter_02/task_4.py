"""02.4 Read the curvature."""

from course.exercises.task import Task, Value

RIGHT = Value(
    {"in one step": 0.2, "largest that does not grow": 0.4},
    "One divided by the curvature reaches the bottom in one step, and twice that is the border.",
)
FRACTIONS = Value(
    {"in one step": 1 / 5, "largest that does not grow": 2 / 5},
    "One divided by the curvature reaches the bottom in one step, and twice that is the border.",
)
EXCHANGED = Value(
    {"in one step": 0.4, "largest that does not grow": 0.2},
    "You exchanged the two: a step that is too long still comes closer, up to a border.",
)
MULTIPLIED = Value(
    {"in one step": 5.0},
    "A steeper bend needs shorter steps, so the curvature divides.",
)
BORDER_TOO_FAR = Value(
    {"largest that does not grow": 5.0},
    "At that rate each step jumps far across the valley. How far may a step go beyond the bottom?",
)
NO_ROOM = Value(
    {"largest that does not grow": 0.2},
    "At that rate the step ends exactly at the bottom. It may go further, to the same height on the"
    " other side.",
)

TASK = Task(
    minutes=4,
    solutions=(RIGHT, FRACTIONS),
    mistakes=(EXCHANGED, MULTIPLIED, BORDER_TOO_FAR, NO_ROOM),
    hints=(
        "Near the bottom the gradient is the curvature times the distance to the bottom.",
        "One step multiplies the distance by 1 minus the rate times the curvature.",
    ),
)
