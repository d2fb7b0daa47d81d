"""What is shown carries alternative text, a sharp image and the real source."""

import base64
import io
import re

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

from course import plots, training
from course.models import MLP
from course.plots import confusion, labels
from course.plots.confusion import confusion_matrix, plot_confusion
from course.training import History


@pytest.fixture
def shown(monkeypatch):
    """The HTML of everything that is displayed."""
    pages: list[str] = []
    monkeypatch.setattr(plots, "display", lambda page: pages.append(page.data))
    return pages


def alt_of(page):
    return re.search(r'alt="([^"]*)"', page)[1]


def test_a_figure_is_sharp_and_has_alternative_text(shown):
    fig, ax = plt.subplots(figsize=(5, 3))
    plots.show_figure(fig, alt='a "line" < nothing')
    assert alt_of(shown[0]) == "a &quot;line&quot; &lt; nothing"
    png = base64.b64decode(re.search(r"base64,([^\"]+)", shown[0])[1])
    assert Image.open(io.BytesIO(png)).size == (1000, 600)
    assert 'width="500"' in shown[0]
    assert not plt.get_fignums()  # closed, so that the notebook does not draw it again


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_alternative_text_is_refused(alt):
    with pytest.raises(ValueError, match="say in a sentence"):
        plots.show_figure(plt.figure(), alt)
    plt.close("all")


def test_show_gives_every_line_of_the_source(shown):
    plots.show(MLP)
    text = re.sub(r"<[^>]+>", "", shown[0])
    assert "course.models" in text
    assert "self.hidden = nn.Linear(28 * 28, num_hidden)" in text
    plots.show(training)
    assert "def train_one_epoch" in re.sub(r"<[^>]+>", "", shown[1])


def test_the_pipeline_marks_its_stages(shown):
    plots.show_pipeline("Training", "Evaluation")
    assert "Marked: Training, Evaluation." in alt_of(shown[0])
    with pytest.raises(ValueError, match="unknown stage 'Cooking': choose from Data ingestion"):
        plots.show_pipeline("Cooking")


def test_learning_curves_say_what_they_show(shown):
    history = training.History([2.0, 1.0], [0.3, 0.6], [1.5, 1.2], [0.4, 0.55], [1.0, 1.0])
    plots.plot_history(history, "A small run", baseline=0.1)
    assert "A small run" in alt_of(shown[0])
    assert "validation accuracy from 0.40 to 0.55" in alt_of(shown[0])


def test_confusion_matrix_counts_true_rows_and_predicted_columns():
    targets = torch.tensor([0, 0, 1, 2, 2, 2])
    predictions = torch.tensor([0, 1, 1, 2, 0, 0])
    expected = torch.tensor([[1, 1, 0], [0, 1, 0], [2, 0, 1]])
    assert torch.equal(confusion_matrix(predictions, targets, 3), expected)


def test_the_confusion_picture_names_the_most_common_mistake(shown):
    targets = torch.tensor([0, 0, 1, 2, 2, 2])
    predictions = torch.tensor([0, 1, 1, 2, 0, 0])
    plot_confusion(predictions, targets, ["dress", "hat", "shoes"])
    assert "The most common mistake: shoes taken for dress, 2 times." in alt_of(shown[0])


def test_pictures_of_every_kind_can_be_shown(shown):
    images = [
        Image.new("RGB", (8, 8)),
        torch.rand(8, 8),
        torch.rand(1, 8, 8),
        torch.rand(3, 8, 8),
    ]
    plots.show_images(images, list("abcd"), alt="four small pictures", columns=3)
    assert alt_of(shown[0]) == "four small pictures"


def test_numbers_are_drawn_in_boxes():
    fig, ax = plt.subplots()
    plots.draw_numbers(ax, torch.tensor([[1.0, 2.5]]), title="two")
    assert [text.get_text() for text in ax.texts] == ["1", "2.5", "two"]
    plt.close(fig)


# --- the confusion matrix counts what it is given, or says what is wrong


@pytest.mark.parametrize("num_classes", [1, 2, 10, 100])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.int8])
def test_every_pair_is_counted_in_its_own_cell(num_classes, dtype):
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(num_classes, (2, 300), generator=generator)
    counts = confusion_matrix(pairs[0].to(dtype), pairs[1].to(dtype), num_classes)
    expected = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for prediction, target in pairs.T.tolist():
        expected[target, prediction] += 1
    assert torch.equal(counts, expected)


def test_lists_are_counted_like_tensors():
    assert confusion_matrix([2, 0], [1, 0], 3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("empty", [[], torch.zeros(0), torch.zeros(0, dtype=torch.int64)])
def test_of_nothing_all_counts_are_zero(empty):
    assert confusion_matrix(empty, empty, 3).tolist() == [[0, 0, 0]] * 3


@pytest.mark.parametrize(
    ("predictions", "targets", "num_classes", "message"),
    [
        ([7], [0], 3, "predictions must be from 0 to 2 for 3 classes, got 7"),
        ([0], [3], 3, "targets must be from 0 to 2 for 3 classes, got 3"),
        ([0, -1], [0, 1], 3, "predictions must be from 0 to 2 for 3 classes, got -1"),
        ([0, 1], [0, -100], 3, "targets must be from 0 to 2 for 3 classes, got -100"),
        ([0, 1, 2], [0, 1], 3, "got 3 predictions for 2 targets"),
        ([], [0, 1], 3, "got 0 predictions for 2 targets"),
        ([0.5], [0], 3, "predictions must be class numbers such as int64, got torch.float32"),
        ([0], [0.0], 3, "targets must be class numbers such as int64, got torch.float32"),
        ([True], [False], 2, "predictions must be class numbers such as int64, got torch.bool"),
        (torch.rand(4, 3), [0], 3, r"got (4, 3): logits become class numbers with logits.argmax"),
        ([0], torch.zeros(2, 3, 1), 3, "targets must have the shape (N,), got (2, 3, 1)"),
        (torch.tensor(1), [0], 3, "predictions must have the shape (N,), got ()"),
        ([], [], 0, "num_classes must be at least 1, got 0"),
        ([], [], -3, "num_classes must be at least 1, got -3"),
    ],
)
def test_what_cannot_be_counted_is_named(predictions, targets, num_classes, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        confusion_matrix(predictions, targets, num_classes)
    assert str(caught.value).isprintable()
    classes = [f"class {i}" for i in range(num_classes)]
    with pytest.raises(ValueError):
        plot_confusion(predictions, targets, classes)
    assert not plt.get_fignums()


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="there is no prediction to draw"):
        plot_confusion([], [], ["hat", "shoes"])


@pytest.mark.parametrize(
    ("predictions", "targets", "sentence"),
    [
        ([0, 1, 1], [0, 1, 1], "There is no mistake."),
        ([0], [0], "There is no mistake."),
        ([0, 1], [0, 0], "The most common mistake: dress taken for hat, once."),
        ([0, 0, 0], [1, 1, 1], "The most common mistake: hat taken for dress, 3 times."),
    ],
)
def test_the_alternative_text_tells_the_truth(shown, predictions, targets, sentence):
    plot_confusion(predictions, targets, ["dress", "hat"])
    assert alt_of(shown[0]).endswith(
        f"Confusion matrix of 2 classes; the diagonal is correct. {sentence}"
    )


# --- any number of classes, any names


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are shown, with everything laid out, and not closed."""
    figures = []

    def keep(fig, alt):
        fig.canvas.draw()
        figures.append(fig)

    monkeypatch.setattr(confusion, "show_figure", keep)
    monkeypatch.setattr(plots, "show_figure", keep)
    yield figures
    plt.close("all")


def overlap(texts):
    boxes = [text.get_window_extent() for text in texts]
    return any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])


@pytest.mark.parametrize("num_classes", [1, 2, 3, 10, 14, 15, 20, 21, 40, 100, 137])
def test_a_matrix_of_any_size_has_no_texts_over_one_another(drawn, num_classes):
    targets = torch.arange(num_classes).repeat(3)
    predictions = targets.clone()
    predictions[::2] = (predictions[::2] + 1) % num_classes
    plot_confusion(predictions, targets, [f"a garment {i}" for i in range(num_classes)])
    (fig,) = drawn
    ax = fig.axes[0]
    names = ax.get_yticklabels()
    assert names[0].get_text() == "a garment 0" and len(names) <= 20
    assert not overlap([*names, *ax.texts, ax.title])
    assert all(text.get_fontsize() >= 14 for text in [*names, *ax.texts])
    # Names at 45 degrees overlap if their lines are closer than one line is high.
    ends = [text.get_window_extent().x1 for text in ax.get_xticklabels()]
    line = 14 * fig.dpi / 72  # pixels
    assert all((b - a) / 2**0.5 > line for a, b in zip(ends, ends[1:], strict=False))


def test_counts_are_written_as_long_as_they_can_be_read(drawn):
    for num_classes in (confusion.MAX_COUNTS, confusion.MAX_COUNTS + 1):
        numbers = range(num_classes)
        plot_confusion(numbers, numbers, [f"class {i}" for i in numbers])
    few, many = drawn
    assert [text.get_text() for text in few.axes[0].texts] == ["1"] * confusion.MAX_COUNTS
    assert not many.axes[0].texts
    assert many.axes[1].get_ylabel() == "fraction of the true class", "a scale for the colours"


ODD_NAMES = {
    "dollars": ("US$ 5 and 6$", "US$ 5 and 6$"),
    "a formula": ("$x^2$", "$x^2$"),
    "an unfinished formula": (r"$\frac{1}{2$ and $y", r"$\frac{1}{2$ and $y"),
    "one dollar": ("cheap $", "cheap $"),
    "an escaped dollar": (r"a \$ b \\$", r"a \$ b \\$"),
    "marks": (r"a_b^c\{}\alpha%#&~", r"a_b^c\{}\alpha%#&~"),
    "line breaks": ("two\nlines\r\n here", "two lines here"),
    "control characters": ("\x1b[2J\x00bell\x07\u202egpj", "[2J bell gpj"),
    "half a character": ("\udcff x", "x"),
    "spaces": ("  a   b  ", "a b"),
    "long": ("x" * 12 + "y" * 500 + "z" * 11, "x" * 12 + "…" + "z" * 11),
    "emoji": ("dress 👗", "dress 👗"),
    "Chinese": ("帽子", "帽子"),
    "Hebrew": ("עברית שלום", "עברית שלום"),
    "Persian": ("می\u200cخواهم", "می\u200cخواهم"),
    "nothing": ("", ""),
}


def as_drawn(text):
    """The letters that matplotlib draws, after it has looked for a formula."""
    words, is_formula = text._preprocess_math(text.get_text())
    assert not is_formula, f"{words!r} would be set as a formula"
    return words


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_drawn_as_it_is(drawn, name):
    given, expected = ODD_NAMES[name]
    plot_confusion([0, 1, 0], [0, 1, 1], [given, "hat"])
    ax = drawn[0].axes[0]
    assert as_drawn(ax.get_xticklabels()[0]) == as_drawn(ax.get_yticklabels()[0]) == expected

    fig = plots.draw_top_k(Image.new("RGB", (8, 8)), [(given, 0.75), ("hat", 0.25)])
    fig.canvas.draw()
    assert as_drawn(fig.axes[1].get_yticklabels()[0]) == expected


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name", ["an unfinished formula", "control characters", "half a character", "emoji", "Chinese"]
)
def test_a_figure_with_any_name_is_shown_without_a_warning(shown, name):
    given, _ = ODD_NAMES[name]
    plots.show_images([torch.rand(8, 8)] * 2, [given, "hat"], alt=f"two pictures: {given}")
    plots.show_figure(plots.draw_top_k(torch.rand(8, 8), [(given, 1.0)]), alt=f"it is {given}")
    for page in shown:
        assert "data:image/png;base64," in page
        assert alt_of(page).isprintable()
        page.encode()  # half a character would not get to the browser


@pytest.mark.parametrize("name", ["dollars", "a formula", "an unfinished formula", "marks"])
def test_a_title_is_drawn_as_it_is(drawn, name):
    given, expected = ODD_NAMES[name]
    plots.show_images([torch.rand(8, 8)], [f"{given}:\n87%"], alt="a picture", size=4)
    assert as_drawn(drawn[0].axes[0].title) == f"{expected}:\n87%"
    plots.plot_history(History([1.0], [0.5], [1.0], [0.5], [1.0]), given)
    assert as_drawn(drawn[1]._suptitle) == expected
    fig, ax = plt.subplots()
    plots.draw_numbers(ax, torch.tensor([1]), title=given)
    assert as_drawn(ax.texts[-1]) == expected


def test_a_long_title_is_broken_and_does_not_cover_the_next(drawn):
    title = "a long name of a garment that nobody would ever wear, " * 3
    plots.show_images([torch.rand(8, 8)] * 3, [title] * 3, alt="three pictures", columns=3)
    (fig,) = drawn
    assert not overlap([ax.title for ax in fig.axes])
    assert fig.axes[0].title.get_text().count("\n") == 2


def test_fonts_for_other_letters_are_taken_if_they_are_here(monkeypatch):
    monkeypatch.setattr(labels, "get_font_names", lambda: ["Malgun Gothic", "Noto Emoji", "Arial"])
    assert set(labels.other_fonts()) == {"Noto Emoji", "Malgun Gothic"}
    assert plt.rcParams["font.family"][0] == "sans-serif"


# --- the other figures


@pytest.mark.parametrize(
    ("images", "titles", "message"),
    [
        ([], [], "there is no picture to show"),
        ([torch.rand(8, 8)], [], "got 1 pictures and 0 titles"),
        ([torch.rand(8, 8)] * 2, ["a", "b", "c"], "got 2 pictures and 3 titles"),
    ],
)
def test_a_title_for_each_picture(images, titles, message):
    with pytest.raises(ValueError, match=message):
        plots.show_images(images, titles, alt="pictures")
    assert not plt.get_fignums()


@pytest.mark.parametrize("number", [1, 4, 5, 6, 11])
def test_any_number_of_pictures_fills_rows(drawn, number):
    plots.show_images(torch.rand(number, 1, 8, 8), ["a"] * number, alt="pictures")
    assert sum(bool(ax.images) for ax in drawn[0].axes) == number
    assert len(drawn[0].axes) == -(-number // 5) * 5


@pytest.mark.parametrize("number", [1, 2, 5, 12, 1000])
def test_any_number_of_answers_can_be_read(number):
    top_k = [(f"class {i}", 1 / number) for i in range(number)]
    fig = plots.draw_top_k(Image.new("RGB", (8, 8)), top_k)
    fig.canvas.draw()
    names = [text for text in fig.axes[1].get_yticklabels() if text.get_text()]
    assert len(names) == min(number, 20)
    assert not overlap(names)


def test_a_history_without_an_epoch_is_refused():
    with pytest.raises(ValueError, match="train for one first"):
        plots.plot_history(History(), "nothing")
    assert not plt.get_fignums()
