"""What a training needs: pictures, a network, an optimizer, and the place where a run had come."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Adam, Optimizer
from torch.utils.data import DataLoader

from course.checkpoint import Checkpoint, load_checkpoint
from course.command import curves, processes
from course.command.notes import describe, refuse_misfit
from course.command.pictures import Pictures, gather
from course.command.ranks import Ranks
from course.command.settings import Settings
from course.data import make_loaders
from course.device import seed_everything
from course.features import extract_features
from course.models import MODELS, ClothingClassifierMobileNet
from course.stand_ins import weights_or_stand_in
from course.training import History


@dataclass
class Run:
    """One training: what it trains, with what, and how far it has come.

    Args:
        whole: takes pictures, and is saved in the end.
        network: what is trained: all of `whole`, or the head on its frozen base.
        model: `network` as this process calls it, see `processes.wrapped`.
        position: the epochs that are done, what they measured, what the run is about, and what each
            batch since then gave: the sum of its losses and its number of hits.
        board: where curves are written, or None.
    """

    settings: Settings
    ranks: Ranks
    device: torch.device
    whole: nn.Module
    network: nn.Module
    model: nn.Module
    optimizer: Optimizer
    train_loader: DataLoader[Any]
    val_loader: DataLoader[Any]
    test_loader: DataLoader[Any]
    position: Checkpoint
    board: Any = None


def prepare(settings: Settings, ranks: Ranks, device: torch.device) -> Run:
    """Get everything ready: at the beginning, or where a checkpoint had come."""
    with processes.first_alone(ranks):
        pictures = gather(settings)
        base = weights_or_stand_in().name if settings.model == "clothing" else ""
        about = describe(settings, pictures, base)
        if settings.resume:
            refuse_misfit(settings, about)  # before what takes minutes
        whole, network, parts = build(settings, pictures, device)

    train_loader, val_loader = make_loaders(
        parts[0], parts[1], settings.batch_size, settings.workers, settings.seed
    )
    _, test_loader = make_loaders(parts[0], parts[2], settings.batch_size)
    optimizer = Adam(network.parameters(), lr=settings.learning_rate)
    position = Checkpoint(0, History(), [], about)
    if settings.resume:
        order: Any = train_loader.generator
        position = load_checkpoint(
            settings.resume, network, optimizer, generator=order, device=device
        )
        position.about = about  # an older checkpoint has noted less

    counts = ", ".join(f"{count:,}" for count in pictures.counts.values())
    print(f"{settings.model} on {device}; pictures: {counts}", flush=True)
    model = processes.wrapped(network, ranks)
    loaders = (train_loader, val_loader, test_loader)
    run = Run(settings, ranks, device, whole, network, model, optimizer, *loaders, position)
    if settings.tensorboard and ranks.first:
        run.board = curves.open_board(settings, position.epoch)
    return run


def build(
    settings: Settings, pictures: Pictures, device: torch.device
) -> tuple[nn.Module, nn.Module, list[Any]]:
    """The whole network, the part that is trained, and what that is trained with.

    Of the clothing classifier only the head is trained, on what its frozen base says.
    """
    seed_everything(settings.seed)
    if settings.model != "clothing":
        whole = MODELS[settings.model](num_classes=len(pictures.classes)).to(device)
        return whole, whole, pictures.parts
    classifier = ClothingClassifierMobileNet(categories=pictures.classes).to(device)
    features = [extract_features(classifier, part) for part in pictures.parts]
    return classifier, classifier.head, features
