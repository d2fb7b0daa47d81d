"""MobileNetV2 with the weights that it learned on ImageNet, or with a stand-in for them."""

import os
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torchvision.models import MobileNet_V2_Weights, MobileNetV2, mobilenet_v2

from course.data import FASHION_CLASSES
from course.files.downloads import DownloadError
from course.files.pictures import load_image, upright_rgb
from course.stand_ins import STAND_IN, weights_or_stand_in

WEIGHTS = MobileNet_V2_Weights.IMAGENET1K_V1
CATEGORIES = {1000: WEIGHTS.meta["categories"], 10: FASHION_CLASSES}  # of ImageNet, of STAND_IN


def load_mobilenet_v2() -> MobileNetV2:
    """MobileNetV2 (https://arxiv.org/abs/1801.04381) with trained weights, in evaluation mode.

    Input ``(N, 3, H, W)`` float32, as ``WEIGHTS.transforms()`` makes it; output ``(N, 1000)``
    logits, or ``(N, 10)`` with the stand-in. A damaged file is a DownloadError.
    """
    path = weights_or_stand_in(quiet=True)
    try:
        # The stand-in is float16 in its file. In the model all weights are float32.
        state = load_file(path) if path == STAND_IN else torch.load(path, weights_only=True)
        model = mobilenet_v2(num_classes=len(state["classifier.1.bias"]))
        model.load_state_dict(state)
    except Exception as error:  # a damaged file can fail in any way
        raise DownloadError(f"{path} holds no MobileNetV2: delete it, then try again") from error
    return model.eval()


def predict_top_k(
    model: nn.Module, image: Image.Image | str | Path, k: int = 5
) -> list[tuple[str, float]]:
    """The `k` classes that a model finds most probable for one photo, with their probabilities.

    Args:
        model: gives ``(1, 1000)`` logits for the classes of ImageNet, or ``(1, 10)`` for those of
            Fashion-MNIST; it is put into evaluation mode and left there.
        image: of any size and mode, or the path of a picture (see `load_image` for its errors).

    Raises:
        ValueError: if `k` or the number of classes is out of range.
    """
    if not isinstance(image, Image.Image | str | os.PathLike):
        raise TypeError(f"image must be a PIL image or a path, got {type(image).__name__}")
    image = upright_rgb(image) if isinstance(image, Image.Image) else load_image(image)
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
    return [(categories[i], p) for i, p in zip(top.indices, top.values.tolist(), strict=True)]
