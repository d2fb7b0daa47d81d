"""How the course shows things: figures, code and the map of the pipeline.

Importing this module sets one matplotlib style for the whole series: large type and the Okabe-Ito
colours (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell apart.
"""

import html
import inspect
import warnings
from collections.abc import Sequence
from math import ceil
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.core.pylabtools import print_figure
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from torch import Tensor

from course.plots.labels import as_text, one_line, other_fonts, short_name, wrap_title
from course.training import History

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PINK, YELLOW, BLACK, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#000000", "#555555"

CENTER: dict[str, Any] = {"ha": "center", "va": "center"}

# Colour and line style change together, so that neither is the only cue.
STYLES = cycler(
    color=[BLUE, RED, GREEN, ORANGE, PINK, SKY],
    linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1))],
)
plt.rc("figure", figsize=(9, 4.5), facecolor="white")
plt.rc("figure.constrained_layout", use=True)
plt.rc("font", size=14, family=["sans-serif", *other_fonts()])
plt.rc("axes", titlesize=16, grid=True, prop_cycle=STYLES)
plt.rc("axes.spines", top=False, right=False)
plt.rc("grid", alpha=0.3)
plt.rc("lines", linewidth=2.5)
plt.rc("legend", frameon=False)
plt.rc("image", cmap="gray")


def show_figure(fig: Figure, alt: str) -> None:
    """Display a figure; `alt` tells those who cannot see it what it shows."""
    display(HTML(figure_html(fig, alt)))


def figure_html(fig: Figure, alt: str) -> str:
    """Close a figure and return the HTML for `show_figure`; an empty `alt` is a ValueError."""
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows")
    with warnings.catch_warnings():
        # A letter that no font has is drawn as a box, and stands in `alt`.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        png = print_figure(fig, "png", None, base64=True, dpi=200, pil_kwargs={"compress_level": 1})
    plt.close(fig)
    width = round(fig.get_figwidth() * 100)  # half the pixels: sharp where pixels are small
    attributes = f'width="{width}" style="max-width:100%" alt="{html.escape(one_line(alt))}"'
    return f'<img {attributes} src="data:image/png;base64,{png}">'


_CODE_CSS = """
.course-code { background: #f7f7f7; color: #1a1a1a; padding: 0.8em 1em; overflow-x: auto; }
.course-code pre { color: inherit; background: none; font: 1em/1.4 monospace; margin: 0; }
.course-code .linenos { color: #6b6b6b; margin-right: 1.2em; user-select: none; }
"""


def show(thing: Any) -> None:
    """Show the source of a class, function or module of the course, with line numbers."""
    formatter = HtmlFormatter(linenos="inline", cssclass="course-code", style="xcode")
    code = highlight(inspect.getsource(thing), PythonLexer(), formatter)
    name = getattr(thing, "__module__", None) or thing.__name__
    css = _CODE_CSS + "\n".join(formatter.get_token_style_defs(".course-code"))
    display(HTML(f"<style>{css}</style><p><code>{name}</code></p>{code}"))


STAGES = {  # of a machine-learning project, and the notebooks that teach them
    "Data ingestion": "01, 03",
    "Data preparation": "03",
    "Modeling": "04-06, 17",
    "Training": "02, 04, 07, 10, 14",
    "Evaluation": "04, 07, 08",
    "Deployment": "09, 12, 13",
    "Monitoring": "11",
}


def show_pipeline(*current: str) -> None:
    """Draw the stages of a project and mark the `current` ones, such as "Training"."""
    if unknown := set(current) - set(STAGES):
        raise ValueError(f"unknown stage {unknown.pop()!r}: choose from {', '.join(STAGES)}")
    fig, ax = plt.subplots(figsize=(11, 2.1))
    ax.set(xlim=(-0.5, 6.5), ylim=(-0.7, 1.15))
    ax.set_axis_off()

    arrow: dict[str, Any] = {"arrowstyle": "->", "lw": 2}
    for i, (name, notebooks) in enumerate(STAGES.items()):
        fill, ink = (BLUE, "white") if name in current else ("white", "black")
        ax.bar(i, 0.8, width=0.88, bottom=0.2, color=fill, edgecolor=BLUE, linewidth=2)
        ax.text(i, 0.6, name.replace(" ", "\n"), color=ink, **CENTER)
        ax.text(i, -0.05, notebooks, color=GREY, **CENTER)
        if i:
            ax.annotate("", (i - 0.43, 0.6), (i - 0.57, 0.6), arrowprops=arrow)

    back = arrow | {"lw": 1, "ls": "--", "color": GREY, "connectionstyle": "arc3,rad=-0.06"}
    ax.annotate("", (0, -0.2), (6, -0.2), arrowprops=back)
    gap = {"facecolor": "white", "edgecolor": "none", "pad": 3}
    ax.text(3, -0.54, "when the world changes, start again", color=GREY, bbox=gap, **CENTER)

    stages = ", ".join(f"{name} ({notebooks})" for name, notebooks in STAGES.items())
    alt = f"The seven stages of a project with their notebooks: {stages}, and back to the first."
    show_figure(fig, f"{alt} Marked: {', '.join(current) or 'none'}.")


def plot_history(history: History, title: str, baseline: float | None = None) -> None:
    """Draw loss and accuracy over the epochs; `baseline` is an accuracy to compare with.

    Raises:
        ValueError: if not one epoch is over.
    """
    if not history.val_loss:
        raise ValueError("the history has no epoch: train for one first")
    epochs = range(1, len(history.train_loss) + 1)
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.2))
    for ax, name in zip(axes, ["loss", "accuracy"], strict=True):
        ax.plot(epochs, getattr(history, f"train_{name}"), marker="o", label="training")
        ax.plot(epochs, getattr(history, f"val_{name}"), marker="s", label="validation")
        if baseline is not None and name == "accuracy":
            ax.axhline(baseline, color=GREY, linestyle=":", label=f"baseline {baseline:.2f}")
        ax.set(xlabel="epoch", ylabel=name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    fig.suptitle(as_text(title))

    loss, accuracy = history.val_loss, history.val_accuracy
    alt = f"{title}: learning curves over {len(epochs)} epochs. "
    alt += f"Validation loss goes from {loss[0]:.2f} to {loss[-1]:.2f}, "
    alt += f"validation accuracy from {accuracy[0]:.2f} to {accuracy[-1]:.2f}."
    show_figure(fig, alt)


def show_images(
    images: Sequence[Any], titles: Sequence[str], alt: str, columns: int = 5, size: float = 2.2
) -> None:
    """Draw a grid of pictures with a title over each.

    Args:
        images: as for `draw_image`.
        titles: one for each picture; long lines are broken.
        columns: how many pictures stand side by side.
        size: of one picture in inches.

    Raises:
        ValueError: if there is no picture, or not one title for each.
    """
    if len(images) == 0:
        raise ValueError("there is no picture to show: images is empty")
    if len(images) != len(titles):
        raise ValueError(f"got {len(images)} pictures and {len(titles)} titles: give one for each")
    rows = ceil(len(images) / columns)
    figsize = (columns * size, rows * (size + 0.5))
    fig, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False)
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        draw_image(ax, image)
        ax.set_title(wrap_title(title, size), fontsize=14)
    show_figure(fig, alt)


def draw_image(ax: Axes, image: Any) -> None:
    """Draw a PIL image or a tensor without a frame.

    Args:
        ax: where to draw.
        image: a tensor has the shape ``(H, W) float32``, ``(1, H, W) float32`` or
            ``(3, H, W) float32`` and values in [0, 1]; if it is normalised, call `denormalize`
            first.
    """
    if isinstance(image, Tensor):
        image = (image.detach().cpu().clamp(0, 1) * 255).byte().numpy()
        image = image.transpose(1, 2, 0) if image.ndim == 3 else image  # (H, W, C) for matplotlib
    ax.imshow(image, vmin=0, vmax=255)
    ax.axis("off")


def draw_top_k(image: Any, top_k: Sequence[tuple[str, float]]) -> Figure:
    """Draw a photo beside its most probable classes.

    Args:
        image: as for `draw_image`.
        top_k: names with probabilities, as `predict_top_k` gives them; the first 20 are drawn.
    """
    top_k = top_k[:20]
    fig = Figure(figsize=(10, max(3.8, 0.4 * len(top_k))))
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.6])
    draw_image(left, image)

    names = [short_name(name) for name, _ in top_k]
    probabilities = [probability for _, probability in top_k]
    bars = right.barh(range(len(top_k)), probabilities, color=BLUE)
    right.bar_label(bars, [f"{probability:.1%}" for probability in probabilities], padding=4)
    right.set_yticks(range(len(top_k)), names)
    right.invert_yaxis()  # the most probable on top
    right.set(xlim=(0, 1.12), xticks=[0, 0.25, 0.5, 0.75, 1], xlabel="probability")
    right.grid(axis="y", visible=False)
    return fig


def draw_numbers(
    ax: Axes, values: Tensor, at: Sequence[float] = (0, 0), title: str = "", colors: Any = "white"
) -> None:
    """Draw a tensor, each number in a box of size 1.

    Args:
        ax: where to draw.
        values: ``(...)``, of at most two dimensions.
        at: x and y of the upper left corner, to draw several tensors side by side.
        title: written above.
        colors: of the boxes, broadcast to the shape of `values`: a list of colours paints columns.
    """
    grid = np.atleast_2d(values.numpy())
    fills = np.broadcast_to(np.array(colors, dtype=object), grid.shape)
    left, top = at
    for (row, column), number in np.ndenumerate(grid):
        x = left + column
        y = top - row - 1
        fill = fills[row, column]
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor="black", linewidth=1.5))
        # As high as its box, so that a box drawn later covers the number.
        ax.text(x + 0.5, y + 0.5, f"{number:g}", fontsize=15, zorder=1, **CENTER)
    ax.text(left + grid.shape[1] / 2, top + 0.2, as_text(title), ha="center", va="bottom")
    ax.update_datalim([(left, top + 0.8)])  # room for the title
    ax.set_aspect("equal")
    ax.axis("off")
    ax.autoscale_view()
