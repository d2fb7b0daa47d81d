"""Train the small backbone: MobileNetV2 on Fashion-MNIST, dressed up to serve other photos too.

The course uses it where the ImageNet weights can be neither found nor fetched. Make it again with

    python -m course.stand_ins.train_backbone

about an hour on one core. Fashion-MNIST shows grey clothes in front of black. A network that only
ever sees those is lost in front of a colour photo. So every picture is dressed up each time it is
used: the garment gets a colour or a pattern, a background, another place, size, angle and light.
Training begins with small pictures, which are cheap, and ends with the 224 x 224 that the course
uses (progressive resizing; compare https://arxiv.org/abs/2104.00298, section 4).
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import MobileNetV2, mobilenet_v2
from torchvision.transforms.functional import normalize
from tqdm.auto import tqdm

from course.data import FASHION_CLASSES, IMAGENET_MEAN, IMAGENET_STD, fashion_mnist
from course.device import pick_device, seed_everything
from course.files import paths

STAGES = [(64, 64, 5.0, 0.1), (112, 48, 0.4, 0.03), (224, 32, 0.1, 0.01), (224, 32, 0.3, 0.02)]
"""Size of the pictures in pixels, batch size, passes over the 60,000, peak learning rate."""

WEIGHTS_FILE = paths.PROJECT / "models" / "fashion_mobilenet_v2.safetensors"


def dress_up(grey: Tensor, size: int) -> Tensor:
    """Turn ``(N, 28, 28)`` uint8 into ``(N, 3, size, size)`` float32, normalised like ImageNet."""
    num, device = len(grey), grey.device

    def rand(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(num, *(shape or (1, 1, 1)), device=device) * (high - low) + low

    def smooth_noise(cells: int) -> Tensor:
        coarse = torch.rand(num, 1, cells, cells, device=device)
        return F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)

    grey = grey.float().div(255).unsqueeze(1)
    # The silhouette: everything that is not black, with dark spots inside the garment closed.
    closed = F.max_pool2d((grey > 0.03).float(), 3, 1, padding=1)
    silhouette = -F.max_pool2d(-closed, 3, 1, padding=1)

    # Another place, size, angle and side. Values of theta above 1 make the garment smaller.
    angle, zoom = rand(-0.4, 0.4).flatten(), rand(0.95, 2.0).flatten()
    width, height = zoom * rand(0.9, 1.15).flatten(), zoom * rand(0.85, 1.1).flatten()
    mirror = torch.where(rand(0, 1).flatten() < 0.5, -1.0, 1.0)
    room = (zoom - 0.8).clamp(min=0.1)
    shift_x, shift_y = rand(-0.6, 0.6).flatten() * room, rand(-0.6, 0.6).flatten() * room
    rows = [width * mirror * angle.cos(), -height * angle.sin(), shift_x]
    rows += [width * mirror * angle.sin(), height * angle.cos(), shift_y]
    theta = torch.stack(rows, dim=1).view(num, 2, 3)
    grid = F.affine_grid(theta, [num, 1, size, size], align_corners=False)
    wave = (smooth_noise(5) - 0.5).movedim(1, -1) * rand(0, 0.15)  # cloth is never quite straight
    both = F.grid_sample(torch.cat([grey, silhouette], 1), grid + wave, align_corners=False)
    shade, alpha = both[:, :1], both[:, 1:]
    alpha = ((alpha - 0.5) * rand(4, 14) + 0.5).clamp(0, 1)  # the edge: soft or cut

    def colours() -> Tensor:
        """A grey level with a tint: most clothes are not rainbow-coloured."""
        return (rand(0, 1) + rand(-0.5, 0.5, 3, 1, 1) * rand(0, 1)).clamp(0, 1)

    def pattern() -> Tensor:
        """Stripes, checks or dots as a mask ``(N, 1, size, size)`` with values in [0, 1]."""
        where = torch.linspace(-1, 1, size, device=device)
        y, x = torch.meshgrid(where, where, indexing="ij")
        turn, count = rand(0, 3.1416), rand(8, 60)
        u, v = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
        wave_u, wave_v = (u * count).sin(), (v * count).sin()
        kind = rand(0, 1)
        waves = torch.where(
            kind < 0.6, wave_u, torch.where(kind < 0.8, wave_u * wave_v, wave_u + wave_v)
        )
        return (waves * rand(1, 8) + 0.5).clamp(0, 1) * (rand(0, 1) < 0.4)

    def cloth() -> Tensor:
        first, second, mask = colours(), colours(), pattern()
        return first + (second - first) * mask

    contrast = rand(-0.5, 1.0)  # below 0 the folds that were bright become dark
    garment = cloth() * (1 + contrast * (shade - 0.6)) + (smooth_noise(size // 8) - 0.5) * rand(
        0, 0.3
    )
    corner_a, corner_b = cloth(), colours()
    background = corner_a + (corner_b - corner_a) * smooth_noise(3) * rand(0, 1)
    background = background + (smooth_noise(size // 4) - 0.5) * rand(0, 0.5)
    shadow = F.avg_pool2d(alpha.roll(size // 24, 2), size // 16)
    shadow = F.interpolate(shadow, size=(size, size), mode="bilinear", align_corners=False)
    background = background * (1 - shadow * rand(-0.2, 0.6))
    images = background + (garment - background) * alpha
    light = 1 + (smooth_noise(2) - 0.5) * rand(0, 1)
    noise = torch.randn(num, 3, size, size, device=device) * rand(0, 0.06)
    images = (images * light * rand(0.6, 1.3) + noise).clamp(0, 1)
    return normalize(images, IMAGENET_MEAN, IMAGENET_STD)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, targets: Tensor, size: int, plain: bool) -> float:
    """Share of right answers in [0, 1], on the plain pictures or on dressed ones."""
    model.eval()
    correct = 0
    for batch, classes in zip(images.split(100), targets.split(100), strict=True):
        if plain:
            grey = F.interpolate(
                batch.float().div(255).unsqueeze(1), size=(size, size), mode="bilinear"
            )
            inputs = normalize(grey.expand(-1, 3, -1, -1), IMAGENET_MEAN, IMAGENET_STD)
        else:
            inputs = dress_up(batch, size)
        correct += int((model(inputs).argmax(1) == classes).sum())
    return correct / len(targets)


def train_stage(
    model: MobileNetV2,
    images: Tensor,
    targets: Tensor,
    size: int,
    batch_size: int,
    passes: float,
    peak_learning_rate: float,
) -> None:
    """Train for `passes` over the pictures, the learning rate up and down once (one-cycle)."""
    steps = int(len(images) * passes) // batch_size
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-5, nesterov=True
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak_learning_rate, total_steps=steps, pct_start=0.2
    )
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
    model.train()
    order = torch.cat([torch.randperm(len(images)) for _ in range(int(passes) + 1)])
    running, start = 0.0, time.perf_counter()
    with tqdm(total=steps, desc=f"{size} x {size}", mininterval=10) as bar:
        for step in range(steps):
            chosen = order[step * batch_size : (step + 1) * batch_size].to(images.device)
            inputs = dress_up(images[chosen], size).contiguous(memory_format=torch.channels_last)
            loss = loss_fn(model(inputs), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            running += (loss.item() - running) / min(step + 1, 200)
            bar.update()
            bar.set_postfix(loss=f"{running:.3f}", refresh=False)
    print(f"{size} x {size}: loss {running:.3f}, {time.perf_counter() - start:.0f} s", flush=True)


def save(model: MobileNetV2, path: Path) -> None:
    """Write the weights as float16, with what they are, and nothing that could run."""
    state = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(state, path, {"architecture": "mobilenet_v2", "classes": ", ".join(FASHION_CLASSES)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=WEIGHTS_FILE)
    parser.add_argument("--passes", type=float, default=1.0, help="multiply all passes by this")
    options = parser.parse_args()
    seed_everything(0)
    device = pick_device()
    train, test = fashion_mnist(train=True), fashion_mnist(train=False)
    images, targets = train.data.to(device), train.targets.to(device)
    model = mobilenet_v2(num_classes=10, dropout=0.1).to(device, memory_format=torch.channels_last)
    for size, batch_size, passes, peak_learning_rate in STAGES:
        passes *= options.passes
        train_stage(model, images, targets, size, batch_size, passes, peak_learning_rate)
        save(model, options.output)
        part = test.data[:2000].to(device), test.targets[:2000].to(device)
        for plain in (True, False):
            kind = "plain" if plain else "dressed-up"
            print(f"accuracy on {kind} test pictures: {accuracy(model, *part, size, plain):.3f}")


if __name__ == "__main__":
    main()
