"""The form of a checkpoint file: how it is told from other files, and its older versions."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from course.files.archives import CheckpointError, one_line, trouble_with

FORMAT = "pytorch-course checkpoint"
VERSION = 3
READABLE = (2, 3)


def as_checkpoint(path: str | Path, content: Any) -> dict[str, Any]:
    """Return what was read from `path` if it is a checkpoint, in the form of today's version.

    Raises:
        CheckpointError: if it is something else, or of a version that this course does not know.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(one_line(f"{path} is no checkpoint: {_use_of(content)}"))
    version = content.get("version")
    if type(version) is not int or version not in READABLE:
        shown = str(version) if type(version) is int else type(version).__name__
        problem = f"has version {shown:.20}, not {VERSION}: use the course that wrote it"
        raise CheckpointError(one_line(f"{path} {problem}"))
    if version == 2:
        content["about"] = _about_in_version_2(content)
    content.setdefault("about", {})
    return content


def _about_in_version_2(content: dict[str, Any]) -> Any:
    """Take out what the run is about, which was hidden among the settings of the optimizer."""
    with suppress(LookupError, TypeError, AttributeError):  # a file made by hand may have none
        return content["optimizer"]["state"]["param_groups"][0].pop("about", {})
    return {}


def _use_of(content: Any) -> str:
    """What somebody can do with the content of a file that is no checkpoint."""
    if not isinstance(content, dict):
        return f"torch.load() reads the {type(content).__name__} that is in it"
    if all(isinstance(value, Tensor) for value in content.values()):
        return "weights go to load_state_dict()"
    names = ", ".join(f"{key!r:.40}" for key in list(content)[:5])
    return f"torch.load() reads the dictionary that is in it, with {names}"


def misfit(path: str | Path, error: Exception) -> CheckpointError:
    """Why a checkpoint cannot be put into what was passed for it, and what to do."""
    if trouble := trouble_with(path, "cannot be loaded", error):
        return CheckpointError(str(trouble))
    reason = " ".join(str(error).split())
    problem = f"does not fit ({reason!r:.400}): build and pass what was saved in it"
    return CheckpointError(one_line(f"{path} {problem}"))
