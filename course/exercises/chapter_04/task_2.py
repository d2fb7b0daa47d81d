"""04.2 Cross-entropy that survives."""

import torch
from torch import Tensor
from torch.nn import functional as F

from course.exercises.task import Case, Task


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Subtracting the largest logit of a row changes no probability, and no power of e grows beyond
    1."""
    shifted = logits - logits.max(dim=1, keepdim=True).values
    log_sum = shifted.exp().sum(dim=1).log()
    right = shifted[torch.arange(len(targets)), targets]
    return (log_sum - right).mean()


def cross_entropy_with_logsumexp(logits: Tensor, targets: Tensor) -> Tensor:
    """`logsumexp` takes the largest out by itself."""
    right = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
    return (logits.logsumexp(dim=1) - right).mean()


def takes_the_log_of_a_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    """Small logits are right, large ones end in inf: softmax rounds a small probability to 0, and
    its logarithm is infinite."""
    probabilities = logits.softmax(dim=1)
    return -probabilities[torch.arange(len(targets)), targets].log().mean()


def overflows(logits: Tensor, targets: Tensor) -> Tensor:
    """Small logits are right, large ones give nan or inf: e to the power of 1,000 is larger than
    any float32."""
    powers = logits.exp()
    right = powers[torch.arange(len(targets)), targets]
    return -(right / powers.sum(dim=1)).log().mean()


def sums_over_samples(logits: Tensor, targets: Tensor) -> Tensor:
    """You added up the losses of all samples. Take their mean, so that a larger batch has no larger
    loss."""
    return F.cross_entropy(logits, targets, reduction="sum")


def takes_softmax_over_samples(logits: Tensor, targets: Tensor) -> Tensor:
    """You took the softmax over the samples, dimension 0. The classes of one sample compete, and
    they lie along dimension 1."""
    return F.nll_loss(logits.log_softmax(dim=0), targets)


def forgets_the_minus(logits: Tensor, targets: Tensor) -> Tensor:
    """The sign is wrong: a logarithm of a probability is negative, and a loss is not."""
    return -F.cross_entropy(logits, targets)


def takes_softmax_twice(logits: Tensor, targets: Tensor) -> Tensor:
    """Softmax was applied twice, so even a perfect answer has a loss far above zero."""
    return F.cross_entropy(logits.softmax(dim=1), targets)


def some_logits(num: int, num_classes: int, scale: float) -> tuple[Tensor, Tensor]:
    """Logits ``(num, num_classes)`` and targets of this size and scale."""
    generator = torch.Generator().manual_seed(num * num_classes)
    logits = scale * torch.randn(num, num_classes, generator=generator)
    return logits, torch.randint(num_classes, (num,), generator=generator)


def huge_logits() -> tuple[Tensor, Tensor]:
    """Two samples: a right one and a wrong one, both very sure."""
    return torch.tensor([[1000.0, 0.0], [1000.0, 0.0]]), torch.tensor([0, 1])


TASK = Task(
    minutes=10,
    solutions=(cross_entropy, cross_entropy_with_logsumexp),
    mistakes=(
        takes_the_log_of_a_softmax,
        overflows,
        sums_over_samples,
        takes_softmax_over_samples,
        forgets_the_minus,
        takes_softmax_twice,
    ),
    hints=(
        "Write -log(softmax) with a logarithm of a quotient: the right logit and a sum remain.",
        "Before any power of e, subtract the largest logit of the row from the whole row.",
    ),
    cases=(
        Case(lambda: some_logits(6, 10, 1.0), is_example=True),
        Case(lambda: some_logits(4, 4, 3.0)),
        Case(lambda: some_logits(3, 2, 1.0)),
        Case(huge_logits),
    ),
)
