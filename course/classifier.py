"""The clothing classifier that travels through notebooks 07 to 12: loaded, or trained again."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Adam

from course.checkpoint import CheckpointError
from course.data import ClothingDataset, make_loaders, photo_transform
from course.device import pick_device
from course.features import extract_features
from course.files import paths
from course.files.cards import ModelCard
from course.models import ClothingClassifierMobileNet, load_model
from course.stand_ins import weights_or_stand_in
from course.training import train_one_epoch

RECIPE = {"steps": 960, "batch_size": 32, "learning_rate": 0.001, "seed": 0}  # of notebook 07


def clothing_classifier(photos: Path, name: str = "clothing.pth") -> ClothingClassifierMobileNet:
    """Load the classifier that a notebook has saved, or train that of notebook 07 again.

    A file is taken only if its card names the photos and the base that are in use. One printed line
    says what came of it. Training takes seconds once the features of the photos are kept.

    Args:
        photos: the folder that `course.stand_ins.photos_or_sketches` gives.
        name: of a file in `course.files.paths.MODELS`; notebook 10 saves "clothing_fine_tuned.pth".

    Returns:
        The classifier with ``categories``, ``transform`` and ``card``, on the CPU, for evaluation.
    """
    dataset = ClothingDataset(photos / "train", photo_transform())
    card = clothing_card(dataset)
    try:
        saved: Any = load_model(paths.MODELS / name)
    except CheckpointError:  # nothing is there, or it is damaged
        saved = None
    if saved is not None and _origin(saved.card) == _origin(card):
        print(f"Classifier: {name}, as a notebook has saved it.")
        return saved

    print(f"Classifier: there is no {name} for these photos; that of notebook 07 is trained again.")
    torch.manual_seed(RECIPE["seed"])
    classifier: Any = ClothingClassifierMobileNet(categories=dataset.classes).to(pick_device())
    features = extract_features(classifier, dataset)
    classifier.cpu()
    train_head(classifier.head, features)
    classifier.card = card
    return classifier.eval()


def clothing_card(dataset: ClothingDataset) -> ModelCard:
    """The model card of a classifier that is trained on `dataset` by `RECIPE`."""
    return ModelCard(
        model="clothing",
        arguments={"num_classes": len(dataset.classes)},
        classes=dataset.classes,
        transform={"name": "photo_transform"},
        base=weights_or_stand_in(quiet=True).name,
        data={"name": dataset.data_dir.parent.name, "train": len(dataset)},
        settings=dict(RECIPE),
    )


def train_head(head: nn.Module, features: Any) -> None:
    """Train a head by `RECIPE` on features ``(N, 1280) float32`` of photos, on the CPU."""
    loader, _ = make_loaders(features, features, int(RECIPE["batch_size"]))
    optimizer = Adam(head.parameters(), lr=RECIPE["learning_rate"])
    for _ in range(max(1, round(RECIPE["steps"] / len(loader)))):
        train_one_epoch(head, loader, nn.CrossEntropyLoss(), optimizer)


def _origin(card: ModelCard) -> tuple[Any, ...]:
    """What two classifiers for the same photos have in common."""
    return card.model, card.classes, card.transform, card.base, card.data
