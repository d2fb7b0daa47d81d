"""The learning-rate panel: walk down a valley with gradient descent, and see where it ends.

The valley is the parabola ``loss = curvature / 2 * (w - bottom)**2`` with one parameter w. Its
curvature is what books call L, the largest one in a valley of many parameters.
"""

from functools import cache
from math import isclose
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from course.plots import BLACK, BLUE, CENTER, GREEN, ORANGE, RED, figure_html
from course.widgets import make_buttons, make_panel

NUM_STEPS = 20
MAX_RATE = 1.2
START, BOTTOM = -1, 3  # where the walk begins, and where the loss is lowest
VERDICTS = {
    "crawls": (ORANGE, "far below 1/L, so each step closes little of the distance"),
    "converges": (GREEN, "not above 1/L, so the walker comes down on one side"),
    "bounces": (BLUE, "between 1/L and 2/L, so each step lands across the valley"),
    "diverges": (RED, "above 2/L, so each step lands higher than it started"),
    "swings": (BLUE, "2/L exactly, so each step lands at the same height on the other side"),
}


def descent_verdict(learning_rate: float, curvature: float) -> str:
    """Say how gradient descent behaves on a parabola ``loss = curvature / 2 * (w - bottom)**2``.

    The gradient is ``curvature * (w - bottom)``, so every step multiplies the distance to the
    bottom by ``1 - learning_rate * curvature``. The size and sign of that factor decide all.

    Raises:
        ValueError: if one of the two is not positive.
    """
    if learning_rate <= 0 or curvature <= 0:
        raise ValueError(f"rate and curvature must be positive, got {learning_rate}, {curvature}")
    factor = 1 - learning_rate * curvature
    if isclose(factor, -1):
        return "swings"
    if factor < -1:
        return "diverges"
    if factor < 0:
        return "bounces"
    # The loss shrinks with the square of the distance.
    return "crawls" if factor ** (2 * NUM_STEPS) > 0.1 else "converges"


def learning_rate_valley() -> widgets.VBox:
    """Walk down a loss valley; the controls are a slider (learning rate) and a choice of valley."""
    slider = widgets.FloatSlider(0.1, min=0.01, max=MAX_RATE, step=0.01)
    slider.description = "learning rate"
    slider.layout.width = "95%"
    slider.style.description_width = "8em"
    valley = make_buttons("valley", {"wide, L = 2": 2.0, "steep, L = 4": 4.0})
    return make_panel([slider, valley], lambda rate, curvature: _look(round(rate, 2), curvature))


@cache  # going back with the slider costs nothing
def _look(rate: float, curvature: float) -> tuple[str, str]:
    """The verdict on one walk, and its picture."""
    verdict = descent_verdict(rate, curvature)
    color, reason = VERDICTS[verdict]
    factor = 1 - rate * curvature
    text = f"learning rate {rate:.2f} is {reason} (L = {curvature:g}). "
    text += f"One step multiplies the distance to the bottom by {factor:+.2f}."
    fig = _draw(rate, curvature, color)
    return f"<b>{verdict}</b>: {text}", figure_html(fig, f"Gradient descent {verdict}: {text}")


def _draw(rate: float, curvature: float, color: str) -> Figure:
    """The walk, its losses, and where its learning rate lies among all."""
    steps = np.arange(NUM_STEPS + 1)
    w = BOTTOM + (START - BOTTOM) * (1 - rate * curvature) ** steps  # after each step

    fig = Figure(figsize=(10, 5))
    fig.set_layout_engine("none")  # it would double the time that a move of the slider takes
    margins = {"left": 0.07, "right": 0.98, "top": 0.93, "hspace": 0.4, "height_ratios": [8, 1]}
    axes = fig.subplot_mosaic([["valley", "loss"], ["rates", "rates"]], gridspec_kw=margins)
    _draw_walk(axes["valley"], w, curvature, color)
    _draw_losses(axes["loss"], _loss(w, curvature), color)
    _draw_rates(axes["rates"], rate, curvature, color)
    return fig


def _loss(w: NDArray[np.floating[Any]], curvature: float) -> NDArray[np.floating[Any]]:
    return curvature / 2 * (w - BOTTOM) ** 2


def _draw_walk(ax: Axes, w: NDArray[np.floating[Any]], curvature: float, color: str) -> None:
    """The parabola, and the walker on it after each step."""
    around = np.linspace(-3, 9, 200)
    loss = _loss(w, curvature)
    ax.plot(around, _loss(around, curvature), color=BLACK)
    ax.plot(w, loss, "o--", markersize=9, linewidth=1.8, color=color)
    ax.annotate("start ", (w[0], loss[0]), ha="right", va="top")
    ax.set(xlim=(-3, 9), ylim=(-1.5, 40), xlabel="parameter w", ylabel="loss")
    ax.set_title("The walk in the valley")


def _draw_losses(ax: Axes, loss: NDArray[np.floating[Any]], color: str) -> None:
    """The loss after each step, on a scale where a constant factor is a straight line."""
    ax.semilogy(range(NUM_STEPS + 1), loss + 1e-30, "o-", color=color)
    ax.set(xlim=(0, NUM_STEPS), ylim=(1e-8, 1e8), yticks=[1e-8, 1e-4, 1, 1e4, 1e8])
    ax.set(xlabel="step", ylabel="loss", title="The loss after each step")


def _draw_rates(ax: Axes, rate: float, curvature: float, color: str) -> None:
    """All learning rates, coloured by their verdict, and a mark at this one."""
    crawl = 1 - 0.1 ** (1 / (2 * NUM_STEPS))  # see descent_verdict
    edges = [0, crawl / curvature, 1 / curvature, 2 / curvature, MAX_RATE]
    for name, left, right in zip(VERDICTS, edges, edges[1:], strict=False):
        ax.axvspan(left, right, color=VERDICTS[name][0], alpha=0.35, lw=0)
        if name != "crawls":  # too narrow for a word
            ax.text((left + right) / 2, 0.5, name, **CENTER)
    ax.plot(rate, 1, "v", markersize=15, color=color, mec=BLACK, clip_on=False)
    ax.set(xlim=(0, MAX_RATE), ylim=(0, 1), yticks=[], xlabel="learning rate")
