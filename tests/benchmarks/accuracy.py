"""What the networks of the course reach, how long they train, and what importing costs.

    python tests/benchmarks/accuracy.py

About two minutes on two idle cores. The head on the photos needs the photos and the weights.
"""

import statistics
import subprocess
import sys
import time

# The course before torch: it sets how torch's threads wait.
from course.data import ClothingDataset, fashion_mnist_tensors, make_loaders, photo_transform
from course.features import extract_features
from course.files import paths
from course.models import CNN, MLP, ClothingClassifierMobileNet
from course.training import evaluate, fit
from course.tuning import sweep

# isort: split
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

MLP_SCHEDULE = ((0.001, 6), (0.0001, 2))  # (learning rate, epochs), one after the other
CNN_SCHEDULE = ((0.0015, 2), (0.0002, 1))


def train(model, batch_size, schedule):
    """Train on all 60,000 pictures; print seconds of training and the accuracy on the test set."""
    train_set = fashion_mnist_tensors(train=True)
    test_set = fashion_mnist_tensors(train=False)
    tiny = TensorDataset(*test_set[:100])  # `fit` wants something to validate on
    train_loader, tiny_loader = make_loaders(train_set, tiny, batch_size)
    optimizer = torch.optim.Adam(model.parameters())

    start = time.perf_counter()
    for learning_rate, num_epochs in schedule:
        optimizer.param_groups[0]["lr"] = learning_rate
        fit(model, optimizer, train_loader, tiny_loader, num_epochs=num_epochs)
    seconds = time.perf_counter() - start

    _, accuracy = evaluate(model, DataLoader(test_set, 1000), nn.CrossEntropyLoss())
    print(f"{type(model).__name__}: test accuracy {accuracy:.4f} after {seconds:.1f} s of training")


def head():
    """Mean validation accuracy of the tuned head over five seeds."""
    base = ClothingClassifierMobileNet()
    train_features, val_features = (
        extract_features(base, ClothingDataset(paths.PHOTOS / split, photo_transform()))
        for split in ("train", "validation")
    )
    trials = sweep(train_features, val_features, [0.001], [100], [0.5], seeds=range(5))
    accuracies = [trial.val_accuracy for trial in trials]
    print(f"head, five seeds: mean validation accuracy {statistics.mean(accuracies):.4f}")


def import_seconds(statement):
    """Median over nine fresh interpreters."""
    code = f"import time; s = time.perf_counter(); {statement}; print(time.perf_counter() - s)"
    run = [sys.executable, "-c", code]
    seconds = []
    for _ in range(9):
        result = subprocess.run(run, capture_output=True, text=True, check=True)
        seconds.append(float(result.stdout))
    return statistics.median(seconds)


if __name__ == "__main__":
    torch.manual_seed(0)
    train(MLP(), 128, MLP_SCHEDULE)
    torch.manual_seed(0)
    train(CNN().to(memory_format=torch.channels_last), 32, CNN_SCHEDULE)
    head()
    alone = import_seconds("import torch")
    both = import_seconds("import course, torch")
    print(f"import torch {alone:.2f} s, with course {both - alone:+.3f} s")
