"""``course predict``: the most probable classes of photos, one photo after the other."""

import os
import sys
from typing import Any

from course.command.errors import explain
from course.command.lines import printable
from course.command.photos import find_photos
from course.command.settings import DRAWN


def predict_photos(words: list[str], model_file: str | None) -> int:
    """Answer for every photo that can be read; returns the exit code.

    Args:
        words: names of photos, or patterns such as ``*.jpg``.
        model_file: what ``course train`` has saved; None for MobileNetV2 and its classes.
    """
    photos, problems = find_photos(words)
    model = None
    if model_file is not None:
        model = load_trained(os.path.expanduser(model_file))
    elif photos:
        model = load_pretrained()
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    read = [answer(model, photo) for photo in photos]
    return 0 if all(read) and not problems else 1


def answer(model: Any, photo: str) -> bool:
    """Print what is on one photo; returns whether it could be read."""
    from course.pretrained import predict_top_k

    try:
        top = predict_top_k(model, photo)
    except (OSError, MemoryError, ValueError) as error:
        print(explain(error), file=sys.stderr)
        return False
    lines = [f"{share:8.1%}  {printable(name)}" for name, share in top]
    print(printable(photo), *lines, sep="\n", flush=True)
    return True


def load_pretrained() -> Any:
    """MobileNetV2 with what it learned on ImageNet, or the stand-in."""
    from course import pretrained, stand_ins

    stand_ins.weights_or_stand_in()  # says which of the two it is
    return pretrained.load_mobilenet_v2()


def load_trained(path: str) -> Any:
    """A finished model, or one from a checkpoint; a note if it has seen drawings alone.

    Raises:
        CheckpointError: if the file cannot be used; the message says what to do.
    """
    from course import models
    from course.command.trained import checkpoint_in, model_of

    if content := checkpoint_in(path):
        model: Any = model_of(path, content)
        pictures = content["about"].get("pictures")
    else:
        model = models.load_model(path)
        pictures = model.card.data.get("pictures")
    if pictures == DRAWN:
        advice = "expect mistakes on photos, or train again with the photos (course download)"
        print(f"note: {path} was trained on {DRAWN}: {advice}", file=sys.stderr)
    return model
