"""Save a training run so that it can be continued as if it had never stopped."""

import contextlib
import os
import pickle
import random
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from course.training import History

FORMAT, VERSION = "pytorch-course checkpoint", 1
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # how a Git LFS pointer file starts


class CheckpointError(ValueError):
    """A file cannot be used as a checkpoint, or does not fit what it should be loaded into."""


@dataclass
class Checkpoint:
    """How far training had come."""

    epoch: int
    history: History | None


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    epoch: int,
    *,
    scheduler: LRScheduler | None = None,
    generator: torch.Generator | None = None,
    history: History | None = None,
) -> None:
    """Write everything that the next epoch depends on into one file, whole or not at all.

    Args:
        epoch: how many epochs are finished.
        generator: the one that shuffles, ``train_loader.generator``.

    Raises:
        OSError: if the file cannot be written. An older checkpoint at `path` is left as it was.
        CheckpointError: if a state holds something that could not be loaded safely.
    """
    path = Path(path)
    numpy_name, numpy_keys, *numpy_rest = cast(tuple[Any, ...], np.random.get_state())
    content = {
        "format": FORMAT,
        "version": VERSION,
        "epoch": epoch,
        "model": model.state_dict(),
        "optimizer": _pack(optimizer),
        "scheduler": _pack(scheduler),
        "generator": _pack(generator),
        "python_random": random.getstate(),
        "numpy_random": (numpy_name, numpy_keys.tolist(), *numpy_rest),  # arrays would be refused
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "history": None if history is None else asdict(history),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())  # on the disk, not only on its way there
        if unsafe := torch.serialization.get_unsafe_globals_in_checkpoint(temporary):
            raise CheckpointError(
                f"not saved, because weights_only=True would refuse it: it holds "
                f"{', '.join(sorted(unsafe))}; turn NumPy numbers into float() or int()"
            )
        os.replace(temporary, path)  # in one step: a reader sees the old file or the new one
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error}): check that the disk has room and that you "
            "may write there; an older checkpoint is untouched"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
    exactly as it would have without the stop.

    Raises:
        CheckpointError: if the file is missing, damaged, unsafe or does not fit: nothing changes.
    """
    content = _read(Path(path))
    _check_model(content["model"], model.state_dict())
    parts = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    for name, part in parts.items():
        kind = content[name]["kind"] if content[name] else None
        if part is not None and type(part).__name__ != kind:
            raise CheckpointError(
                f"the {name} in the checkpoint is {kind}, yours is {type(part).__name__}: build "
                f"the same kind, or leave out {name}="
            )
    model.to(device)  # first, because the optimizer puts its state where the parameters are
    if optimizer is not None:
        try:
            optimizer.load_state_dict(content["optimizer"]["state"])
        except ValueError as error:  # before anything is changed
            raise CheckpointError(f"the optimizer moves other parameters: {error}") from error
        random.setstate(content["python_random"])
        np.random.set_state(content["numpy_random"])
        torch.set_rng_state(content["torch_random"])
        if len(content["cuda_random"]) == torch.cuda.device_count() > 0:
            torch.cuda.set_rng_state_all(content["cuda_random"])
    model.load_state_dict(content["model"])
    if scheduler is not None:
        scheduler.load_state_dict(content["scheduler"]["state"])
    if generator is not None:
        generator.set_state(content["generator"]["state"])
    history = content["history"]
    return Checkpoint(content["epoch"], None if history is None else History(**history))


def _pack(part: Optimizer | LRScheduler | torch.Generator | None) -> dict[str, Any] | None:
    if part is None:
        return None
    state = part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
    return {"kind": type(part).__name__, "state": state}


def _read(path: Path) -> dict[str, Any]:
    """Open the file without running anything that it may contain."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(LFS_POINTER))
    except OSError as error:
        raise CheckpointError(f"no checkpoint can be read: {error}; check the path") from error
    if start == LFS_POINTER:
        raise CheckpointError(f"{path} is a Git LFS pointer: install git-lfs, run `git lfs pull`")
    if not start.startswith(b"PK"):  # torch.save() writes zip archives
        raise CheckpointError(f"{path} is not a checkpoint: torch.save() did not write it")
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch.load() does not compare the checksums
                raise zipfile.BadZipFile(f"wrong checksum in {damaged}")
        # Random states belong on the CPU; load_state_dict() moves the others.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values and could run a stranger's code, "
            "so it was not loaded: ask its author for a state_dict"
        ) from error
    except Exception as error:  # a damaged file can fail in any way
        raise CheckpointError(f"{path} is damaged or cut off ({error}): copy it again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of this course: if it holds weights only, read it with "
            "torch.load() and model.load_state_dict()"
        )
    if content["version"] != VERSION:
        raise CheckpointError(f"{path} has version {content['version']}, not {VERSION}: update")
    return content


def _check_model(saved: dict[str, Any], current: dict[str, Any]) -> None:
    missing = [f"{name} is missing in the file" for name in current if name not in saved]
    unknown = [f"{name} is unknown to the model" for name in saved if name not in current]
    reshaped = [
        f"{name} is {tuple(saved[name].shape)} in the file and {tuple(tensor.shape)} in the model"
        for name, tensor in current.items()
        if name in saved and tensor.shape != saved[name].shape
    ]
    for found in (missing, unknown, reshaped):
        if len(found) > 3:
            found[3:] = [f"and {len(found) - 3} more"]
    if missing or unknown or reshaped:
        raise CheckpointError(
            f"the checkpoint does not fit the model: {'; '.join(missing + unknown + reshaped)}. "
            "Build the model with the settings that it was trained with"
        )
