"""00.4 Which stage is it?"""

from course.exercises.task import Task, Value

STAGES = {
    "read photos from a folder": "Data ingestion",
    "resize all photos": "Data preparation",
    "choose the layers of a network": "Modeling",
    "compute a gradient": "Training",
    "choose one of three learning rates": "Evaluation",
    "put the model on a phone": "Deployment",
    "notice that winter photos go wrong": "Monitoring",
}
WHY = "Ask when in the life of a model it happens: with the data, while it learns, or in use."

RIGHT = Value(STAGES, WHY)
IN_ANOTHER_ORDER = Value(dict(reversed(STAGES.items())), WHY)
RATE_IS_TRAINING = Value(
    {"choose one of three learning rates": "Training"},
    "Three trainings are over when you choose among their rates: you decide by measuring.",
)
WINTER_IS_EVALUATION = Value(
    {"notice that winter photos go wrong": "Evaluation"},
    "The model is in use by then, and nobody has planned that measurement: somebody watches it.",
)
GRADIENT_IS_MODELING = Value(
    {"compute a gradient": "Modeling"},
    "A gradient says how to change the numbers of a model whose layers are chosen already.",
)
RESIZE_IS_INGESTION = Value(
    {"resize all photos": "Data ingestion"},
    "The photos have been read when they get one size: they are made ready for the network.",
)

TASK = Task(
    minutes=4,
    solutions=(RIGHT, IN_ANOTHER_ORDER),
    mistakes=(RATE_IS_TRAINING, WINTER_IS_EVALUATION, GRADIENT_IS_MODELING, RESIZE_IS_INGESTION),
    hints=(
        "Write the names as in the picture: each of the seven is used once.",
        "When does it happen: before the model learns, while it learns, after, or in use?",
    ),
)
