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
    """What training measured, one number per epoch. Losses are means over samples."""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(
        self,
        train_loss: float,
        train_accuracy: float,
        val_loss: float,
        val_accuracy: float,
        seconds: float,
    ) -> None:
        """Write down what one epoch gave and how long it took."""
        self.train_loss.append(train_loss)
        self.train_accuracy.append(train_accuracy)
        self.val_loss.append(val_loss)
        self.val_accuracy.append(val_accuracy)
        self.seconds.append(seconds)


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
        loader: gives inputs, as the model takes them, and ``(N,) int64`` targets.
        criterion: a loss that is a mean over the batch, such as ``nn.CrossEntropyLoss()``.
        scheduler: sets the learning rate anew after each batch.

    Returns:
        The mean loss per sample and the accuracy, both measured while learning.

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

        # The last batch may be short: its mean counts for as many samples as it has.
        total_loss += loss.item() * len(targets)
        correct += (logits.argmax(dim=1) == targets).sum().item()
        total += len(targets)
    if total == 0:
        raise ValueError(NO_SAMPLE)
    return total_loss / total, correct / total


@torch.no_grad()
def predict(
    model: nn.Module, loader: Batches, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Ask the model about every sample of a loader, in evaluation mode and without gradients.

    Returns:
        Logits ``(N, K) float32`` and targets ``(N,) int64`` in the order of the loader, on the CPU.

    Raises:
        ValueError: if the loader gives no sample.
    """
    model.eval()
    logits, targets = [], []
    for batch_inputs, batch_targets in loader:
        logits.append(model(batch_inputs.to(device)).cpu())
        targets.append(batch_targets.cpu())
    if not targets:
        raise ValueError(NO_SAMPLE)
    return torch.cat(logits), torch.cat(targets)


def evaluate(
    model: nn.Module, loader: Batches, criterion: nn.Module, device: torch.device | str = "cpu"
) -> tuple[float, float]:
    """Measure the model without changing it: mean loss per sample, and accuracy.

    Args:
        loader: gives inputs, as the model takes them, and ``(N,) int64`` targets.
        criterion: a loss that is a mean over the batch, such as ``nn.CrossEntropyLoss()``.

    Raises:
        ValueError: if the loader gives no sample.
    """
    logits, targets = predict(model, loader, device)
    # The loss of all samples at once is a mean over samples, also after a short last batch.
    loss = criterion(logits.to(device), targets.to(device))
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
    """Train for `num_epochs` passes over the data, validate after each, and show the progress.

    Args:
        criterion: the loss; cross-entropy if not given.
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
    with _progress_bar(num_epochs * len(train_loader), progress) as bar:
        for epoch in range(num_epochs):
            bar.set_description(f"epoch {epoch + 1}/{num_epochs}")
            start = time.perf_counter()
            batches = _counted(train_loader, bar)
            training = train_one_epoch(model, batches, criterion, optimizer, device, scheduler)
            validation = evaluate(model, val_loader, criterion, device)
            history.add(*training, *validation, seconds=time.perf_counter() - start)
            bar.set_postfix(val_loss=validation[0], val_accuracy=validation[1])
    return history


def _progress_bar(num_batches: int, shown: bool) -> Any:
    """A bar that is redrawn twice per second: in a notebook each time costs several steps."""
    return tqdm(total=num_batches, unit="batch", mininterval=0.5, disable=not shown)


def _counted(loader: Batches, bar: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the loader's batches and move the progress bar by one for each."""
    for batch in loader:
        yield batch
        bar.update()
