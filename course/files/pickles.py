"""What the pickle in a file of ``torch.save()`` would do, found out without doing it.

A pickle is a program for a small machine with a stack. It can name any function and call it, which
is how a file runs a stranger's code. ``torch.load(weights_only=True)`` allows a list of names. The
list here is shorter, and it is also looked at what is *called*: `UntypedStorage` is a kind of
memory that a tensor may have, but as a function it takes as much memory as the file wishes.
"""

import pickletools
from dataclasses import dataclass

import torch

ORDERED_DICT = "collections OrderedDict"
CALLABLE = {
    ORDERED_DICT,
    "collections Counter",  # the milestones of a scheduler
    "torch Size",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",  # for the younger dtypes, such as torch.uint16
    "torch._utils _rebuild_parameter",
}
NAMEABLE = {f"torch {name}" for name in vars(torch) if name.endswith("Storage")}
NAMEABLE |= {
    f"torch {name}" for name, value in vars(torch).items() if isinstance(value, torch.dtype)
}
NAMEABLE |= {"torch.storage UntypedStorage"} | CALLABLE

FILLING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"}  # the filled thing stays there
OPCODES = FILLING | {
    "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT",
    "GLOBAL", "REDUCE", "BINPERSID",
}  # fmt: skip
MAX_VALUES = 500_000  # in one tuple and the tuples in it


class PickleError(ValueError):
    """A pickle asks for more than tensors in lists and dictionaries."""


@dataclass(frozen=True)
class Value:
    """What lies on the stack: what is known of it, and how many values a tuple holds in all."""

    what: str = ""
    size: int = 1


MARK = Value("mark")
DATA = Value()


def names_in(program: bytes) -> set[str]:
    """The functions and classes that a pickle names, such as "collections OrderedDict"."""
    operations = pickletools.genops(program)
    return {str(argument) for opcode, argument, _ in operations if opcode.name == "GLOBAL"}


def check_pickle(program: bytes) -> None:
    """Follow a pickle step by step and raise a PickleError before its first unusual one.

    Only names are followed. All other values are alike to this machine, so that nothing that a
    file contains can pass for a name.
    """
    stack: list[Value] = []
    memo: dict[int, Value] = {}
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.name not in OPCODES:
            raise PickleError("holds a pickle with instructions that torch.save() does not write")
        inputs = _taken(stack, opcode)
        if opcode.name in ("BINPUT", "LONG_BINPUT"):
            memo[int(argument or 0)] = stack[-1]
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument or 0)])
        elif opcode.stack_after:
            stack.append(_result(opcode.name, argument, inputs))


def _taken(stack: list[Value], opcode: pickletools.OpcodeInfo) -> list[Value]:
    """Take from the stack what an operation uses up."""
    number = len(opcode.stack_before)
    top: list[Value] = []
    if pickletools.markobject in opcode.stack_before:
        number = opcode.stack_before.index(pickletools.markobject)
        while (value := stack.pop()) is not MARK:
            top.append(value)
    if number > len(stack):
        raise PickleError("holds a pickle that is damaged")
    start = len(stack) - number
    below = stack[start:]
    del stack[start:]
    return below + top


def _result(name: str, argument: object, inputs: list[Value]) -> Value:
    """What an operation leaves on the stack."""
    if name == "MARK":
        return MARK
    if name == "GLOBAL":
        return Value(str(argument))
    if name == "REDUCE":
        return _called(inputs[0].what)
    if name == "BUILD" and inputs[0].what != f"made by {ORDERED_DICT}":
        raise PickleError("sets the attributes of something that has none")
    if name in FILLING:
        return inputs[0]
    if name.startswith("TUPLE"):
        return _tuple_of(inputs)
    return DATA


def _called(function: str) -> Value:
    if function not in CALLABLE:
        raise PickleError(f"calls {function!r:.80}, which no tensor needs")
    return Value(f"made by {function}")


def _tuple_of(inputs: list[Value]) -> Value:
    """A tuple of tuples of tuples can be short in the file and take for ever to be hashed."""
    size = 1 + sum(value.size for value in inputs)
    if size > MAX_VALUES:
        problem = f"would grow while loading (a tuple of more than {MAX_VALUES:,} values)"
        raise PickleError(f"{problem}: keep long lists of numbers as tensors")
    return Value("", size)
