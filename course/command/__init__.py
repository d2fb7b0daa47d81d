"""The command ``course``: what is better done in a terminal than in a notebook.

`main` is where it starts and how it ends, `parser` says what can be typed, and `commands` leads
from there to one module for each command: `download`, `doctor`, `lab`, `predict`, `train`.

`train` is the example of notebook 13. What it needs stands around it: `settings` (what was asked
for), `ranks` (which of several processes this is), `runs` (the folder of a run), `pictures` (what
it learns from), `prepare` (all that is ready before the first batch), `notes` (what is written down
about a run), `processes` (sharing the work), `curves` (TensorBoard).

Four modules keep the command well-behaved in a terminal, in a pipe and under a scheduler:
`signals`, `streams`, `lines` and `errors`.
"""
