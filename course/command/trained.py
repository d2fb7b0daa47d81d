"""A model from a checkpoint: what it was trained for stands in the checkpoint."""

from typing import Any

from course import data, models
from course.files.archives import CheckpointError, read_torch_file
from course.files.cards import card_path
from course.files.formats import FORMAT, as_checkpoint, misfit
from course.stand_ins import weights_or_stand_in


def checkpoint_in(path: str) -> dict[str, Any] | None:
    """What a checkpoint holds; None if the file is something else, such as a finished model.

    Raises:
        CheckpointError: if there is no such file, or it is damaged.
    """
    if card_path(path).is_file():
        return None
    content = read_torch_file(path)
    if isinstance(content, dict) and content.get("format") == FORMAT:
        return as_checkpoint(path, content)
    return None


def model_of(path: str, content: dict[str, Any]) -> Any:
    """Build the model that a checkpoint of ``course train`` was saved from, for evaluation.

    Args:
        content: what the file holds, see `checkpoint_in`.

    Raises:
        CheckpointError: if it is from elsewhere, or its base is not the one that is here.
    """
    about = content["about"]
    try:
        classes = list(about["classes"])
        base = about["base"]
        build = models.MODELS[about["model"]]
    except (LookupError, TypeError) as error:
        raise CheckpointError(f"{path} was not saved by course train") from error
    if base and base != weights_or_stand_in().name:
        raise CheckpointError(f"{path} fits only {base}: train again")

    model: Any = build(num_classes=len(classes))
    trained = model.head if base else model  # the head stands on a base that was not saved
    try:
        trained.load_state_dict(content["model"])
    except (RuntimeError, TypeError) as error:
        raise misfit(path, error) from error
    model.categories = classes
    model.transform = transform_of(about)
    return model.eval()


def transform_of(about: dict[str, Any]) -> Any:
    """What turns a photo into an input; an older checkpoint has not noted it."""
    usual = "photo_transform" if about["base"] else "fashion_transform"
    settings = dict(about.get("transform", {"name": usual}))
    return data.TRANSFORMS[settings.pop("name")](**settings)
