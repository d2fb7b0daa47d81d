"""04.1 Count before you run."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from course.exercises.task import Case, Task


def count_parameters(sizes: Sequence[int]) -> int:
    """A linear layer has a weight per pair of an input and an output, and a bias per output."""
    return sum(inputs * outputs + outputs for inputs, outputs in pairwise(sizes))


def count_by_building(sizes: Sequence[int]) -> int:
    """torch counts, too: build the layers and add up their parameters."""
    layers = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]
    return sum(p.numel() for layer in layers for p in layer.parameters())


def forgets_the_biases(sizes: Sequence[int]) -> int:
    """You counted the weights. Each output has a bias besides."""
    return sum(inputs * outputs for inputs, outputs in pairwise(sizes))


def gives_inputs_a_bias(sizes: Sequence[int]) -> int:
    """You gave a bias to every input. A bias is added to an output."""
    return sum(inputs * outputs + inputs for inputs, outputs in pairwise(sizes))


def one_bias_per_layer(sizes: Sequence[int]) -> int:
    """You gave each layer one bias. It has one per output."""
    return sum(inputs * outputs + 1 for inputs, outputs in pairwise(sizes))


def only_the_first_layer(sizes: Sequence[int]) -> int:
    """You counted the first layer alone. How many layers lie between these sizes?"""
    return sizes[0] * sizes[1] + sizes[1]


def counts_units(sizes: Sequence[int]) -> int:
    """You counted the units. What is learned are the numbers between them."""
    return sum(sizes)


TASK = Task(
    minutes=5,
    solutions=(count_parameters, count_by_building),
    mistakes=(
        forgets_the_biases,
        gives_inputs_a_bias,
        one_bias_per_layer,
        only_the_first_layer,
        counts_units,
    ),
    hints=(
        "Begin with one layer, from 3 inputs to 2 outputs: how many arrows, how many biases?",
        "`zip(sizes, sizes[1:])` gives the inputs and outputs of each layer.",
    ),
    cases=(
        Case(lambda: ([784, 256, 64, 10],), is_example=True),
        Case(lambda: ([3, 2],)),
        Case(lambda: ([5, 7, 4],)),
    ),
)
