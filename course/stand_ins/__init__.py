"""What takes the place of the photos and of the ImageNet weights where there is no network."""

from pathlib import Path

from course.files import paths
from course.files.downloads import DownloadError, download_photos, download_weights, short_reason
from course.stand_ins.sketches import draw_garments

STAND_IN = paths.PROJECT / "models" / "fashion_mobilenet_v2.safetensors"  # its card is beside it


def photos_or_sketches() -> Path:
    """The clothing photos, or else the drawn garments; prints one line that says which."""
    try:
        folder = download_photos()
        print(f"Pictures: the clothing photos in {folder}.")
    except DownloadError as error:
        folder = draw_garments()
        hint = "`python -m course download` fetches the real photos when there is network."
        print(f"Pictures: drawn garments in {folder}. {hint} ({short_reason(error)})")
    return folder


def weights_or_stand_in(quiet: bool = False) -> Path:
    """The file of the ImageNet weights, or else of the stand-in; prints a line that says which."""
    try:
        path = download_weights()
        what = f"the ImageNet weights in {path}."
    except DownloadError as error:
        path = STAND_IN
        advice = "`python -m course download` fetches those of ImageNet when there is network."
        what = f"our small weights for Fashion-MNIST, {path.name}. {advice} ({short_reason(error)})"
    if not quiet:
        print(f"MobileNetV2: {what}")
    return path
