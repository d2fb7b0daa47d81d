"""Questions at the end of notebook 04."""

from course.exercises.questions import Option, Question

QUIZ = (
    Question(
        "04",
        "The training loss falls, the validation loss rises, and the validation accuracy still"
        " climbs a little. What would you do?",
        (
            Option(
                "Stop soon and keep the best epoch.",
                "The network grows surer of its mistakes: it begins to overfit.",
                right=True,
            ),
            Option("Train longer, the accuracy climbs.", "The loss says that it gets worse soon."),
            Option("Raise the learning rate.", "It learns the training data well enough already."),
        ),
    ),
    Question(
        "04",
        "With ten classes the loss stays at 2.30 from the first to the last step. What is likely?",
        (
            Option("The network overfits.", "Then the training loss would be low."),
            Option(
                "Nothing is updated.",
                "2.30 is the loss of ten equal probabilities: nothing has been learned.",
                right=True,
            ),
            Option("The batch is too large.", "A larger batch has smoother steps, not none."),
        ),
    ),
    Question(
        "02",
        "You forget `optimizer.zero_grad()`. Which picture do you expect?",
        (
            Option("The loss does not move.", "The steps are too large, not too small."),
            Option(
                "The loss swings and may grow.",
                "Every step also repeats all earlier gradients.",
                right=True,
            ),
            Option("An error at the second backward.", "Adding up gradients is allowed."),
        ),
    ),
    Question(
        "03",
        "The training pictures are sorted by class, and the loader does not shuffle. What happens?",
        (
            Option("Nothing, the mean is the same.", "Each step sees one batch, not the mean."),
            Option(
                "The network learns the last class again and again.",
                "Whole runs of batches hold a single class, and each undoes the one before.",
                right=True,
            ),
            Option("It trains faster.", "The time per batch stays the same."),
        ),
    ),
)
