"""What `fit` costs and what cached features save, beside a bare loop, Lightning and fastai.

    python tests/benchmarks/against_peers.py

Under four minutes on two idle cores; ``--rounds 1 --limit 6000 --photos 48`` only tries it out.

Lightning and fastai are no part of the course. They bring sixty packages along, so give them an
environment of their own, in which this script finds the course too:

    python -m venv peers
    peers/bin/python -m pip install -e . lightning fastai
    peers/bin/python tests/benchmarks/against_peers.py

Where one of them is missing, the script says so and measures the others.

First table: the MLP on Fashion-MNIST, two epochs, batches of 64. The bare loop types out the five
lines of a step and, after each epoch, a validation that counts loss and accuracy. It measures
nothing while it trains and shows no progress. All get the same model, optimizer and batches.

Second table: one epoch over photos with a frozen MobileNetV2, in milliseconds per photo. An epoch
trains on some photos and validates on others, and all of them are counted.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision.models import mobilenet_v2

from course.data import ClothingDataset, fashion_mnist_tensors, make_loaders, photo_transform
from course.features import extract_features
from course.files import paths
from course.models import MLP, ClothingClassifierMobileNet, make_head
from course.stand_ins import photos_or_sketches
from course.training import fit

Batches = Iterable[tuple[Tensor, Tensor]]
NUM_EPOCHS = 2
BAR = 1.06  # of `fit`, to the bare loop
PEERS = ("lightning", "fastai")
IMAGENET_STATISTICS = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def has(package: str) -> bool:
    return find_spec(package) is not None


def seconds_of(function: Callable[..., Any], *arguments: Any) -> float:
    """How long a call takes. Progress bars are drawn, but nobody sees them."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        start = time.perf_counter()
        function(*arguments)
        return time.perf_counter() - start


# --- The MLP: four ways to train it for some epochs


def train_bare(
    model: nn.Module,
    optimizer: optim.Optimizer,
    train_loader: Batches,
    val_loader: Batches,
    num_epochs: int = NUM_EPOCHS,
) -> None:
    criterion = nn.CrossEntropyLoss()
    for _ in range(num_epochs):
        model.train()
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()

        model.eval()
        total_loss, correct = 0.0, 0
        with torch.no_grad():
            for inputs, targets in val_loader:
                logits = model(inputs)
                total_loss += criterion(logits, targets).item() * len(targets)
                correct += (logits.argmax(dim=1) == targets).sum().item()


def train_with_fit(
    model: nn.Module,
    optimizer: optim.Optimizer,
    train_loader: DataLoader[Any],
    val_loader: DataLoader[Any],
) -> None:
    fit(model, optimizer, train_loader, val_loader, num_epochs=NUM_EPOCHS)


def train_with_lightning(
    model: nn.Module, optimizer: optim.Optimizer, train_loader: Batches, val_loader: Batches
) -> None:
    import lightning

    class Classifier(lightning.LightningModule):
        """What Lightning's first tutorial writes, for a classifier."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            inputs, targets = batch
            loss = nn.functional.cross_entropy(self.model(inputs), targets)
            self.log("train_loss", loss, prog_bar=True)
            return loss

        def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
            inputs, targets = batch
            logits = self.model(inputs)
            self.log("val_loss", nn.functional.cross_entropy(logits, targets), prog_bar=True)
            accuracy = (logits.argmax(dim=1) == targets).float().mean()
            self.log("val_accuracy", accuracy, prog_bar=True)

        def configure_optimizers(self) -> optim.Optimizer:
            return optimizer

    trainer = lightning.Trainer(
        max_epochs=NUM_EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Classifier(), train_loader, val_loader)


def train_with_fastai(
    model: nn.Module, optimizer: optim.Optimizer, train_loader: Batches, val_loader: Batches
) -> None:
    from fastai.learner import DataLoaders, Learner
    from fastai.metrics import accuracy
    from fastai.optimizer import OptimWrapper

    learner = Learner(
        DataLoaders(train_loader, val_loader),
        model,
        loss_func=nn.CrossEntropyLoss(),
        opt_func=lambda parameters, **settings: OptimWrapper(opt=optimizer),
        metrics=accuracy,
    )
    learner.fit(NUM_EPOCHS, lr=optimizer.defaults["lr"])


LOOPS = {
    "bare loop": train_bare,
    "fit": train_with_fit,
    "lightning": train_with_lightning,
    "fastai": train_with_fastai,
}


def compare_loops(num_rounds: int, limit: int) -> None:
    """Print how long each loop takes for the MLP, and its ratio to the bare loop."""
    train = Subset(fashion_mnist_tensors(train=True), range(60_000)[:limit])
    val = TensorDataset(*fashion_mnist_tensors(train=False)[: len(train) // 6])
    names = [name for name in LOOPS if name not in PEERS or has(name)]
    seconds = defaultdict(list)
    accuracies = {}
    for number in range(num_rounds + 1):
        for name in names if number % 2 else reversed(names):
            torch.manual_seed(0)
            model = MLP()
            optimizer = optim.Adam(model.parameters())
            loaders = make_loaders(train, val, batch_size=64)
            duration = seconds_of(LOOPS[name], model, optimizer, *loaders)
            if number:  # the first round warms up
                seconds[name].append(duration)
            with torch.no_grad():
                hits = model.eval()(val.tensors[0]).argmax(dim=1) == val.tensors[1]
            accuracies[name] = hits.float().mean().item()

    print(f"\nMLP, {NUM_EPOCHS} epochs of {len(train):,} pictures, medians of {num_rounds} rounds")
    bare = statistics.median(seconds["bare loop"])
    for name in names:
        median = statistics.median(seconds[name])
        bar = f"  (bar: {BAR})" if name == "fit" else ""
        accuracy = f"validation accuracy {accuracies[name]:.4f}"
        print(f"  {name:12}{median:7.2f} s   ratio {median / bare:5.3f}   {accuracy}{bar}")


# --- Photos: three ways to train a head on a frozen MobileNetV2


class FrozenInside(nn.Module):
    """The frozen base and a new head in one network: every epoch runs the base again."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        # Weights drawn at random take as long as trained ones, and need no download.
        self.base_model = mobilenet_v2().features
        for parameter in self.base_model.parameters():
            parameter.requires_grad = False
        self.global_avg_pooling = nn.AdaptiveAvgPool2d((1, 1))
        self.output_layer = nn.Linear(1280, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.base_model(x)
        x = self.global_avg_pooling(x)
        x = torch.flatten(x, start_dim=1)
        return self.output_layer(x)


def some_photos(folder: Path, count: int) -> ClothingDataset:
    """About `count` photos of all classes."""
    photos = ClothingDataset(folder, photo_transform())
    step = max(1, len(photos) // count)
    photos.image_paths = photos.image_paths[::step]
    photos.labels = photos.labels[::step]
    return photos


def epoch_of_plain_loop(train: ClothingDataset, val: ClothingDataset) -> float:
    model = FrozenInside(len(train.classes))
    optimizer = optim.Adam(model.output_layer.parameters())
    loaders = make_loaders(train, val)
    return seconds_of(train_bare, model, optimizer, *loaders, 1)


def epoch_of_fastai(train: ClothingDataset, val: ClothingDataset) -> float:
    from fastai.data.block import CategoryBlock, DataBlock
    from fastai.data.transforms import GrandparentSplitter, Normalize, parent_label
    from fastai.vision.augment import Resize
    from fastai.vision.data import ImageBlock
    from fastai.vision.learner import Learner, add_head, create_body, default_split

    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=lambda photos: photos,
        splitter=GrandparentSplitter(train.data_dir.name, val.data_dir.name),
        get_y=parent_label,
        item_tfms=Resize(224),
        batch_tfms=Normalize.from_stats(*IMAGENET_STATISTICS, cuda=False),
    )
    photos = train.image_paths + val.image_paths
    loaders = block.dataloaders(photos, bs=32, num_workers=0, device=torch.device("cpu"))
    # What `vision_learner` does, which forwards no `cut` and so cannot take MobileNetV2.
    body = create_body(mobilenet_v2(), pretrained=False, cut=-1)
    model = add_head(body, 1280, len(train.classes))
    learner = Learner(loaders, model, splitter=default_split)
    learner.freeze()  # all of the body but its BatchNorm layers, which is fastai's way
    return seconds_of(learner.fit, 1)


def epochs_of_ours(train: ClothingDataset, val: ClothingDataset) -> tuple[float, float]:
    """Seconds of the one pass of the base, and of an epoch of a head on its cached features."""
    model = ClothingClassifierMobileNet(len(train.classes))
    with (
        tempfile.TemporaryDirectory() as empty,
        mock.patch.object(paths, "CACHE", Path(empty)),
    ):
        features = []
        one_pass = seconds_of(
            lambda: features.extend(extract_features(model, photos) for photos in (train, val))
        )
    head = make_head(len(train.classes))
    loaders = make_loaders(*features)
    optimizer = optim.Adam(head.parameters())
    return one_pass, seconds_of(train_bare, head, optimizer, *loaders, 1)


def compare_frozen(num_rounds: int, count: int) -> None:
    """Print the milliseconds per photo of an epoch, each way."""
    folder = photos_or_sketches()
    train = some_photos(folder / "train", count)
    val = some_photos(folder / "validation", count // 8)
    seconds = defaultdict(list)
    for _ in range(num_rounds):
        seconds["plain loop, the base in every epoch"].append(epoch_of_plain_loop(train, val))
        if has("fastai"):
            seconds["fastai, frozen"].append(epoch_of_fastai(train, val))
        one_pass, epoch = epochs_of_ours(train, val)
        seconds["ours: the one pass of the base"].append(one_pass)
        seconds["ours: an epoch on cached features"].append(epoch)
        seconds["ours: the pass and the first epoch"].append(one_pass + epoch)

    total = len(train) + len(val)
    counts = f"{len(train)} photos to train on and {len(val)} to validate"
    print(f"\nFrozen MobileNetV2, one epoch, {counts}, medians of {num_rounds} rounds")
    for name, values in seconds.items():
        print(f"  {name:38}{1000 * statistics.median(values) / total:7.2f} ms per photo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of the MLP")
    parser.add_argument("--limit", type=int, default=60_000, help="pictures for the MLP")
    parser.add_argument("--photo-rounds", type=int, default=2)
    parser.add_argument("--photos", type=int, default=320, help="to train on in an epoch")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # peers warn of settings that are right for a comparison

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for package in PEERS:
        if has(package):
            print(f"{package} {version(package)}")
        else:
            print(f"{package} is not here and left out: pip install {package}")
    compare_loops(options.rounds, options.limit)
    compare_frozen(options.photo_rounds, options.photos)


if __name__ == "__main__":
    sys.exit(main())
