"""The networks: shapes, parameter counts, and a frozen base that does not move."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2

from course.models import CNN, MLP, ClothingClassifierMobileNet, LSTMClassifier, make_head


def count(model, trainable_only=False):
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


@pytest.fixture
def random_mobilenet(monkeypatch):
    """MobileNetV2 with random weights, so that no download is needed."""

    def load():
        torch.manual_seed(0)
        return mobilenet_v2(weights=None).eval()

    monkeypatch.setattr("course.pretrained.load_mobilenet_v2", load)


def photos(num_photos=2, size=64):
    return torch.randn(num_photos, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_mlp_has_the_parameters_that_one_counts_by_hand():
    assert count(MLP()) == 784 * 128 + 128 + 128 * 10 + 10 == 101_770
    assert count(MLP(num_hidden=10, num_classes=3)) == 784 * 10 + 10 + 10 * 3 + 3


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (5, 28, 28)])
def test_mlp_gives_logits(shape):
    logits = MLP()(torch.zeros(shape))
    assert logits.shape == (5, 10)
    assert logits.dtype == torch.float32


def test_mlp_equals_the_formula():
    torch.manual_seed(0)
    model, x = MLP(), torch.randn(4, 1, 28, 28)
    hidden = (x.reshape(4, 784) @ model.hidden.weight.T + model.hidden.bias).clamp(min=0)
    expected = hidden @ model.output_layer.weight.T + model.output_layer.bias
    torch.testing.assert_close(model(x), expected)


def test_cnn_shapes_and_parameters():
    model = CNN()
    assert count(model) == (1 * 9 * 32 + 32) + (32 * 9 * 64 + 64) + (64 * 5 * 5 * 10 + 10)
    x = torch.zeros(2, 1, 28, 28)
    assert model.features(x).shape == (2, 64, 5, 5)
    assert model(x).shape == (2, 10)
    assert CNN(num_classes=3)(x).shape == (2, 3)


def test_lstm_has_the_parameters_that_one_counts_by_hand():
    assert count(LSTMClassifier()) == 4 * 64 * (28 + 64 + 2) + 64 * 10 + 10 == 24_714
    small = LSTMClassifier(num_features=3, num_hidden=5, num_classes=4)
    assert count(small) == 4 * 5 * (3 + 5 + 2) + 5 * 4 + 4


def test_lstm_reads_pictures_and_sequences_alike():
    torch.manual_seed(0)
    model, pictures = LSTMClassifier(), torch.randn(5, 1, 28, 28)
    assert model(pictures).shape == (5, 10)
    torch.testing.assert_close(model(pictures), model(pictures.squeeze(1)), rtol=0, atol=0)
    assert LSTMClassifier(num_features=3)(torch.zeros(2, 7, 3)).shape == (2, 10)


def test_lstm_equals_one_cell_applied_row_by_row():
    torch.manual_seed(0)
    model, pictures = LSTMClassifier(num_features=6, num_hidden=4), torch.randn(3, 1, 5, 6)
    cell = nn.LSTMCell(6, 4)
    weights = {name.removesuffix("_l0"): p for name, p in model.lstm.named_parameters()}
    cell.load_state_dict(weights)
    state = (torch.zeros(3, 4), torch.zeros(3, 4))
    for step in range(5):
        state = cell(pictures[:, 0, step], state)
    torch.testing.assert_close(model(pictures), model.output_layer(state[0]))


def test_lstm_logits_of_a_picture_depend_on_that_picture_alone():
    """It would be otherwise if batch and time were confused."""
    torch.manual_seed(0)
    pictures = torch.randn(4, 1, 28, 28, requires_grad=True)
    LSTMClassifier()(pictures)[2].sum().backward()
    felt = pictures.grad.abs().sum(dim=(1, 3)) > 0
    assert felt.sum(dim=1).tolist() == [0, 0, 28, 0]


@pytest.mark.parametrize(
    ("arguments", "names", "parameters"),
    [
        ({}, ["output_layer"], 12_810),
        ({"size_inner": 100}, ["inner", "relu", "output_layer"], 129_110),
        ({"dropout": 0.2}, ["dropout", "output_layer"], 12_810),
        (
            {"size_inner": 10, "dropout": 0.2, "num_classes": 4},
            ["inner", "relu", "dropout", "output_layer"],
            12_810 + 44,
        ),
    ],
)
def test_head_has_the_layers_that_were_asked_for(arguments, names, parameters):
    head = make_head(**arguments)
    assert [name for name, _ in head.named_children()] == names
    assert count(head) == parameters
    assert head(torch.zeros(3, 1280)).shape == (3, arguments.get("num_classes", 10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size_inner": 0}, "size_inner must be at least 1, or None for no layer, got 0"),
        ({"size_inner": -5}, "got -5"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "got -0.1"),
    ],
)
def test_head_refuses_impossible_sizes(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_head(**arguments)


def test_mobilenet_trains_the_head_alone(random_mobilenet):
    model = ClothingClassifierMobileNet()
    assert count(model, trainable_only=True) == 12_810
    assert count(model) == 2_223_872 + 12_810
    assert not any(parameter.requires_grad for parameter in model.base_model.parameters())
    model(photos()).sum().backward()
    assert all(parameter.grad is None for parameter in model.base_model.parameters())
    assert all(parameter.grad is not None for parameter in model.head.parameters())


def test_mobilenet_logits_are_the_head_of_the_features(random_mobilenet):
    model = ClothingClassifierMobileNet(num_classes=4, size_inner=20).eval()
    features = model.extract_features(photos())
    assert features.shape == (2, 1280)
    logits = model(photos())
    assert logits.shape == (2, 4)
    torch.testing.assert_close(logits, model.head(features))


def test_frozen_batchnorm_does_not_move_in_training(random_mobilenet):
    model = ClothingClassifierMobileNet(dropout=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = copy.deepcopy(model.state_dict())
    model.train()
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(photos()), torch.tensor([1, 2])).backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        moved = not torch.equal(value, before[name])
        assert moved == name.startswith("head."), name


def test_an_ordinary_train_would_move_it(random_mobilenet):
    """The reason for the class's own `train`: without it the statistics change."""
    model = ClothingClassifierMobileNet()
    before = copy.deepcopy(model.state_dict())
    nn.Module.train(model)
    model(photos())
    assert any(not torch.equal(v, before[name]) for name, v in model.state_dict().items())


def test_train_and_eval_switch_the_head_only(random_mobilenet):
    model = ClothingClassifierMobileNet(dropout=0.5)
    assert model.train() is model
    assert model.training and model.head.training
    assert not any(module.training for module in model.base_model.modules())
    model.eval()
    assert not model.training and not model.head.training
