"""MobileNetV2 with the weights that it learned on ImageNet."""

from torchvision.models import MobileNet_V2_Weights, MobileNetV2, mobilenet_v2

WEIGHTS = MobileNet_V2_Weights.IMAGENET1K_V1
"""1.2 million photos of 1,000 classes taught it; torchvision keeps the weights and their card."""


def load_mobilenet_v2() -> MobileNetV2:
    """MobileNetV2 (https://arxiv.org/abs/1801.04381) with ImageNet weights, in evaluation mode."""
    return mobilenet_v2(weights=WEIGHTS).eval()
