"""Save a training run so that it can be continued as if it had never stopped."""

import contextlib
import copy
import glob
import io
import os
import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from course.archive import check_archive
from course.training import History

FORMAT, VERSION = "pytorch-course checkpoint", 2
Parts = dict[str, Optimizer | LRScheduler | torch.Generator | None]


class CheckpointError(ValueError):
    """A file cannot be used as a checkpoint, or does not fit what it should be loaded into."""


@dataclass
class Checkpoint:
    """How far training had come: whole epochs, and the losses of the batches after them."""

    epoch: int
    history: History | None
    batch_losses: list[float]


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    epoch: int,
    *,
    scheduler: LRScheduler | None = None,
    generator: torch.Generator | None = None,
    history: History | None = None,
    batch_losses: Sequence[float] = (),
) -> None:
    """Write everything that the next step depends on into one file, whole or not at all.

    Args:
        epoch: how many epochs are finished.
        generator: the one that shuffles, ``train_loader.generator``. Inside an epoch a copy from
            its start, ``generator.clone_state()``, because that decided the order.
        batch_losses: inside an epoch, the loss of every batch since its start.

    Raises:
        OSError: if the file cannot be written. An older checkpoint at `path` stays as it was.
        CheckpointError: if a state holds something that could not be loaded safely.
    """
    path, buffer = Path(path), io.BytesIO()
    parts: Parts = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    content = _collect(model, parts) | {
        "format": FORMAT,
        "version": VERSION,
        "epoch": epoch,
        "history": asdict(history) if history else None,
        "batch_losses": list(batch_losses),
    }
    torch.save(content, buffer)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        check_archive(buffer)
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        with open(temporary, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())  # on the disk, not only on its way there
        os.replace(temporary, path)  # in one step: a reader sees the old file or the new one
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} was not saved, because loading would refuse it: {error}; turn NumPy numbers "
            "into float() or int()"
        ) from error
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error}): check that the disk has room and that you "
            "may write there; an older checkpoint is untouched"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    with contextlib.suppress(OSError):  # Windows does this by itself
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name is on the disk too
        finally:
            os.close(folder)


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

    Without `optimizer` only the model is loaded, for predicting. With it, training goes on: the
    random states of torch, NumPy and Python are restored too, and on the CPU the run continues
    exactly as it would have without the stop. Inside an epoch use :func:`remaining_batches`.

    Raises:
        CheckpointError: if the file is missing, damaged, unsafe or does not fit: nothing changes.
    """
    path = Path(path)
    content = read_checkpoint(path)
    parts: Parts = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    home = next((tensor.device for tensor in model.state_dict().values()), device)
    before = copy.deepcopy(_collect(model, parts))
    try:
        _check_fit(content, model, parts)
        _restore(content, model, parts, device)
        history = History(**content["history"]) if content["history"] else None
        return Checkpoint(content["epoch"], history, content["batch_losses"])
    except Exception as error:  # a file made by hand can fail at any line
        _restore(before, model, parts, home)
        raise CheckpointError(f"{path} does not fit: {error}") from error


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


def _random_states() -> dict[str, Any]:
    name, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
    return {
        "python_random": random.getstate(),
        "numpy_random": (name, keys.tolist(), *rest),  # an array would be refused
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all(),  # empty without a GPU
    }


def _set_random_states(states: dict[str, Any]) -> None:
    if not 0 <= states["numpy_random"][2] <= 624:  # NumPy would read beside its 624 numbers
        raise ValueError("no such random state")
    random.setstate(states["python_random"])
    np.random.set_state(states["numpy_random"])
    torch.set_rng_state(states["torch_random"])
    if len(states["cuda_random"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda_random"])


def _collect(model: nn.Module, parts: Parts) -> dict[str, Any]:
    content = {"model": model.state_dict(), **_random_states()}
    for name, part in parts.items():
        if part is None:
            content[name] = None
        else:
            state = part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            content[name] = {"kind": type(part).__name__, "state": state}
    return content


def _restore(
    content: dict[str, Any], model: nn.Module, parts: Parts, device: torch.device | str
) -> None:
    model.to(device)  # first, because the optimizer puts its state where the parameters are
    for name, part in parts.items():
        if isinstance(part, torch.Generator):
            part.set_state(content[name]["state"])
        elif part is not None:
            part.load_state_dict(content[name]["state"])
    if parts["optimizer"] is not None:
        _set_random_states(content)
    model.load_state_dict(content["model"])


def _sweep(path: Path) -> None:
    """Delete what killed processes left half-written; one that is writing now keeps its file."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError, ValueError, OverflowError):
            if os.name == "posix":  # Windows does not delete a file that is open
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(leftover.suffixes[-2][1:]), 0)  # only asks whether it is there
                    continue
            leftover.unlink()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote into the file, without running anything that it may contain.

    Raises:
        CheckpointError: if it is missing, damaged, unsafe or something else.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError("no such file")
        with open(path, "rb") as file:
            start = file.read(23)
            if start == b"version https://git-lfs":
                raise CheckpointError("is a Git LFS pointer: run `git lfs pull`")
            if not start.startswith(b"PK\3\4"):  # torch.save() writes zip archives
                raise CheckpointError("is not a checkpoint: torch.save() did not write it")
            check_archive(file)
            file.seek(0)
            # Random states belong on the CPU; load_state_dict() moves the others.
            content = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise CheckpointError(
                "is not a checkpoint of this course: if it holds weights only, read it with "
                "torch.load() and model.load_state_dict()"
            )
        if content.get("version") != VERSION:
            raise CheckpointError(
                f"has version {content.get('version')!r:.20}, not {VERSION}: load it with the "
                "version of the course that wrote it"
            )
        return content
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values and could run a stranger's code, so "
            "it was not loaded: ask its author for a state_dict"
        ) from error
    except Exception as error:  # a damaged file can fail in any way
        raise CheckpointError(
            f"{path} is missing, damaged or cut off ({error}): check the path or copy it again"
        ) from error


def _check_fit(content: dict[str, Any], model: nn.Module, parts: Parts) -> None:
    saved = {name: tuple(tensor.shape) for name, tensor in content["model"].items()}
    current = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    differ = [
        f"{name!r:.80} is {saved.get(name, 'missing')} in the file and "
        f"{current.get(name, 'missing')} in the model"
        for name in current | saved
        if saved.get(name) != current.get(name)
    ]
    if differ:
        raise ValueError(
            f"{len(differ)} of its tensors differ, such as: {'; '.join(differ[:3])}. Build the "
            "model with the settings of its training"
        )
    for name, part in parts.items():
        kind = content[name]["kind"] if content[name] else None
        if part is not None and type(part).__name__ != kind:
            raise ValueError(
                f"its {name} is {kind!r:.40}, yours is {type(part).__name__}: build the same kind, "
                f"or leave out {name}="
            )
    moments = content["optimizer"]["state"]["state"].values() if parts["optimizer"] else ()
    for tensor in (value for state in moments for value in state.values()):
        if isinstance(tensor, torch.Tensor) and tensor.numel() > tensor.untyped_storage().nbytes():
            raise ValueError("its optimizer would grow while loading")
