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
    assert torch.equal(plots.confusion_matrix(predictions, targets, 3), expected)


def test_the_confusion_picture_names_the_commonest_mistake(shown):
    targets = torch.tensor([0, 0, 1, 2, 2, 2])
    predictions = torch.tensor([0, 1, 1, 2, 0, 0])
    plots.plot_confusion(predictions, targets, ["dress", "hat", "shoes"])
    assert "shoes taken for dress, 2 times" in alt_of(shown[0])


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
