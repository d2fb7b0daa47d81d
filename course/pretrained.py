"""MobileNetV2 with the weights that it learned on ImageNet, or with a stand-in for them."""

import os
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torchvision.models import MobileNet_V2_Weights, MobileNetV2, mobilenet_v2

from course import paths
from course.data import FASHION_CLASSES, load_image, upright_rgb
from course.download import DownloadError, download_weights, short_reason

WEIGHTS = MobileNet_V2_Weights.IMAGENET1K_V1
"""1.2 million photos of 1,000 classes taught it; torchvision keeps the weights and their card."""


STAND_IN = paths.PROJECT / "models" / "fashion_mobilenet_v2.safetensors"
"""Weights that come with the course, for places without network; the card lies beside the file."""

CATEGORIES = {1000: WEIGHTS.meta["categories"], 10: FASHION_CLASSES}
"""The names of the classes, by their number: of ImageNet and of the stand-in."""


def weights_or_stand_in() -> Path:
    """Return the file of MobileNetV2's weights, and print one line that says which they are."""
    path, reason = _find_weights()
    if reason:
        print(
            f"MobileNetV2: the small weights of the course, {path.name}, for the 10 classes of "
            "Fashion-MNIST. `python -m course download` fetches the ImageNet weights when there is "
            f"network. ({reason})"
        )
    else:
        print(f"MobileNetV2: the ImageNet weights in {path}.")
    return path


def load_mobilenet_v2() -> MobileNetV2:
    """MobileNetV2 (https://arxiv.org/abs/1801.04381) with trained weights, in evaluation mode.

    Input ``(N, 3, H, W)`` float32, as ``WEIGHTS.transforms()`` makes it; output ``(N, 1000)``
    logits, or ``(N, 10)`` where the stand-in is used (see `weights_or_stand_in`).

    Raises:
        DownloadError: if the file of the weights is damaged.
    """
    path, _ = _find_weights()
    try:
        if path == STAND_IN:
            state = load_file(path)  # float16 in the file, float32 in the model
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        model = mobilenet_v2(num_classes=len(state["classifier.1.bias"]))
        model.load_state_dict(state)
    except Exception as error:  # a damaged file can fail in any way
        raise DownloadError(
            f"{path} does not hold the weights of MobileNetV2 ({type(error).__name__}): delete it, "
            "then run this again to fetch it anew"
        ) from error
    return model.eval()


def _find_weights() -> tuple[Path, str]:
    """The ImageNet weights, or the stand-in and the reason why."""
    try:
        return download_weights(), ""
    except DownloadError as error:
        return STAND_IN, short_reason(error)


def predict_top_k(
    model: nn.Module, image: Image.Image | str | Path, k: int = 5
) -> list[tuple[str, float]]:
    """The `k` classes that a model finds most probable for one photo.

    Args:
        model: gives ``(1, 1000)`` logits for the classes of ImageNet, or ``(1, 10)`` for those of
            Fashion-MNIST; it is put into evaluation mode and left there.
        image: a PIL image of any size and mode, or the path of a picture.

    Returns:
        Pairs of class name and probability, the most probable first.

    Raises:
        ValueError: if `k` is not from 1 to the number of classes, or the model does not have
            1000 or 10 classes.
        TypeError: if `image` is neither an image nor a path.
        FileNotFoundError, ImageFileError: if there is no such file or it is not a picture.
    """
    if isinstance(image, Image.Image):
        image = upright_rgb(image)
    elif isinstance(image, str | os.PathLike):
        image = load_image(image)
    else:
        raise TypeError(f"image must be a PIL image or a path, got {type(image).__name__}")
    batch = WEIGHTS.transforms()(image).unsqueeze(0)  # (1, 3, 224, 224)
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        probabilities = model(batch.to(device)).softmax(dim=1)[0]  # (1000,)
    if len(probabilities) not in CATEGORIES:
        raise ValueError(f"the model must have 1000 or 10 classes, got {len(probabilities)}")
    categories = CATEGORIES[len(probabilities)]
    if not 1 <= k <= len(categories):
        raise ValueError(f"k must be from 1 to {len(categories)}, got {k}")
    top = probabilities.topk(k)
    names = [categories[i] for i in top.indices]
    return list(zip(names, top.values.tolist(), strict=True))
