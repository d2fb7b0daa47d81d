"""What is played with in the notebooks: small panels of sliders, buttons and pictures.

Each function returns a widget; leave it on the last line of a cell to see it. Its ``children`` are
the controls, a text and a picture, so code can move them too: ``slider, *others = panel.children``.
"""

import html
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from torch import nn

from course.files.pictures import ImageFileError, load_image
from course.plots import BLACK, BLUE, CENTER, GREEN, ORANGE, RED, draw_top_k, figure_html
from course.pretrained import predict_top_k
from course.tuning import Trial

NUM_STEPS, MAX_RATE = 20, 1.2
VERDICTS = {
    "crawls": (ORANGE, "far below 1/L, so each step closes little of the distance"),
    "converges": (GREEN, "not above 1/L, so the walker comes down on one side"),
    "bounces": (BLUE, "between 1/L and 2/L, so each step lands across the valley"),
    "diverges": (RED, "above 2/L, so each step lands higher than it started"),
}


def descent_verdict(learning_rate: float, curvature: float) -> str:
    """Say how gradient descent behaves on a parabola ``loss = curvature / 2 * (w - bottom)**2``.

    The gradient is ``curvature * (w - bottom)``, so every step multiplies the distance to the
    bottom by ``1 - learning_rate * curvature``. The size and sign of that factor decide all.
    """
    if learning_rate <= 0 or curvature <= 0:
        raise ValueError(f"rate and curvature must be positive, got {learning_rate}, {curvature}")
    factor = 1 - learning_rate * curvature
    if factor < -1:
        return "diverges"
    if factor < 0:
        return "bounces"
    # The loss shrinks with the square of the distance.
    return "crawls" if factor ** (2 * NUM_STEPS) > 0.1 else "converges"


def learning_rate_valley() -> widgets.VBox:
    """Walk down a loss valley; the controls are a slider (learning rate) and a choice of valley."""
    slider = widgets.FloatSlider(0.1, min=0.01, max=MAX_RATE, step=0.01)
    slider.description, slider.layout.width = "learning rate", "95%"
    slider.style.description_width = "8em"
    valley = _buttons("valley", {"wide, L = 2": 2.0, "steep, L = 4": 4.0})
    return _panel([slider, valley], lambda rate, curvature: _walk(round(rate, 2), curvature))


@cache  # going back with the slider costs nothing
def _walk(rate: float, curvature: float) -> tuple[str, str]:
    """The verdict and the picture of one walk, from w = -1 towards the bottom at 3."""
    verdict, factor = descent_verdict(rate, curvature), 1 - rate * curvature
    color, reason = VERDICTS[verdict]
    around, steps = np.linspace(-3, 9, 200), np.arange(NUM_STEPS + 1)
    w = 3 - 4 * factor**steps
    loss = curvature / 2 * (w - 3) ** 2

    fig = Figure(figsize=(10, 5))
    fig.set_layout_engine("none")  # it would double the time that a move of the slider takes
    margins = {"left": 0.07, "right": 0.98, "top": 0.93, "hspace": 0.4, "height_ratios": [8, 1]}
    axes = fig.subplot_mosaic([["valley", "loss"], ["rates", "rates"]], gridspec_kw=margins)
    axes["valley"].plot(around, curvature / 2 * (around - 3) ** 2, color=BLACK)
    axes["valley"].plot(w, loss, "o--", markersize=9, linewidth=1.8, color=color)
    axes["valley"].annotate("start ", (w[0], loss[0]), ha="right", va="top")
    axes["valley"].set(xlim=(-3, 9), ylim=(-1.5, 40), xlabel="parameter w", ylabel="loss")
    axes["valley"].set_title("The walk in the valley")
    axes["loss"].semilogy(steps, loss + 1e-30, "o-", color=color)
    axes["loss"].set(xlim=(0, NUM_STEPS), ylim=(1e-8, 1e8), yticks=[1e-8, 1e-4, 1, 1e4, 1e8])
    axes["loss"].set(xlabel="step", ylabel="loss", title="The loss after each step")
    crawl = 1 - 0.1 ** (1 / (2 * NUM_STEPS))  # see descent_verdict
    edges = [0, crawl / curvature, 1 / curvature, 2 / curvature, MAX_RATE]
    for name, left, right in zip(VERDICTS, edges, edges[1:], strict=False):
        axes["rates"].axvspan(left, right, color=VERDICTS[name][0], alpha=0.35, lw=0)
        if name != "crawls":  # too narrow for a word
            axes["rates"].text((left + right) / 2, 0.5, name, **CENTER)
    axes["rates"].plot(rate, 1, "v", markersize=15, color=color, mec=BLACK, clip_on=False)
    axes["rates"].set(xlim=(0, MAX_RATE), ylim=(0, 1), yticks=[], xlabel="learning rate")

    text = f"learning rate {rate:.2f} is {reason} (L = {curvature:g}). "
    text += f"One step multiplies the distance to the bottom by {factor:+.2f}."
    return f"<b>{verdict}</b>: {text}", figure_html(fig, f"Gradient descent {verdict}: {text}")


def photo_uploader(model: nn.Module, k: int = 5) -> widgets.VBox:
    """Let a model look at one's own photo, as `predict_top_k` does; the control is a button."""

    def look(files: Sequence[dict[str, Any]]) -> tuple[str, str]:
        if not files:  # Jupyter's connection drops a larger file without a word
            return "No photo yet. The file may have up to 10 MB.", ""
        name = html.escape(repr(files[0]["name"])[1:-1])  # without control characters
        try:
            image = load_image(BytesIO(files[0]["content"]))
        except ImageFileError:
            text = f"<b>{name} cannot be read as a picture.</b> Choose a JPEG or PNG file."
            return f"{text} A phone that saves HEIC photos can share them as JPEG.", ""
        text = f"{name}, {image.width} x {image.height} pixels"
        top_k = predict_top_k(model, image, k)
        found = ", ".join(f"{category} {probability:.0%}" for category, probability in top_k)
        image.thumbnail((800, 800))  # for the screen
        alt = f"The photo beside its {k} most probable classes: {found}."
        return text, figure_html(draw_top_k(image, top_k), alt)

    return _panel([widgets.FileUpload(accept="image/*", description="Choose a photo")], look)


def grid_explorer(trials: Sequence[Trial]) -> widgets.VBox:
    """Look at the heads of a sweep one by one, with all others in grey behind.

    The controls are buttons for learning rate, inner units and dropout. Combinations may be
    missing in `trials`, which come from :func:`course.tuning.sweep`.
    """
    if not trials:
        raise ValueError("there is no trial to explore: run course.tuning.sweep() first")
    by_settings = {(t.learning_rate, t.size_inner, t.dropout): t for t in trials}

    def compare(*settings: Any) -> tuple[str, str]:
        if settings not in by_settings:
            return "This combination was not tried.", ""
        trial, fig = by_settings[settings], Figure()
        ax, epochs = fig.subplots(), range(1, len(trial.history.val_accuracy) + 1)
        for t in trials:
            ax.plot(epochs, t.history.val_accuracy, color="#cccccc", linestyle="-", linewidth=1)
        ax.lines[0].set_label("validation of all heads")
        ax.plot(epochs, trial.history.train_accuracy, "-", color=BLUE, label="training")
        ax.plot(epochs, trial.history.val_accuracy, "--", color=RED, label="validation")
        ax.set(xlabel="epoch", ylabel="accuracy", xlim=(1, len(epochs)), ylim=(0, 1))
        ax.legend(loc="lower right")
        text = f"validation accuracy {trial.val_accuracy:.3f}, "
        text += f"training accuracy {trial.train_accuracy:.3f}, gap {trial.gap:.3f}"
        return text, figure_html(fig, f"Accuracy over the epochs of the chosen head: {text}.")

    controls = []
    names = ["learning rate", "inner units", "dropout"]
    for name, values in zip(names, zip(*by_settings, strict=True), strict=True):
        ordered = sorted(set(values), key=lambda value: value or 0)
        options = {"none" if value is None else f"{value:g}": value for value in ordered}
        controls.append(_buttons(name, options))
    return _panel(controls, compare)


def _buttons(name: str, options: dict[str, Any]) -> widgets.ToggleButtons:
    style = {"description_width": "8em", "button_width": "8em"}
    return widgets.ToggleButtons(options=options, description=name, style=style)


def _panel(controls: list[Any], show: Callable[..., tuple[str, str]]) -> widgets.VBox:
    """Controls above a text and a picture, which `show` makes from the values of the controls."""
    text, picture = widgets.HTML(), widgets.HTML()

    def update(_: object = None) -> None:
        words, picture.value = show(*(control.value for control in controls))
        text.value = f'<p style="font-size:18px; line-height:1.4; margin:0.3em 0">{words}</p>'

    for control in controls:
        control.observe(update, names="value")
    update()
    return widgets.VBox([*controls, text, picture])
