"""How much slower training gets when a second training runs beside it, on the same processors.

    python tests/benchmarks/crowded.py

About two and a half minutes on two cores. It means something only while nothing else runs.

Threads of libgomp spin while they wait. `course.waiting` shortens that while others want the
processors. Each line of the output is one setting; "as it is" means libgomp without the course:

    alone      milliseconds per step of one training
    cost       the same, as a ratio to libgomp as it is
    two        milliseconds per step of each of two trainings at once
    slower     two, as a ratio to alone

Other settings can be measured beside them:

    python tests/benchmarks/crowded.py --spincounts 1000 --policies passive

A training that has just got company, or lost it, is noticed within half a second, which does not
count here.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

NAMES = ("MLP", "CNN")
BATCH_SIZE = 64
BAR_TWO, BAR_ALONE = 2.3, 1.05
UNWATCHED, WATCHED = "as it is", "course.waiting"
WARM_UP = 0.5  # seconds of each training that do not count


# --- What a worker does: train for some seconds each time it is asked to


def until(deadline: float, batches: Iterable[Any], seconds: list[float]) -> Iterator[Any]:
    """Give batches until `deadline`; on the way, note the seconds from one to the next."""
    start = time.perf_counter()
    counts_from = start + WARM_UP
    while start < deadline:
        for batch in batches:
            yield batch
            now = time.perf_counter()
            if start > counts_from:
                seconds.append(now - start)
            start = now
            if now > deadline:
                return


def work(setting: str) -> None:
    """Read lines such as ``CNN 3.0`` and answer each with the seconds per step of a training."""
    import torch  # what the environment says about libgomp holds from now on

    if setting != WATCHED:
        os.environ.setdefault("GOMP_SPINCOUNT", "")  # somebody has chosen: the course leaves it
    from torch import nn
    from torch.utils.data import TensorDataset

    from course import models
    from course.data import fashion_mnist_tensors, make_loaders
    from course.training import train_one_epoch

    torch.manual_seed(0)
    pictures = TensorDataset(*fashion_mnist_tensors(train=True)[:6400])
    loader, _ = make_loaders(pictures, pictures, BATCH_SIZE)
    networks: dict[str, Any] = {
        "MLP": models.MLP(),
        "CNN": models.CNN().to(memory_format=torch.channels_last),
    }
    optimizers = {name: torch.optim.Adam(networks[name].parameters()) for name in NAMES}
    print("ready", flush=True)

    for line in sys.stdin:
        name, duration = line.split()
        seconds: list[float] = []
        batches = until(time.perf_counter() + float(duration), loader, seconds)
        train_one_epoch(networks[name], batches, nn.CrossEntropyLoss(), optimizers[name])
        print(statistics.mean(seconds), flush=True)


# --- What the measuring process does: ask one worker, or two at once


def start_worker(stack: ExitStack, setting: str, environment: dict[str, str]) -> Any:
    """Start a process that trains when asked; it ends with `stack`."""
    ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    worker = subprocess.Popen(
        [sys.executable, __file__, "--work", setting],
        env=inherited | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(worker)  # closes its input, which ends it, and waits
    assert worker.stdout is not None
    if worker.stdout.readline() != "ready\n":
        sys.exit("a worker did not start: see above")
    return worker


def milliseconds(workers: list[Any], name: str, duration: float) -> float:
    """Let all `workers` train at once; returns the mean time of a step."""
    for worker in workers:
        worker.stdin.write(f"{name} {duration}\n")
        worker.stdin.flush()
    return 1000 * statistics.mean(float(worker.stdout.readline()) for worker in workers)


def measure(
    settings: dict[str, dict[str, str]], num_rounds: int, duration: float
) -> dict[tuple[str, str, int], list[float]]:
    """Milliseconds per step in each round; keys are a network, a setting and 1 or 2 trainings.

    All settings take turns within a round, so that a slow minute of the machine meets all of them.
    """
    measured = defaultdict(list)
    with ExitStack() as stack:
        workers = {
            setting: [start_worker(stack, setting, environment) for _ in range(2)]
            for setting, environment in settings.items()
        }
        for number in range(num_rounds + 1):
            order = list(settings) if number % 2 else list(reversed(settings))
            for name in NAMES:
                for setting in order:
                    for count in (1, 2):
                        value = milliseconds(workers[setting][:count], name, duration)
                        if number:  # the first round warms up
                            measured[name, setting, count].append(value)
            print(f"round {number} of {num_rounds}", file=sys.stderr, flush=True)
    return measured


def verdict(ratio: float, bar: float) -> str:
    relation = "at most" if ratio <= bar else "ABOVE"
    return f"{ratio:.2f} ({relation} {bar})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each training")
    parser.add_argument("--spincounts", nargs="*", default=[], help="settings to measure")
    parser.add_argument("--policies", nargs="*", default=[], help="such as passive")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return

    settings: dict[str, dict[str, str]] = {UNWATCHED: {}, WATCHED: {}}
    settings |= {f"GOMP_SPINCOUNT={v}": {"GOMP_SPINCOUNT": v} for v in options.spincounts}
    settings |= {f"OMP_WAIT_POLICY={v}": {"OMP_WAIT_POLICY": v} for v in options.policies}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} processors, load before: {load:.2f}")
    measured = measure(settings, options.rounds, options.seconds)

    print(f"\n{'':30}{'alone':>9}  {'cost':21}{'two':>9}  slower")
    for name in NAMES:
        usual = statistics.median(measured[name, UNWATCHED, 1])
        for setting in settings:
            alone = statistics.median(measured[name, setting, 1])
            two = statistics.median(measured[name, setting, 2])
            cost = verdict(alone / usual, BAR_ALONE)
            slower = verdict(two / alone, BAR_TWO)
            print(f"{name}  {setting:25}{alone:6.2f} ms  {cost:21}{two:6.2f} ms  {slower}")


if __name__ == "__main__":
    main()
