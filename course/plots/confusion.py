"""Which class was taken for which: the confusion matrix, counted and drawn."""

from collections.abc import Sequence
from math import ceil

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from course.plots import CENTER, show_figure
from course.plots.labels import one_line, short_name

MAX_COUNTS, MAX_NAMES = 14, 20  # more of them could not be read


def confusion_matrix(
    predictions: Tensor | Sequence[int], targets: Tensor | Sequence[int], num_classes: int
) -> Tensor:
    """Count how often each class was predicted for each: true classes down, predictions across.

    Args:
        predictions: class numbers ``(N,) int64``.
        targets: the true ones ``(N,) int64``.
        num_classes: K; class numbers are from 0 to K - 1.

    Returns:
        The counts ``(K, K) int64``.

    Raises:
        ValueError: if a class number or a shape is wrong.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    predictions = _class_numbers("predictions", predictions, num_classes)
    targets = _class_numbers("targets", targets, num_classes)
    if len(predictions) != len(targets):
        problem = f"got {len(predictions)} predictions for {len(targets)} targets"
        raise ValueError(f"{problem}: both must come from the same samples, in the same order")
    pairs = targets * num_classes + predictions  # one number for each cell of the matrix
    return pairs.bincount(minlength=num_classes**2).reshape(num_classes, num_classes)


def _class_numbers(name: str, given: Tensor | Sequence[int], num_classes: int) -> Tensor:
    """The class numbers that were given, checked, as ``(N,) int64``."""
    numbers = torch.as_tensor(given)
    if numbers.ndim != 1:
        remedy = "logits become class numbers with logits.argmax(dim=1)"
        raise ValueError(f"{name} must have the shape (N,), got {tuple(numbers.shape)}: {remedy}")
    if len(numbers) and (numbers.is_floating_point() or numbers.dtype == torch.bool):
        raise ValueError(f"{name} must be class numbers such as int64, got {numbers.dtype}")
    numbers = numbers.long()  # small integers would overflow
    wrong = numbers[(numbers < 0) | (numbers >= num_classes)]
    if len(wrong):
        values = f"{name} must be from 0 to {num_classes - 1} for {num_classes} classes"
        raise ValueError(f"{values}, got {wrong[0].item()}")
    return numbers


def plot_confusion(
    predictions: Tensor | Sequence[int], targets: Tensor | Sequence[int], classes: Sequence[str]
) -> None:
    """Draw the confusion matrix: true classes down, predictions across.

    Up to 14 classes each count is written into its cell; with more, colours alone show them.

    Args:
        predictions: class numbers ``(N,) int64``.
        targets: the true ones ``(N,) int64``.
        classes: the names of the K classes.

    Raises:
        ValueError: as in `confusion_matrix`, or if there is nothing to draw.
    """
    counts = confusion_matrix(predictions, targets, len(classes)).cpu().numpy()
    if not counts.any():
        raise ValueError("there is no prediction to draw: check that the dataset is not empty")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fig, ax = plt.subplots(figsize=(9, 7.5))
    picture = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MAX_COUNTS:
        _write_counts(ax, counts, shares)
    else:
        fig.colorbar(picture, label="fraction of the true class")

    step = ceil(len(classes) / MAX_NAMES)
    named = range(0, len(classes), step)
    names = [short_name(classes[i]) for i in named]
    ax.set_xticks(named, names, rotation=45, ha="right")
    ax.set_yticks(named, names)
    ax.set(xlabel="predicted", ylabel="true", title="How often each class was taken for each")
    ax.grid(False)
    alt = f"Confusion matrix of {len(classes)} classes; the diagonal is correct."
    show_figure(fig, f"{alt} {_worst_mistake(counts, classes)}")


def _write_counts(ax: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    """Write each count that is not 0 into its cell."""
    for row, column in zip(*counts.nonzero(), strict=True):
        color = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, counts[row, column], color=color, **CENTER)


def _worst_mistake(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The most common mistake in a sentence."""
    mistakes = counts - np.diag(counts.diagonal())
    if not mistakes.any():
        return "There is no mistake."
    row, column = divmod(int(mistakes.argmax()), len(classes))
    number = mistakes[row, column]
    often = "once" if number == 1 else f"{number} times"
    mistake = f"{one_line(classes[row])} taken for {one_line(classes[column])}, {often}"
    return f"The most common mistake: {mistake}."
