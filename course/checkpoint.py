"""Save a training run so that it can be continued as if it had never stopped."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from course.device import random_states, set_random_states
from course.files.archives import CheckpointError as CheckpointError  # for whoever loads
from course.files.archives import read_torch_file
from course.files.formats import FORMAT, VERSION, as_checkpoint, misfit
from course.files.savable import write_torch_file
from course.training import History

State = dict[str, Any]


@dataclass
class Checkpoint:
    """How far a run had come: whole epochs, what each batch after them gave; what it is about."""

    epoch: int
    history: History | None
    batch_losses: list[Any]
    about: State = field(default_factory=dict)


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    epoch: int,
    *,
    scheduler: LRScheduler | None = None,
    generator: torch.Generator | None = None,
    history: History | None = None,
    batch_losses: Sequence[Any] = (),
    about: State | None = None,
) -> None:
    """Write everything that the next step depends on into one file, whole or not at all.

    Args:
        epoch: how many epochs are finished.
        generator: ``train_loader.generator``; inside an epoch a ``clone_state()`` of its start.
        batch_losses: inside an epoch, what each batch since its start gave, such as its loss.
        about: what the run is about, in plain values: its data, classes, settings.

    Raises:
        CheckpointError: if a state holds something that could not be loaded safely.
        OSError: if the file cannot be written. An older checkpoint at `path` stays as it was.
    """
    parts = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    content = _collect(model, parts) | {"format": FORMAT, "version": VERSION, "epoch": epoch}
    content["history"] = vars(history) if history else None
    content["batch_losses"] = list(batch_losses)
    content["about"] = about or {}
    write_torch_file(path, content)


def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    *,
    scheduler: LRScheduler | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Checkpoint:
    """Restore what :func:`save_checkpoint` wrote, and move the model to `device`.

    Without `optimizer` only the model is loaded, for predicting. With it the random states come
    back too, and on the CPU the run goes on to the last bit as it would have without the stop.
    Inside an epoch use :func:`remaining_batches`.

    Raises:
        CheckpointError: if the file is missing, damaged, unsafe or does not fit: nothing changes.
        OSError: if the system cannot read the file, which may be good.
    """
    content = read_checkpoint(path)
    if any(is_lazy(parameter) for parameter in model.parameters()):
        raise CheckpointError(f"{path} was not loaded: run one batch through the model first")
    parts = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    home = next((parameter.device for parameter in model.parameters()), device)
    before = copy.deepcopy(_collect(model, parts))
    try:
        _restore(content, model, parts, device)
        history = History(**content["history"]) if content["history"] else None
        return Checkpoint(content["epoch"], history, content["batch_losses"], content["about"])
    except Exception as error:  # a file made by hand can fail at any line
        _restore(before, model, parts, home)
        raise misfit(path, error) from error


def read_checkpoint(path: str | Path) -> State:
    """The dictionary that :func:`save_checkpoint` wrote. Errors as in :func:`load_checkpoint`."""
    return as_checkpoint(path, read_torch_file(path))


def remaining_batches(loader: DataLoader[Any], done: int) -> Iterator[Any]:
    """Start an epoch and skip its first `done` batches, as if they had just been trained on.

    Augmentation draws random numbers for the skipped batches too, hence the states are put back.
    """
    states = random_states()
    batches = iter(loader)
    skipped = sum(1 for _ in islice(batches, done))
    if skipped < done:
        problem = f"{done} batches of this epoch are done, but the loader has only {skipped}"
        raise CheckpointError(f"{problem}: give it the data and batch size of the saved run")
    if done:
        set_random_states(states)
    return batches


def _collect(model: nn.Module, parts: State) -> State:
    content = {"model": model.state_dict(), **random_states()}
    for name, part in parts.items():
        content[name] = None
        if part is not None:  # its kind as well, because SGD cannot go on with Adam's state
            state = part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            content[name] = {"kind": type(part).__name__, "state": state}
    return content


def _restore(content: State, model: nn.Module, parts: State, device: torch.device | str) -> None:
    model.to(device)  # first, because the optimizer puts its state where the parameters are
    model.load_state_dict(content["model"])
    for name, part in parts.items():
        if part is None:
            continue
        kind = content[name]["kind"] if content[name] else None
        if kind != type(part).__name__:
            raise ValueError(f"its {name} is {kind}, not {type(part).__name__}")
        if isinstance(part, torch.Generator):
            part.set_state(content[name]["state"])
        else:
            part.load_state_dict(content[name]["state"])
    if parts["optimizer"] is not None:
        set_random_states(content)
