"""02.3 Fit a parabola."""

import torch
from torch import Tensor

from course.exercises.task import Case, Task

RATE = 0.1
NUM_STEPS = 1000


def fit_parabola(x: Tensor, y: Tensor) -> Tensor:
    """The loop is the one of the straight line. It asks for the loss alone, so it does not matter
    that there are three parameters."""
    w = torch.zeros(3, requires_grad=True)
    for _ in range(NUM_STEPS):
        loss = ((w[0] * x**2 + w[1] * x + w[2] - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= RATE * w.grad
        w.grad = None
    return w.detach()


def fit_parabola_with_sgd(x: Tensor, y: Tensor) -> Tensor:
    """The same with an optimizer, which does the step and the clearing."""
    a, b, c = (torch.zeros(1, requires_grad=True) for _ in range(3))
    optimizer = torch.optim.SGD([a, b, c], lr=RATE)
    for _ in range(NUM_STEPS):
        optimizer.zero_grad()
        ((a * x**2 + b * x + c - y) ** 2).mean().backward()
        optimizer.step()
    return torch.cat([a, b, c]).detach()


def never_clears(x: Tensor, y: Tensor) -> Tensor:
    """The gradients of all earlier steps are still in the sum, so the numbers swing to and fro.
    Clear them once per step."""
    w = torch.zeros(3, requires_grad=True)
    for _ in range(NUM_STEPS):
        ((w[0] * x**2 + w[1] * x + w[2] - y) ** 2).mean().backward()
        with torch.no_grad():
            w -= RATE * w.grad
    return w.detach()


def goes_uphill(x: Tensor, y: Tensor) -> Tensor:
    """The loss grows without end: a step goes against the gradient, not along it."""
    w = torch.zeros(3, requires_grad=True)
    for _ in range(NUM_STEPS):
        w.grad = None
        ((w[0] * x**2 + w[1] * x + w[2] - y) ** 2).mean().backward()
        with torch.no_grad():
            w += RATE * w.grad
    return w.detach()


def never_steps(x: Tensor, y: Tensor) -> Tensor:
    """All three numbers are still zero: nothing has moved them."""
    return torch.zeros(3)


def fits_a_line(x: Tensor, y: Tensor) -> Tensor:
    """The first number is zero, so this is the best straight line. Does the prediction contain the
    square of `x`?"""
    w = torch.zeros(3, requires_grad=True)
    for _ in range(NUM_STEPS):
        w.grad = None
        ((w[1] * x + w[2] - y) ** 2).mean().backward()
        with torch.no_grad():
            w -= RATE * w.grad
    return w.detach()


def stops_early(x: Tensor, y: Tensor) -> Tensor:
    """The numbers are on their way and not there yet: more steps, or larger ones."""
    w = torch.zeros(3, requires_grad=True)
    for _ in range(20):
        w.grad = None
        ((w[0] * x**2 + w[1] * x + w[2] - y) ** 2).mean().backward()
        with torch.no_grad():
            w -= RATE * w.grad
    return w.detach()


def turned_round(x: Tensor, y: Tensor) -> Tensor:
    """The three numbers are right, in another order: a belongs to the square, c stands alone."""
    return fit_parabola(x, y).flip(0)


def points_on_a_parabola(a: float, b: float, c: float, num: int) -> tuple[Tensor, Tensor]:
    """Points of a parabola with a little noise."""
    generator = torch.Generator().manual_seed(num)
    x = torch.linspace(-1.5, 1.5, num)
    return x, a * x**2 + b * x + c + 0.05 * torch.randn(num, generator=generator)


TASK = Task(
    minutes=10,
    solutions=(fit_parabola, fit_parabola_with_sgd),
    mistakes=(never_clears, goes_uphill, never_steps, fits_a_line, stops_early, turned_round),
    hints=(
        "The five lines are those of the straight line: predict, loss, backward, step, clear.",
        "Begin with three zeros that require a gradient. A rate of 0.1 and 1,000 steps suffice.",
    ),
    cases=(
        Case(lambda: points_on_a_parabola(2.0, -1.0, 0.5, 60), is_example=True),
        Case(lambda: points_on_a_parabola(-1.0, 0.5, 3.0, 40)),
    ),
    relative=5e-3,
)
