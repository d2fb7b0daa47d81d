"""Two trainings on one machine: libgomp's threads wait briefly while others want the processors.

What it is worth is measured by tests/benchmarks/crowded.py.
"""

import hashlib
import os
import sys
import threading
import time

import pytest

from course import waiting
from new_python import run_python

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch has no libgomp")


def output_of(code, **settings):
    """The words that a new Python with two computing threads prints."""
    settings = {"OMP_NUM_THREADS": "2"} | settings
    return run_python(code, remove=waiting.CHOSEN_BY_USER, **settings).split()


# --- Whether it watches

IS_WATCHED = """
import course, threading
print(any(thread.name == "course.waiting" for thread in threading.enumerate()))
"""


@on_linux
def test_importing_the_course_watches_where_the_system_counts():
    assert output_of(IS_WATCHED) == [str(bool(waiting._delays()))]


@pytest.mark.parametrize("name", waiting.CHOSEN_BY_USER)
def test_who_has_chosen_how_libgomp_waits_keeps_it(name):
    assert output_of(IS_WATCHED, **{name: "passive" if "POLICY" in name else "77"}) == ["False"]


def test_nothing_happens_where_the_system_does_not_count(monkeypatch, tmp_path):
    for name in waiting.CHOSEN_BY_USER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(waiting, "TASKS", tmp_path / "missing")
    monkeypatch.setattr(waiting, "_watch", lambda: pytest.fail("it watches"))
    waiting.start_watching()
    (tmp_path / "7").mkdir()
    monkeypatch.setattr(waiting, "TASKS", tmp_path)
    assert waiting._delays() == {}


# --- When a second team of threads is kept


class StoryIsOverError(Exception):
    pass


def teams_after(monkeypatch, delays):
    """How many second teams there are after each look at `delays`, in seconds per thread."""
    looks = iter(delays)
    clock = iter(range(100))
    kept, counts = [], []

    class Thread:
        def __init__(self, target, args, daemon):
            assert target is waiting._keep_team
            assert daemon, "it must not hold up the end of the program"
            kept.append(args[0])

        def start(self):
            pass

    def next_look():
        counts.append(sum(not dismiss.is_set() for dismiss in kept))
        try:
            return next(looks)
        except StopIteration:
            raise StoryIsOverError from None

    monkeypatch.setattr(waiting, "_delays", next_look)
    monkeypatch.setattr(waiting.threading, "Thread", Thread)
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(waiting.time, "perf_counter", lambda: next(clock))
    with pytest.raises(StoryIsOverError):
        waiting._watch()
    return counts[2:]


@pytest.mark.parametrize(
    ("delays", "expected"),
    [
        ([{"1": 0.0}, {"1": 0.05}, {"1": 0.1}], [0, 0]),
        ([{"1": 5.0}, {"1": 5.5}, {"1": 6.0}], [1, 1]),
        ([{"1": 0.0}, {"1": 0.5}, {"1": 0.5}, {"1": 0.9}], [1, 0, 1]),
        ([{"1": 0.0, "2": 0.0}, {"1": 0.08, "2": 0.08}], [1]),
        ([{"1": 0.0}, {"1": 0.0, "2": 9.0}], [0]),
        ([{"1": 0.0, "2": 9.0}, {"1": 0.5}], [1]),
        ([{"1": 0.0}, {}, {"1": 9.0}], [0, 0]),
    ],
    ids=["free", "crowded", "comes and goes", "together", "new thread", "ended", "unreadable"],
)
def test_a_second_team_is_kept_while_threads_wait(monkeypatch, delays, expected):
    assert teams_after(monkeypatch, delays) == expected


# --- What a second team does

MAPS = """\
7f00-7f01 r-xp 00000000 08:01 11 {folder}/libgomp-1.so
7f01-7f02 r--p 00001000 08:01 11 {folder}/libgomp-1.so
7f02-7f03 r-xp 00000000 08:01 12 {folder}/libgomp-old.so (deleted)
7f03-7f04 r-xp 00000000 08:01 13 {folder}/other.so
7f04-7f05 rw-p 00000000 00:00 0
"""


def test_libgomp_is_known_by_the_name_of_its_file(monkeypatch, tmp_path):
    folder = tmp_path / "libgomp of mine"
    folder.mkdir()
    for name in ("libgomp-1.so", "other.so"):
        (folder / name).touch()
    monkeypatch.setattr(waiting, "MAPS", tmp_path / "maps")
    waiting.MAPS.write_text(MAPS.format(folder=folder), encoding="utf-8")
    monkeypatch.setattr(waiting.ctypes, "CDLL", lambda file: file)
    assert waiting._loaded_libgomp() == [str(folder / "libgomp-1.so")]


TEAM = """
import os, threading, time, course, torch
from course import waiting
torch.ones(200_000).add_(1)

def num_threads():
    return len(os.listdir("/proc/self/task"))

def settled(expected):
    end = time.monotonic() + 20
    while num_threads() != expected and time.monotonic() < end:
        time.sleep(0.01)
    return num_threads()

before = num_threads()
dismiss = threading.Event()
threading.Thread(target=waiting._keep_team, args=(dismiss,)).start()
print(settled(before + 2) - before)
dismiss.set()
print(settled(before) - before)
"""


@on_linux
def test_a_team_is_two_threads_and_goes_as_a_whole():
    """With more threads than processors, libgomp waits briefly: that is the whole mechanism."""
    assert output_of(TEAM) == ["2", "0"]


KEEP_A_TEAM = """
import threading, torch
from course import waiting
threading.Thread(target=waiting._keep_team, args=(threading.Event(),), daemon=True).start()
"""

TRAINING = """
import torch
from course.models import MLP
torch.manual_seed(0)
model, images, targets = MLP(), torch.randn(64, 1, 28, 28), torch.randint(10, (64,))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(20):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images), targets).backward()
    optimizer.step()
print(sum(p.double().sum() for p in model.parameters()).item().hex())
"""


@on_linux
def test_results_are_the_same_to_the_last_bit():
    assert output_of(KEEP_A_TEAM + TRAINING) == output_of(TRAINING)


@on_linux
def test_delays_grow_while_threads_fight_for_one_processor():
    if not waiting._delays():
        pytest.skip("this system does not count")
    before = sum(waiting._delays().values())
    affinity = os.sched_getaffinity(0)
    deadline = time.monotonic() + 1

    def compute():
        os.sched_setaffinity(0, {min(affinity)})
        data = bytes(10_000_000)
        while time.monotonic() < deadline:
            hashlib.sha256(data).digest()  # leaves Python's lock free

    threads = [threading.Thread(target=compute) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.8)
    assert sum(waiting._delays().values()) - before > 0.3
    for thread in threads:
        thread.join()
