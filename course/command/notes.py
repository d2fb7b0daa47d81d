"""What is noted about a run: in its checkpoints to go on with, on the card of its model to read."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
import torchvision

from course.checkpoint import read_checkpoint
from course.command import runs
from course.command.pictures import Pictures
from course.command.settings import Settings
from course.files.cards import ModelCard

# The settings that decide the numbers; with others it would be another run.
DECIDING = ("model", "learning_rate", "batch_size", "seed", "limit")


def describe(settings: Settings, pictures: Pictures, base: str) -> dict[str, Any]:
    """All that the numbers of a run depend on, in plain values.

    Args:
        base: the file of the weights below the part that is trained, or nothing.
    """
    known = settings.data in ("fashion-mnist", "clothing")
    about = {"classes": pictures.classes, "base": base, "transform": pictures.transform}
    about["data"] = settings.data if known else "a folder"
    about |= pictures.origin | {"counts": pictures.counts}
    return about | {name: getattr(settings, name) for name in DECIDING}


def refuse_misfit(settings: Settings, about: dict[str, Any]) -> None:
    """Refuse a checkpoint of another run, or of one that has come further than is asked for.

    Raises:
        CheckpointError: if the file is no checkpoint, or damaged.
        ValueError: if this training cannot go on with it.
    """
    assert settings.resume is not None
    content = read_checkpoint(settings.resume)
    runs.refuse_other_settings(settings.resume, content["about"], about)
    begun = len(content["batch_losses"])
    if content["epoch"] + bool(begun) > settings.epochs:
        problem = f"{settings.resume} has come further than --epochs {settings.epochs}"
        raise ValueError(f"{problem}: ask for more epochs, or name an earlier checkpoint")


def card_of(
    settings: Settings, about: dict[str, Any], test_loss: float, test_accuracy: float
) -> ModelCard:
    """What belongs to the finished model, for `course.models.save_model`."""
    origin = {name: about[name] for name in ("pictures", "folder", "counts")}
    names = ("epochs", "batch_size", "learning_rate", "seed", "limit")
    return ModelCard(
        model=settings.model,
        arguments={"num_classes": len(about["classes"])},
        classes=about["classes"],
        transform=about["transform"],
        base=about["base"] or None,
        data={"name": about["data"]} | origin,
        settings={name: getattr(settings, name) for name in names},
        test_accuracy=test_accuracy,
        test_loss=test_loss,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """What this was made with."""
    try:
        course = version("pytorch-course")
    except PackageNotFoundError:  # it runs from its folder
        course = "not installed"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "course": course,
    }
