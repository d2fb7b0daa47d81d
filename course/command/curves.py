"""Curves of a training for TensorBoard, if they were asked for."""

import shlex
from pathlib import Path
from typing import Any

from course.command.settings import Settings
from course.training import History


def open_board(settings: Settings, epoch: int) -> Any:
    """Where to write curves, if `epoch` epochs are done."""
    from torch.utils.tensorboard import SummaryWriter

    name = Path(settings.data).name  # of a folder, its last part
    folder = settings.output / "tensorboard" / f"{name}-{settings.model}-seed{settings.seed}"
    print(f"Curves: tensorboard --logdir {shlex.quote(str(folder.parent))}")
    return SummaryWriter(folder, purge_step=epoch + 1)  # hides what comes again


def add_epoch(board: Any, history: History, epoch: int) -> None:
    """Write what the last epoch measured."""
    for name, series in vars(history).items():
        board.add_scalar(name.replace("_", "/"), series[-1], epoch)
    board.flush()
