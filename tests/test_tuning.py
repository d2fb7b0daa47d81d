"""The sweep trains what it says, reports wrong settings first, and can be explored."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

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
