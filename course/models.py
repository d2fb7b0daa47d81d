"""The networks of the course, from a two-layer perceptron to a frozen MobileNetV2."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

NUM_FEATURES = 1280  # of a photo in MobileNetV2: https://arxiv.org/abs/1801.04381, table 2


class MLP(nn.Module):
    """Multi-layer perceptron 784-128-10 for 28 x 28 pictures: 101,770 parameters.

    Input ``(N, 1, 28, 28)`` or ``(N, 28, 28)`` float32, output ``(N, num_classes)`` logits.
    """

    def __init__(self, num_hidden: int = 128, num_classes: int = 10) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(28 * 28, num_hidden)
        self.relu = nn.ReLU()
        self.output_layer = nn.Linear(num_hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(x)
        x = self.hidden(x)
        x = self.relu(x)
        return self.output_layer(x)


class CNN(nn.Module):
    """Two convolutions, 1 -> 32 -> 64 channels, and one linear layer 64*5*5 -> 10.

    Input ``(N, 1, 28, 28)`` float32, output ``(N, num_classes)`` logits.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3),  # 28 -> 26
            nn.ReLU(),
            nn.MaxPool2d(2),  # 26 -> 13
            nn.Conv2d(32, 64, kernel_size=3),  # 13 -> 11
            nn.ReLU(),
            nn.MaxPool2d(2),  # 11 -> 5
        )
        self.classifier = nn.Linear(64 * 5 * 5, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = torch.flatten(x, start_dim=1)
        return self.classifier(x)


class LSTMClassifier(nn.Module):
    """Read a sequence step by step, then decide: a 28 x 28 picture is 28 rows of 28 numbers.

    Input ``(N, T, num_features)`` or ``(N, 1, T, num_features)`` float32, such as a batch of grey
    pictures; output ``(N, num_classes)`` logits. All sequences of a batch have the same length T:
    nothing is padded. The formula: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
    """

    def __init__(self, num_features: int = 28, num_hidden: int = 64, num_classes: int = 10) -> None:
        super().__init__()
        self.lstm = nn.LSTM(num_features, num_hidden, batch_first=True)
        self.output_layer = nn.Linear(num_hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1, -2)  # (N, 1, T, F) -> (N, T, F); a batch of sequences stays as it is
        out, _ = self.lstm(x)  # (N, T, num_hidden): what it remembers after each step
        return self.output_layer(out[:, -1, :])  # after the last step it has read everything


def make_head(
    num_classes: int = 10, size_inner: int | None = None, dropout: float = 0.0
) -> nn.Sequential:
    """The trainable end of the classifier: 1,280 features to ``num_classes`` logits.

    Args:
        num_classes: how many classes to tell apart.
        size_inner: units of an inner layer between features and output; ``None`` for no such layer.
        dropout: probability of dropping a number before the output layer, in training only.

    Raises:
        ValueError: if a size is not positive or ``dropout`` is not in [0, 1).
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if size_inner is not None and size_inner < 1:
        raise ValueError(f"size_inner must be at least 1, or None for no layer, got {size_inner}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if size_inner is not None:
        layers["inner"] = nn.Linear(NUM_FEATURES, size_inner)
        layers["relu"] = nn.ReLU()
    if dropout > 0:
        layers["dropout"] = nn.Dropout(dropout)
    layers["output_layer"] = nn.Linear(size_inner or NUM_FEATURES, num_classes)
    return nn.Sequential(layers)


class ClothingClassifierMobileNet(nn.Module):
    """A frozen MobileNetV2 that describes a photo, and a small head that learns our classes.

    Input ``(N, 3, H, W)`` float32, normalised like ImageNet; 224 x 224 works best. Output
    ``(N, num_classes)`` logits. Only ``head`` is trained: 12,810 numbers for ten classes.

    Args:
        num_classes, size_inner, dropout: as in :func:`make_head`.
    """

    def __init__(
        self, num_classes: int = 10, size_inner: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        from course.pretrained import load_mobilenet_v2

        self.base_model = load_mobilenet_v2().features  # remove: the classifier stays behind
        for param in self.base_model.parameters():
            param.requires_grad = False  # freeze: no gradient, no update
        self.global_avg_pooling = nn.AdaptiveAvgPool2d((1, 1))
        self.head = make_head(num_classes, size_inner, dropout)

    def train(self, mode: bool = True) -> "ClothingClassifierMobileNet":
        """Switch the head only: in training mode BatchNorm would move its frozen statistics."""
        super().train(mode)
        self.base_model.eval()
        return self

    def extract_features(self, x: Tensor, until: int | None = None) -> Tensor:
        """``(N, 3, H, W)`` photos to ``(N, 1280)`` features, or to maps before block `until`."""
        if until is not None:
            return self.base_model[:until](x)
        x = self.base_model(x)  # (N, 1280, H/32, W/32)
        x = self.global_avg_pooling(x)  # (N, 1280, 1, 1)
        return torch.flatten(x, start_dim=1)  # (N, 1280)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.extract_features(x))
