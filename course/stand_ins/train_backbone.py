"""Train the small backbone: MobileNetV2 on Fashion-MNIST, dressed up to serve other photos too.

The course uses it where the ImageNet weights can be neither found nor fetched. Make it again with

    python -m course.stand_ins.train_backbone

about an hour on one core. `course.stand_ins.dressing` makes the pictures. Training begins with
small ones, which are cheap, and ends with the 224 x 224 pixels that the course uses (progressive
resizing; compare https://arxiv.org/abs/2104.00298, section 4).
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torchvision.models import MobileNetV2, mobilenet_v2
from torchvision.transforms.functional import normalize
from tqdm.auto import tqdm

from course.data import FASHION_CLASSES, IMAGENET_MEAN, IMAGENET_STD, fashion_mnist
from course.device import pick_device, seed_everything
from course.files.writing import write_whole
from course.stand_ins import STAND_IN
from course.stand_ins.dressing import dress_up, enlarge
from course.training import evaluate, train_one_epoch

NUM_TEST_PICTURES = 2000  # enough to see how it goes, and quick


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        size: height and width of the pictures in pixels.
        batch_size: pictures per step.
        epochs: how often each picture is used; 0.5 for every second picture.
        peak_learning_rate: the largest learning rate.
    """

    size: int
    batch_size: int
    epochs: float
    peak_learning_rate: float


STAGES = [
    Stage(size=64, batch_size=64, epochs=5.0, peak_learning_rate=0.1),
    Stage(size=112, batch_size=48, epochs=0.4, peak_learning_rate=0.03),
    Stage(size=224, batch_size=32, epochs=0.1, peak_learning_rate=0.01),
    Stage(size=224, batch_size=32, epochs=0.3, peak_learning_rate=0.02),
]


def main() -> None:
    """Train in all stages; after each of them the weights are saved and measured."""
    options = parse_options()
    seed_everything(0)
    device = pick_device()
    train_set = fashion_mnist(train=True)
    test_set = fashion_mnist(train=False)
    images, targets = train_set.data.to(device), train_set.targets.to(device)
    test_images = test_set.data[:NUM_TEST_PICTURES].to(device)
    test_targets = test_set.targets[:NUM_TEST_PICTURES].to(device)
    model = mobilenet_v2(num_classes=len(FASHION_CLASSES), dropout=0.1)
    model = model.to(device, memory_format=torch.channels_last)
    for stage in STAGES:
        stage = replace(stage, epochs=stage.epochs * options.fraction)
        train_stage(model, images, targets, stage)
        save_backbone(model, options.output)
        report(model, test_images, test_targets, stage.size)


def parse_options() -> argparse.Namespace:
    """What was asked for in the terminal."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--output", type=Path, default=STAND_IN, help="default: %(default)s")
    parser.add_argument(
        "--fraction", type=float, default=1.0, help="of the training to do; 0.01 for a quick try"
    )
    return parser.parse_args()


def train_stage(model: MobileNetV2, images: Tensor, targets: Tensor, stage: Stage) -> None:
    """Train with pictures of one size; the learning rate goes up and down once (one-cycle).

    Args:
        images: ``(N, 28, 28) uint8``, from Fashion-MNIST.
        targets: ``(N,) int64``.
    """
    steps = max(1, int(len(images) * stage.epochs) // stage.batch_size)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-5, nesterov=True
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, stage.peak_learning_rate, total_steps=steps, pct_start=0.2
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    start = time.perf_counter()
    batches = dressed_batches(images, targets, stage, steps)
    loss, _ = train_one_epoch(model, batches, criterion, optimizer, images.device, scheduler)
    seconds = time.perf_counter() - start
    print(f"{stage.size} x {stage.size}: mean loss {loss:.3f}, {seconds:.0f} s", flush=True)


def dressed_batches(
    images: Tensor, targets: Tensor, stage: Stage, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """So many batches of dressed-up pictures, shuffled anew in each epoch; shows its progress.

    Args:
        images: ``(N, 28, 28) uint8``, from Fashion-MNIST.
        targets: ``(N,) int64``.
    """
    orders = [torch.randperm(len(images)) for _ in range(int(stage.epochs) + 1)]
    order = torch.cat(orders).to(images.device)
    for step in tqdm(range(steps), f"{stage.size} x {stage.size}", mininterval=10):
        chosen = order[step * stage.batch_size : (step + 1) * stage.batch_size]
        inputs = dress_up(images[chosen], stage.size)
        yield inputs.contiguous(memory_format=torch.channels_last), targets[chosen]


def save_backbone(model: MobileNetV2, path: Path) -> None:
    """Write the weights as float16, with what they are, and nothing that could run."""
    state = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    about = {"architecture": "mobilenet_v2", "classes": ", ".join(FASHION_CLASSES)}
    write_whole(path, save(state, about))


def report(model: MobileNetV2, images: Tensor, targets: Tensor, size: int) -> None:
    """Print the accuracy on test pictures as they are, and dressed up as in training.

    Args:
        images: ``(N, 28, 28) uint8``, from Fashion-MNIST.
        targets: ``(N,) int64``.
    """
    for kind, show in {"plain": as_they_are, "dressed-up": dress_up}.items():
        batches = shown_batches(images, targets, size, show)
        _, accuracy = evaluate(model, batches, nn.CrossEntropyLoss(), images.device)
        print(f"accuracy on {kind} test pictures: {accuracy:.3f}", flush=True)


def shown_batches(
    images: Tensor, targets: Tensor, size: int, show: Callable[[Tensor, int], Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of 100 pictures ``(N, 28, 28) uint8``, made ready for the network by `show`."""
    for start in range(0, len(images), 100):
        chosen = slice(start, start + 100)
        yield show(images[chosen], size), targets[chosen]


def as_they_are(grey: Tensor, size: int) -> Tensor:
    """Pictures ``(N, 28, 28) uint8`` at another size: ``(N, 3, H, W) float32``, normalised."""
    pictures = enlarge(grey.float().div(255).unsqueeze(1), size)
    return normalize(pictures.expand(-1, 3, -1, -1), IMAGENET_MEAN, IMAGENET_STD)


if __name__ == "__main__":
    main()
