"""Questions at the end of notebook 00."""

from course.exercises.questions import Option, Question

QUIZ = (
    Question(
        "00",
        "A cell that worked this morning ends in a NameError. You changed a name further up. What"
        " do you do?",
        (
            Option("Run the same cell again.", "The kernel still does not know the name."),
            Option(
                "Restart the kernel and run all cells.",
                "Then the page and the memory of the kernel agree again.",
                right=True,
            ),
            Option("Install PyTorch again.", "A missing name has nothing to do with packages."),
        ),
    ),
    Question(
        "00",
        "A machine is right on 69 of 100 fresh pictures, and on 95 of 100 pictures that it has"
        " learned from. Which number do you tell others?",
        (
            Option("69 %", "Only fresh pictures show what it has understood.", right=True),
            Option("95 %", "It may simply remember these pictures."),
            Option("82 %, the mean", "A mean of two different questions answers neither."),
        ),
    ),
    Question(
        "00",
        "You change a value, as the text says, and a cell below complains with an AssertionError."
        " What does that mean?",
        (
            Option("The notebook is broken.", "It runs again after a restart."),
            Option(
                "The course checked a number that your change has moved.",
                "An assert guards a sentence of the text. After a change it may complain.",
                right=True,
            ),
            Option("Your change is forbidden.", "Trying things out is what the cells are for."),
        ),
    ),
)
