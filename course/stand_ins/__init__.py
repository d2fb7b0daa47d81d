"""What takes the place of the photos and of the ImageNet weights where there is no network.

The photos are replaced by drawn garments. `sketches` puts a picture together: `garments` lists what
can be drawn, `cutting` and `parts` hold what is common to `tops`, `bottoms` and `hats_and_shoes`,
`layout` places the pieces, and `fabrics`, `floors`, `light` and `noise` do the rest.

The weights are replaced by a small backbone, whose file `load_stand_in` reads. `train_backbone`
trained it on clothes that `dressing` gives other colours, places and backgrounds.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from course.files import paths
from course.files.downloads import DownloadError, short_reason
from course.files.sources import download_photos, download_weights
from course.files.trouble import reason_of, with_advice
from course.stand_ins.sketches import draw_garments

if TYPE_CHECKING:  # torch takes seconds to load, which drawing need not wait for
    from torch import Tensor

STAND_IN = paths.PROJECT / "models" / "fashion_mobilenet_v2.safetensors"  # its card is beside it
GET_IT_AGAIN = f"get it again, in the folder of the course: git checkout -- models/{STAND_IN.name}"


def photos_or_sketches() -> Path:
    """Return the folder of the clothing photos, or else that of the drawn garments.

    The photos are fetched first if they are not there. Where they cannot be had, the garments are
    drawn. One printed line says which of the two is in use.

    Raises:
        OSError: if the garments cannot be drawn either; the message says what to do.
    """
    try:
        folder = download_photos()
        what = f"the clothing photos in {folder}."
    except DownloadError as error:
        folder = draw_garments()
        hint = "`python -m course download` fetches the real photos when there is network."
        what = f"drawn garments in {folder}. {hint} ({_why(error)})"
    _print_line(f"Pictures: {what}")
    return folder


def weights_or_stand_in(quiet: bool = False) -> Path:
    """Return the file of MobileNetV2's ImageNet weights, or else that of the small backbone.

    The weights are fetched first if they are not there.

    Args:
        quiet: print nothing. Otherwise one line says which of the two is in use.
    """
    try:
        path = download_weights()
        what = f"the ImageNet weights in {path}."
    except DownloadError as error:
        path = STAND_IN
        hint = "`python -m course download` fetches those of ImageNet when there is network."
        what = f"our small weights for Fashion-MNIST, {path.name}. {hint} ({_why(error)})"
    if not quiet:
        _print_line(f"MobileNetV2: {what}")
    return path


def _why(error: DownloadError) -> str:
    """Why something could not be fetched, in a few words: without its path and without advice."""
    words = reason_of(error.__cause__) if error.__cause__ else short_reason(error)
    return shorten(words.split("; ")[0], 100)


def _print_line(words: str) -> None:
    """Print one line, whatever letters are in the names of folders."""
    print("".join(letter if letter.isprintable() else "?" for letter in words))


def load_stand_in() -> dict[str, Tensor]:
    """Read the weights of the small backbone from `STAND_IN`.

    Returns:
        A state dict for ``torchvision.models.mobilenet_v2(num_classes=10)``. The file holds
        float16; here all weights are float32, as in any model of the course.

    Raises:
        OSError: if the file is missing, or the system does not let it be read.
        ValueError: if the file is damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load
    from torchvision.models import mobilenet_v2

    content = _read_stand_in()
    try:
        weights = {
            name: value.float() if value.is_floating_point() else value  # counters stay int64
            for name, value in load(content).items()
        }
        with torch.device("meta"):  # compares names and shapes, and takes no memory
            mobilenet_v2(num_classes=10).load_state_dict(weights, assign=True)
    except (SafetensorError, RuntimeError) as error:
        reason = shorten(reason_of(error), 100)
        raise ValueError(f"{STAND_IN} is damaged ({reason}): {GET_IT_AGAIN}") from error
    return weights


def _read_stand_in() -> bytes:
    """The bytes of the file; the errors say what helps."""
    try:
        return STAND_IN.read_bytes()
    except FileNotFoundError as error:
        remedy = paths.HOW_TO_INSTALL if paths.installed_without_folders() else GET_IT_AGAIN
        raise FileNotFoundError(f"{STAND_IN} is missing: {remedy}") from error
    except (OSError, MemoryError) as error:
        raise with_advice(error, f"{STAND_IN} cannot be read") from error
