"""Fashion-MNIST in the cache: whatever happens to it, the next use has it whole or says why not."""

import ctypes
import errno
import gzip
import hashlib
import json
import math
import multiprocessing
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from course.data import FASHION_CLASSES, fashion_mnist
from course.files import fashion, paths
from course.files.fashion import unpack_fashion_mnist

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(*shape):
    """A file in the format of MNIST (http://yann.lecun.com/exdb/mnist/), with few samples."""
    header = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape)
    return header + bytes(i % 10 for i in range(math.prod(shape)))


SMALL = {
    "train-images-idx3-ubyte": idx(60, 28, 28),
    "train-labels-idx1-ubyte": idx(60),
    IMAGES: idx(10, 28, 28),
    LABELS: idx(10),
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Archives with a thousandth of Fashion-MNIST; returns their folder."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in SMALL.items()}
    assert digests.keys() == fashion.DIGESTS.keys()
    monkeypatch.setattr(fashion, "DIGESTS", digests)
    monkeypatch.setattr(paths, "SHIPPED_DATASETS", tmp_path / "datasets")
    archives = tmp_path / "datasets" / "FashionMNIST" / "raw"
    archives.mkdir(parents=True)
    for name, content in SMALL.items():
        (archives / f"{name}.gz").write_bytes(gzip.compress(content))
    return archives


@pytest.fixture
def cache(tmp_path, small, monkeypatch):
    """An empty cache, and no network."""
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it asked the network"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("it asked the network"))
    return tmp_path / "cache"


@pytest.fixture
def raw(cache):
    """The folder of the four unpacked files in the cache."""
    unpack_fashion_mnist()
    return cache / "fashion-mnist" / "FashionMNIST" / "raw"


def assert_whole(cache):
    assert fashion_mnist(train=True).targets.tolist() == 6 * list(range(10))
    assert fashion_mnist(train=False).targets.tolist() == list(range(10))
    assert [entry.name for entry in cache.iterdir()] == ["fashion-mnist"], "nothing is left over"
    raw = cache / "fashion-mnist" / "FashionMNIST" / "raw"
    assert sorted(entry.name for entry in raw.iterdir()) == sorted(SMALL)


def test_it_is_unpacked_at_the_first_use_and_only_then(cache, monkeypatch, capsys):
    assert_whole(cache)
    monkeypatch.setattr(gzip, "decompress", lambda *_: pytest.fail("it unpacked once more"))
    assert_whole(cache)
    assert capsys.readouterr().out == ""


def test_the_real_one_is_what_torchvision_gives():
    assert (len(fashion_mnist(train=True)), len(fashion_mnist(train=False))) == (60_000, 10_000)
    image, label = fashion_mnist(train=True)[0]
    assert (image.size, image.mode, label) == ((28, 28), "L", 9)
    assert fashion_mnist(train=False).classes == FASHION_CLASSES


def cut(raw):
    (raw / IMAGES).write_bytes(SMALL[IMAGES][:5_000])


def other_bytes(raw):
    data = bytearray(SMALL[IMAGES])
    data[4_000] ^= 1
    (raw / IMAGES).write_bytes(data)


def other_bytes_of_the_same_age(raw):
    before = (raw / LABELS).stat()
    (raw / LABELS).write_bytes(bytes(before.st_size))
    os.utime(raw / LABELS, ns=(before.st_atime_ns, before.st_mtime_ns))


def a_folder_in_place(raw):
    (raw / LABELS).unlink()
    (raw / LABELS / "and" / "more").mkdir(parents=True)


def a_pipe_in_place(raw):
    (raw / LABELS).unlink()
    os.mkfifo(raw / LABELS)


def a_link_in_place(raw, target):
    (raw / LABELS).unlink()
    (raw / LABELS).symlink_to(target)


def a_file_in_place(folder):
    shutil.rmtree(folder)
    folder.write_text("a file", encoding="utf-8")


def an_old_torchvision(raw):
    (raw.parent / "processed").mkdir()
    (raw.parent / "processed" / "test.pt").write_bytes(b"what it would load in place of the rest")


DAMAGE = {
    "cut": cut,
    "emptied": lambda raw: (raw / IMAGES).write_bytes(b""),
    "longer": lambda raw: (raw / LABELS).write_bytes(SMALL[LABELS] + b"\0"),
    "one bit": other_bytes,
    "other bytes of the same length and age": other_bytes_of_the_same_age,
    "two files exchanged": lambda raw: (raw / LABELS).write_bytes(SMALL["train-labels-idx1-ubyte"]),
    "removed": lambda raw: (raw / LABELS).unlink(),
    "all removed": lambda raw: [file.unlink() for file in raw.iterdir()],
    "renamed": lambda raw: (raw / LABELS).rename(raw / "t10k-labels.idx1-ubyte"),
    "a folder in place of a file": a_folder_in_place,
    "a pipe in place of a file": a_pipe_in_place,
    "a link to nowhere": lambda raw: a_link_in_place(raw, "gone"),
    "a link without an end": lambda raw: a_link_in_place(raw, "/dev/zero"),
    "a link to itself": lambda raw: a_link_in_place(raw, LABELS),
    "the folder of files removed": lambda raw: shutil.rmtree(raw),
    "the folder of files a file": a_file_in_place,
    "the folder above a file": lambda raw: a_file_in_place(raw.parent),
    "all of it a file": lambda raw: a_file_in_place(raw.parents[1]),
    "what old versions of torchvision kept": an_old_torchvision,
    "html in place of it": lambda raw: (raw / IMAGES).write_bytes(b"<html>log in first</html>"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_whatever_is_done_to_it_the_next_use_makes_it_anew_and_says_so(cache, raw, name, capsys):
    DAMAGE[name](raw)
    assert_whole(cache)
    line = f"Fashion-MNIST in {cache / 'fashion-mnist'} was damaged; it has been unpacked again.\n"
    assert capsys.readouterr().out == line, "once"


def test_a_linked_cache_is_used_and_its_target_never_changed(cache, raw, tmp_path, capsys):
    shared = tmp_path / "shared"
    (cache / "fashion-mnist").rename(shared)
    (cache / "fashion-mnist").symlink_to(shared)
    assert len(fashion_mnist(train=False)) == 10
    (shared / "FashionMNIST" / "raw" / LABELS).write_bytes(b"of somebody")
    assert_whole(cache)
    assert (shared / "FashionMNIST" / "raw" / LABELS).read_bytes() == b"of somebody"
    assert not (cache / "fashion-mnist").is_symlink()
    assert capsys.readouterr().out.count("unpacked again") == 1


def test_another_process_may_be_faster(cache, monkeypatch):
    move, faster = fashion.move_into_place, []

    def be_slow(*arguments):
        if not faster:
            faster.append("the other process")
            unpack_fashion_mnist()
        move(*arguments)

    monkeypatch.setattr(fashion, "move_into_place", be_slow)
    assert_whole(cache)
    assert faster


def test_another_process_may_repair_it_at_the_same_time(cache, raw, monkeypatch, capsys):
    (raw / LABELS).unlink()
    read, faster = fashion._read_archive, []

    def be_slow(name):
        if not faster:
            faster.append("the other process")
            unpack_fashion_mnist()
        return read(name)

    monkeypatch.setattr(fashion, "_read_archive", be_slow)
    assert_whole(cache)
    assert faster


def unpack_into(cache, start):
    paths.CACHE = cache
    start.wait()
    unpack_fashion_mnist()


@pytest.mark.skipif(sys.platform == "win32", reason="there processes import everything anew")
@pytest.mark.parametrize("damaged", [False, True])
def test_several_processes_at_once(cache, damaged):
    if damaged:
        (cache / "fashion-mnist").mkdir(parents=True)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(3)
    processes = [context.Process(target=unpack_into, args=(cache, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert_whole(cache)


def test_another_process_sets_the_damaged_folder_aside_first(cache, monkeypatch):
    (cache / "fashion-mnist").mkdir(parents=True)
    is_sound = fashion._is_sound
    answers = []

    def be_slow(folder):
        answers.append(is_sound(folder))
        if len(answers) == 2:  # the folder was looked at for the last time
            folder.rmdir()
        return answers[-1]

    monkeypatch.setattr(fashion, "_is_sound", be_slow)
    unpack_fashion_mnist()
    assert answers[:2] == [False, False]
    assert is_sound(cache / "fashion-mnist")


def arguments(cache):
    """What another process has to know."""
    return [cache, paths.SHIPPED_DATASETS, json.dumps(fashion.DIGESTS)]


def test_an_unpacking_that_was_killed_leaves_nothing_for_ever(cache):
    code = """
import json, os, sys
from pathlib import Path
from course.files import fashion, paths
paths.CACHE, paths.SHIPPED_DATASETS = map(Path, sys.argv[1:3])
fashion.DIGESTS = json.loads(sys.argv[3])
fashion.move_into_place = lambda *_: os._exit(9)
fashion.unpack_fashion_mnist()
"""
    subprocess.run([sys.executable, "-c", code, *arguments(cache)])
    assert [entry.name.startswith(".") for entry in cache.iterdir()] == [True]
    assert_whole(cache)


# --- the archives of the course ---------------------------------------------------------------


def cut_archive(archive):
    archive.write_bytes(archive.read_bytes()[:-10])


def other_archive(archive):
    archive.write_bytes(gzip.compress(b"something else"))


def flipped_archive(archive):
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0x55
    archive.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        cut_archive,
        other_archive,
        flipped_archive,
        lambda archive: archive.write_bytes(b""),
        lambda archive: archive.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
        lambda archive: archive.write_bytes(gzip.compress(b"")),
    ],
)
def test_a_damaged_archive_is_named_with_the_way_to_restore_it(cache, small, damage):
    damage(small / f"{LABELS}.gz")
    with pytest.raises(RuntimeError) as caught:
        fashion_mnist(train=True)
    assert f"{LABELS}.gz is damaged: run `git checkout datasets/Fash" in str(caught.value)
    assert not cache.exists() or not list(cache.iterdir())


def test_a_missing_archive_is_named_with_the_way_to_restore_it(cache, small):
    (small / f"{IMAGES}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{IMAGES}.gz is missing: run `git checkout"):
        fashion_mnist(train=True)


def test_a_course_that_was_installed_without_its_folders_says_so(cache, small, monkeypatch):
    monkeypatch.setattr(paths, "installed_without_folders", lambda: True)
    shutil.rmtree(small)
    with pytest.raises(FileNotFoundError, match="pip install -e"):
        fashion_mnist(train=True)


def test_a_whole_cache_needs_no_archives(raw, small):
    shutil.rmtree(small)
    assert len(fashion_mnist(train=False)) == 10


# --- trouble of the system --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "choose another folder"),
        (errno.EACCES, "ask for the right"),
        (errno.EIO, "connect it"),
        (errno.EDQUOT, "free some space"),
    ],
)
def test_a_cache_that_cannot_be_written_says_why(cache, raw, monkeypatch, number, advice):
    (raw / LABELS).unlink()

    def fail(*_):
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError) as caught:
        fashion_mnist(train=False)
    message = str(caught.value)
    assert caught.value.errno == number
    assert f"Fashion-MNIST cannot be unpacked into {cache}" in message and advice in message
    assert message.isprintable()


def test_an_archive_on_a_drive_that_is_away_is_not_called_damaged(cache, small, monkeypatch):
    def fail(*_):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match=r"\.gz cannot be read .*: .*connect it") as caught:
        fashion_mnist(train=False)
    assert "checkout" not in str(caught.value)


UNPACK = """
import json, sys
from pathlib import Path
from course.files import fashion, paths
paths.CACHE, paths.SHIPPED_DATASETS = map(Path, sys.argv[1:3])
fashion.DIGESTS = json.loads(sys.argv[3])
try:
    fashion.unpack_fashion_mnist()
except OSError as error:
    print(type(error).__name__, str(error))
"""


def obey_permissions():
    """Let permissions count for root, too: give up the right to overrule them."""
    for right in (1, 2):  # to read and write, to search
        ctypes.CDLL(None).prctl(24, right)


def unpack_obeying(cache):
    return subprocess.run(
        [sys.executable, "-c", UNPACK, *arguments(cache)],
        capture_output=True,
        text=True,
        preexec_fn=obey_permissions,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as on Linux")
def test_a_file_that_may_not_be_read_is_made_anew(cache, raw):
    (raw / LABELS).chmod(0)
    result = unpack_obeying(cache)
    assert "unpacked again" in result.stdout, result.stderr
    assert (raw / LABELS).read_bytes() == SMALL[LABELS]


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as on Linux")
@pytest.mark.parametrize("closed", ["cache", "cache/fashion-mnist/FashionMNIST/raw"])
def test_a_folder_without_rights_is_made_anew_or_the_reason_is_told(cache, raw, tmp_path, closed):
    (raw / LABELS).unlink()
    (tmp_path / closed).chmod(0o500)
    result = unpack_obeying(cache)
    (tmp_path / closed).chmod(0o700)
    told = result.stdout.startswith("PermissionError") and "ask for the right" in result.stdout
    assert told or "unpacked again" in result.stdout, result.stdout + result.stderr
    assert result.stdout.count("\n") == 1 and result.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_strict_umask_does_not_lock_out_others(cache):
    before = os.umask(0o077)
    try:
        cache.mkdir(mode=0o755)
        cache.chmod(0o755)
        unpack_fashion_mnist()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in cache.rglob("*")}
    assert {modes[name] for name in SMALL} == {0o644}
    assert modes["raw"] == modes["FashionMNIST"] == modes["fashion-mnist"] == 0o755
