"""Questions at the end of notebook 01."""

from course.exercises.questions import Option, Question

QUIZ = (
    Question(
        "01",
        "A batch has shape (32, 3, 28, 28), and you want each picture twice as wide by repeating"
        " its columns. Which dimension do you work on?",
        (
            Option("0", "Dimension 0 counts the pictures: you would get 64 of them."),
            Option("1", "Dimension 1 holds the colours red, green and blue."),
            Option("2", "Dimension 2 is the height: the picture would get taller."),
            Option("3", "The order is N, C, H, W, so the width comes last.", right=True),
        ),
    ),
    Question(
        "01",
        "`loss = ((predictions - targets) ** 2).mean()` runs, and the loss is far too large."
        " predictions has shape (64, 1), targets (64,). What do you do first?",
        (
            Option("Lower the learning rate.", "The loss is wrong before any step is taken."),
            Option(
                "Give both the same shape.",
                "Both were broadcast to (64, 64): each prediction met every target.",
                right=True,
            ),
            Option("Convert both to float64.", "Precision is not the cause of a large error."),
        ),
    ),
    Question(
        "01",
        "You change `row = table[0]` in place with `row += 1`. What happens to `table`?",
        (
            Option(
                "Its first row changes, too.",
                "A basic index gives a view: both look at the same memory.",
                right=True,
            ),
            Option("Nothing.", "That would be so after `table[0].clone()`."),
            Option("An error is raised.", "Changing a view in place is allowed."),
        ),
    ),
    Question(
        "01",
        "A picture from a camera has shape (480, 640, 3). A network asks for (3, 480, 640). Which"
        " call keeps the picture as it is?",
        (
            Option(
                "picture.permute(2, 0, 1)",
                "It moves whole dimensions, and every number stays with its pixel.",
                right=True,
            ),
            Option(
                "picture.reshape(3, 480, 640)",
                "The shape is right, but the numbers are cut anew: the picture is scrambled.",
            ),
            Option(
                "picture.transpose(0, 2)",
                "That gives (3, 640, 480): the picture lies on its side.",
            ),
        ),
    ),
)
