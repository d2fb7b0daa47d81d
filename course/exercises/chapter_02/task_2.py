"""02.2 Unequal parts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course.exercises.task import Case, Task

Parts = Sequence[tuple[Tensor, Tensor]]


def gradient_in_parts(w: Tensor, parts: Parts) -> Tensor | None:
    """A mean is a sum divided by the number of samples. Each part therefore counts by its share of
    all samples."""
    total = sum(len(x) for x, _ in parts)
    for x, y in parts:
        loss = ((x * w - y) ** 2).mean()
        (loss * len(x) / total).backward()
    return w.grad


def gradient_of_sums(w: Tensor, parts: Parts) -> Tensor | None:
    """Sums may be added up as they are; one division at the end makes a mean of them."""
    for x, y in parts:
        ((x * w - y) ** 2).sum().backward()
    if w.grad is not None:
        w.grad /= sum(len(x) for x, _ in parts)
    return w.grad


def adds_the_means(w: Tensor, parts: Parts) -> Tensor | None:
    """You added up the gradients of all parts. Each is a mean already, so the sum is as many times
    too large as there are parts."""
    for x, y in parts:
        ((x * w - y) ** 2).mean().backward()
    return w.grad


def divides_by_the_number_of_parts(w: Tensor, parts: Parts) -> Tensor | None:
    """You divided by the number of parts. That is right for equal parts only: here a sample of a
    small part counts more than one of a large part."""
    for x, y in parts:
        (((x * w - y) ** 2).mean() / len(parts)).backward()
    return w.grad


def clears_in_between(w: Tensor, parts: Parts) -> Tensor | None:
    """The gradient was cleared between the parts, so only the last part is left of it."""
    total = sum(len(x) for x, _ in parts)
    for x, y in parts:
        w.grad = None
        (((x * w - y) ** 2).mean() * len(x) / total).backward()
    return w.grad


def gives_the_sum(w: Tensor, parts: Parts) -> Tensor | None:
    """That is the gradient of the sum of all squared errors. The loss is their mean."""
    for x, y in parts:
        ((x * w - y) ** 2).sum().backward()
    return w.grad


def some_parts(sizes: Sequence[int]) -> tuple[Tensor, Parts]:
    """A weight, and samples in parts of these sizes."""
    generator = torch.Generator().manual_seed(sum(sizes))
    x = torch.randn(sum(sizes), generator=generator)
    y = 3 * x + torch.randn(sum(sizes), generator=generator)
    parts = list(zip(x.split(list(sizes)), y.split(list(sizes)), strict=True))
    return torch.tensor(0.5, requires_grad=True), parts


TASK = Task(
    minutes=8,
    solutions=(gradient_in_parts, gradient_of_sums),
    mistakes=(
        adds_the_means,
        divides_by_the_number_of_parts,
        clears_in_between,
        gives_the_sum,
    ),
    hints=(
        "`backward()` adds to `w.grad`. What has to be added up so that the sum is the whole mean?",
        "A mean is a sum divided by how many? A part with 20 of 32 samples has 20/32 of the say.",
    ),
    cases=(
        Case(lambda: some_parts((20, 8, 4)), is_example=True),
        Case(lambda: some_parts((1, 7))),
        Case(lambda: some_parts((3, 3, 2, 5))),
    ),
)
