"""The loop: equal to the same loop written bare, with honest means and clear errors."""

import copy
import time
from itertools import islice

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course.training import History, evaluate, fit, predict, train_one_epoch


def make_data(num_samples=70, seed=0):
    """Three classes that four numbers nearly tell apart; 70 leaves a short last batch of 6."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(num_samples) % 3
    inputs = torch.randn(num_samples, 4, generator=generator) + 2 * targets.unsqueeze(1)
    return TensorDataset(inputs, targets)


def make_model(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def shuffled(dataset, batch_size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(dataset, batch_size, shuffle=True, generator=generator)


def in_order(dataset, batch_size=32):
    return DataLoader(dataset, batch_size)


def empty():
    return DataLoader(TensorDataset(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)))


@pytest.mark.parametrize("optimizer_class", [torch.optim.SGD, torch.optim.Adam])
def test_fit_equals_the_bare_loop_to_the_last_bit(optimizer_class):
    data, criterion = make_data(), nn.CrossEntropyLoss()

    model = make_model(dropout=0.5)
    optimizer = optimizer_class(model.parameters(), lr=0.01)
    torch.manual_seed(1)  # for dropout
    fit(model, optimizer, shuffled(data), in_order(data), num_epochs=3, progress=False)

    bare = make_model(dropout=0.5)
    optimizer = optimizer_class(bare.parameters(), lr=0.01)
    torch.manual_seed(1)
    loader = shuffled(data)
    val_loader = in_order(data)
    for _ in range(3):
        bare.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            criterion(bare(inputs), targets).backward()
            optimizer.step()
        for _batch in val_loader:  # a DataLoader draws a seed each time it is walked through
            pass

    for ours, theirs in zip(model.parameters(), bare.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("batch_size", [1, 32, 70, 100])
@pytest.mark.parametrize("criterion", [None, nn.CrossEntropyLoss(label_smoothing=0.2)])
@pytest.mark.parametrize("scheduled", [False, True])
def test_what_fit_measures_equals_a_loop_that_measures_after_every_batch(
    batch_size, criterion, scheduled
):
    """To the last bit: losses are added up as Python's numbers, one batch after the other."""
    data, val_data = make_data(), make_data(seed=1)
    num_steps = 2 * -(-len(data) // batch_size)

    def start():
        model = make_model(dropout=0.5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=num_steps)
        torch.manual_seed(1)  # for dropout
        loaders = shuffled(data, batch_size), in_order(val_data, batch_size)
        return model, optimizer, *loaders, rate if scheduled else None

    *arguments, scheduler = start()
    settings = {"num_epochs": 2, "progress": False, "scheduler": scheduler}
    history = fit(*arguments, criterion, **settings)

    model, optimizer, loader, val_loader, scheduler = start()
    measure = criterion or nn.CrossEntropyLoss()
    for epoch in range(2):
        model.train()
        total_loss, correct = 0.0, 0
        for inputs, targets in loader:
            optimizer.zero_grad()
            logits = model(inputs)
            loss = measure(logits, targets)
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            total_loss += loss.item() * len(targets)
            correct += (logits.argmax(dim=1) == targets).sum().item()
        assert history.train_loss[epoch] == total_loss / len(data)
        assert history.train_accuracy[epoch] == correct / len(data)

        model.eval()
        with torch.no_grad():
            logits = torch.cat([model(inputs) for inputs, _ in val_loader])
        targets = val_data.tensors[1]
        assert history.val_loss[epoch] == measure(logits, targets).item()
        hits = (logits.argmax(dim=1) == targets).sum().item()
        assert history.val_accuracy[epoch] == hits / len(val_data)


def test_a_loader_is_anything_that_gives_batches():
    """Also what can be walked through only once, such as the first batches of a loader."""
    data, criterion = make_data(), nn.CrossEntropyLoss()
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    loss, accuracy = train_one_epoch(model, islice(in_order(data), 2), criterion, optimizer)
    expected = evaluate(model, islice(in_order(data), 2), criterion)
    assert loss == pytest.approx(expected[0])
    assert accuracy == expected[1]
    logits, targets = predict(model, iter([(data.tensors[0], data.tensors[1])]))
    assert len(logits) == len(targets) == len(data)


def test_the_scheduler_steps_after_each_batch():
    data, model = make_data(), make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    rates = []
    optimizer.register_step_post_hook(
        lambda optimizer, args, kwargs: rates.append(optimizer.param_groups[0]["lr"])
    )
    loader = in_order(data)
    fit(model, optimizer, loader, loader, num_epochs=2, progress=False, scheduler=scheduler)
    assert rates == [0.1 * 0.5**step for step in range(6)]  # the first step has the first rate
    assert scheduler.get_last_lr() == [0.1 * 0.5**6]


def test_the_loss_is_a_mean_over_samples_also_with_a_short_last_batch():
    data, model, criterion = make_data(), make_model().eval(), nn.CrossEntropyLoss()
    inputs, targets = data.tensors
    with torch.no_grad():
        logits = model(inputs)
    loss, accuracy = evaluate(model, in_order(data), criterion)
    assert loss == pytest.approx(criterion(logits, targets).item(), abs=1e-6)
    assert accuracy == pytest.approx((logits.argmax(dim=1) == targets).float().mean().item())
    over_batches = [criterion(model(x), y).item() for x, y in in_order(data)]
    assert abs(sum(over_batches) / len(over_batches) - loss) > 1e-4


def test_training_reports_the_mean_over_samples_too():
    data, model, criterion = make_data(), make_model(), nn.CrossEntropyLoss()
    inputs, targets = data.tensors
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # the weights stay as they are
    expected = criterion(model(inputs), targets).item()
    loss, accuracy = train_one_epoch(model, shuffled(data), criterion, optimizer)
    assert loss == pytest.approx(expected, abs=1e-6)
    assert accuracy == pytest.approx((model(inputs).argmax(1) == targets).float().mean().item())


def test_training_learns_and_the_history_has_one_number_per_epoch():
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    history = fit(
        model,
        optimizer,
        shuffled(make_data()),
        in_order(make_data(seed=1)),
        num_epochs=12,
        progress=False,
    )
    assert {len(values) for values in vars(history).values()} == {12}
    assert history.train_loss[-1] < history.train_loss[0] / 2
    assert history.val_accuracy[-1] > 0.8
    assert all(seconds > 0 for seconds in history.seconds)


def test_a_history_takes_one_number_of_each_kind_per_epoch():
    history = History()
    history.add(2.0, 0.1, 2.5, 0.2, seconds=3.0)
    history.add(1.0, 0.3, 1.5, 0.4, seconds=4.0)
    assert vars(history) == {
        "train_loss": [2.0, 1.0],
        "train_accuracy": [0.1, 0.3],
        "val_loss": [2.5, 1.5],
        "val_accuracy": [0.2, 0.4],
        "seconds": [3.0, 4.0],
    }
    assert History() == History([], [], [], [], [])  # each has lists of its own


def test_the_criterion_that_is_given_is_used():
    data, model = make_data(), make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    smoothed = nn.CrossEntropyLoss(label_smoothing=0.5)
    loader = in_order(data)
    history = fit(model, optimizer, loader, loader, smoothed, num_epochs=1, progress=False)
    assert history.val_loss[0] == pytest.approx(evaluate(model, loader, smoothed)[0])
    assert history.val_loss[0] != pytest.approx(evaluate(model, loader, nn.CrossEntropyLoss())[0])


def test_each_phase_sets_its_mode_and_fit_ends_in_evaluation_mode():
    data, model = make_data(), make_model()
    seen = []
    model.register_forward_hook(
        lambda module, inputs, output: seen.append((module.training, output.requires_grad))
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, optimizer, shuffled(data), in_order(data), num_epochs=2, progress=False)
    assert (
        seen
        == [(True, True)] * 3 + [(False, False)] * 3 + [(True, True)] * 3 + [(False, False)] * 3
    )
    assert not model.training


def test_evaluate_and_predict_change_nothing():
    data = make_data()
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    before = copy.deepcopy(model.state_dict())
    evaluate(model, in_order(data), nn.CrossEntropyLoss())
    predict(model, in_order(data))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())


def test_predict_keeps_the_order_and_gives_logits():
    data, model = make_data(), make_model().eval()
    logits, targets = predict(model, in_order(data))
    assert logits.shape == (70, 3)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    assert torch.equal(targets, data.tensors[1])
    torch.testing.assert_close(logits, model(data.tensors[0]).detach())


def test_the_progress_bar_counts_batches(capsys):
    data, model = make_data(), make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, optimizer, shuffled(data), in_order(data), num_epochs=2)
    said = capsys.readouterr().err
    assert "6/6" in said  # 2 epochs of 3 batches
    assert "epoch 2/2" in said
    assert "val_loss=" in said and "val_accuracy=" in said


def test_without_progress_nothing_is_printed(capsys):
    data, model = make_data(), make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, optimizer, shuffled(data), in_order(data), num_epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_progress_bar_is_redrawn_now_and_then_and_not_at_every_batch(capsys):
    """In a notebook, each time costs as much as several steps of a small network."""
    data, model = make_data(num_samples=600), make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = time.perf_counter()
    fit(model, optimizer, shuffled(data, batch_size=2), in_order(data), num_epochs=2)
    seconds = time.perf_counter() - start
    # At the start, at the end, twice per epoch for its title and its result, and with time.
    assert capsys.readouterr().err.count("\r") <= 2 + 2 * 2 + 2 * seconds + 1


def test_errors_say_what_to_do():
    data, model = make_data(), make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss()
    with pytest.raises(ValueError, match="num_epochs must be at least 1, got 0"):
        fit(model, optimizer, shuffled(data), in_order(data), num_epochs=0)
    with pytest.raises(ValueError, match="no sample: check that its dataset is not empty"):
        train_one_epoch(model, empty(), criterion, optimizer)
    with pytest.raises(ValueError, match="no sample: check that its dataset is not empty"):
        evaluate(model, empty(), criterion)
    with pytest.raises(ValueError, match="no sample: check that its dataset is not empty"):
        predict(model, empty())
