"""How the course shows things: figures, code and the map of the pipeline.

Importing this module sets one matplotlib style for the whole series: large type, the Okabe-Ito
colours (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell apart, and a white
background that is legible in light and dark themes.
"""

import base64
import html
import inspect
import io
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from torch import Tensor

from course.training import History

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PINK, YELLOW, BLACK = "#56B4E9", "#CC79A7", "#F0E442", "#000000"

_CENTER: dict[str, Any] = {"ha": "center", "va": "center"}

plt.rcParams.update(
    {
        "figure.figsize": (9, 4.5),
        "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "font.size": 14,
        "axes.titlesize": 16,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "lines.linewidth": 2.5,
        "legend.frameon": False,
        "image.cmap": "gray",
        # Colour and line style change together, so that neither is the only cue.
        "axes.prop_cycle": cycler(
            color=[BLUE, RED, GREEN, ORANGE, PINK, SKY],
            linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1))],
        ),
    }
)


def show_figure(fig: Figure, alt: str) -> None:
    """Display a figure, sharp on every screen, with alternative text for those who cannot see it.

    Args:
        alt: one or two sentences that say what the figure shows.

    Raises:
        ValueError: if `alt` is empty.
    """
    display(HTML(figure_html(fig, alt)))


def figure_html(fig: Figure, alt: str) -> str:
    """The HTML that `show_figure` displays; a widget can hold it as its value."""
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=200)
    plt.close(fig)
    width = round(fig.get_figwidth() * 100)  # half the pixels: sharp where pixels are small
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<img width="{width}" style="max-width:100%" alt="{html.escape(alt)}" '
        f'src="data:image/png;base64,{data}">'
    )


_CODE_CSS = """<style>
.course-code { background: #f7f7f7; color: #1a1a1a; padding: 0.8em 1em; border-radius: 6px;
  border: 1px solid #d0d0d0; overflow-x: auto; font-size: 1em; line-height: 1.45; }
.course-code pre { color: inherit; background: none; margin: 0; font-size: 1em;
  font-family: var(--jp-code-font-family, monospace); }
.course-code .linenos { color: #6b6b6b; margin-right: 1.2em; user-select: none; }
.course-code .k, .course-code .kn, .course-code .kc, .course-code .ow { color: #00508a; }
.course-code .s1, .course-code .s2, .course-code .sd, .course-code .sa { color: #7a3e00; }
.course-code .c1 { color: #00614a; font-style: italic; }
.course-code .nf, .course-code .nc, .course-code .fm { color: #000; font-weight: bold; }
</style>"""


def show(thing: Any) -> None:
    """Show the source of a class, function or module of the course, with line numbers."""
    source = inspect.getsource(thing)
    name = getattr(thing, "__module__", None) or thing.__name__
    formatter = HtmlFormatter(linenos="inline", cssclass="course-code")
    display(
        HTML(f"{_CODE_CSS}<p><code>{name}</code></p>{highlight(source, PythonLexer(), formatter)}")
    )


STAGES = {
    "Data ingestion": "01, 03",
    "Data preparation": "03",
    "Modeling": "04-06, 10",
    "Training": "02, 04, 07",
    "Evaluation": "04, 07, 08",
    "Deployment": "09",
    "Monitoring": "to come",
}
"""The seven stages of a machine-learning project and the notebooks that teach them."""


def show_pipeline(*current: str) -> None:
    """Draw the seven stages of a machine-learning project and mark the current ones.

    Args:
        current: names of the stages to mark, such as ``"Training"``.

    Raises:
        ValueError: if a stage is unknown.
    """
    for name in current:
        if name not in STAGES:
            raise ValueError(f"unknown stage {name!r}: choose from {', '.join(STAGES)}")
    fig, ax = plt.subplots(figsize=(11, 2.1))
    ax.set(xlim=(-0.5, 6.5), ylim=(-0.7, 1.15))
    ax.set_axis_off()
    arrow = {"arrowstyle": "->", "lw": 2}
    for i, (name, notebooks) in enumerate(STAGES.items()):
        face, ink = (BLUE, "white") if name in current else ("white", "black")
        ax.add_patch(Rectangle((i - 0.44, 0.2), 0.88, 0.8, fc=face, ec=BLUE, lw=2))
        ax.text(i, 0.6, name.replace(" ", "\n"), color=ink, **_CENTER)
        ax.text(i, -0.05, notebooks, color="#444444", **_CENTER)
        if i:
            ax.annotate("", (i - 0.43, 0.6), (i - 0.57, 0.6), arrowprops=arrow)
    curve = {"arrowstyle": "->", "linestyle": "--", "connectionstyle": "arc3,rad=-0.06"}
    ax.annotate("", (0, -0.2), (6, -0.2), arrowprops=curve | {"color": "#777777"})
    plain = {"facecolor": "white", "edgecolor": "none", "pad": 3}
    ax.text(3, -0.54, "when the world changes, start again", color="#444444", bbox=plain, **_CENTER)
    marked = f" Marked: {', '.join(current)}." if current else ""
    show_figure(
        fig,
        f"Seven stages in order, with the notebooks that teach them: {', '.join(STAGES)}. "
        f"A dashed arrow leads back from the last to the first.{marked}",
    )


def plot_history(history: History, title: str, baseline: float | None = None) -> None:
    """Draw loss and accuracy over the epochs, for training and validation.

    Args:
        baseline: an accuracy to compare with, drawn as a grey line.
    """
    epochs = range(1, len(history.train_loss) + 1)
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    left.plot(epochs, history.train_loss, marker="o", label="training")
    left.plot(epochs, history.val_loss, marker="s", label="validation")
    left.set(xlabel="epoch", ylabel="loss (mean a sample)", title="Loss")
    right.plot(epochs, history.train_accuracy, marker="o", label="training")
    right.plot(epochs, history.val_accuracy, marker="s", label="validation")
    right.set(xlabel="epoch", ylabel="accuracy", title="Accuracy")
    if baseline is not None:
        right.axhline(baseline, color="#777777", linestyle=":", label=f"baseline {baseline:.2f}")
    for ax in (left, right):
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    fig.suptitle(title)
    show_figure(
        fig,
        f"{title}: learning curves over {len(epochs)} epochs. Validation loss goes from "
        f"{history.val_loss[0]:.2f} to {history.val_loss[-1]:.2f}, validation accuracy from "
        f"{history.val_accuracy[0]:.2f} to {history.val_accuracy[-1]:.2f}.",
    )


def confusion_matrix(predictions: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Count how often each class was taken for each other.

    Args:
        predictions, targets: class indices ``(N,)`` int64.

    Returns:
        ``(num_classes, num_classes)`` int64: row = true class, column = predicted class.
    """
    pairs = targets * num_classes + predictions
    return pairs.bincount(minlength=num_classes**2).reshape(num_classes, num_classes)


def plot_confusion(predictions: Tensor, targets: Tensor, classes: Sequence[str]) -> None:
    """Draw the confusion matrix: rows are true classes, columns are predictions."""
    counts = confusion_matrix(predictions, targets, len(classes)).numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fig, ax = plt.subplots(figsize=(9, 7.5))
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes, rotation=45, ha="right")
    ax.set_yticks(ticks, classes)
    ax.set(xlabel="predicted", ylabel="true", title="How often each class was taken for each")
    ax.grid(False)
    for row, column in zip(*counts.nonzero(), strict=True):
        color = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, counts[row, column], color=color, **_CENTER)
    mistakes = counts - np.diag(np.diag(counts))
    row, column = np.unravel_index(mistakes.argmax(), mistakes.shape)
    show_figure(
        fig,
        f"Confusion matrix of {len(classes)} classes; the diagonal is correct. The commonest "
        f"mistake: {classes[row]} taken for {classes[column]}, {mistakes.max()} times.",
    )


def show_images(
    images: Sequence[Any], titles: Sequence[str], alt: str, columns: int = 5, size: float = 2.2
) -> None:
    """Draw a grid of pictures with a title over each.

    Args:
        images: PIL images, or tensors ``(H, W)``, ``(1, H, W)`` or ``(3, H, W)`` with values in
            [0, 1]; for a normalised tensor call `denormalize` first.
        columns: pictures in a row.
        size: width and height of a picture in inches.
    """
    rows = -(-len(images) // columns)
    figsize = (columns * size, rows * (size + 0.5))
    fig, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        draw_image(ax, image)
        ax.set_title(title, fontsize=14)
    show_figure(fig, alt)


def draw_top_k(image: Any, top_k: Sequence[tuple[str, float]]) -> Figure:
    """Draw a photo beside its most probable classes, as `predict_top_k` gives them."""
    fig = Figure(figsize=(10, 3.8))
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.6])
    draw_image(left, image)
    names, probabilities = zip(*top_k, strict=True)
    bars = right.barh(range(len(top_k)), probabilities, color=BLUE)
    right.bar_label(bars, [f"{probability:.1%}" for probability in probabilities], padding=4)
    right.set_yticks(range(len(top_k)), names)
    right.invert_yaxis()  # the most probable on top
    right.set(xlim=(0, 1.12), xlabel="probability")
    right.set_xticks([0, 0.25, 0.5, 0.75, 1])
    right.grid(axis="y", visible=False)
    return fig


def draw_image(ax: Axes, image: Any) -> None:
    """Draw one PIL image or image tensor into `ax`, without a frame."""
    if isinstance(image, Tensor):
        image = image.detach().squeeze(0) if image.shape[0] == 1 else image.detach()
        if image.ndim == 3:
            image = image.permute(1, 2, 0)  # matplotlib wants (H, W, C)
        ax.imshow(image.clamp(0, 1).cpu().numpy(), vmin=0, vmax=1)
    else:
        ax.imshow(image)
    ax.axis("off")


def draw_numbers(
    ax: Axes,
    values: Tensor,
    at: tuple[float, float] = (0, 0),
    title: str = "",
    colors: Any = "white",
) -> None:
    """Draw a tensor of at most two dimensions into `ax`, each number in a box of size 1.

    Args:
        values: a number, ``(columns,)`` or ``(rows, columns)``.
        at: x and y of the upper left corner, to draw several tensors side by side.
        title: written above the boxes.
        colors: of the boxes, broadcast to the shape of `values`: a list of colours paints columns.
    """
    grid = values.reshape(-1, values.shape[-1] if values.ndim else 1)
    rows, columns = grid.shape
    fills = np.broadcast_to(np.array(colors, dtype=object), (rows, columns))
    left, top = at
    for row in range(rows):
        for column in range(columns):
            x, y = left + column, top - row - 1
            box = Rectangle((x, y), 1, 1, facecolor=fills[row, column], edgecolor="black", lw=1.5)
            ax.add_patch(box)
            number = f"{grid[row, column].item():g}"
            text = ax.text(x + 0.5, y + 0.5, number, fontsize=15, **_CENTER)
            text.set_zorder(box.get_zorder())  # so that a box drawn later covers it
    ax.text(left + columns / 2, top + 0.2, title, ha="center", va="bottom")
    ax.update_datalim([(left, top + 0.8)])  # room for the title
    ax.set_aspect("equal")
    ax.axis("off")
    ax.autoscale_view()
