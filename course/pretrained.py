"""MobileNetV2 with the weights that it learned on ImageNet, or with a stand-in for them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, MobileNetV2, mobilenet_v2
from torchvision.transforms import Compose

from course.data import FASHION_CLASSES
from course.files.downloads import DownloadError
from course.files.pictures import load_image, upright_rgb
from course.files.trouble import advice_for, with_advice
from course.stand_ins import STAND_IN, load_stand_in, weights_or_stand_in

WEIGHTS = MobileNet_V2_Weights.IMAGENET1K_V1
CATEGORIES = {1000: WEIGHTS.meta["categories"], 10: FASHION_CLASSES}  # of ImageNet, of STAND_IN


def load_mobilenet_v2() -> MobileNetV2:
    """Build MobileNetV2 (https://arxiv.org/abs/1801.04381) with trained weights, for evaluation.

    It takes photos ``(N, 3, H, W) float32`` and gives logits ``(N, K) float32``: K is 1,000, or 10
    with the stand-in. It carries the names of its classes as ``categories``, and as ``transform``
    what turns a photo into its input.

    Raises:
        DownloadError: if the file of the weights is damaged.
        OSError: if the system cannot read it; the message says what to do.
    """
    path = weights_or_stand_in(quiet=True)
    weights = load_stand_in() if path == STAND_IN else _read_weights(path)
    model: Any = mobilenet_v2(num_classes=len(weights["classifier.1.bias"]))
    model.load_state_dict(weights)

    model.categories = list(CATEGORIES[model.classifier[1].out_features])
    # Inside Compose, because a transform that is a module would become a layer of the model.
    model.transform = Compose([WEIGHTS.transforms()])
    return model.eval()


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The weights that torchvision's MobileNetV2 has, with their names and shapes."""
    try:
        weights: dict[str, Tensor] = torch.load(path, "cpu", weights_only=True)
        with torch.device("meta"):  # shapes without memory, to compare names and shapes
            mobilenet_v2().load_state_dict(weights, assign=True)
    except Exception as error:  # a damaged file can fail in any way
        if isinstance(error, OSError | MemoryError) and advice_for(error):
            raise with_advice(error, f"{path} cannot be read") from error
        raise DownloadError(f"{path} holds no MobileNetV2: delete it, then try again") from error
    return weights


def predict_top_k(
    model: nn.Module,
    image: Image.Image | str | Path,
    k: int | None = None,
    categories: Sequence[str] | None = None,
    transform: Callable[[Image.Image], Tensor] | None = None,
) -> list[tuple[str, float]]:
    """Find the `k` classes that a model holds for most probable, with their probabilities.

    Args:
        model: takes ``(1, C, H, W) float32`` and gives logits ``(1, K) float32``. It is put into
            evaluation mode and left there.
        image: a picture of any size and mode, or the path of one (see `load_image`).
        k: how many classes; None for five, or for all K if there are fewer.
        categories: the names of the K classes; None for ``model.categories``.
        transform: turns an RGB picture into ``(C, H, W) float32``, as in training; None for
            ``model.transform``.

    Raises:
        ValueError: if the names or the transform are missing, or do not fit the model, or if `k`
            is out of range.
    """
    names = list(_carried(model, "categories", categories))
    batch = _as_batch(image, _carried(model, "transform", transform))
    device = next((parameter.device for parameter in model.parameters()), "cpu")
    model.eval()
    with torch.inference_mode():
        logits = model(batch.to(device))
    if logits.shape != (1, len(names)):
        found = f"the model gives logits of shape {tuple(logits.shape)}"
        raise ValueError(f"{found} for {len(names)} categories: give one name for each logit")

    if k is None:
        k = min(5, len(names))
    if not 1 <= k <= len(names):
        raise ValueError(f"k must be from 1 to {len(names)}, got {k}")
    probabilities = logits.softmax(dim=1)[0]  # (K,)
    top = probabilities.topk(k)
    return [(names[i], p) for i, p in zip(top.indices, top.values.tolist(), strict=True)]


def _as_batch(image: Any, transform: Callable[[Image.Image], Tensor]) -> Tensor:
    """One picture, or the picture in a file, as a batch ``(1, C, H, W) float32``."""
    if not isinstance(image, Image.Image | str | Path):
        raise TypeError(f"image must be a PIL image or a path, got {type(image).__name__}")
    picture = upright_rgb(image) if isinstance(image, Image.Image) else load_image(image)
    inputs = transform(picture)
    if not isinstance(inputs, Tensor):
        problem = f"the transform must give a tensor, got {type(inputs).__name__}"
        remedy = "let it have the steps v2.PILToTensor() and v2.ToDtype(torch.float32, scale=True)"
        raise ValueError(f"{problem}: {remedy}")
    return inputs.unsqueeze(0)


def _carried(model: nn.Module, name: str, given: Any) -> Any:
    """What was given, or else what the model carries under that name."""
    found = given if given is not None else getattr(model, name, None)
    if found is None:
        problem = f"this {type(model).__name__} carries no {name}"
        raise ValueError(f"{problem}: pass {name}=..., or set model.{name}")
    return found
