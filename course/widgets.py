"""What is played with in the notebooks: small panels of sliders, buttons and pictures.

Each function returns a widget; leave it on the last line of a cell to see it. The parts of a
panel are its ``children``, so a notebook or a test can move a slider in code:
``slider, *others = panel.children``.
"""

import base64
import html
import io
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from course.data import ImageFileError, load_image
from course.plots import BLACK, BLUE, GREEN, ORANGE, RED, draw_top_k, figure_html
from course.pretrained import predict_top_k
from course.tuning import Trial

VALLEY_START, VALLEY_BOTTOM = -1.0, 3.0
VALLEY_STEPS, VALLEY_MAX_RATE = 20, 1.2
_VERDICT_COLORS = {"crawls": ORANGE, "converges": GREEN, "bounces": BLUE, "diverges": RED}


def descent_verdict(learning_rate: float, curvature: float, num_steps: int = VALLEY_STEPS) -> str:
    """Say how gradient descent behaves on a parabola ``loss = curvature / 2 * (w - bottom)**2``.

    The gradient is ``curvature * (w - bottom)``, so every step multiplies the distance to the
    bottom by ``1 - learning_rate * curvature``. The size and sign of that factor decide all.

    Returns:
        ``"crawls"`` if more than a tenth of the loss is left after `num_steps` steps,
        ``"converges"`` up to ``1 / curvature``, ``"bounces"`` from side to side up to
        ``2 / curvature``, and ``"diverges"`` beyond.

    Raises:
        ValueError: if the learning rate or the curvature is not positive.
    """
    if learning_rate <= 0 or curvature <= 0:
        raise ValueError(
            "learning rate and curvature must be positive, "
            f"got {learning_rate} and {curvature}: take a small number such as 0.01"
        )
    factor = 1 - learning_rate * curvature
    if factor < -1:
        return "diverges"
    if factor < 0:
        return "bounces"
    if factor ** (2 * num_steps) > 0.1:  # the loss shrinks with the square of the distance
        return "crawls"
    return "converges"


def learning_rate_valley() -> widgets.VBox:
    """Walk down a loss valley with a learning rate of one's choice.

    Returns:
        A panel with the children slider (learning rate), valley (choice of curvature), verdict
        (HTML text) and picture (HTML with an image and its alternative text).
    """
    slider = widgets.FloatSlider(
        value=0.1,
        min=0.01,
        max=VALLEY_MAX_RATE,
        step=0.01,
        description="learning rate",
        style={"description_width": "8em"},
        layout={"width": "95%"},
    )
    valley = widgets.ToggleButtons(
        options=[("wide, L = 2", 2.0), ("steep, L = 4", 4.0)],
        value=2.0,
        description="valley",
        style={"description_width": "8em"},
    )
    verdict, picture = widgets.HTML(), widgets.HTML()

    def update(_: object = None) -> None:
        rate, curvature = round(slider.value, 2), valley.value
        verdict.value = _verdict_text(rate, curvature)
        picture.value = _valley_image(rate, curvature)

    slider.observe(update, names="value")
    valley.observe(update, names="value")
    for _, curvature in valley.options:
        _valley_canvas(curvature)  # now, so that the first move is as quick as the others
    update()
    return widgets.VBox([slider, valley, verdict, picture])


def _verdict_text(rate: float, curvature: float) -> str:
    one, two = 1 / curvature, 2 / curvature
    verdict = descent_verdict(rate, curvature)
    reason = {
        "crawls": f"far below 1/L = {one:g}, so each step closes little of the distance",
        "converges": f"not above 1/L = {one:g}, so the walker comes down on one side",
        "bounces": f"between 1/L = {one:g} and 2/L = {two:g}, so each step lands across the valley",
        "diverges": f"above 2/L = {two:g}, so each step lands higher than it started",
    }[verdict]
    return (
        '<p style="font-size:18px; line-height:1.4; margin:0.3em 0">'
        f"<b>{verdict}</b>: {rate:.2f} is {reason}. "
        f"One step multiplies the distance to the bottom by {1 - rate * curvature:+.2f}.</p>"
    )


@cache
def _valley_image(rate: float, curvature: float) -> str:
    """Draw the walk as an HTML image; kept, so that a rate seen before costs nothing."""
    verdict = descent_verdict(rate, curvature)
    steps = np.arange(VALLEY_STEPS + 1)
    w = VALLEY_BOTTOM + (VALLEY_START - VALLEY_BOTTOM) * (1 - rate * curvature) ** steps
    loss = curvature / 2 * (w - VALLEY_BOTTOM) ** 2
    canvas, background, lines = _valley_canvas(curvature)
    canvas.restore_region(background)
    data = [(w, loss), (steps, np.log10(loss + 1e-30)), ([rate], [0.8])]
    for line, (x, y) in zip(lines, data, strict=True):
        line.set(color=_VERDICT_COLORS[verdict])
        line.set_data(x, y)
        line.axes.draw_artist(line)
    buffer = io.BytesIO()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.save(buffer, format="png", compress_level=1)
    alt = (
        f"Gradient descent with learning rate {rate:.2f} on a valley of curvature {curvature:g}: "
        f"it {verdict}. The loss goes from {loss[0]:.3g} to {loss[-1]:.3g} "
        f"in {VALLEY_STEPS} steps."
    )
    png = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<img width="1000" style="max-width:100%" alt="{html.escape(alt)}" '
        f'src="data:image/png;base64,{png}">'
    )


@cache
def _valley_canvas(curvature: float) -> tuple[Any, Any, list[Any]]:
    """Draw once all that stays the same; a move of the slider then draws three lines only."""
    fig = Figure(figsize=(10, 5), dpi=160)
    canvas: Any = FigureCanvasAgg(fig)
    axes = fig.subplot_mosaic([["valley", "loss"], ["rates", "rates"]], height_ratios=[8, 1.5])
    valley, loss, rates = axes["valley"], axes["loss"], axes["rates"]

    w = np.linspace(-3, 9, 200)
    valley.plot(w, curvature / 2 * (w - VALLEY_BOTTOM) ** 2, color=BLACK, linestyle="-")
    valley.set(xlim=(-3, 9), ylim=(-1.5, 40), xlabel="parameter w", ylabel="loss")
    start = curvature / 2 * (VALLEY_START - VALLEY_BOTTOM) ** 2
    valley.annotate("start ", (VALLEY_START, start), ha="right", va="top")
    valley.set_title("The walk in the valley")
    loss.set(xlim=(0, VALLEY_STEPS), ylim=(-8, 8), xlabel="step", ylabel="loss (log scale)")
    loss.set_yticks([-8, -4, 0, 4, 8], ["$10^{-8}$", "$10^{-4}$", "1", "$10^4$", "$10^8$"])
    loss.set_title(f"The loss after each of {VALLEY_STEPS} steps")

    crawl = 1 - 0.1 ** (1 / (2 * VALLEY_STEPS))  # see descent_verdict
    edges = [0, crawl / curvature, 1 / curvature, 2 / curvature, VALLEY_MAX_RATE]
    for verdict, left, right in zip(_VERDICT_COLORS, edges[:-1], edges[1:], strict=True):
        rates.axvspan(left, right, ymax=0.6, color=_VERDICT_COLORS[verdict], alpha=0.35, lw=0)
        if verdict != "crawls":  # too narrow for a word
            rates.text((left + right) / 2, 0.3, verdict, ha="center", va="center")
    rates.set(xlim=(0, VALLEY_MAX_RATE), ylim=(0, 1), yticks=[], xlabel="learning rate")
    rates.grid(False)
    rates.spines["left"].set_visible(False)

    lines = [
        *valley.plot([], [], marker="o", markersize=9, linestyle="--", linewidth=1.8),
        *loss.plot([], [], marker="o", markersize=6, linestyle="-"),
        *rates.plot([], [], marker="v", markersize=15, markeredgecolor=BLACK, clip_on=False),
    ]
    for line in lines:
        line.set(animated=True, in_layout=False)  # left out of the background
    canvas.draw()
    background = canvas.copy_from_bbox(fig.bbox)
    return canvas, background, lines


def photo_uploader(model: nn.Module, k: int = 5) -> widgets.VBox:
    """Let an ImageNet model look at one's own photo.

    Args:
        model: as for `predict_top_k`.
        k: how many classes to show.

    Returns:
        A panel with the children upload (button), message (HTML text) and picture (HTML with the
        photo, its most probable classes and alternative text).
    """
    upload = widgets.FileUpload(
        accept="image/*", description="Choose a photo", layout={"width": "14em"}
    )
    # Jupyter's connection drops a larger file without a word, so nobody could explain it later.
    message = widgets.HTML("No photo yet. The file may have up to 10 MB.")
    picture = widgets.HTML()

    def update(_: object) -> None:
        if not upload.value:
            return
        name, content = repr(upload.value[0]["name"])[1:-1], bytes(upload.value[0]["content"])
        picture.value = ""
        try:
            image = _image_from_bytes(content)
        except ImageFileError:
            message.value = (
                f"<b>{html.escape(name)} cannot be read as a picture.</b> Choose a JPEG or PNG "
                "file. A phone that saves HEIC photos can share them as JPEG."
            )
            return
        top_k = predict_top_k(model, image, k)
        message.value = f"{html.escape(name)}, {image.width} x {image.height} pixels"
        found = ", ".join(f"{category} {probability:.0%}" for category, probability in top_k)
        image.thumbnail((800, 800))  # for the screen
        alt = f"The photo {name} beside its {k} most probable classes: {found}."
        picture.value = figure_html(draw_top_k(image, top_k), alt)

    upload.observe(update, names="value")
    return widgets.VBox([upload, message, picture])


def _image_from_bytes(content: bytes) -> Image.Image:
    """Read an uploaded picture with the care that `load_image` takes with files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo")
        path.write_bytes(content)
        return load_image(path)


def grid_explorer(trials: Sequence[Trial]) -> widgets.VBox:
    """Look at the heads of a sweep one by one, with all others in grey behind.

    Args:
        trials: what :func:`course.tuning.sweep` returned; combinations may be missing.

    Returns:
        A panel with the children rate, size and dropout (buttons), verdict (HTML text) and
        picture (HTML with an image and its alternative text).

    Raises:
        ValueError: if there is no trial.
    """
    if not trials:
        raise ValueError("there is no trial to explore: run course.tuning.sweep() first")
    by_settings = {(t.learning_rate, t.size_inner, t.dropout): t for t in trials}

    def buttons(name: str, values: set[Any]) -> widgets.ToggleButtons:
        ordered = sorted(values, key=lambda value: value or 0)
        options = [("none" if value is None else f"{value:g}", value) for value in ordered]
        style = {"description_width": "8em", "button_width": "6em"}
        return widgets.ToggleButtons(options=options, description=name, style=style)

    rates, sizes, dropouts = map(set, zip(*by_settings, strict=True))
    rate, size = buttons("learning rate", rates), buttons("inner units", sizes)
    dropout = buttons("dropout", dropouts)
    verdict, picture = widgets.HTML(), widgets.HTML()

    def update(_: object = None) -> None:
        trial = by_settings.get((rate.value, size.value, dropout.value))
        if trial is None:
            verdict.value, picture.value = "This combination was not tried.", ""
            return
        text = (
            f"validation accuracy {trial.val_accuracy:.3f}, "
            f"training accuracy {trial.train_accuracy:.3f}, gap {trial.gap:.3f}"
        )
        verdict.value = f'<p style="font-size:18px; margin:0.3em 0">{text}</p>'
        picture.value = figure_html(
            _draw_trial(trial, trials), f"Accuracy over the epochs of the chosen head: {text}."
        )

    for control in (rate, size, dropout):
        control.observe(update, names="value")
    update()
    return widgets.VBox([rate, size, dropout, verdict, picture])


def _draw_trial(trial: Trial, trials: Sequence[Trial]) -> Figure:
    fig = Figure(figsize=(9, 4.5))
    ax = fig.subplots()
    for other in trials:
        other_epochs = range(1, len(other.history.val_accuracy) + 1)
        ax.plot(
            other_epochs, other.history.val_accuracy, color="#cccccc", linestyle="-", linewidth=1
        )
    epochs = range(1, len(trial.history.val_accuracy) + 1)
    ax.plot(epochs, trial.history.train_accuracy, color=BLUE, linestyle="-", label="training")
    ax.plot(epochs, trial.history.val_accuracy, color=RED, linestyle="--", label="validation")
    ax.plot([], [], color="#cccccc", linewidth=1, label="validation of the others")
    ax.set(xlabel="epoch", ylabel="accuracy", xlim=(1, len(epochs)), ylim=(0, 1))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.02))
    return fig
