"""The classifier that travels: a file is taken if it fits the photos and the base, else not."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import mobilenet_v2

from course.classifier import clothing_card, clothing_classifier, train_head
from course.data import ClothingDataset
from course.files import paths
from course.models import ClothingClassifierMobileNet, make_head, save_model
from course.pretrained import predict_top_k


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Folders of this test, few steps, and a base that needs no file."""

    def load():
        torch.manual_seed(0)
        return mobilenet_v2(weights=None).eval()

    monkeypatch.setattr("course.models.load_mobilenet_v2", load)
    monkeypatch.setattr("course.classifier.weights_or_stand_in", lambda **_: paths.MODELS / "a.pth")
    monkeypatch.setitem(clothing_classifier.__globals__["RECIPE"], "steps", 3)
    monkeypatch.setattr(paths, "MODELS", tmp_path / "models")
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")


@pytest.fixture
def photos(tmp_path):
    """Two classes with two pictures each."""
    rng = np.random.default_rng(0)
    for name in ("hat", "shoes"):
        (tmp_path / "photos" / "train" / name).mkdir(parents=True)
        for i in range(2):
            picture = Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
            picture.save(tmp_path / "photos" / "train" / name / f"{i}.png")
    return tmp_path / "photos"


def save_marked(photos, **changes):
    """A saved classifier that answers "shoes" to everything, with a card that says `changes`."""
    model = ClothingClassifierMobileNet(2)
    torch.nn.init.zeros_(model.head.output_layer.weight)
    model.head.output_layer.bias.data = torch.tensor([0.0, 50.0])
    card = clothing_card(ClothingDataset(photos / "train"))
    save_model(paths.MODELS / "clothing.pth", model, dataclasses.replace(card, **changes))


def is_marked(model):
    return model.head.output_layer.bias.tolist() == [0, 50]


def test_without_a_file_it_is_trained_and_ready_for_use(photos, capsys):
    classifier = clothing_classifier(photos)
    assert "trained again" in capsys.readouterr().out
    assert not classifier.training
    assert classifier.categories == ["hat", "shoes"]
    assert classifier.card.data == {"name": "photos", "train": 4}
    (first, probability), _ = predict_top_k(classifier, photos / "train" / "hat" / "0.png")
    assert first in ("hat", "shoes") and 0.5 <= probability <= 1


def test_two_calls_give_the_same(photos):
    first, second = clothing_classifier(photos), clothing_classifier(photos)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_file_that_fits_is_loaded(photos, capsys):
    save_marked(photos, settings={"unfrozen": [17, 18]})
    classifier = clothing_classifier(photos)
    assert "clothing.pth, as" in capsys.readouterr().out
    assert is_marked(classifier)
    assert classifier.card.settings == {"unfrozen": [17, 18]}
    assert not is_marked(clothing_classifier(photos, "another.pth"))


@pytest.mark.parametrize(
    "change",
    [
        {"base": "other.pth"},
        {"data": {"name": "drawn-garments", "train": 4}},
        {"classes": ["hat", "socks"]},
        {"transform": {"name": "photo_transform", "size": 128}},
    ],
    ids=str,
)
def test_a_file_of_something_else_is_not_taken(photos, change):
    save_marked(photos, **change)
    assert not is_marked(clothing_classifier(photos))


def test_a_damaged_file_is_not_taken(photos):
    save_marked(photos)
    (paths.MODELS / "clothing.pth").write_bytes(b"no model")
    assert not is_marked(clothing_classifier(photos))


def test_the_head_learns():
    targets = torch.arange(64) % 2
    features = torch.zeros(64, 1280)
    features[:, 0] = targets
    head = make_head(2)
    before = head.output_layer.weight.clone()
    train_head(head, torch.utils.data.TensorDataset(features, targets))
    assert not torch.equal(head.output_layer.weight, before)
