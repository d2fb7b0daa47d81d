"""01.2 One gain per picture."""

import torch
from torch import Tensor

from course.exercises.task import Case, Task


def brighten(batch: Tensor, gain: Tensor) -> Tensor:
    """Shapes are aligned at the right, so three dimensions of length one have to follow."""
    return batch * gain.view(-1, 1, 1, 1)


def brighten_by_index(batch: Tensor, gain: Tensor) -> Tensor:
    """``None`` adds a dimension of length one."""
    return batch * gain[:, None, None, None]


def brighten_in_a_loop(batch: Tensor, gain: Tensor) -> Tensor:
    """One picture after the other needs no broadcasting."""
    return torch.stack([image * factor for image, factor in zip(batch, gain, strict=True)])


def scales_columns(batch: Tensor, gain: Tensor) -> Tensor:
    """You scaled columns, not pictures: the last dimension of `batch` met `gain`, because shapes
    are aligned at the right."""
    return batch * gain


def scales_rows(batch: Tensor, gain: Tensor) -> Tensor:
    """You scaled rows, not pictures: one dimension after `gain` moves it to the rows only."""
    return batch * gain.unsqueeze(1)


def scales_channels(batch: Tensor, gain: Tensor) -> Tensor:
    """You scaled channels, not pictures: with two dimensions after it, `gain` stands at the
    channels."""
    return batch * gain.view(-1, 1, 1)


def adds_the_gain(batch: Tensor, gain: Tensor) -> Tensor:
    """You added the gain. A gain of 2 makes a picture twice as bright, so it multiplies."""
    return batch + gain.view(-1, 1, 1, 1)


def pictures_and_gains(size: int, channels: int = 3, width: int = 0) -> tuple[Tensor, Tensor]:
    """Pictures ``(size, channels, size, width or size)`` and one gain for each."""
    generator = torch.Generator().manual_seed(size + channels + width)
    batch = torch.rand(size, channels, size, width or size, generator=generator)
    return batch, 1 + torch.arange(size) / 2


TASK = Task(
    minutes=5,
    solutions=(brighten, brighten_by_index, brighten_in_a_loop),
    mistakes=(scales_columns, scales_rows, scales_channels, adds_the_gain),
    hints=(
        "Write the two shapes under each other, aligned at the right.",
        "`gain` needs as many dimensions as `batch`; all but the first have length one.",
    ),
    cases=(
        Case(lambda: pictures_and_gains(8), is_example=True),
        Case(lambda: pictures_and_gains(3, channels=3)),
        Case(lambda: pictures_and_gains(2, channels=2)),
    ),
)
