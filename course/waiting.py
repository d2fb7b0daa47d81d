"""How long torch's threads wait for work: long while the processors are free, briefly if not.

On Linux torch computes with the threads of libgomp. Between two operations a thread spins: it looks
again and again whether there is work. That is the fastest way to wait as long as nobody else wants
the processor. With two trainings on one machine, however, each spins while the other one waits, and
a step takes four to twenty times as long. `GOMP_SPINCOUNT` shortens the waiting from the start, but
then a step of a small network takes 1.4 times as long when it is alone.

So we look five times per second at how long the threads of this process have wanted a processor and
did not get one. If that is long, libgomp is made to wait briefly, until it is short again. There is
no function for that. But libgomp waits briefly while a program has more threads than the machine
has processors (``do_spin`` in its file config/linux/wait.h), and a second team of threads, which
sleeps, is enough. The number of threads that compute stays the same, and so do all results.

Measured by tests/benchmarks/crowded.py.
"""

import ctypes
import os
import threading
import time
from pathlib import Path

CHOSEN_BY_USER = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
TASKS = Path("/proc/self/task")  # one folder for each thread of this process
MAPS = Path("/proc/self/maps")  # the files that this process has loaded
INTERVAL = 0.2  # seconds
CROWDED = 0.1  # seconds without a processor, of all threads together, per second


def start_watching() -> None:
    """Watch this process from now on, unless the user has chosen how libgomp waits.

    Nothing happens where the system does not tell how long a thread has waited for a processor.
    """
    if any(name in os.environ for name in CHOSEN_BY_USER) or not _delays():
        return
    threading.Thread(target=_watch, name="course.waiting", daemon=True).start()


def _watch() -> None:
    """Keep a second team of threads while it is crowded."""
    dismiss: threading.Event | None = None
    before, start = _delays(), time.perf_counter()
    while True:
        time.sleep(INTERVAL)
        now, end = _delays(), time.perf_counter()
        delay = sum(now[task] - before.get(task, now[task]) for task in now)
        crowded = delay > CROWDED * (end - start)
        before, start = now, end

        if crowded and dismiss is None:
            dismiss = threading.Event()
            threading.Thread(target=_keep_team, args=(dismiss,), daemon=True).start()
        elif dismiss is not None and not crowded:
            dismiss.set()
            dismiss = None


def _delays() -> dict[str, float]:
    """For each thread of this process the seconds for which it had to wait for a processor."""
    delays = {}
    try:
        tasks = os.listdir(TASKS)
    except OSError:  # not Linux
        return {}
    for task in tasks:
        try:
            # "running, waiting for a processor, number of turns"; the first two in nanoseconds
            numbers = (TASKS / task / "schedstat").read_text(encoding="utf-8").split()
            delays[task] = int(numbers[1]) / 1e9
        except (OSError, IndexError):  # the thread has ended, or the system does not count
            continue
    return delays


def _keep_team(dismiss: threading.Event) -> None:
    """Have a team of libgomp's threads that sleep until `dismiss` is set."""
    for library in _loaded_libgomp():
        # All threads of the team call ``free(NULL)``, which does nothing.
        library.GOMP_parallel(ctypes.CDLL(None).free, None, 0, 0)
    dismiss.wait()


def _loaded_libgomp() -> list[ctypes.CDLL]:
    """The copies of libgomp that this process has loaded: torch brings its own."""
    lines = MAPS.read_text(encoding="utf-8").splitlines()
    files = {Path(line.split(maxsplit=5)[5]) for line in lines if "libgomp" in line}
    # Other libraries may lie in a folder of that name. One that was replaced is "(deleted)".
    found = sorted(file for file in files if file.name.startswith("libgomp") and file.exists())
    return [ctypes.CDLL(str(file)) for file in found]
