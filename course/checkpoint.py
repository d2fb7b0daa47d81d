"""Save a training run so that it can be continued as if it had never stopped."""

import copy
import io
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from course.files.archives import check_archive
from course.files.writing import write_whole
from course.training import History

FORMAT, VERSION = "pytorch-course checkpoint", 2
State = dict[str, Any]


class CheckpointError(ValueError):
    """A file cannot be used as a checkpoint, or does not fit what it should be loaded into."""


@dataclass
class Checkpoint:
    """How far training had come: whole epochs, and what each batch after them gave."""

    epoch: int
    history: History | None
    batch_losses: list[Any]


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
) -> None:
    """Write everything that the next step depends on into one file, whole or not at all.

    Args:
        epoch: how many epochs are finished.
        generator: ``train_loader.generator``; inside an epoch a ``clone_state()`` of its start.
        batch_losses: inside an epoch, what each batch since its start gave, such as its loss.

    Raises:
        OSError: if the file cannot be written. An older checkpoint at `path` stays as it was.
        CheckpointError: if a state holds something that could not be loaded safely.
    """
    parts = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    content = _collect(model, parts) | {"format": FORMAT, "version": VERSION, "epoch": epoch}
    content |= {"history": history and asdict(history), "batch_losses": list(batch_losses)}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        check_archive(buffer)
        write_whole(Path(path), buffer.getbuffer())
    except ValueError as error:
        raise CheckpointError(f"{path} was not saved, {error}: use float() or int()") from error
    except OSError as error:
        advice = "free some space or save elsewhere"
        raise OSError(f"{path} was not saved and is as it was ({error}): {advice}") from error


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
    """
    content = read_checkpoint(path)
    parts = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    home = next((tensor.device for tensor in model.state_dict().values()), device)
    before = copy.deepcopy(_collect(model, parts))
    try:
        _restore(content, model, parts, device)
        history = History(**content["history"]) if content["history"] else None
        return Checkpoint(content["epoch"], history, content["batch_losses"])
    except Exception as error:  # a file made by hand can fail at any line
        _restore(before, model, parts, home)
        reason = " ".join(str(error).split())
        problem = f"does not fit ({reason!r:.400}): build and pass what was saved in it"
        raise CheckpointError(f"{path} {problem}") from error


def read_checkpoint(path: str | Path) -> State:
    """What :func:`save_checkpoint` wrote, or a CheckpointError. Nothing in the file is run."""
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            raise FileNotFoundError("no such file")
        with open(path, "rb") as file:
            if file.read(23) == b"version https://git-lfs":
                raise CheckpointError(f"{path} is a Git LFS pointer: run `git lfs pull`")
            size = check_archive(file)
        # On the CPU, where random states belong; load_state_dict() moves the others. With mmap no
        # tensor reads beyond the file, which torch 2.6 can do else; the copy lets go of the file.
        mappable = os.fsencode(path) == str(path).encode(errors="ignore")  # torch wants UTF-8
        content = copy.deepcopy(torch.load(path, "cpu", weights_only=True, mmap=mappable))
        tensors = [part for part in tree_leaves(content) if isinstance(part, Tensor)]
        found = sum(storage.nbytes() for storage in {part.untyped_storage() for part in tensors})
        if found != size or any(part.nbytes > part.untyped_storage().nbytes() for part in tensors):
            raise ValueError("a tensor claims other bytes than it has")
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise CheckpointError(f"{path} is no checkpoint: weights go to load_state_dict()")
        if (version := content.get("version")) != VERSION:
            problem = f"has version {version!r:.20}, not {VERSION}: use the course that wrote it"
            raise CheckpointError(f"{path} {problem}")
        return content
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        reason = " ".join(str(error).split())
        problem = f"is missing, damaged or unsafe ({reason:.300}): check the path or get it again"
        raise CheckpointError(f"{path} {problem}") from error


def remaining_batches(loader: DataLoader[Any], done: int) -> Iterator[Any]:
    """Start an epoch and skip its first `done` batches, as if they had just been trained on.

    Augmentation draws random numbers for the skipped batches too, hence the states are put back.
    """
    states = _random_states()
    batches = iter(loader)
    for _ in range(done):
        next(batches)
    if done:
        _set_random_states(states)
    return batches


def _random_states() -> State:
    name, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
    return {
        "python_random": random.getstate(),
        "numpy_random": (name, keys.tolist(), *rest),  # an array would be refused
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all(),  # empty without a GPU
    }


def _set_random_states(states: State) -> None:
    if not 0 <= states["numpy_random"][2] <= 624:  # NumPy would read beside its 624 numbers
        raise ValueError("no such random state")
    random.setstate(states["python_random"])
    np.random.set_state(states["numpy_random"])
    torch.set_rng_state(states["torch_random"])
    if len(states["cuda_random"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda_random"])


def _collect(model: nn.Module, parts: State) -> State:
    content: State = {"model": model.state_dict(), **_random_states(), **parts}
    for name, part in parts.items():
        if part is not None:
            state = part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            content[name] = {"kind": type(part).__name__, "state": state}
    return content


def _restore(content: State, model: nn.Module, parts: State, device: torch.device | str) -> None:
    model.to(device)  # first, because the optimizer puts its state where the parameters are
    model.load_state_dict(content["model"])
    for name, part in parts.items():
        kind = content[name] and content[name]["kind"]
        if part is not None and kind != type(part).__name__:
            raise ValueError(f"its {name} is {kind}, not {type(part).__name__}")
        if isinstance(part, torch.Generator):
            part.set_state(content[name]["state"])
        elif part is not None:
            part.load_state_dict(content[name]["state"])
    if parts["optimizer"] is not None:
        _set_random_states(content)
