"""How much time kept features save, beside a loop that runs the frozen base in every epoch.

    python tests/benchmarks/features_vs_loop.py

Prints seconds and ratios of one run on this machine. It needs the photos and the weights, and about
three minutes on two idle cores. That loop is timed on a part of the photos and scaled to all.
What the pass itself is made of, one_pass.py measures, and what `fit` costs, against_peers.py.
"""

import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import models
from tqdm.auto import tqdm

from course.data import ClothingDataset, make_loaders, photo_transform
from course.features import extract_features
from course.files import paths
from course.models import ClothingClassifierMobileNet
from course.training import fit
from course.tuning import make_model

NUM_EPOCHS = 10
LEARNING_RATES = (0.0001, 0.001, 0.01, 0.1)
SIZES = (10, 100, 1000)
PART = 8  # batches of that loop that are timed in each phase
SPLITS = ("train", "validation", "test")


class NaiveClassifier(nn.Module):
    """The classifier as one might build it first."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.base_model = models.mobilenet_v2(weights="IMAGENET1K_V1")
        for param in self.base_model.parameters():
            param.requires_grad = False
        self.base_model.classifier = nn.Identity()
        self.global_avg_pooling = nn.AdaptiveAvgPool2d((1, 1))
        self.output_layer = nn.Linear(1280, num_classes)

    def forward(self, x):
        x = self.base_model.features(x)
        x = self.global_avg_pooling(x)
        x = torch.flatten(x, 1)
        return self.output_layer(x)


def laps(batches):
    """Give the batches; on the way, collect the seconds from one to the next in `laps.seconds`."""
    laps.seconds = []
    start = time.perf_counter()
    for batch in batches:
        yield batch
        now = time.perf_counter()
        laps.seconds.append(now - start)
        start = now


def literal_epoch(train_dataset, val_dataset):
    """Seconds of one epoch of the plain loop: the median batch times the number of batches."""
    torch.manual_seed(0)
    train_loader = DataLoader(train_dataset, batch_size=32, shuffle=True, num_workers=0)
    val_loader = DataLoader(val_dataset, batch_size=32, shuffle=False, num_workers=0)
    model = NaiveClassifier()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    running_loss = 0.0
    correct = 0
    total = 0
    model.train()
    for inputs, labels in laps(islice(tqdm(train_loader, "plain, training", PART), PART)):
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
        _, predicted = torch.max(outputs.data, 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
    seconds = statistics.median(laps.seconds) * len(train_dataset) / 32
    model.eval()
    with torch.no_grad():
        for inputs, labels in laps(islice(tqdm(val_loader, "plain, validation", PART), PART)):
            outputs = model(inputs)
            running_loss += criterion(outputs, labels).item()
            _, predicted = torch.max(outputs.data, 1)
            correct += (predicted == labels).sum().item()
    return seconds + statistics.median(laps.seconds) * len(val_dataset) / 32


def train_head(train_features, val_features, lr, size_inner=None):
    """Train a head for ten epochs on kept features; return seconds and validation accuracy."""
    start = time.perf_counter()
    head, optimizer = make_model(lr, size_inner)
    loaders = make_loaders(train_features, val_features)
    history = fit(head, optimizer, *loaders, num_epochs=NUM_EPOCHS, progress=False)
    return time.perf_counter() - start, history.val_accuracy[-1]


def main():
    torch.manual_seed(0)
    model = ClothingClassifierMobileNet()
    photos = {name: ClothingDataset(paths.PHOTOS / name, photo_transform()) for name in SPLITS}
    count = sum(len(dataset) for dataset in photos.values())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")

    with tempfile.TemporaryDirectory() as folder:
        paths.CACHE = Path(folder)  # an empty cache
        start = time.perf_counter()
        features = {name: extract_features(model, dataset) for name, dataset in photos.items()}
        one_pass = time.perf_counter() - start
        start = time.perf_counter()
        for dataset in photos.values():
            extract_features(model, dataset)
        again = time.perf_counter() - start
    print(f"one pass over {count} photos, JPEG to kept features   {one_pass:8.1f} s  (bar: 65)")
    print(f"the same with a full cache                          {again:8.2f} s")

    sets = features["train"], features["validation"]
    first, _ = train_head(*sets, lr=0.01)
    rates = [train_head(*sets, lr=lr) for lr in LEARNING_RATES]
    sizes = [train_head(*sets, lr=0.001, size_inner=size) for size in SIZES]
    four = sum(seconds for seconds, _ in rates)
    print(f"four learning rates, ten epochs each                {four:8.1f} s  (bar: 5)")
    for lr, (_, accuracy) in zip(LEARNING_RATES, rates, strict=True):
        print(f"    learning rate {lr}: validation accuracy {accuracy:.3f}")
    for size, (_, accuracy) in zip(SIZES, sizes, strict=True):
        print(f"    inner layer of {size}: validation accuracy {accuracy:.3f}")

    epoch = literal_epoch(photos["train"], photos["validation"])
    eighty = 80 * epoch
    ours = one_pass + first + four + sum(seconds for seconds, _ in sizes)
    print(f"one epoch of the plain loop, {PART} batches scaled        {epoch:8.1f} s")
    print(f"eighty epochs in a plain loop                  {eighty:8.0f} s")
    print(f"eighty epochs ours, cache empty          {ours:8.1f} s")
    print(f"    ours is faster by a factor of                   {eighty / ours:8.0f}    (bar: 150)")


if __name__ == "__main__":
    main()
