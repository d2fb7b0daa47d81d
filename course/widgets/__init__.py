"""What is played with in the notebooks: small panels of sliders, buttons and pictures.

Each function returns a widget; leave it on the last line of a cell to see it. Its ``children`` are
the controls, a text and a picture, so code can move them too: ``slider, *others = panel.children``.
"""

import html
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from course.files.pictures import ImageFileError, load_image
from course.files.trouble import advice_for, reason_of
from course.plots import BLUE, RED, draw_top_k, figure_html
from course.plots.labels import one_line
from course.pretrained import predict_top_k
from course.tuning import Trial

NOT_TRIED = "This combination was not tried."
NO_PHOTO = "No photo yet. The file may have up to 10 MB."  # Jupyter drops larger ones, silently


def make_panel(controls: list[Any], show: Callable[..., tuple[str, str]]) -> widgets.VBox:
    """Put controls above a text and a picture, and make both anew when a control is moved.

    What `show` raises for the first values is raised here. Later the panel itself says it, because
    Jupyter shows nowhere what goes wrong while a control is moved.

    Args:
        controls: widgets that have a value.
        show: takes the values of the controls, returns the HTML of the text and of the picture.
    """
    text = widgets.HTML()
    picture = widgets.HTML()

    def fill(words: str, drawn: str) -> None:
        text.value = f'<p style="font-size:18px; line-height:1.4; margin:0.3em 0">{words}</p>'
        picture.value = drawn

    def update(_: object = None) -> None:
        fill(*show(*(control.value for control in controls)))

    def react(_: object) -> None:
        try:
            update()
        except Exception as error:
            fill(_explain(error), "")

    update()
    for control in controls:
        control.observe(react, names="value")
    return widgets.VBox([*controls, text, picture])


def _explain(error: Exception) -> str:
    """What went wrong, as HTML, and what helps if the system has refused something."""
    words = f"{type(error).__name__}: {reason_of(error)}"
    if advice := advice_for(error):
        words += f". What helps: {advice}"
    return f"<b>That did not work.</b> {html.escape(one_line(words))}"


def make_buttons(name: str, options: dict[str, Any]) -> widgets.ToggleButtons:
    """Make a row of buttons of which one is pressed; `options` gives each word its value."""
    style = {"description_width": "8em", "button_width": "8em"}
    return widgets.ToggleButtons(options=options, description=name, style=style)


def photo_uploader(
    model: nn.Module,
    k: int | None = None,
    categories: Sequence[str] | None = None,
    transform: Callable[[Image.Image], Tensor] | None = None,
) -> widgets.VBox:
    """Let a model look at one's own photo; the control is a button that chooses a file.

    Args:
        model, k, categories: as for :func:`course.pretrained.predict_top_k`.
        transform: turns an RGB picture into ``(C, H, W) float32``; None for ``model.transform``.

    Raises:
        ValueError: if the model cannot answer with these arguments. It is tried at once, because
            nobody wants to choose a photo first.
    """

    def ask(image: Image.Image) -> list[tuple[str, float]]:
        return predict_top_k(model, image, k, categories, transform)

    def look(files: Sequence[dict[str, Any]]) -> tuple[str, str]:
        if not files:
            return NO_PHOTO, ""
        name = one_line(files[0]["name"])
        try:
            image = load_image(BytesIO(files[0]["content"]))
        except ImageFileError as error:
            return _refusal(name, error), ""
        return _answer(name, image, ask(image))

    ask(Image.new("RGB", (64, 64), "white"))
    button = widgets.FileUpload(accept="image/*", description="Choose a photo")
    return make_panel([button], look)


def _refusal(name: str, error: ImageFileError) -> str:
    """Why an uploaded file cannot be read, as HTML, with the remedy that fits."""
    problem = "cannot be read as a picture"
    reason = one_line(str(error).partition(problem)[2])
    reason = reason.replace("replace it or delete it", "or choose another JPEG or PNG file")
    return f"<b>{html.escape(name)} {problem}</b>{html.escape(reason)}."


def _answer(name: str, image: Image.Image, top_k: Sequence[tuple[str, float]]) -> tuple[str, str]:
    """The text and the picture for one photo."""
    text = html.escape(f"{name}, {image.width} x {image.height} pixels")
    image.thumbnail((800, 800))  # for the screen
    found = ", ".join(f"{category} {probability:.0%}" for category, probability in top_k)
    alt = f"The photo beside its {len(top_k)} most probable classes: {found}."
    return text, figure_html(draw_top_k(image, top_k), alt)


def grid_explorer(trials: Sequence[Trial]) -> widgets.VBox:
    """Look at the heads of a sweep one by one, with all others in grey behind.

    The controls are buttons for learning rate, inner units and dropout.

    Args:
        trials: from :func:`course.tuning.sweep`; combinations may be missing.

    Raises:
        ValueError: if there is no trial.
    """
    if not trials:
        raise ValueError("there is no trial to explore: run course.tuning.sweep() first")
    by_settings = {(t.learning_rate, t.size_inner, t.dropout): t for t in trials}

    def compare(*settings: Any) -> tuple[str, str]:
        if settings not in by_settings:
            return NOT_TRIED, ""
        trial = by_settings[settings]
        text = f"validation accuracy {trial.val_accuracy:.3f}, "
        text += f"training accuracy {trial.train_accuracy:.3f}, gap {trial.gap:.3f}"
        alt = f"Accuracy over the epochs of the chosen head: {text}."
        return text, figure_html(_draw_trial(trial, trials), alt)

    controls = []
    names = ["learning rate", "inner units", "dropout"]
    for name, values in zip(names, zip(*by_settings, strict=True), strict=True):
        ordered = sorted(set(values), key=lambda value: value or 0)
        options = {"none" if value is None else f"{value:g}": value for value in ordered}
        controls.append(make_buttons(name, options))
    return make_panel(controls, compare)


def _draw_trial(trial: Trial, trials: Sequence[Trial]) -> Figure:
    """The accuracies of one head in colour, over those of all others in grey."""
    fig = Figure()
    ax = fig.subplots()
    for other in trials:
        accuracies = other.history.val_accuracy
        epochs = range(1, len(accuracies) + 1)
        ax.plot(epochs, accuracies, color="#cccccc", linestyle="-", linewidth=1)
    ax.lines[0].set_label("validation of all heads")

    epochs = range(1, len(trial.history.val_accuracy) + 1)
    ax.plot(epochs, trial.history.train_accuracy, "-", color=BLUE, label="training")
    ax.plot(epochs, trial.history.val_accuracy, "--", color=RED, label="validation")
    ax.set(xlabel="epoch", ylabel="accuracy", xlim=(1, max(2, len(epochs))), ylim=(0, 1))
    ax.legend(loc="lower right")
    return fig
