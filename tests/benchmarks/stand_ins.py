"""How good the stand-ins are: is a frozen backbone worth it on the drawn garments?

    python tests/benchmarks/stand_ins.py

About two minutes on two idle cores. Needs no network. Prints accuracies on the test pictures and
fails if the frozen small backbone does not beat both baselines by ten points.
"""

import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course import stand_ins
from course.data import ClothingDataset, make_loaders, photo_transform
from course.features import extract_features
from course.files import paths
from course.files.downloads import DownloadError
from course.models import ClothingClassifierMobileNet, make_head
from course.stand_ins.sketches import draw_garments
from course.training import evaluate, fit

SPLITS = ("train", "validation", "test")


def small_cnn():
    """Four blocks of convolution, BatchNorm, ReLU and pooling: the best small one found here."""
    layers, channels = [], 3
    for out_channels in (16, 32, 64, 128):
        conv = nn.Conv2d(channels, out_channels, 3, padding=1)
        layers += [conv, nn.BatchNorm2d(out_channels), nn.ReLU(), nn.MaxPool2d(2)]
        channels = out_channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def train(make_model, learning_rate, num_epochs, weight_decay, train_set, val_set, test_set):
    """Mean test accuracy over three seeds."""
    accuracies = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = make_model()
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=learning_rate, weight_decay=weight_decay
        )
        loaders = make_loaders(train_set, val_set, seed=seed)
        fit(model, optimizer, *loaders, num_epochs=num_epochs, progress=False)
        accuracies.append(evaluate(model, DataLoader(test_set, 100), nn.CrossEntropyLoss())[1])
    return statistics.mean(accuracies)


def in_memory(dataset):
    pictures, targets = zip(*dataset, strict=True)
    return TensorDataset(torch.stack(pictures), torch.tensor(targets))


def refuse():
    raise DownloadError("the stand-in is what is measured")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        start = time.perf_counter()
        folder = draw_garments(Path(temporary, "garments"))
        print(f"drawing: {time.perf_counter() - start:.1f} s")
        small = [in_memory(ClothingDataset(folder / s, photo_transform(64))) for s in SPLITS]
        linear = train(
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 10)), 3e-4, 30, 0.3, *small
        )
        cnn = train(small_cnn, 1e-3, 30, 0.01, *small)
        results = {"commonest class": 0.1, "linear model on pixels": linear, "small CNN": cnn}
        large = [ClothingDataset(folder / split, photo_transform()) for split in SPLITS]
        with (
            mock.patch.object(stand_ins, "download_weights", refuse),
            mock.patch.object(paths, "CACHE", Path(temporary)),
        ):
            base = ClothingClassifierMobileNet()
            features = [extract_features(base, dataset) for dataset in large]
        frozen = results["frozen small backbone"] = train(make_head, 1e-3, 40, 0.01, *features)
    for name, accuracy in results.items():
        print(f"{name:24} {accuracy:.3f}")
    assert frozen >= max(linear, cnn) + 0.1


if __name__ == "__main__":
    main()
