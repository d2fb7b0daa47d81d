"""01.3 Each picture to mean 0 and standard deviation 1."""

import torch
from torch import Tensor

from course.exercises.task import Case, Task


def normalise_each(batch: Tensor) -> Tensor:
    """The dimensions that are named disappear; `keepdim` leaves them with length one, so that the
    result broadcasts."""
    mean = batch.mean(dim=(1, 2, 3), keepdim=True)
    std = batch.std(dim=(1, 2, 3), keepdim=True)
    return (batch - mean) / std


def normalise_each_flat(batch: Tensor) -> Tensor:
    """Flattened pictures are rows, and a row has one mean."""
    flat = batch.flatten(1)
    mean = flat.mean(dim=1).view(-1, 1, 1, 1)
    std = flat.std(dim=1).view(-1, 1, 1, 1)
    return (batch - mean) / std


def normalises_channels(batch: Tensor) -> Tensor:
    """You took one mean for each channel, over all pictures. Here each picture has its own: which
    dimension has to stay?"""
    dim = (0, 2, 3)
    return (batch - batch.mean(dim, keepdim=True)) / batch.std(dim, keepdim=True)


def normalises_all_at_once(batch: Tensor) -> Tensor:
    """You took one mean for the whole batch, so dark pictures stay darker than bright ones."""
    return (batch - batch.mean()) / batch.std()


def normalises_each_channel_of_each(batch: Tensor) -> Tensor:
    """You took one mean for each channel of each picture. Its colours lose their proportions; the
    channels of a picture share one mean here."""
    return (batch - batch.mean((2, 3), keepdim=True)) / batch.std((2, 3), keepdim=True)


def only_centres(batch: Tensor) -> Tensor:
    """The means are right. The spread is not one yet: divide by the standard deviation."""
    return batch - batch.mean(dim=(1, 2, 3), keepdim=True)


def divides_by_the_variance(batch: Tensor) -> Tensor:
    """You divided by the variance. The standard deviation is its square root."""
    dim = (1, 2, 3)
    return (batch - batch.mean(dim, keepdim=True)) / batch.var(dim, keepdim=True)


def forgets_keepdim(batch: Tensor) -> Tensor:
    """Without `keepdim` the means have shape (N,), which torch aligns with the width of the
    pictures, not with the pictures."""
    return (batch - batch.mean(dim=(1, 2, 3))) / batch.std(dim=(1, 2, 3))


def different_pictures(num: int, channels: int, height: int, width: int) -> tuple[Tensor]:
    """Pictures ``(num, channels, height, width)``, each of another brightness and contrast."""
    generator = torch.Generator().manual_seed(num * height + width)
    batch = torch.randn(num, channels, height, width, generator=generator)
    steps = torch.arange(1, num + 1).view(-1, 1, 1, 1)
    return (batch * steps + 10 * steps,)


TASK = Task(
    minutes=8,
    solutions=(normalise_each, normalise_each_flat),
    mistakes=(
        normalises_channels,
        normalises_all_at_once,
        normalises_each_channel_of_each,
        only_centres,
        divides_by_the_variance,
        forgets_keepdim,
    ),
    hints=(
        "Which dimensions of (N, C, H, W) disappear in the mean, and which one stays?",
        "`mean` and `std` take several dimensions at once, and `keepdim=True` lets the result"
        " broadcast.",
    ),
    cases=(
        Case(lambda: different_pictures(4, 3, 4, 4)),
        Case(lambda: different_pictures(2, 1, 2, 3)),
        Case(lambda: different_pictures(5, 3, 6, 5)),
    ),
)
