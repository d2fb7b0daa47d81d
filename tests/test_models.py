"""The networks: shapes, parameter counts, a frozen base that does not move; saved and loaded."""

import copy
import dataclasses
import errno
import os

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import mobilenet_v2

from course.checkpoint import CheckpointError, save_checkpoint
from course.data import photo_transform
from course.files.cards import ModelCard, card_path, read_card, write_card
from course.models import (
    CNN,
    MLP,
    MODELS,
    ClothingClassifierMobileNet,
    LSTMClassifier,
    load_model,
    make_head,
    save_model,
)
from course.pretrained import predict_top_k


def count(model, trainable_only=False):
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


@pytest.fixture
def random_mobilenet(monkeypatch):
    """MobileNetV2 with random weights, so that no download is needed."""

    def load():
        torch.manual_seed(0)
        return mobilenet_v2(weights=None).eval()

    monkeypatch.setattr("course.models.load_mobilenet_v2", load)


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


# --- a model carries the names of its classes


def test_names_set_the_number_of_classes(random_mobilenet):
    model = ClothingClassifierMobileNet(categories=("hat", "shoes", "dress"))
    assert model.categories == ["hat", "shoes", "dress"]
    assert model(photos()).shape == (2, 3)
    assert ClothingClassifierMobileNet(num_classes=1, categories=["hat"])(photos()).shape == (2, 1)


@pytest.mark.parametrize("num_classes", [1, 3, 10, 12, 100])
def test_without_names_a_model_has_none(random_mobilenet, num_classes):
    model = ClothingClassifierMobileNet(num_classes)
    assert model.categories is None
    assert model(photos()).shape == (2, num_classes)


@pytest.mark.parametrize(
    ("num_classes", "categories", "message"),
    [
        (3, ["hat", "shoes"], "got num_classes=3 and 2 categories"),
        (10, ["hat"], "got num_classes=10 and 1 categories"),
        (None, [], "num_classes must be at least 1, got 0"),
        (None, "hat", "categories must be a list of names, got 'hat'"),
        (None, [1, 2], "categories must be a list of names"),
    ],
)
def test_names_that_do_not_fit_are_refused(random_mobilenet, num_classes, categories, message):
    with pytest.raises(ValueError, match=message):
        ClothingClassifierMobileNet(num_classes, categories=categories)


def test_the_transform_is_the_one_of_training(random_mobilenet):
    photo = Image.linear_gradient("L").convert("RGB").resize((300, 500))
    transform = ClothingClassifierMobileNet().transform
    assert torch.equal(transform(photo), photo_transform()(photo))


def test_what_a_model_carries_is_not_among_its_weights(random_mobilenet):
    named = ClothingClassifierMobileNet(categories=[str(i) for i in range(10)])
    assert named.state_dict().keys() == ClothingClassifierMobileNet().state_dict().keys()
    assert copy.deepcopy(named).categories == named.categories


def test_a_given_base_is_taken_and_nothing_is_fetched(monkeypatch):
    monkeypatch.setattr("course.models.load_mobilenet_v2", lambda: pytest.fail("it was loaded"))
    base = mobilenet_v2()
    model = ClothingClassifierMobileNet(base=base)
    assert model.base_model is base.features
    assert count(model, trainable_only=True) == 12_810


# --- saved and loaded

NAMES = ["hat", "été $", "two\nlines"]
FASHION, PHOTO = {"name": "fashion_transform"}, {"name": "photo_transform", "size": 64}
SAVED = {
    "mlp": ({"num_hidden": 7}, FASHION, (2, 1, 28, 28)),
    "cnn": ({}, FASHION, (2, 1, 28, 28)),
    "lstm": ({"num_features": 5, "num_hidden": 6}, FASHION, (2, 9, 5)),
    "clothing": ({"size_inner": 8, "dropout": 0.5}, PHOTO, (2, 3, 64, 64)),
}


def make(name, classes=NAMES):
    arguments, transform, shape = SAVED[name]
    torch.manual_seed(0)
    extra = {"base": mobilenet_v2()} if name == "clothing" else {}
    model = MODELS[name](num_classes=len(classes), **arguments, **extra)
    return model, ModelCard(name, arguments, list(classes), transform), torch.rand(shape)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model_final.pth"


def test_every_kind_of_model_is_tried():
    assert SAVED.keys() == MODELS.keys()


@pytest.mark.parametrize("num_classes", [1, 3, 12])
@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_is_the_saved_one(monkeypatch, path, name, num_classes):
    monkeypatch.setattr("course.models.load_mobilenet_v2", lambda: pytest.fail("it was loaded"))
    classes = [f"class {i}" for i in range(num_classes)]
    model, card, inputs = make(name, classes)
    save_model(path, model.train(), card)
    assert model.training, "saving changes nothing"
    random = torch.get_rng_state()
    loaded = load_model(path)
    assert torch.equal(random, torch.get_rng_state()), "nor does loading"
    assert type(loaded) is MODELS[name] and not loaded.training
    assert loaded.categories == classes
    assert dataclasses.replace(loaded.card, sha256=None) == card
    with torch.no_grad():
        assert torch.equal(loaded(inputs), model.eval()(inputs))
    trained = [parameter.requires_grad for parameter in model.parameters()]
    assert [parameter.requires_grad for parameter in loaded.parameters()] == trained


@pytest.mark.parametrize("name", MODELS)
def test_the_file_is_a_plain_state_dict(path, name):
    model, card, inputs = make(name)
    save_model(path, model, card)
    torch.manual_seed(1)
    arguments = {"num_classes": 3, **SAVED[name][0]}
    other = MODELS[name](**arguments, **({"base": mobilenet_v2()} if name == "clothing" else {}))
    other.load_state_dict(torch.load(path, weights_only=True))
    assert torch.equal(other.eval()(inputs), model.eval()(inputs))


@pytest.mark.parametrize("name", ["mlp", "clothing"])
def test_a_loaded_model_predicts_a_photo_with_its_own_names(path, name):
    model, card, _ = make(name)
    save_model(path, model, card)
    answers = predict_top_k(load_model(path), Image.new("RGB", (50, 70), "red"))
    assert {name for name, _ in answers} == set(NAMES)
    assert sum(probability for _, probability in answers) == pytest.approx(1, abs=1e-5)


def test_the_transform_is_built_with_the_settings_of_the_card(path):
    model, card, _ = make("clothing")
    save_model(path, model, card)
    assert load_model(path).transform(Image.new("RGB", (50, 70))).shape == (3, 64, 64)


def test_a_loaded_model_can_be_trained_further(path):
    model, card, inputs = make("lstm")
    save_model(path, model, card)
    loaded = load_model(path).train()
    optimizer = torch.optim.Adam(loaded.parameters(), lr=0.1)
    nn.functional.cross_entropy(loaded(inputs), torch.tensor([0, 1])).backward()
    optimizer.step()
    assert not torch.equal(loaded(inputs), model(inputs))
    assert torch.equal(load_model(path)(inputs), model(inputs)), "the file stays as it was"


def test_half_precision_comes_back_as_float32(path):
    model, card, inputs = make("mlp")
    save_model(path, model.half(), card)
    loaded = load_model(path)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded(inputs), model.float()(inputs))


def refused(path, *words):
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.isprintable(), "one line"
    for word in words:
        assert word in message


CHANGES = {
    "another class": ({"model": "cnn"}, "do not fit"),
    "no such class": ({"model": "resnet"}, "KeyError: 'resnet'"),
    "too few names": ({"classes": NAMES[:2]}, "do not fit"),
    "too many names": ({"classes": [*NAMES, "coat"]}, "do not fit"),
    "another size": ({"arguments": {"num_hidden": 8}}, "size mismatch"),
    "an argument that there is not": ({"arguments": {"size": 8}}, "'size'"),
    "an argument of another kind": ({"arguments": {"num_hidden": "7"}}, "do not fit"),
    "a size beyond all memory": ({"arguments": {"num_hidden": 10**12}}, "do not fit"),
    "no such transform": ({"transform": {"name": "crop"}}, "KeyError: 'crop'"),
    "another transform": ({"transform": {"name": "fashion_transform", "size": 3}}, "'size'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_card_of_another_model_is_refused(path, name):
    model, card, _ = make("mlp")
    save_model(path, model, card)
    change, reason = CHANGES[name]
    write_card(card_path(path), dataclasses.replace(read_card(card_path(path)), **change))
    refused(path, "model card and weights do not fit", reason, "save_model()")


@pytest.mark.parametrize("name", CHANGES)
def test_a_card_that_does_not_fit_is_not_saved(tmp_path, path, name):
    model, card, _ = make("mlp")
    change, reason = CHANGES[name]
    with pytest.raises(CheckpointError, match="do not fit") as caught:
        save_model(path, model, dataclasses.replace(card, **change))
    assert reason in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_wrapped_model_is_refused_when_it_is_saved(tmp_path, path):
    model, card, _ = make("mlp")
    with pytest.raises(CheckpointError, match="do not fit"):
        save_model(path, nn.DataParallel(model), card)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_is_no_saved_model(path):
    model, _, _ = make("mlp")
    save_checkpoint(path, model, torch.optim.Adam(model.parameters()), 3)
    refused(path, "model_final.pth", "has no model card", "load_checkpoint()")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "model_final.pth"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(path, content, reason):
    model, card, _ = make("mlp")
    save_model(path, model, card)
    path.write_bytes(content)
    refused(path, "model_final.pth", reason)


@pytest.mark.parametrize("content", [{"weight": 3}, [1, 2], torch.ones(3), {}])
def test_a_file_of_torch_that_holds_no_weights_is_refused(path, content):
    write_card(card_path(path), make("mlp")[1])
    torch.save(content, path)
    refused(path, "do not fit")


def test_a_missing_file_a_folder_and_an_address_are_named(tmp_path):
    refused(tmp_path / "none.pth", "none.pth", "no such file")
    refused(tmp_path, "folder")
    refused("https://example.org/model.pth", "https://example.org/model.pth", "download it")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything may be read")
def test_a_file_that_may_not_be_read_is_not_called_damaged(path):
    model, card, _ = make("mlp")
    save_model(path, model, card)
    path.chmod(0)
    with pytest.raises(PermissionError, match="ask for the right"):
        load_model(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_leaves_the_older_model(monkeypatch, path, number):
    model, card, inputs = make("mlp")
    save_model(path, model, card)

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("course.files.savable.write_whole", refuse)
    other, other_card, _ = make("cnn")
    with pytest.raises(OSError) as caught:
        save_model(path, other, other_card)
    assert os.strerror(number) in str(caught.value) and str(path) in str(caught.value)
    assert torch.equal(load_model(path)(inputs), model(inputs))
