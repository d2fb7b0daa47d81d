"""The sweep trains what it says, reports wrong settings first, and can be explored."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.data import Subset, TensorDataset, random_split

from course import tuning
from course.models import NUM_FEATURES
from course.tuning import make_model, sweep
from course.widgets import grid_explorer


@pytest.fixture(scope="module")
def kept():
    """Features of two classes that differ in their first numbers, split into 80 and 20."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(100) % 2
    features = torch.rand(100, NUM_FEATURES, generator=generator)
    features[:, :200] += targets.unsqueeze(1)
    return TensorDataset(features[:80], targets[:80]), TensorDataset(features[80:], targets[80:])


@pytest.fixture(scope="module")
def trials(kept):
    return sweep(*kept, [0.001, 0.01], [None, 4], [0.0, 0.5], seeds=[0], num_epochs=3)


def test_make_model_gives_an_adam_for_a_seeded_head():
    model, optimizer = make_model(0.02, size_inner=7, dropout=0.25, num_classes=3, seed=5)
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]["lr"] == 0.02
    assert model(torch.zeros(2, NUM_FEATURES)).shape == (2, 3)
    same, _ = make_model(0.02, size_inner=7, dropout=0.25, num_classes=3, seed=5)
    other, _ = make_model(0.02, size_inner=7, dropout=0.25, num_classes=3, seed=6)
    assert torch.equal(model.inner.weight, same.inner.weight)
    assert not torch.equal(model.inner.weight, other.inner.weight)


def test_one_trial_for_each_combination_in_order(trials):
    settings = [(t.learning_rate, t.size_inner, t.dropout, t.seed) for t in trials]
    assert settings[:3] == [(0.001, None, 0.0, 0), (0.001, None, 0.5, 0), (0.001, 4, 0.0, 0)]
    assert len(set(settings)) == 8
    assert all(len(trial.history.val_loss) == 3 for trial in trials)


def test_heads_learn_and_the_gap_is_training_minus_validation(trials):
    plain = next(t for t in trials if t.learning_rate == 0.01 and t.size_inner is None)
    assert plain.val_accuracy == 1.0
    for trial in trials:
        assert trial.gap == trial.train_accuracy - trial.val_accuracy
        assert trial.val_accuracy == trial.history.val_accuracy[-1]


def test_the_same_settings_give_the_same_numbers(kept):
    first, second = (sweep(*kept, [0.01], [4], [0.5], num_epochs=2)[0] for _ in range(2))
    assert first.history.train_loss == second.history.train_loss
    other = sweep(*kept, [0.01], [4], [0.5], seeds=[1], num_epochs=2)[0]
    assert first.history.train_loss != other.history.train_loss


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"learning_rates": [0.1, -0.1]}, "learning rate must be positive, got -0.1"),
        ({"learning_rates": [0]}, "learning rate must be positive, got 0"),
        ({"sizes_inner": [10, 0]}, "size_inner must be at least 1, or None for no layer, got 0"),
        ({"dropouts": [0.5, 1.0]}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_a_wrong_setting_is_reported_before_anything_is_trained(
    kept, monkeypatch, settings, message
):
    monkeypatch.setattr("course.tuning.fit", lambda *_, **__: pytest.fail("training began"))
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        sweep(*kept, **settings)


def test_the_explorer_shows_the_chosen_head(trials):
    rate, size, dropout, verdict, picture = grid_explorer(trials).children
    rate.value, size.value, dropout.value = 0.01, 4, 0.5
    chosen = next(t for t in trials if (t.learning_rate, t.size_inner, t.dropout) == (0.01, 4, 0.5))
    assert f"validation accuracy {chosen.val_accuracy:.3f}" in verdict.value
    assert "gap" in picture.value and 'alt="Accuracy over the epochs' in picture.value


def test_the_explorer_says_what_was_not_tried(trials):
    rate, size, dropout, verdict, picture = grid_explorer(trials[:-1]).children
    rate.value, size.value, dropout.value = 0.01, 4, 0.5
    assert "This combination was not tried." in verdict.value
    assert picture.value == ""


def test_the_explorer_needs_a_trial():
    with pytest.raises(ValueError, match="run course.tuning.sweep"):
        grid_explorer([])


def test_no_layer_means_a_single_linear_layer():
    model, _ = make_model()
    assert [type(layer) for layer in model] == [nn.Linear]


# --- any number of classes


@pytest.fixture
def outputs(monkeypatch):
    """How many outputs each head has that is trained."""
    found = []

    def fit(model, *arguments, **settings):
        found.append(model.output_layer.out_features)
        return original(model, *arguments, **settings)

    original = tuning.fit
    monkeypatch.setattr(tuning, "fit", fit)
    return found


def features_of(classes, times=2):
    targets = torch.tensor(list(classes) * times)
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.rand(len(targets), NUM_FEATURES, generator=generator), targets)


@pytest.mark.parametrize("num_classes", [1, 2, 3, 10, 12, 100])
@pytest.mark.parametrize("size_inner", [None, 5])
def test_heads_have_an_output_for_each_class(outputs, num_classes, size_inner):
    data = features_of(range(num_classes))
    (trial,) = sweep(data, data, sizes_inner=[size_inner], num_epochs=1)
    assert outputs == [num_classes]
    assert 0 <= trial.val_accuracy <= 1


def test_a_class_that_only_validation_has_gets_an_output(outputs):
    sweep(features_of([0, 1]), features_of([0, 1, 5]), num_epochs=1)
    sweep(features_of([0, 1, 5]), features_of([0, 1]), num_epochs=1)
    assert outputs == [6, 6]


def test_parts_of_a_dataset_are_swept_like_a_dataset(outputs):
    data = features_of(range(12), times=5)
    parts = random_split(data, [40, 20], torch.Generator().manual_seed(0))
    (of_parts,) = sweep(*parts, num_epochs=2)
    copies = [TensorDataset(*data[list(part.indices)]) for part in parts]
    (of_copies,) = sweep(*copies, num_epochs=2)
    assert of_parts.history.train_loss == of_copies.history.train_loss
    assert of_parts.val_accuracy == of_copies.val_accuracy
    nested = Subset(Subset(data, range(0, 60, 2)), range(20))
    sweep(nested, nested, num_epochs=1)
    assert outputs[:2] == [12, 12]


WRONG_DATA = {
    "no samples": (TensorDataset(torch.zeros(0, NUM_FEATURES), torch.zeros(0).long()), "is empty"),
    "photos": (TensorDataset(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1])), "extract_features()"),
    "other features": (TensorDataset(torch.zeros(2, 512), torch.tensor([0, 1])), "(512,)"),
    "pictures": ([("a picture", 0)], "got the shape ()"),
    "negative": (TensorDataset(torch.zeros(2, NUM_FEATURES), torch.tensor([0, -1])), "got -1"),
    "floats": (TensorDataset(torch.zeros(2, NUM_FEATURES), torch.tensor([0.5, 1])), "got 0.5"),
    "columns": (TensorDataset(torch.zeros(2, NUM_FEATURES), torch.zeros(2, 1).long()), "(2, 1)"),
}


@pytest.mark.parametrize("name", WRONG_DATA)
@pytest.mark.parametrize("part", ["train", "val"])
def test_data_that_cannot_be_swept_are_named(outputs, part, name):
    data, reason = WRONG_DATA[name]
    good = features_of([0, 1])
    with pytest.raises(ValueError) as caught:
        sweep(**{"train": good, "val": good, part: data})
    assert part in str(caught.value) and reason in str(caught.value)
    assert "must be" in str(caught.value) and str(caught.value).isprintable()
    assert not outputs, "nothing is trained"


# --- the explorer


@pytest.mark.filterwarnings("error")
def test_the_explorer_compares_heads_of_different_lengths(kept):
    trials = sweep(*kept, [0.001], num_epochs=1) + sweep(*kept, [0.01], num_epochs=4)
    rate, _, _, verdict, picture = grid_explorer(trials).children
    for trial in trials:
        rate.value = trial.learning_rate
        assert f"validation accuracy {trial.val_accuracy:.3f}" in verdict.value
        assert "<img" in picture.value


def test_the_explorer_shows_what_goes_wrong(trials):
    """An exception in a callback would show nowhere in a notebook."""
    history = dataclasses.replace(trials[-1].history, train_accuracy=[0.5])
    broken = dataclasses.replace(trials[-1], history=history)
    rate, size, dropout, verdict, picture = grid_explorer([*trials[:-1], broken]).children
    rate.value, size.value, dropout.value = 0.01, 4, 0.5
    assert "That did not work" in verdict.value and "ValueError" in verdict.value
    assert picture.value == ""
    dropout.value = 0.0
    assert "validation accuracy" in verdict.value
