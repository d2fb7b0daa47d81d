"""01.4 From bytes to a picture for a network."""

import torch
from torch import Tensor

from course.exercises.task import Case, Task


def to_chw(pixels: Tensor) -> Tensor:
    """`permute` moves whole dimensions, so each number stays with its pixel. Division by 255 maps
    bytes to the range from 0 to 1."""
    return pixels.permute(2, 0, 1) / 255


def to_chw_by_channel(pixels: Tensor) -> Tensor:
    """The channels are taken out one by one and stacked in front."""
    channels = [pixels[:, :, c] for c in range(pixels.shape[2])]
    return torch.stack(channels).float() / 255


def reshapes(pixels: Tensor) -> Tensor:
    """The shape is right, the picture is scrambled: `reshape` reads all numbers in a row and cuts
    them anew. Move the dimensions."""
    height, width, channels = pixels.shape
    return pixels.reshape(channels, height, width) / 255


def turns_the_picture(pixels: Tensor) -> Tensor:
    """Height and width are exchanged, so the picture lies on its side. Say the three old places in
    their new order."""
    return pixels.permute(2, 1, 0) / 255


def stays_from_0_to_255(pixels: Tensor) -> Tensor:
    """The numbers are floats now, and still go up to 255."""
    return pixels.permute(2, 0, 1).float()


def stays_bytes(pixels: Tensor) -> Tensor:
    """The channels are in front. The numbers are still bytes from 0 to 255."""
    return pixels.permute(2, 0, 1)


def divides_as_integers(pixels: Tensor) -> Tensor:
    """Whole-number division leaves 0 for everything below 255: divide with one slash."""
    return (pixels.permute(2, 0, 1) // 255).float()


def some_bytes(height: int, width: int) -> tuple[Tensor]:
    """A picture ``(height, width, 3) uint8``, with another ramp in each channel."""
    values = torch.arange(height * width * 3).reshape(height, width, 3)
    return ((values * 7 % 256).to(torch.uint8),)


TASK = Task(
    minutes=5,
    solutions=(to_chw, to_chw_by_channel),
    mistakes=(
        reshapes,
        turns_the_picture,
        stays_from_0_to_255,
        stays_bytes,
        divides_as_integers,
    ),
    hints=(
        "First bring the channels to the front, then change the numbers.",
        "`permute` takes the old places in their new order.",
    ),
    cases=(
        Case(lambda: some_bytes(4, 6), is_example=True),
        Case(lambda: some_bytes(2, 2)),
        Case(lambda: some_bytes(3, 5)),
    ),
)
