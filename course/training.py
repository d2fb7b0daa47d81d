"""The training loop of the course: one loop for every model."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

Batches = Iterable[tuple[Tensor, Tensor]]  # what a DataLoader gives: inputs and targets
NO_SAMPLE = "the loader gave no sample: check that its dataset is not empty"


@dataclass
class History:
    """What training measured, one number an epoch. Losses are means over samples."""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def train_one_epoch(
    model: nn.Module,
    loader: Batches,
    criterion: nn.Module,
    optimizer: Optimizer,
    device: torch.device | str = "cpu",
    scheduler: LRScheduler | None = None,
) -> tuple[float, float]:
    """Show the model every batch once and let the optimizer correct it after each.

    Args:
        loader: gives ``inputs`` and int64 ``targets`` of shape ``(N,)``.
        criterion: a loss that is a mean over the batch, such as ``nn.CrossEntropyLoss()``.
        scheduler: sets the learning rate anew after each batch.

    Returns:
        The mean loss a sample and the accuracy, both measured while learning.

    Raises:
        ValueError: if the loader gives no sample.
    """
    model.train()
    total_loss, correct, total = 0.0, 0, 0
    for inputs, targets in loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        logits = model(inputs)
        loss = criterion(logits, targets)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total_loss += loss.item() * len(targets)  # the last batch may be short: weigh it
        correct += (logits.argmax(dim=1) == targets).sum().item()
        total += len(targets)
    if total == 0:
        raise ValueError(NO_SAMPLE)
    return total_loss / total, correct / total


def evaluate(
    model: nn.Module, loader: Batches, criterion: nn.Module, device: torch.device | str = "cpu"
) -> tuple[float, float]:
    """Measure the model without changing it; arguments and result as in `train_one_epoch`."""
    logits, targets = predict(model, loader, device)
    loss = criterion(logits.to(device), targets.to(device))  # of all at once: a mean over samples
    accuracy = (logits.argmax(dim=1) == targets).double().mean()
    return loss.item(), accuracy.item()


def fit(
    model: nn.Module,
    optimizer: Optimizer,
    train_loader: DataLoader[Any],
    val_loader: DataLoader[Any],
    criterion: nn.Module | None = None,
    num_epochs: int = 10,
    device: torch.device | str = "cpu",
    progress: bool = True,
    scheduler: LRScheduler | None = None,
) -> History:
    """Train for `num_epochs` passes over the data and validate after each.

    Args:
        criterion: the loss; cross-entropy if not given.
        progress: show a progress bar over the epochs.
        scheduler: sets the learning rate anew after each batch, as ``OneCycleLR`` wants it.

    Returns:
        Loss, accuracy and seconds of every epoch. The model is left in evaluation mode.

    Raises:
        ValueError: if `num_epochs` is not positive or a loader gives no sample.
    """
    if num_epochs < 1:
        raise ValueError(f"num_epochs must be at least 1, got {num_epochs}")
    criterion = criterion or nn.CrossEntropyLoss()
    model.to(device)
    history = History()
    with tqdm(total=num_epochs * len(train_loader), unit="batch", disable=not progress) as bar:
        for epoch in range(num_epochs):
            bar.set_description(f"epoch {epoch + 1}/{num_epochs}")
            start = time.perf_counter()
            train_loss, train_accuracy = train_one_epoch(
                model, _counted(train_loader, bar), criterion, optimizer, device, scheduler
            )
            val_loss, val_accuracy = evaluate(model, val_loader, criterion, device)
            history.train_loss.append(train_loss)
            history.train_accuracy.append(train_accuracy)
            history.val_loss.append(val_loss)
            history.val_accuracy.append(val_accuracy)
            history.seconds.append(time.perf_counter() - start)
            bar.set_postfix(val_loss=f"{val_loss:.3f}", val_accuracy=f"{val_accuracy:.3f}")
    return history


def _counted(loader: Batches, bar: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the loader's batches and move the progress bar by one for each."""
    for batch in loader:
        yield batch
        bar.update()


@torch.no_grad()
def predict(
    model: nn.Module, loader: Batches, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Return the logits ``(N, num_classes)`` and targets ``(N,)`` of a whole loader, on the CPU."""
    model.eval()
    results = [(model(inputs.to(device)).cpu(), targets) for inputs, targets in loader]
    if not results:
        raise ValueError(NO_SAMPLE)
    logits, targets = zip(*results, strict=True)
    return torch.cat(logits), torch.cat(targets)
