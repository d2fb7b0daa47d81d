"""Questions at the end of notebook 02."""

from course.exercises.questions import Option, Question

QUIZ = (
    Question(
        "02",
        "The loss falls for a while, then swings more and more and becomes nan. Which would you try"
        " first?",
        (
            Option(
                "A learning rate ten times smaller.",
                "Growing swings mean that a step jumps across the valley.",
                right=True,
            ),
            Option("More steps.", "Each further step is as much too long as those before."),
            Option("Another start.", "The steps would be too long from there, too."),
        ),
    ),
    Question(
        "02",
        "You want to look at the size of a weight without disturbing autograd. What do you write?",
        (
            Option(
                "w.detach().norm()", "Nothing is recorded, and `w` stays as it was.", right=True
            ),
            Option("w.requires_grad_(False).norm()", "From then on `w` would not learn any more."),
            Option("w.grad.norm()", "That is the size of the gradient, not of the weight."),
        ),
    ),
    Question(
        "01",
        "`errors = predictions - targets` has shape (50, 50), and both had 50 entries. What were"
        " their shapes?",
        (
            Option("Both (50,)", "Two equal shapes give the same shape."),
            Option(
                "(50, 1) and (50,)",
                "Aligned at the right, each prediction meets every target.",
                right=True,
            ),
            Option("(1, 50) and (50,)", "These two give (1, 50)."),
        ),
    ),
    Question(
        "01",
        "A mask picks the dark pixels: `dark = image[image < 0.1]`. Then `dark += 1` runs. Has"
        " `image` changed?",
        (
            Option("Yes, it is a view.", "A slice would be one. A mask makes a copy."),
            Option("No, a mask makes a copy.", "The copy has its own memory.", right=True),
            Option("Only where it is dark.", "`image[image < 0.1] += 1` would do that."),
        ),
    ),
)
