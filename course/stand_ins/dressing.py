"""Grey clothes in front of black become clothes of any colour in front of anything.

Fashion-MNIST shows the first. A network that only ever sees those is lost in front of a colour
photo. So each time a picture is used, its garment gets another colour or pattern, background,
place, size, angle and light.

Pictures are batches ``(N, 3, H, W) float32``, where H and W are both the size asked for. Their
values run from 0 to 1 until `dress_up` normalises them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import normalize

from course.data import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class Dice:
    """Random numbers, other ones for each picture of a batch.

    Attributes:
        batch_size: how many pictures the batch holds.
        size: their height and width in pixels.
        device: where the numbers are needed.
    """

    batch_size: int
    size: int
    device: torch.device

    def uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        """Numbers from `low` to `high`: ``(N, C, 1, 1) float32``."""
        numbers = torch.rand(self.batch_size, channels, 1, 1, device=self.device)
        return numbers * (high - low) + low

    def smooth_noise(self, cells: int) -> Tensor:
        """Hills and valleys from 0 to 1, `cells` on each side: ``(N, 1, H, W) float32``."""
        coarse = torch.rand(self.batch_size, 1, cells, cells, device=self.device)
        return enlarge(coarse, self.size)


def enlarge(pictures: Tensor, size: int) -> Tensor:
    """Pictures ``(N, C, H, W) float32`` at another size, smoothly."""
    return F.interpolate(pictures, size=(size, size), mode="bilinear", align_corners=False)


def dress_up(grey: Tensor, size: int) -> Tensor:
    """Turn pictures of Fashion-MNIST into something like photos.

    Args:
        grey: ``(N, 28, 28) uint8``.
        size: height and width of the result in pixels, at least 24.

    Returns:
        ``(N, 3, H, W) float32``, normalised like the pictures of ImageNet.
    """
    dice = Dice(len(grey), size, grey.device)
    shade, alpha = place(dice, grey.float().div(255).unsqueeze(1))
    garment = sew(dice, shade)
    background = paint_background(dice)
    background = background * (1 - shadow(dice, alpha) * dice.uniform(-0.2, 0.6))
    images = background + (garment - background) * alpha
    return normalize(photograph(dice, images), IMAGENET_MEAN, IMAGENET_STD)


# --- The shape of the garment and its place in the picture


def place(dice: Dice, grey: Tensor) -> tuple[Tensor, Tensor]:
    """Put the garments somewhere else in larger pictures.

    Args:
        grey: ``(N, 1, 28, 28) float32``.

    Returns:
        How bright the cloth is, and which share of each pixel it covers: both
        ``(N, 1, H, W) float32`` in [0, 1].
    """
    shape = [dice.batch_size, 1, dice.size, dice.size]
    grid = F.affine_grid(another_view(dice), shape, align_corners=False)  # (N, H, W, 2)
    # Cloth is never quite straight.
    wave = (dice.smooth_noise(5) - 0.5).movedim(1, -1) * dice.uniform(0, 0.15)
    both = torch.cat([grey, silhouette(grey)], dim=1)
    shade, alpha = F.grid_sample(both, grid + wave, align_corners=False).chunk(2, dim=1)
    # The edge: soft, or as if cut out with scissors.
    return shade, ((alpha - 0.5) * dice.uniform(4, 14) + 0.5).clamp(0, 1)


def silhouette(grey: Tensor) -> Tensor:
    """1 where the garment is and 0 elsewhere: ``(N, 1, 28, 28) float32``, as the pictures are.

    Small dark spots in the garment are closed.
    """
    grown = F.max_pool2d((grey > 0.03).float(), 3, stride=1, padding=1)
    return -F.max_pool2d(-grown, 3, stride=1, padding=1)


def another_view(dice: Dice) -> Tensor:
    """Matrices ``(N, 2, 3) float32`` that turn, mirror, scale and shift a picture.

    They lead from the new picture back to the old one, so that a zoom above 1 makes the garment
    smaller.
    """

    def uniform(low: float, high: float) -> Tensor:
        return dice.uniform(low, high).flatten()  # (N,)

    angle = uniform(-0.4, 0.4)
    zoom = uniform(0.95, 2.0)
    width = zoom * uniform(0.9, 1.15)
    height = zoom * uniform(0.85, 1.1)
    width = width * torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)  # half of them mirrored
    room = (zoom - 0.8).clamp(min=0.1)  # small garments can be shifted further
    shift_x = uniform(-0.6, 0.6) * room
    shift_y = uniform(-0.6, 0.6) * room
    first_row = [width * angle.cos(), -height * angle.sin(), shift_x]
    second_row = [width * angle.sin(), height * angle.cos(), shift_y]
    return torch.stack(first_row + second_row, dim=1).view(-1, 2, 3)


# --- What the garment and its background look like


def colours(dice: Dice) -> Tensor:
    """A grey level with a tint: ``(N, 3, 1, 1) float32``. Most clothes are not rainbow-coloured."""
    grey = dice.uniform(0, 1)
    tint = dice.uniform(-0.5, 0.5, channels=3)
    return (grey + tint * dice.uniform(0, 1)).clamp(0, 1)


def pattern(dice: Dice) -> Tensor:
    """Stripes, checks, dots or mostly nothing: ``(N, 1, H, W) float32`` in [0, 1]."""
    where = torch.linspace(-1, 1, dice.size, device=dice.device)
    y, x = torch.meshgrid(where, where, indexing="ij")
    angle = dice.uniform(0, 3.1416)  # half a turn
    count = dice.uniform(8, 60)
    along = ((x * angle.cos() + y * angle.sin()) * count).sin()
    across = ((y * angle.cos() - x * angle.sin()) * count).sin()
    kind = dice.uniform(0, 1)
    checks_or_dots = torch.where(kind < 0.8, along * across, along + across)
    waves = torch.where(kind < 0.6, along, checks_or_dots)
    sharp = (waves * dice.uniform(1, 8) + 0.5).clamp(0, 1)
    return sharp * (dice.uniform(0, 1) < 0.4)  # the others stay plain


def cloth(dice: Dice) -> Tensor:
    """Cloth of one colour, or of two in a pattern, all over: ``(N, 3, H, W) float32``."""
    first = colours(dice)
    second = colours(dice)
    return first + (second - first) * pattern(dice)


def sew(dice: Dice, shade: Tensor) -> Tensor:
    """Garments of new cloth with the old folds: ``(N, 3, H, W) float32``.

    Args:
        shade: how bright the old cloth was, ``(N, 1, H, W) float32``.
    """
    contrast = dice.uniform(-0.5, 1.0)  # below 0 the folds that were bright become dark
    garment = cloth(dice) * (1 + contrast * (shade - 0.6))
    return garment + (dice.smooth_noise(dice.size // 8) - 0.5) * dice.uniform(0, 0.3)


def paint_background(dice: Dice) -> Tensor:
    """A colour or cloth that fades into another and is rough: ``(N, 3, H, W) float32``."""
    first = cloth(dice)
    second = colours(dice)
    background = first + (second - first) * dice.smooth_noise(3) * dice.uniform(0, 1)
    return background + (dice.smooth_noise(dice.size // 4) - 0.5) * dice.uniform(0, 0.5)


# --- Light


def shadow(dice: Dice, alpha: Tensor) -> Tensor:
    """The blurred shape of the garments, a little further down: ``(N, 1, H, W) float32``."""
    blurred = F.avg_pool2d(alpha.roll(dice.size // 24, 2), dice.size // 16)
    return enlarge(blurred, dice.size)


def photograph(dice: Dice, images: Tensor) -> Tensor:
    """Uneven light and the noise of a camera: ``(N, 3, H, W) float32`` in [0, 1], as `images`."""
    light = 1 + (dice.smooth_noise(2) - 0.5) * dice.uniform(0, 1)
    noise = torch.randn(images.shape, device=dice.device) * dice.uniform(0, 0.06)
    return (images * light * dice.uniform(0.6, 1.3) + noise).clamp(0, 1)
