"""Tuning: train one head for every combination of settings and compare them on validation data."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Adam, Optimizer
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from course.data import make_loaders
from course.models import NUM_FEATURES, make_head
from course.training import History, evaluate, fit


@dataclass(frozen=True)
class Trial:
    """One trained head: its settings and what came of them.

    Both accuracies are measured after the last epoch in evaluation mode, so that dropout does not
    make the training accuracy look worse than it is.
    """

    learning_rate: float
    size_inner: int | None
    dropout: float
    seed: int
    history: History
    train_accuracy: float
    val_accuracy: float

    @property
    def gap(self) -> float:
        """How much better the head does on photos that it has seen: a sign of overfitting."""
        return self.train_accuracy - self.val_accuracy


def make_model(
    learning_rate: float = 0.001,
    size_inner: int | None = None,
    dropout: float = 0.0,
    num_classes: int = 10,
    seed: int = 0,
) -> tuple[nn.Module, Optimizer]:
    """Make a fresh head, see :func:`course.models.make_head`, and its Adam optimizer.

    Args:
        learning_rate: the size of Adam's steps.
        size_inner, dropout, num_classes: of the head.
        seed: of the first weights.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not 0 < learning_rate < float("inf"):  # true for "not a number", too
        raise ValueError(f"learning rate must be positive, got {learning_rate}")
    torch.manual_seed(seed)
    model = make_head(num_classes, size_inner, dropout)
    # fused: the same rule in one pass over memory, twice as fast for a wide inner layer
    return model, Adam(model.parameters(), lr=learning_rate, fused=True)


def sweep(
    train: Dataset[Any],
    val: Dataset[Any],
    learning_rates: Sequence[float] = (0.001,),
    sizes_inner: Sequence[int | None] = (None,),
    dropouts: Sequence[float] = (0.0,),
    seeds: Sequence[int] = (0,),
    num_epochs: int = 10,
    batch_size: int = 64,
) -> list[Trial]:
    """Train a head for every combination of the settings, on the CPU, with one progress bar.

    Args:
        train: cached features, each sample ``(1280,) float32`` with its class number. The heads
            get as many outputs as there are class numbers in `train` and `val`.
        val: the same for validation.
        seeds: each draws its own first weights and its own shuffling.

    Returns:
        One trial for each combination, the last argument varying fastest.

    Raises:
        ValueError: if a setting or a dataset is wrong; nothing is trained then.
    """
    num_classes = max(_count_classes("train", train), _count_classes("val", val))
    settings = list(itertools.product(learning_rates, sizes_inner, dropouts, seeds))
    for learning_rate, size_inner, dropout, seed in settings:
        # A wrong value is reported now, not after ten minutes.
        make_model(learning_rate, size_inner, dropout, num_classes, seed)

    trials = []
    for learning_rate, size_inner, dropout, seed in tqdm(settings, unit="head"):
        model, optimizer = make_model(learning_rate, size_inner, dropout, num_classes, seed)
        train_loader, val_loader = make_loaders(train, val, batch_size, seed=seed)
        history = fit(model, optimizer, train_loader, val_loader, None, num_epochs, progress=False)
        _, train_accuracy = evaluate(model, train_loader, nn.CrossEntropyLoss())
        measured = history, train_accuracy, history.val_accuracy[-1]
        trials.append(Trial(learning_rate, size_inner, dropout, seed, *measured))
    return trials


def _count_classes(name: str, dataset: Any) -> int:
    """How many classes a dataset of features has: one more than its largest class number."""
    if len(dataset) == 0:
        raise ValueError(f"{name} must be a dataset with samples, it is empty")
    shape = tuple(getattr(dataset[0][0], "shape", ()))
    if shape != (NUM_FEATURES,):
        problem = f"each sample of {name} must be {NUM_FEATURES} features, got the shape {shape}"
        raise ValueError(f"{problem}: call course.features.extract_features() and give its result")
    targets = torch.stack([torch.as_tensor(dataset[i][1]) for i in range(len(dataset))])
    if targets.dtype != torch.int64 or targets.ndim != 1 or targets.min() < 0:
        found = f"{targets.min().item()} in {tuple(targets.shape)} {targets.dtype}"
        raise ValueError(f"targets of {name} must be int64 class numbers from 0 on, got {found}")
    return int(targets.max()) + 1
