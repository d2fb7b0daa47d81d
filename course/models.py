"""The networks of the course, from a two-layer perceptron to a frozen MobileNetV2."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import MobileNetV2, mobilenet_v2

from course.checkpoint import CheckpointError
from course.data import TRANSFORMS, photo_transform
from course.files.cards import SAVE_AGAIN, ModelCard, read_weights, write_weights
from course.pretrained import load_mobilenet_v2

NUM_FEATURES = 1280  # of a photo in MobileNetV2: https://arxiv.org/abs/1801.04381, table 2


class MLP(nn.Module):
    """Multi-layer perceptron 784-128-10 for 28 x 28 pictures: 101,770 parameters.

    Input: ``(N, 1, 28, 28) float32`` or ``(N, 28, 28) float32``, grey pictures.
    Output: ``(N, K) float32``, logits.
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

    Input: ``(N, 1, 28, 28) float32``, grey pictures.
    Output: ``(N, K) float32``, logits.
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

    All sequences of a batch have the same length: nothing is padded. The formula:
    https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html

    Input: ``(N, T, F) float32`` or ``(N, 1, T, F) float32``, such as a batch of grey pictures.
    Output: ``(N, K) float32``, logits.
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
    """Build the trainable end of the classifier, from the features of a photo to logits.

    Input: ``(N, 1280) float32``, features.
    Output: ``(N, K) float32``, logits.

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

    Only ``head`` is trained: 12,810 numbers for ten classes.

    Input: ``(N, 3, H, W) float32``, photos as ``transform`` makes them; 224 x 224 works best.
    Output: ``(N, K) float32``, logits.

    Args:
        num_classes, size_inner, dropout: as in :func:`make_head`.
        categories: the names of the classes, in the order of the logits; they are counted.
        base: the MobileNetV2 to stand on; the pre-trained one if None.

    Raises:
        ValueError: if `num_classes` is not the number of categories, or as in :func:`make_head`.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        size_inner: int | None = None,
        dropout: float = 0.0,
        categories: Sequence[str] | None = None,
        base: MobileNetV2 | None = None,
    ) -> None:
        super().__init__()
        num_classes = _count_classes(num_classes, categories)
        # What predict_top_k() has to know about a model. Neither of the two is trained.
        self.categories = None if categories is None else list(categories)
        self.transform: Callable[[Image.Image], Tensor] = photo_transform()

        base = base or load_mobilenet_v2()
        self.base_model = base.features  # remove: the classifier stays behind
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
        """Describe photos ``(N, 3, H, W) float32`` by features ``(N, 1280) float32``.

        With `until` the maps ``(N, C, H, W) float32`` before that block come out in their place.
        """
        if until is not None:
            return self.base_model[:until](x)
        x = self.base_model(x)  # (N, 1280, H/32, W/32)
        x = self.global_avg_pooling(x)  # (N, 1280, 1, 1)
        return torch.flatten(x, start_dim=1)  # (N, 1280)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.extract_features(x))


def _count_classes(num_classes: int | None, categories: Sequence[str] | None) -> int:
    """How many classes there are: as many as names, else as told, else ten."""
    if categories is None:
        return 10 if num_classes is None else num_classes
    if isinstance(categories, str) or not all(isinstance(name, str) for name in categories):
        raise ValueError(f"categories must be a list of names, got {categories!r:.200}")
    if num_classes not in (None, len(categories)):
        both = f"num_classes={num_classes} and {len(categories)} categories"
        raise ValueError(f"got {both}: give only one of the two")
    return len(categories)


MODELS: dict[str, Callable[..., nn.Module]] = {  # the names that model cards use
    "mlp": MLP,
    "cnn": CNN,
    "lstm": LSTMClassifier,
    "clothing": ClothingClassifierMobileNet,
}


def save_model(path: str | Path, model: nn.Module, card: ModelCard) -> None:
    """Write the weights as a plain ``state_dict``, and the model card as JSON beside them.

    The weights of a pre-trained base are among them. To read them in another program:
    ``model.load_state_dict(torch.load(path, weights_only=True))``.

    Raises:
        CheckpointError: if the card does not fit the model, or something could not be read again.
        OSError: if a file cannot be written.
    """
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    try:
        _build(card, state)  # what cannot be loaded is refused now, not next year
        write_weights(path, state, card)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def load_model(path: str | Path) -> nn.Module:
    """Build the model that `save_model` has saved, on the CPU and in evaluation mode.

    It carries its ``categories``, its ``transform`` and its ``card``. Nothing in the files is run.

    Raises:
        CheckpointError: if a file is missing, damaged or unsafe, or if the two do not fit.
        OSError: if the system cannot read a file, which may be good.
    """
    try:
        state, card = read_weights(path)
        return _build(card, state)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _build(card: ModelCard, state: dict[str, Tensor]) -> nn.Module:
    """The model that a card describes, with these weights, for evaluation."""
    arguments = card.arguments | {"num_classes": len(card.classes)}
    transform = dict(card.transform)
    try:
        with torch.device("meta"):  # without memory and random numbers: the weights come below
            if card.model == "clothing":
                arguments["base"] = mobilenet_v2()
            model: Any = MODELS[card.model](**arguments)
        model.load_state_dict(state, assign=True)
        model.transform = TRANSFORMS[transform.pop("name")](**transform)
    except Exception as error:  # a card written by hand can fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        problem = f"model card and weights do not fit ({reason:.300})"
        raise ValueError(f"{problem}: {SAVE_AGAIN}") from error
    model.categories = list(card.classes)
    model.card = card
    return model.float().eval()
