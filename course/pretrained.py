"""MobileNetV2 with the weights that it learned on ImageNet."""

import os
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torchvision.models import MobileNet_V2_Weights, MobileNetV2, mobilenet_v2

from course.data import load_image, upright_rgb
from course.download import download_weights

WEIGHTS = MobileNet_V2_Weights.IMAGENET1K_V1
"""1.2 million photos of 1,000 classes taught it; torchvision keeps the weights and their card."""


def load_mobilenet_v2() -> MobileNetV2:
    """MobileNetV2 (https://arxiv.org/abs/1801.04381) with ImageNet weights, in evaluation mode.

    Input ``(N, 3, H, W)`` float32, as ``WEIGHTS.transforms()`` makes it; output ``(N, 1000)``
    logits.

    Raises:
        DownloadError: if the weights are not here and cannot be fetched.
    """
    model = mobilenet_v2()
    model.load_state_dict(torch.load(download_weights(), map_location="cpu", weights_only=True))
    return model.eval()


def predict_top_k(
    model: nn.Module, image: Image.Image | str | Path, k: int = 5
) -> list[tuple[str, float]]:
    """The `k` classes that an ImageNet model finds most probable for one photo.

    Args:
        model: gives ``(1, 1000)`` logits; it is put into evaluation mode and left there.
        image: a PIL image of any size and mode, or the path of a picture.

    Returns:
        Pairs of class name and probability, the most probable first.

    Raises:
        ValueError: if `k` is not from 1 to 1000.
        TypeError: if `image` is neither an image nor a path.
        FileNotFoundError, ImageFileError: if there is no such file or it is not a picture.
    """
    categories = WEIGHTS.meta["categories"]
    if not 1 <= k <= len(categories):
        raise ValueError(f"k must be from 1 to {len(categories)}, got {k}")
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
        logits = model(batch.to(device))  # (1, 1000)
    probabilities, indices = logits.softmax(dim=1)[0].topk(k)
    names = [categories[i] for i in indices]
    return list(zip(names, probabilities.tolist(), strict=True))
